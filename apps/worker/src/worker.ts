/**
 * One batch, from its claim to its settlement. Read this first; each step is one file.
 *
 *     claim         lane.ts, by the rules of @inferry/scheduling; leases.ts keeps what was claimed
 *     fetch         preparation/: in threads of its own, before the batch has a slot, or in the slot's thread
 *     preprocess    preparation/: the same; an input that cannot be used ends its own job only
 *     batch         groups.ts: what may share a run, in order of arrival
 *     run           device-share.ts, slots.ts, run-group.ts: a limit on every run, isolation of what fails
 *     postprocess   finish.ts
 *     settle        settle.ts: fenced, kept through an outage of the queue
 */
import { failure } from '@inferry/contracts';
import { invariant } from '@inferry/runtime';
import type { LaneContext } from './deps.ts';
import { finish } from './finish.ts';
import { groupForRuns } from './groups.ts';
import type { HeldJob } from './held-job.ts';
import { fail } from './outcomes.ts';
import { SlotPreparation } from './preparation/in-slot.ts';
import { prepareBatch, recordReady } from './prepare-batch.ts';
import type { ReadyItem } from './ready-item.ts';
import { runGroup, type RunDeps } from './run-group.ts';

/** The batch's place on the device. */
export interface RunPlace {
  /** Resolves when the batch may run; it has its slot then. */
  readonly mayRun: () => Promise<void>;
  /** The batch needs its slot no longer. Called once, also when nothing ran. */
  readonly hasRun: () => void;
}

type Track = (settling: Promise<void>) => void;

/** Serves the jobs of one claim; resolves when each of them is settled, given back or lost. */
export async function serveBatch(
  jobs: readonly HeldJob[],
  lane: LaneContext,
  place: RunPlace,
): Promise<void> {
  const settling: Promise<void>[] = [];
  const track: Track = (settlement) => void settling.push(settlement);
  const serve = lane.slots.prepare ? prepareInSlot : prepareAhead;

  try {
    await serve(jobs, lane, place, track);
  } finally {
    place.hasRun();
    await Promise.all(settling);
  }
}

/** While other batches run, this one is prepared; then it waits for a slot. */
async function prepareAhead(
  jobs: readonly HeldJob[],
  lane: LaneContext,
  place: RunPlace,
  track: Track,
): Promise<void> {
  const { preparation } = lane;
  invariant(preparation !== null, 'what the slots do not prepare is prepared before');
  const ready = await prepareBatch(jobs, lane, preparation, track);
  recordReady(jobs, lane);
  if (ready.length === 0) return;
  const slot = await lane.slots.acquire();
  try {
    await place.mayRun();
    await runReady(ready, { slot, preparation }, lane, track);
  } finally {
    lane.slots.release(slot);
  }
}

/** Where preparing takes the same cores as running does, one thread does both, and no tensor is moved. */
async function prepareInSlot(
  jobs: readonly HeldJob[],
  lane: LaneContext,
  place: RunPlace,
  track: Track,
): Promise<void> {
  recordReady(jobs, lane);
  const slot = await lane.slots.acquire();
  const preparation = new SlotPreparation(slot, lane);
  try {
    await place.mayRun();
    const slotAtMs = lane.clock.nowMs();
    for (const job of jobs) job.marks.slotAtMs = slotAtMs;
    const wanted = dropUnwanted(jobs, lane, track);
    const ready = await prepareBatch(wanted, lane, preparation, track);
    lane.telemetry.busy(lane.manifest.name, preparation.spentMs / 1_000);
    await runReady(ready, { slot, preparation }, lane, track);
  } finally {
    await preparation.close();
    lane.slots.release(slot);
  }
}

async function runReady(
  ready: readonly ReadyItem[],
  deps: RunDeps,
  lane: LaneContext,
  track: Track,
): Promise<void> {
  for (const group of groupForRuns(ready, lane.manifest.maxBatchSize)) {
    dropUnwanted(
      group.map((item) => item.job),
      lane,
      track,
    );
    const wanted = group.filter((item) => item.job.isOpen);
    if (wanted.length === 0) continue;
    const ran = await runGroup(wanted, deps, lane, track);
    track(lane.settler.settle(lane.cls, finish(ran, lane)));
  }
}

/**
 * Work nobody wants any more ends before it costs a run: expired, canceled or taken over by another. Returns
 * the jobs that are still wanted.
 */
function dropUnwanted(
  jobs: readonly HeldJob[],
  lane: LaneContext,
  track: Track,
): readonly HeldJob[] {
  const nowMs = lane.queueClock.toQueueMs(lane.clock.nowMs());
  const expired = jobs.filter((job) => job.isOpen && nowMs >= job.claim.deadlineAtMs);
  for (const job of expired) {
    const late = failure('deadline_exceeded', 'The deadline passed before the job could run.');
    fail(job, late, null, lane, job.claim.attempt === 1 ? 'expired' : 'failed');
  }
  if (expired.length > 0) track(lane.settler.settle(lane.cls, expired));
  lane.leases.release(
    lane.cls,
    jobs.filter((job) => job.isLost),
  );
  return jobs.filter((job) => job.isOpen);
}
