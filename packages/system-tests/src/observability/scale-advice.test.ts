/**
 * The advice of the command line is that of the cluster: for random demands, what `desiredWorkers` says is what
 * the shipped rules come to, evaluated by the real promtool.
 */
import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { desiredWorkers } from '@inferry/scheduling';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { ensurePrometheus } from '../../../../scripts/ensure-prometheus.mjs';
import { rulesFile } from './shipped.ts';

interface QueueCase {
  readonly waitingRows: number;
  readonly rowSeconds: number;
  readonly rowsPerSecond: number;
}

/** Numbers of few binary digits: products and sums of them are exact, in whatever order they are formed. */
const queueCase: fc.Arbitrary<QueueCase> = fc.record({
  waitingRows: fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 50_000 })),
  rowSeconds: fc.integer({ min: 1, max: 1_024 }).map((n) => n / 1_024),
  rowsPerSecond: fc.oneof(fc.constant(0), fc.integer({ min: 0, max: 400 })),
});
/** A backlog that is a whole number of drain targets, where one row more takes one worker more. */
const borderCase: fc.Arbitrary<QueueCase> = fc.record({
  waitingRows: fc
    .tuple(fc.integer({ min: 0, max: 40 }), fc.integer({ min: 0, max: 1 }))
    .map(([workers, more]) => workers * 30 * 64 + more),
  rowSeconds: fc.constant(1 / 64),
  rowsPerSecond: fc.constant(0),
});
const noWork: QueueCase = { waitingRows: 0, rowSeconds: 1, rowsPerSecond: 0 };
const demandCase = fc.record({
  queues: fc.oneof(
    { arbitrary: fc.tuple(queueCase, queueCase, queueCase, queueCase), weight: 3 },
    { arbitrary: borderCase.map((one) => [one, noWork, noWork, noWork]), weight: 1 },
  ),
  /** The queues of one worker group. */
  group: fc.subarray([0, 1, 2, 3], { minLength: 1 }),
  drainTargetSeconds: fc.constantFrom(5, 10, 30, 60, 90),
  utilization: fc.constantFrom(0.5, 0.6, 0.7, 0.8, 1),
});
type DemandCase = typeof demandCase extends fc.Arbitrary<infer T> ? T : never;

const open = { min: 0, max: Number.MAX_SAFE_INTEGER };
const sum = (values: readonly number[]): number => values.reduce((a, b) => a + b, 0);

function demandOf(queues: readonly QueueCase[]) {
  return {
    backlogSeconds: sum(queues.map((queue) => queue.waitingRows * queue.rowSeconds)),
    loadWorkers: sum(queues.map((queue) => queue.rowsPerSecond * queue.rowSeconds)),
  };
}

/** The rate that Prometheus 3 extrapolates is off in its last digit, which decides at a whole number. */
function isAtBorder(loadWorkers: number, utilization: number): boolean {
  const workers = loadWorkers / utilization;
  return workers > 0 && Math.abs(workers - Math.round(workers)) < 1e-9;
}

const scrapeSeconds = 15;
/** Each case lasts three minutes, one after the other: a rate over two minutes sees nothing of the one before. */
const caseSeconds = 180;
const samplesOfCase = caseSeconds / scrapeSeconds;

/** What a series tells through all cases, as promtool takes it; each case is looked at with its last sample. */
function samples(values: readonly number[]): string {
  return values.map((value) => `${value}+0x${samplesOfCase - 1}`).join(' ');
}

function counted(perSecond: readonly number[]): string {
  let before = 0;
  const parts = perSecond.map((rate) => {
    const step = rate * scrapeSeconds;
    const part = `${before + step}+${step}x${samplesOfCase - 1}`;
    before += step * samplesOfCase;
    return part;
  });
  return parts.join(' ');
}

/** What two gateways tell of a queue through all cases. */
function seriesOf(queues: readonly QueueCase[], i: number) {
  const told = {
    backlog_work_seconds: samples(queues.map((one) => one.waitingRows * one.rowSeconds)),
    row_work_seconds: samples(queues.map((one) => one.rowSeconds)),
    arrived_rows_total: counted(queues.map((one) => one.rowsPerSecond)),
  };
  return Object.entries(told).flatMap(([name, values]) =>
    ['g1', 'g2'].map((instance) => ({
      series: `inferry_queue_${name}{queue="m${i}@1",instance="${instance}"}`,
      // The sample at the very beginning belongs to no case.
      values: `0 ${values}`,
    })),
  );
}

/** What has to come of a case: for all queues by the shipped rule, for a group by queries like those of its scaler. */
function expectations(
  { queues, group, drainTargetSeconds, utilization }: DemandCase,
  index: number,
) {
  const holds = (expr: string, labels: string, value: number) => ({
    expr,
    eval_time: `${(index + 1) * caseSeconds}s`,
    exp_samples: [{ labels, value }],
  });
  const ofGroup = `{queue=~"(${group.map((i) => `m${i}`).join('|')})@.*"}`;
  const demand = demandOf(membersOf({ queues, group }));
  return [
    holds(
      'inferry_workers_wanted:advice',
      'inferry_workers_wanted:advice',
      desiredWorkers(demandOf(queues), open),
    ),
    holds(
      `ceil(sum(queue:inferry_queue_backlog_work_seconds:max${ofGroup}) / ${drainTargetSeconds})`,
      '{}',
      desiredWorkers({ ...demand, loadWorkers: 0 }, { ...open, drainTargetSeconds }),
    ),
    holds(
      `ceil(sum(queue:inferry_offered_load_workers:rate2m${ofGroup}) / ${utilization})`,
      '{}',
      desiredWorkers({ ...demand, backlogSeconds: 0 }, { ...open, utilization }),
    ),
  ];
}

function membersOf({ queues, group }: Pick<DemandCase, 'queues' | 'group'>): readonly QueueCase[] {
  return queues.filter((_, i) => group.includes(i));
}

test('for 200 random demands the rules want as many workers as desiredWorkers', async () => {
  const cases = fc
    .sample(demandCase, { seed: 20_261_121, numRuns: 300 })
    .filter(
      (one) =>
        !isAtBorder(demandOf(one.queues).loadWorkers, 0.7) &&
        !isAtBorder(demandOf(membersOf(one)).loadWorkers, one.utilization),
    )
    .slice(0, 200);
  expect(cases.length).toBe(200);
  const expected = cases.flatMap(expectations);
  const numbers = new Set(expected.map((one) => one.exp_samples[0]?.value));
  expect(numbers.size).toBeGreaterThan(100);
  const content = {
    rule_files: [rulesFile],
    evaluation_interval: `${caseSeconds}s`,
    tests: [
      {
        interval: `${scrapeSeconds}s`,
        input_series: [0, 1, 2, 3].flatMap((i) =>
          seriesOf(
            cases.map(({ queues }) => queues[i] ?? noWork),
            i,
          ),
        ),
        promql_expr_test: expected,
      },
    ],
  };
  const directory = await mkdtemp(join(tmpdir(), 'inferry-promtool-'));
  try {
    const file = join(directory, 'advice.yml');
    // JSON is YAML.
    await writeFile(file, JSON.stringify(content));
    const { promtool } = ensurePrometheus();
    const ran = await promisify(execFile)(promtool.path, ['test', 'rules', file]);
    expect(ran.stdout).toContain('SUCCESS');
  } finally {
    await rm(directory, { recursive: true });
  }
});
