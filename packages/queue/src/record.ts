/** How an ended job is stored: the instants the queue itself knows, then one frame. */
import {
  decodeFrame,
  encodeFrame,
  type JobEnvelope,
  type JobRecord,
  type Outcome,
  type OutputHeader,
  outputOf,
  outputParts,
} from '@inferry/contracts';
import type { Claim } from './port.ts';

interface OutcomeHeader extends Omit<Outcome, 'output'> {
  readonly output: OutputHeader | null;
}

interface RecordHeader {
  readonly job: JobEnvelope;
  readonly attempt: number;
  readonly enqueuedAtMs: number;
  readonly deadlineAtMs: number;
  readonly outcome: OutcomeHeader;
}

/** settled and started, big-endian doubles, microseconds since the epoch. */
const instantsBytes = 16;

/** The frame of an outcome, as the worker sends it to be settled. */
export function encodeOutcome(claim: Claim, outcome: Outcome): Uint8Array {
  const parts = outcome.output === null ? null : outputParts(outcome.output);
  const header: RecordHeader = {
    job: claim.job,
    attempt: claim.attempt,
    enqueuedAtMs: claim.enqueuedAtMs,
    deadlineAtMs: claim.deadlineAtMs,
    outcome: { ...outcome, output: parts?.header ?? null },
  };
  return encodeFrame(header, parts?.blobs ?? []);
}

/** The record of an ended job from what is stored: 16 bytes of instants, then the frame. */
export function decodeRecord(body: Uint8Array): JobRecord {
  const view = new DataView(body.buffer, body.byteOffset, body.byteLength);
  const settledAtMs = view.getFloat64(0) / 1000;
  const startedUs = view.getFloat64(8);
  const { header, blobs } = decodeFrame<RecordHeader>(body.subarray(instantsBytes));
  const { output, ...outcome } = header.outcome;
  return {
    job: header.job,
    status: outcome.status,
    attempt: header.attempt,
    enqueuedAtMs: header.enqueuedAtMs,
    startedAtMs: startedUs === 0 ? null : startedUs / 1000,
    settledAtMs,
    deadlineAtMs: header.deadlineAtMs,
    expiresAtMs: settledAtMs + header.job.retentionMs,
    ahead: null,
    isAheadApproximate: false,
    etaAtMs: null,
    outcome: { ...outcome, output: output === null ? null : outputOf(output, blobs) },
  };
}
