import { expect, test } from 'vitest';
import { exactCurve } from './choose.fixture.ts';
import { choose, type Goal } from './choose.ts';
import type { SetupCurve } from './curve.ts';
import { reportJson, reportText, type TuneResult } from './report.ts';

const now = { threads: 1, instances: 1 };
const one = exactCurve(now, (rows) => 80 + 5 * rows, 16);
const two = { ...exactCurve({ threads: 1, instances: 2 }, (rows) => 90 + 5 * rows, 16) };

function result(latencyTargetMs: number | null, curves: readonly SetupCurve[]): TuneResult {
  const goal: Goal = { latencyTargetMs, rowsMax: 16, overheadMs: 2 };
  const best = choose(curves, goal);
  if (best === null) throw new Error('there are curves');
  const about = { model: 'm@1', device: 'cpu', hardware: 'a machine', inputs: 3, failures: [] };
  return { ...about, goal, now, curves, best };
}

test('the best is named with its sum, its reason and its gain', () => {
  const text = reportText(result(250, [one, two]), 100);
  expect(text).toContain(
    'Best: max_batch_size 8, 2 instances of 1 thread: 121 rows/s; a job waits for a batch and rides in the next, 130 ms * (1 + 1/2) + 2 ms = 197 ms\n',
  );
  expect(text).toContain('Why: batches of 16 would answer in 257 ms, and the target is 250 ms.');
  expect(text).toMatch(/That is 1\.\d\d times what 1 instance of 1 thread has now/u);
});

test('a model that takes one row a run has no batch size to recommend', () => {
  const goal: Goal = { latencyTargetMs: null, rowsMax: 1, overheadMs: 2 };
  const curves = [exactCurve(now, () => 80, 1)];
  const best = choose(curves, goal);
  const text = reportText({ ...result(null, [one]), goal, curves, best: best! }, 80);
  expect(text).toContain('Best: one row a run, 1 instance of 1 thread: ');
  expect(text).toContain('Why: runs of one row are the most that was to be tried.');
});

test('the settings fit 80 columns, with what is wrong with each', () => {
  const text = reportText(result(100, [one, two]), 80);
  const table = text.slice(0, text.indexOf('Batches with')).split('\n').slice(1);
  expect(table.join('\n')).toMatch(/instances +threads[\s\S]* too slow/u);
  for (const line of table) expect(line.length).toBeLessThanOrEqual(80);
});

test('a target that nothing keeps is called infeasible, with the sum of the nearest', () => {
  expect(reportText(result(100, [one, two]), 100)).toContain(
    'Infeasible: no setting answers one row within 100 ms. The nearest, 2 instances of 1 thread: a job waits for a batch and rides in the next, 95.0 ms * (1 + 1/2) + 2 ms = 145 ms',
  );
});

test.each([40, 60, 80, 120, 500])('the plot fits a terminal of %d columns', (columns) => {
  const text = reportText(result(150, [one, two]), columns);
  const plot = text.slice(text.indexOf('Batches with'), text.indexOf('Best:'));
  const widths = plot.split('\n').map((line) => line.length);
  expect(Math.max(...widths)).toBeLessThanOrEqual(Math.max(columns, 48));
  expect(plot).toContain('█');
});

test('settings that could not be measured are told', () => {
  const failures = [{ threads: 8, instances: 1, reason: 'the process ended with SIGKILL' }];
  expect(reportText({ ...result(null, [one]), failures }, 100)).toContain(
    '1 instance of 8 threads: not measured: the process ended with SIGKILL',
  );
});

test('as JSON it has the same numbers, and every size of every setting', () => {
  const failures = [{ threads: 8, instances: 1, reason: 'it is too large' }];
  const measured = { ...result(250, [one, two]), failures };
  const json = JSON.parse(JSON.stringify(reportJson(measured)));
  expect(json).toMatchObject({
    model: 'm@1',
    now: { instances: 1, intra_op_threads: 1 },
    not_measured: [{ instances: 1, intra_op_threads: 8, reason: 'it is too large' }],
    feasible: true,
    latency_target_ms: 250,
    best: { max_batch_size: 8, instances: 2, intra_op_threads: 1, bound: 'target', answer_ms: 197 },
  });
  expect(json.settings.map(({ points }: { points: unknown[] }) => points.length)).toEqual([5, 5]);
});
