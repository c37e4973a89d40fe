/**
 * From a request that was understood to a job in the queue: admit, encode, enqueue. Both surfaces use
 * it. Counts every decision.
 */
import {
  classOf,
  encodeInput,
  type Failure,
  type JobEnvelope,
  type JobId,
  type JobInput,
  type JobRecord,
  type ModelManifest,
} from '@inferry/contracts';
import { err, ok, type Result } from '@inferry/runtime';

import { admit } from './admission/admit.ts';
import type { GatewayParts } from './deps.ts';

export interface Work {
  readonly id: JobId;
  readonly requestId: string;
  /** When the headers of the request were read. */
  readonly startedAtMs: number;
  readonly manifest: ModelManifest;
  readonly input: JobInput;
  readonly rows: number;
  /** Whether the caller may come back for the result with the id of the job. */
  readonly mode: JobEnvelope['mode'];
  /** A caller waits on the open request. */
  readonly isHeld: boolean;
  readonly deadlineMs: number;
  readonly queueTimeoutMs: number;
  readonly executionTimeoutMs: number;
  readonly attemptsMax: number;
  readonly retentionMs: number;
  readonly metadata: Readonly<Record<string, string>>;
}

/**
 * The job as it was accepted. Errors: `draining`, `queue_full`, `storage_exhausted`, `queue_unavailable`.
 * A job whose id exists already is not added again; what has become of it is not told here.
 */
export async function accept(work: Work, parts: GatewayParts): Promise<Result<JobRecord, Failure>> {
  const { queue, limits, clock, load } = parts;
  const { manifest } = work;
  const admission = admit(load, limits);
  if (!admission.ok) return admission;
  const payload = encodeInput(work.input);
  const job = envelopeOf(work, payload.length, clock.nowMs() - work.startedAtMs, parts.gatewayId);
  const enqueued = await queue.enqueue(job, payload, {
    depthMax: Math.min(manifest.queueDepthMax, limits.queueDepthPerClassMax),
    bytesMax: limits.queueBytesPerClassMax,
  });
  if (!enqueued.ok) return err(enqueued.error);
  parts.telemetry.accepted(manifest.name, manifest.version, payload.length);
  const { ahead } = enqueued.value;
  parts.log.debug(
    { request_id: work.requestId, job_id: job.id, class: job.class, ahead },
    'accepted',
  );
  return ok({
    job,
    status: 'queued',
    attempt: 0,
    enqueuedAtMs: enqueued.value.enqueuedAtMs,
    startedAtMs: null,
    settledAtMs: null,
    deadlineAtMs: enqueued.value.deadlineAtMs,
    expiresAtMs: null,
    ahead,
    outcome: null,
  });
}

function envelopeOf(
  work: Work,
  payloadBytes: number,
  admissionMs: number,
  gatewayId: string,
): JobEnvelope {
  return {
    v: 1,
    id: work.id,
    class: classOf(work.manifest.name, work.manifest.version),
    rows: work.rows,
    payloadBytes,
    mode: work.mode,
    gateway: work.isHeld ? gatewayId : null,
    requestId: work.requestId,
    admissionMs,
    deadlineMs: work.deadlineMs,
    queueTimeoutMs: work.queueTimeoutMs,
    executionTimeoutMs: work.executionTimeoutMs,
    attemptsMax: work.attemptsMax,
    retentionMs: work.retentionMs,
    metadata: work.metadata,
  };
}
