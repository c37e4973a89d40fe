import { expect, test } from 'vitest';
import { checkQuery } from './promql-labels.ts';

const metrics = new Map([
  ['jobs_total', new Set(['model', 'outcome', 'instance'])],
  ['time_bucket', new Set(['model', 'le', 'instance'])],
  ['limit', new Set(['model'])],
]);
const check = (query: string): string[] => {
  const { labels, problems } = checkQuery(query, (name) => metrics.get(name));
  return problems.length > 0 ? ['!', ...problems] : [...labels];
};

test('the labels of a result follow from the query', () => {
  expect(check('1')).toEqual([]);
  expect(check('jobs_total{model="a"}')).toEqual(['model', 'outcome', 'instance']);
  expect(check('sum(rate(jobs_total[5m]))')).toEqual([]);
  expect(check('sum without (instance) (rate(jobs_total[5m] offset 1h))')).toEqual([
    'model',
    'outcome',
  ]);
  expect(check('histogram_quantile(0.9, sum by (model, le) (rate(time_bucket[5m])))')).toEqual([
    'model',
  ]);
  expect(check('topk(3, -limit * 2) > 0')).toEqual(['model']);
  expect(check('sum by (model) (jobs_total) / limit')).toEqual(['model']);
  expect(check('jobs_total / on (model) group_left () limit')).toEqual([
    'model',
    'outcome',
    'instance',
  ]);
  expect(check('jobs_total and on (model) limit')).toEqual(['model', 'outcome', 'instance']);
  expect(check('sum(limit) or vector(0)')).toEqual([]);
});

test.each([
  ['jobs', 'no metric jobs'],
  ['{model="a"}', 'no metric is named'],
  ['limit{outcome="a"}', 'no label outcome in limit'],
  ['sum by (priority) (limit)', 'no label priority in sum'],
  ['histogram_quantile(0.9, sum by (model) (time_bucket))', 'no label le in histogram_quantile'],
  ['jobs_total / limit', 'the sides have different labels: jobs_total / limit'],
  ['jobs_total / on (model) limit', 'the sides match more than once'],
  ['limit / on (model) group_left () jobs_total', 'the sides match more than once'],
  ['limit / on (outcome) limit', 'no label outcome in limit / on'],
  ['limit / ignoring (model) limit', 'matches by leaving labels out'],
  ['sum(limit', 'not understood'],
])('%s is found to be wrong', (query, problem) => {
  const [mark, ...problems] = check(query);
  expect(mark).toBe('!');
  expect(problems.join('\n')).toContain(problem);
});
