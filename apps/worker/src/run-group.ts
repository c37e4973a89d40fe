/**
 * Runs items that fit together in one slot. When the model refuses the batch it is divided until the
 * culprits stand alone; when a run takes too long its jobs are dealt with at once, while the slot waits.
 */
import { type Failure, failure, type Tensor } from '@inferry/contracts';
import { err, ok, type Result } from '@inferry/runtime';
import { planIsolation, runIsolating } from '@inferry/scheduling';
import type { LaneContext } from './deps.ts';
import { fail } from './outcomes.ts';
import { outputsOf, type Preparation } from './preparation/preparation.ts';
import { countRun } from './statistics.ts';
import { prepareAgain } from './prepare-batch.ts';
import { traceRun } from './job-spans.ts';
import type { ReadyItem } from './ready-item.ts';
import type { Slot, TimedRun } from './slots.ts';

/** What a run left for an item: its outputs, or nothing, when its job was dealt with on the way. */
type Ran =
  | { readonly kind: 'outputs'; readonly tensors: readonly Tensor[] }
  | { readonly kind: 'dealt_with' };

export interface RanItem {
  readonly item: ReadyItem;
  readonly result: Result<Ran, Failure>;
  /** Rows of the whole group. */
  readonly batchRows: number;
}

export interface RunDeps {
  readonly slot: Slot;
  /** For items that have to be prepared once more. */
  readonly preparation: Preparation;
}

/** `track` is told of settlements that are under way when this returns. */
export async function runGroup(
  group: readonly ReadyItem[],
  { preparation, slot }: RunDeps,
  lane: LaneContext,
  track: (settling: Promise<void>) => void,
): Promise<readonly RanItem[]> {
  const { batchSize, cls, clock, manifest, telemetry } = lane;
  const batchRows = rowsOf(group);
  const startedAtMs = clock.nowMs();
  for (const { job } of group) job.marks.runAtMs = startedAtMs;
  const results = await runIsolating(
    group,
    (items) => runTogether(items, batchRows, { preparation, slot }, lane, track),
    (size) => {
      lane.logger.warn({ class: cls, items: size }, 'the model refused a batch; dividing it');
      const kind = planIsolation(size, (items) =>
        batchSize.latency.meanMs((items * batchRows) / size),
      );
      telemetry.isolated(manifest.name, kind);
      return kind;
    },
  );
  const endedAtMs = clock.nowMs();
  telemetry.busy(manifest.name, (endedAtMs - startedAtMs) / 1_000);
  for (const { job } of group) job.marks.ranAtMs ??= endedAtMs;
  const ran = group.map((item, i) => ({ item, result: results[i] ?? ok(dealtWith), batchRows }));
  traceRun(ran, { startedAtMs, endedAtMs }, lane);
  return ran;
}

const dealtWith: Ran = { kind: 'dealt_with' };

async function runTogether(
  items: readonly ReadyItem[],
  batchRows: number,
  { preparation, slot }: RunDeps,
  lane: LaneContext,
  track: (settling: Promise<void>) => void,
): Promise<Result<readonly Ran[], Failure>> {
  const none = ok(items.map(() => dealtWith));
  // The slot is stuck for good: the process is being replaced and these jobs were given back.
  if (slot.isOverdue) return none;
  const { manifest, telemetry } = lane;
  const spent = items.filter((item) => !slot.canRun(item.run));
  if (spent.length > 0) {
    for (const _ of spent) telemetry.retried(manifest.name, 'isolation');
    if (!(await prepareAgain(spent, lane, preparation))) {
      return err(failure('internal', 'The input of this job could not be prepared a second time.'));
    }
  }
  const limitMs = Math.min(...items.map(({ job }) => job.claim.job.executionTimeoutMs));
  const run = await slot.run(
    items.map((item) => item.take()),
    outputsOf(items.map((item) => item.facts)),
    limitMs,
  );
  if (run.kind === 'returned') return outputs(items, run, lane);
  track(dismissOverdue(items, batchRows, limitMs, lane));
  await run.isBack;
  return none;
}

function outputs(
  items: readonly ReadyItem[],
  { idleMs, isFirst, preparedMs, result }: Extract<TimedRun, { kind: 'returned' }>,
  lane: LaneContext,
): Result<readonly Ran[], Failure> {
  if (!result.ok) return result;
  const rows = rowsOf(items);
  const { computeMs } = result.value;
  const durationMs = preparedMs + computeMs;
  const ratio = lane.batchSize.ran({ rows, durationMs, isFirst, idleMs });
  if (ratio !== null) lane.telemetry.latencyRatio(lane.manifest.name, ratio);
  const jobs = items.map((item) => item.job);
  countRun(lane.statistics, lane.cls, { rows, computeMs, jobs }, lane.queueClock);
  let useful = 0;
  let padding = 0;
  for (const { facts } of items) {
    useful += facts.elements.useful;
    padding += facts.elements.padding;
  }
  lane.telemetry.batchRan(lane.manifest.name, rows, computeMs / 1_000, { useful, padding });
  return ok(result.value.items.map((tensors) => ({ kind: 'outputs', tensors })));
}

/**
 * One job: it is the culprit, and fails. Several: nobody knows which, so they go back marked, and each
 * runs alone the next time.
 */
async function dismissOverdue(
  items: readonly ReadyItem[],
  batchRows: number,
  limitMs: number,
  lane: LaneContext,
): Promise<void> {
  const jobs = items.map((item) => item.job).filter((job) => job.isOpen);
  lane.logger.error({ class: lane.cls, job_ids: jobs.map((job) => job.claim.job.id) }, 'overdue');
  if (items.length > 1) return lane.settler.giveBack(lane.cls, jobs, true);
  for (const job of jobs) {
    const detail = `The run did not end within ${limitMs} ms, its limit.`;
    fail(job, failure('execution_timeout', detail), batchRows, lane);
  }
  return lane.settler.settle(lane.cls, jobs);
}

function rowsOf(items: readonly ReadyItem[]): number {
  return items.reduce((sum, item) => sum + item.rows, 0);
}
