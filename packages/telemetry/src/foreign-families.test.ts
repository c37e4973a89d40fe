/** Metrics under names that others chose, in the exposition of a process. */
import { VirtualClock } from '@inferry/runtime';
import { expect, test } from 'vitest';
import { parseExposition } from './exposition.ts';
import type { ForeignFamily } from './foreign-families.ts';
import { createMetrics, type MetricsFormat } from './metrics.ts';

const build = { version: '0', revision: '', onnxruntime: 'none' };
const families: readonly ForeignFamily[] = [
  {
    name: 'nv_count',
    help: 'Rows.',
    type: 'counter',
    samples: [{ labels: { model: 'a"b', version: '1' }, value: 7 }],
  },
  { name: 'nv_pending', help: 'Waiting.', type: 'gauge', samples: [{ labels: {}, value: 2 }] },
];

function open(format: MetricsFormat) {
  const clock = new VirtualClock();
  return { clock, metrics: createMetrics('gateway', build, clock, format) };
}

test('they are read anew for each exposition, and follow the others', async () => {
  const { metrics } = open('prometheus');
  let reads = 0;
  metrics.addForeign(async () => {
    reads += 1;
    return families;
  });
  await metrics.text();
  const text = await metrics.text();
  expect(reads).toBe(2);
  const told =
    '# HELP nv_count Rows.\n# TYPE nv_count counter\nnv_count{model="a\\"b",version="1"} 7\n' +
    '# HELP nv_pending Waiting.\n# TYPE nv_pending gauge\nnv_pending{} 2\n';
  expect(text.endsWith(`\n${told}`)).toBe(true);
});

test('OpenMetrics knows no counter of such a name, and ends as it has to', async () => {
  const { metrics } = open('openmetrics');
  metrics.addForeign(async () => families);
  const text = await metrics.text();
  expect(text).toContain('# TYPE nv_count unknown\nnv_count{');
  expect(text.endsWith('nv_pending{} 2\n# EOF\n')).toBe(true);
  expect(text.match(/# EOF/gu)).toHaveLength(1);
});

test.each(['prometheus', 'openmetrics'] as const)(
  'a histogram is written as %s',
  async (format) => {
    const { metrics } = open(format);
    const samples = [
      { suffix: '_bucket', labels: { le: '+Inf' }, value: 3 },
      { suffix: '_sum', labels: {}, value: 1.5 },
      { suffix: '_count', labels: {}, value: 3 },
    ] as const;
    metrics.addForeign(async () => [
      { name: 'nv_first_ms', help: 'First.', type: 'histogram', samples },
    ]);
    expect(await metrics.text()).toContain(
      '# TYPE nv_first_ms histogram\nnv_first_ms_bucket{le="+Inf"} 3\nnv_first_ms_sum{} 1.5\nnv_first_ms_count{} 3\n',
    );
  },
);

test('one that cannot be read is left out and counted, and the scrape goes on', async () => {
  const { metrics } = open('prometheus');
  let isAway = false;
  metrics.addForeign(() =>
    isAway ? Promise.reject(new Error('away')) : Promise.resolve(families),
  );
  await metrics.text();
  isAway = true;
  const text = await metrics.text();
  expect(text).not.toContain('nv_');
  expect(parseExposition(text).get('inferry_queue_collect_errors_total')).toBe(1);
});
