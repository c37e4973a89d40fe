/**
 * One batch, from its claim to its settlement. Read this first; each step is one file.
 *
 *     claim         lane.ts, by the rules of @inferry/scheduling; leases.ts keeps what was claimed
 *     fetch         preparation/ (threads)
 *     preprocess    preparation/ (threads): an input that cannot be used ends its own job only
 *     batch         groups.ts: what may share a run, in order of arrival
 *     run           device-share.ts, slots.ts, run-group.ts: a limit on every run, isolation of what fails
 *     postprocess   finish.ts
 *     settle        settle.ts: fenced, kept through an outage of the queue
 */
import { failure } from '@inferry/contracts';
import type { LaneContext } from './deps.ts';
import { finish } from './finish.ts';
import { groupForRuns } from './groups.ts';
import type { HeldJob } from './held-job.ts';
import { fail } from './outcomes.ts';
import { prepareBatch } from './prepare-batch.ts';
import type { ReadyItem } from './ready-item.ts';
import { runGroup } from './run-group.ts';

/** The batch's place on the device. */
export interface RunPlace {
  /** Resolves when the batch may run; it has its slot then. */
  readonly mayRun: () => Promise<void>;
  /** The batch needs its slot no longer. Called once, also when nothing ran. */
  readonly hasRun: () => void;
}

/** Serves the jobs of one claim; resolves when each of them is settled, given back or lost. */
export async function serveBatch(
  jobs: readonly HeldJob[],
  lane: LaneContext,
  place: RunPlace,
): Promise<void> {
  const settling: Promise<void>[] = [];
  const track = (settlement: Promise<void>): void => void settling.push(settlement);

  try {
    const ready = await prepareBatch(jobs, lane, track);
    if (ready.length > 0) await runReady(ready, lane, place, track);
  } finally {
    place.hasRun();
    await Promise.all(settling);
  }
}

async function runReady(
  ready: readonly ReadyItem[],
  lane: LaneContext,
  place: RunPlace,
  track: (settling: Promise<void>) => void,
): Promise<void> {
  const slot = await lane.slots.acquire();
  try {
    await place.mayRun();
    for (const group of groupForRuns(ready, lane.manifest.maxBatchSize)) {
      const wanted = dropUnwanted(group, lane, track);
      if (wanted.length === 0) continue;
      const ran = await runGroup(wanted, slot, lane, track);
      track(lane.settler.settle(lane.cls, finish(ran, lane)));
    }
  } finally {
    lane.slots.release(slot);
  }
}

/** Work nobody wants any more ends before it costs a run: expired, canceled or taken over by another. */
function dropUnwanted(
  group: readonly ReadyItem[],
  lane: LaneContext,
  track: (settling: Promise<void>) => void,
): readonly ReadyItem[] {
  const nowMs = lane.queueClock.toQueueMs(lane.clock.nowMs());
  const expired = group
    .map((item) => item.job)
    .filter((job) => job.isOpen && nowMs >= job.claim.deadlineAtMs);
  for (const job of expired) {
    const late = failure('deadline_exceeded', 'The deadline passed before the job could run.');
    fail(job, late, null, lane, job.claim.attempt === 1 ? 'expired' : 'failed');
  }
  if (expired.length > 0) track(lane.settler.settle(lane.cls, expired));
  const lost = group.map((item) => item.job).filter((job) => job.isLost);
  lane.leases.release(lane.cls, lost);
  return group.filter((item) => item.job.isOpen);
}
