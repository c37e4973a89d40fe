/**
 * The stages of a job as its worker sees them. Every stage begins where the one before it ends, so that
 * they add up; a job that ends early spends the rest of its time in the stage it ended in.
 *
 *     queue_wait   enqueued -> claimed              (the queue's clock)
 *     fetch        claimed -> payload in memory     (the joint between the clocks lies here)
 *     preprocess   -> item ready
 *     batch_wait   -> run starts; also the wait for a slot to be prepared in, before the fetch
 *     compute      -> run returned: the whole batch's time, isolation included
 *     postprocess  -> outcome ready
 *     publish      -> settled                       (the queue's clock again)
 */
import type { StageTimings } from '@inferry/contracts';
import type { Claim, Settled } from '@inferry/queue';
import type { QueueClock } from './queue-clock.ts';
import type { WorkerTelemetry } from './telemetry.ts';
import type { HeldJob } from './held-job.ts';

/** Local instants at which stages ended; a stage that was not reached is absent. */
export interface Marks {
  /** Has a slot to be prepared in; absent where items are prepared before they have one. */
  slotAtMs?: number;
  fetchedAtMs?: number;
  preparedAtMs?: number;
  runAtMs?: number;
  ranAtMs?: number;
  /** Outcome ready. */
  readyAtMs?: number;
}

/** The timings of a job whose outcome is ready at `readyAtMs` (local clock). */
export function stageTimings(
  claim: Claim,
  marks: Marks,
  readyAtMs: number,
  clock: QueueClock,
): StageTimings {
  const claimedAtMs = clock.toLocalMs(claim.claimedAtMs);
  const slotAtMs = marks.slotAtMs ?? claimedAtMs;
  const fetchedAtMs = marks.fetchedAtMs ?? readyAtMs;
  const preparedAtMs = marks.preparedAtMs ?? readyAtMs;
  const runAtMs = marks.runAtMs ?? readyAtMs;
  const ranAtMs = marks.ranAtMs ?? readyAtMs;
  return {
    queueWaitMs: between(claim.enqueuedAtMs, claim.claimedAtMs),
    fetchMs: between(slotAtMs, fetchedAtMs),
    preprocessMs: between(fetchedAtMs, preparedAtMs),
    batchWaitMs: between(claimedAtMs, slotAtMs) + between(preparedAtMs, runAtMs),
    computeMs: between(runAtMs, ranAtMs),
    postprocessMs: between(ranAtMs, readyAtMs),
  };
}

/** Tells telemetry what a settled job was and where its time went; stages and whole of the same jobs. */
export function observeSettled(
  job: HeldJob,
  settled: Settled,
  clock: QueueClock,
  telemetry: WorkerTelemetry,
  model: string,
): void {
  const { claim, outcome, marks } = job;
  if (outcome === null) return;
  const { class: cls, priority } = claim.job;
  const isInvalid = outcome.error?.code === 'input_rejected';
  telemetry.settled(cls, priority, isInvalid ? 'invalid' : outcome.status);
  const { timings } = outcome;
  if (outcome.status !== 'succeeded' || timings === null || marks.readyAtMs === undefined) return;
  const dueAtMs = claim.promise?.dueAtMs ?? null;
  if (dueAtMs !== null && settled.settledAtMs > dueAtMs) telemetry.late(model, priority);
  const traceId = job.span?.traceId;
  const stage = (name: Parameters<WorkerTelemetry['stage']>[1], ms: number): void =>
    telemetry.stage(model, name, ms / 1_000, traceId);
  stage('admission', claim.job.admissionMs);
  stage('queue_wait', timings.queueWaitMs);
  stage('fetch', timings.fetchMs);
  stage('preprocess', timings.preprocessMs);
  stage('batch_wait', timings.batchWaitMs);
  stage('compute', timings.computeMs);
  stage('postprocess', timings.postprocessMs);
  const readyAtMs = clock.toQueueMs(marks.readyAtMs);
  stage('publish', between(readyAtMs, settled.settledAtMs));
  const heldAtMs = marks.slotAtMs ?? marks.fetchedAtMs ?? marks.readyAtMs;
  if (heldAtMs < clock.toLocalMs(claim.claimedAtMs)) telemetry.clockClamped('fetch');
  if (settled.settledAtMs < readyAtMs) telemetry.clockClamped('publish');
  const wholeMs = claim.job.admissionMs + between(claim.enqueuedAtMs, settled.settledAtMs);
  telemetry.endToEnd(model, priority, wholeMs / 1_000, traceId);
}

/** Never negative: two clocks meet in fetch and publish, and their offset is an estimate. */
function between(fromMs: number, toMs: number): number {
  return Math.max(0, toMs - fromMs);
}
