/** What the scripts answer, as the values of the port. */
import type { JobEnvelope, JobId, JobRecord } from '@inferry/contracts';
import type { Claim } from '../port.ts';
import { asBytes, asInteger, asList, type Reply } from './script-runner.ts';

export function claimOf(entry: readonly Reply[], fence: string, claimedAtMs: number): Claim {
  const [, data, attempt, suspect, seq, enqueuedUs, deadlineAtMs, overtaken, inline] = entry;
  return {
    job: JSON.parse(asBytes(data).toString()) as JobEnvelope,
    fence,
    attempt: asInteger(attempt),
    isSuspect: suspect === 1,
    seq: asInteger(seq),
    enqueuedAtMs: asInteger(enqueuedUs) / 1_000,
    claimedAtMs,
    deadlineAtMs: asInteger(deadlineAtMs),
    overtakenBy: asInteger(overtaken),
    payload: inline === null || inline === undefined ? null : asBytes(inline),
  };
}

export function liveRecord(reply: readonly Reply[]): JobRecord {
  const job = JSON.parse(asBytes(reply[1]).toString()) as JobEnvelope;
  const [attempt, enqueuedUs, startedUs, deadlineAtMs, rank] = reply.slice(2).map(asInteger);
  const isQueued = rank !== undefined && rank >= 0;
  return {
    job,
    status: isQueued ? 'queued' : 'running',
    attempt: attempt ?? 0,
    enqueuedAtMs: (enqueuedUs ?? 0) / 1_000,
    startedAtMs: startedUs === undefined || startedUs === 0 ? null : startedUs / 1_000,
    settledAtMs: null,
    deadlineAtMs: deadlineAtMs ?? 0,
    expiresAtMs: null,
    ahead: isQueued ? rank : null,
    outcome: null,
  };
}

export function jobIds(reply: Reply): readonly JobId[] {
  return asList(reply).map((id) => asBytes(id).toString() as JobId);
}
