/** Every limit in one place, with the relations between them that must hold. */
import { invariant } from '@inferry/runtime';

export const defaultLimits = {
  /** Request body, as received. */
  bodyBytesMax: 8 * 1024 * 1024,
  /** Bodies of the largest size that one gateway may be receiving at a time, together. */
  arrivingBodiesMax: 64,
  headerBytesMax: 16 * 1024,
  /** A request must have arrived completely within this time. */
  requestReceiveMsMax: 30_000,
  /** Longest time a request is held for `Prefer: wait` or `?wait=`. */
  waitMsMax: 55_000,
  /** `Prefer: wait` and `?wait` without a number. */
  waitMsDefault: 30_000,
  /** Requests held open by one gateway; beyond, waits are answered at once. */
  heldRequestsMax: 5_000,
  queueDepthPerClassMax: 50_000,
  queueDepthTotalMax: 200_000,
  /** What the wait in a class without a budget is measured by. Nothing is refused for it. */
  targetWaitMs: 30_000,
  /** Waiting jobs of one tenant in one class. */
  queueDepthPerTenantMax: 10_000,
  /** Payload bytes waiting in one class. */
  queueBytesPerClassMax: 1024 * 1024 * 1024,
  /** Outcome bytes kept for one class; the oldest go first. */
  resultBytesPerClassMax: 512 * 1024 * 1024,
  outputBytesMax: 32 * 1024 * 1024,
  /** Partial outputs of one job, which are kept with its outcome. */
  partialsPerJobMax: 512,
  partialBytesPerJobMax: 4 * 1024 * 1024,
  /** Event streams held open by one gateway. */
  eventStreamsMax: 1_000,
  /** A sign of life on a stream that has nothing else to tell. */
  streamPingMs: 15_000,
  /** A stream is closed then; its caller opens the next and goes on where it was. */
  streamAgeMsMax: 15 * 60_000,
  /** Written to a stream and not read by its caller yet; beyond it, the job is not read on. */
  streamBufferBytesMax: 256 * 1024,
  /** A caller that reads nothing of what was written to it for this long has lost its stream. */
  streamStallMsMax: 10_000,
  /** Payloads up to this size travel with the job, larger ones have their own key. */
  inlinePayloadBytesMax: 2 * 1024,
  tenantsMax: 1_000,
  agingMs: 60_000,
  deadlineMsMax: 24 * 3_600_000,
  deadlineMsDefault: 3_600_000,
  executionTimeoutMsDefault: 60_000,
  attemptsMax: 3,
  /**
   * Starts of a job of an ensemble, which runs nothing itself that could take a worker with it: what does is one of
   * its steps, of which each has {@link attemptsMax} in all.
   */
  ensembleAttemptsMax: 12,
  retentionMsHeld: 60_000,
  retentionMsAsync: 24 * 3_600_000,
  retentionMsMax: 7 * 24 * 3_600_000,
  /** A removed job is known to have existed for this long. */
  tombstoneMs: 24 * 3_600_000,
  idempotencyMs: 24 * 3_600_000,
  metadataPairsMax: 16,
  metadataKeyCharsMax: 64,
  metadataValueCharsMax: 512,
  /** Lease on a claim; renewed at a third of it. */
  leaseMs: 5_000,
  /** How often dead leases and passed deadlines are looked for. */
  sweepMs: 500,
  /** A SIGTERM'ed process has this long to finish what it claimed. */
  drainMs: 25_000,
  /** After an execution timeout, how long the run may still return before the process replaces itself. */
  stuckRunGraceMs: 1_000,
  /** What a row is taken to cost one worker before any worker of its class has told. */
  rowWorkMsPrior: 100,
  /** A thread that has not fetched and prepared its part of a batch by then never will: the process replaces itself. */
  preparationMsMax: 120_000,
  imagePixelsMax: 50_000_000,
  /** The largest that JPEG and GIF can have; what a resize costs beside its pixels grows with the sides. */
  imageSideMax: 65_535,
  /** One image that is decoded in steps, such as a PNG; in whole seconds. */
  imageDecodeMsMax: 5_000,
  /** What a thread has for images: decoded pixels, and the tensors of its batches. */
  imageMemoryBytesMax: 2 * 1024 * 1024 * 1024,
} as const;

export type Limits = { readonly [Name in keyof typeof defaultLimits]: number };

/** Relations without which the system loses or repeats work. Checked once, at start. */
export function checkLimits(limits: Limits): void {
  invariant(limits.sweepMs * 2 <= limits.leaseMs, 'sweepMs is at most half of leaseMs');
  invariant(limits.retentionMsAsync <= limits.retentionMsMax, 'retention stays within its maximum');
  invariant(limits.waitMsDefault <= limits.waitMsMax, 'the default wait is within its maximum');
  invariant(
    limits.deadlineMsDefault <= limits.deadlineMsMax,
    'the default deadline is within its maximum',
  );
}
