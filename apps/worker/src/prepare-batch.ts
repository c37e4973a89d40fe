/**
 * Fetch and preprocess. An input that cannot be used ends its own job, at once, and its neighbours go on.
 * Payloads that cannot be reached now are fetched again while their leases hold.
 */
import { type Failure, failure } from '@inferry/contracts';
import type { LaneContext } from './deps.ts';
import type { HeldJob } from './held-job.ts';
import { fail } from './outcomes.ts';
import type { Preparation, PreparedAt } from './preparation/preparation.ts';
import { ReadyItem } from './ready-item.ts';
import { untilDone } from './retry.ts';

export type PreparingLane = Pick<
  LaneContext,
  'clock' | 'cls' | 'halt' | 'logger' | 'queueClock' | 'rowsMax' | 'settler'
>;

/** The items that can run, in the order of `jobs`; the jobs of the others are on their way to be settled. */
export async function prepareBatch(
  jobs: readonly HeldJob[],
  lane: PreparingLane,
  preparation: Preparation,
  track: (settling: Promise<void>) => void,
): Promise<readonly ReadyItem[]> {
  const results = await prepareReachable(jobs, lane, preparation);
  const ready: ReadyItem[] = [];
  const ended: HeldJob[] = [];
  for (const job of jobs) {
    const result = results.get(job);
    if (result === undefined || !job.isOpen) continue;
    const { prepared } = result;
    job.marks.fetchedAtMs = result.fetchedAtMs;
    job.marks.preparedAtMs = result.preparedAtMs;
    if (prepared.kind === 'ready' && prepared.run.rows <= lane.rowsMax) {
      ready.push(new ReadyItem(job, prepared));
    } else {
      fail(job, refusalOf(prepared, lane.rowsMax), null, lane);
      ended.push(job);
    }
  }
  if (ended.length > 0) track(lane.settler.settle(lane.cls, ended));
  return ready;
}

/** How long it takes from a claim until its batch can have a slot decides when the next one is claimed. */
export function recordReady(jobs: readonly HeldJob[], lane: LaneContext): void {
  const [first] = jobs;
  if (first === undefined) return;
  const rows = jobs.reduce((sum, job) => sum + job.claim.job.rows, 0);
  const claimedAtMs = lane.queueClock.toLocalMs(first.claim.claimedAtMs);
  const durationMs = Math.max(0, lane.clock.nowMs() - claimedAtMs);
  lane.prepareDurations.record({ rows, durationMs, isFirst: false, idleMs: 0 });
}

/** Prepares an item's tensors again, after a run has used them up; true when it can run. */
export async function prepareAgain(
  items: readonly ReadyItem[],
  lane: LaneContext,
  preparation: Preparation,
): Promise<boolean> {
  const results = await prepareReachable(
    items.map((item) => item.job),
    lane,
    preparation,
  );
  for (const item of items) {
    const prepared = results.get(item.job)?.prepared;
    if (prepared?.kind !== 'ready') return false;
    item.refill(prepared);
  }
  return true;
}

/** Results by job; a job whose payload stayed out of reach until its lease was lost has none. */
async function prepareReachable(
  jobs: readonly HeldJob[],
  lane: PreparingLane,
  preparation: Preparation,
): Promise<ReadonlyMap<HeldJob, PreparedAt>> {
  const results = new Map<HeldJob, PreparedAt>();
  let missing = jobs;
  const attempt = async (): Promise<void> => {
    missing = missing.filter((job) => !job.isLost);
    if (missing.length === 0) return;
    const items = missing.map(({ claim: { job, payload } }) => ({
      id: job.id,
      rows: job.rows,
      payload,
    }));
    const prepared = await preparation.prepare(lane.cls, items);
    let unreachable: string | null = null;
    for (const [i, job] of missing.entries()) {
      const result = prepared[i];
      if (result?.prepared.kind === 'unreachable') unreachable = result.prepared.reason;
      else if (result !== undefined) results.set(job, result);
    }
    missing = missing.filter((job) => !results.has(job));
    if (unreachable !== null) throw new Error(`payloads are out of reach: ${unreachable}`);
  };
  await untilDone(lane.clock, lane.halt, attempt, (cause, failures) => {
    if (failures === 1) lane.logger.warn({ class: lane.cls, err: cause }, 'fetching again');
  });
  return results;
}

function refusalOf(prepared: PreparedAt['prepared'], rowsMax: number): Failure {
  switch (prepared.kind) {
    case 'refused':
      return prepared.failure;
    case 'ready':
      return failure('input_rejected', `The input has more than ${rowsMax} rows, the limit.`);
    default:
      return failure('internal', 'The input of this job is not stored any more.');
  }
}
