/**
 * From a request that was understood to a job in the queue: admit, encode, enqueue. Both surfaces use
 * it. Counts what it accepts.
 */
import {
  classOf,
  type ErrorCode,
  type Failure,
  failure,
  inputPieces,
  isComposed,
  type JobEnvelope,
  type JobId,
  type JobInput,
  type JobRecord,
  type Limits,
  type ModelManifest,
  type Priority,
  queueTimeoutOf,
  type TraceContext,
} from '@inferry/contracts';
import { mayBeRequested } from '@inferry/models';
import { err, ok, type Result } from '@inferry/runtime';
import { flowWeight } from '@inferry/scheduling';
import type { RequestSpan } from '@inferry/telemetry';

import { admit } from './admission/admit.ts';
import type { Tenant } from './admission/tenants.ts';
import { termsOf, type WhenLate } from './admission/terms.ts';
import type { GatewayParts } from './deps.ts';

export interface Work {
  readonly id: JobId;
  readonly requestId: string;
  /** When the headers of the request were read. */
  readonly startedAtMs: number;
  /** Undefined where tracing is off. */
  readonly span: RequestSpan | undefined;
  readonly manifest: ModelManifest;
  readonly tenant: Tenant;
  readonly priority: Priority;
  readonly input: JobInput;
  readonly rows: number;
  /** Whether the caller may come back for the result with the id of the job. */
  readonly mode: JobEnvelope['mode'];
  /** A caller waits on the open request. */
  readonly isHeld: boolean;
  /** Matters where `isHeld`. */
  readonly whenLate: WhenLate;
  readonly deadlineMs: number;
  readonly queueTimeoutMs: number;
  readonly executionTimeoutMs: number;
  readonly attemptsMax: number;
  readonly retentionMs: number;
  readonly metadata: Readonly<Record<string, string>>;
}

export interface Accepted {
  readonly record: JobRecord;
  /** Nobody is to wait for it on the open request: the answer would be late. */
  readonly isDeferred: boolean;
}

const retryAfterMs = 1_000;

/** What a request is refused with because its answer would be late, or is not known to come. */
const lateCodes: ReadonlySet<ErrorCode> = new Set([
  'deadline_infeasible',
  'model_unavailable',
  'quota_exceeded',
]);

/**
 * The job as it was accepted. Errors: `draining`, `queue_full`, `quota_exceeded`, `deadline_infeasible`,
 * `model_unavailable`, `storage_exhausted`, `queue_unavailable`; the queue holds nothing of the job then,
 * except that after the last one nobody knows. A job whose id exists already is not added again; what has
 * become of it is not told here.
 */
export async function accept(work: Work, parts: GatewayParts): Promise<Result<Accepted, Failure>> {
  const admission = admit(parts.load, parts.limits);
  if (!admission.ok) return admission;
  if (!isStillServed(work, parts)) {
    const { name, version } = work.manifest;
    const detail = `Version ${version} of model "${name}" was retired while the request arrived.`;
    return err(failure('model_unavailable', detail, { retryAfterMs }));
  }
  const payload = inputPieces(work.input);
  const asked = await enqueue(work, payload, parts);
  if (asked.ok) return ok({ record: asked.value, isDeferred: false });
  if (!work.isHeld || work.whenLate !== 'defer' || !lateCodes.has(asked.error.code)) return asked;
  const deferred = await enqueue(deferredWork(work, parts.limits), payload, parts);
  return deferred.ok ? ok({ record: deferred.value, isDeferred: true }) : deferred;
}

/**
 * The version was drawn before the body was read, which may have taken long. Workers that retire one still take
 * what comes for two leases: a request of less than one may have drawn it before that began, and is served.
 */
function isStillServed(
  { manifest, startedAtMs }: Work,
  { catalogue, clock, limits }: GatewayParts,
): boolean {
  const versions = catalogue.get(manifest.name)?.versions ?? [];
  const known = versions.find(({ version }) => version === manifest.version);
  if (known === undefined) return false;
  if (mayBeRequested(known)) return true;
  return known.state === 'retiring' && clock.nowMs() - startedAtMs < limits.leaseMs;
}

/** The same as a job to come back for, which nobody waits for on the open request. */
export function deferredWork(work: Work, limits: Limits): Work {
  const retentionMs = work.mode === 'async' ? work.retentionMs : limits.retentionMsAsync;
  return { ...work, mode: 'async', isHeld: false, retentionMs };
}

async function enqueue(
  work: Work,
  payload: readonly Uint8Array[],
  { queue, limits, tenants, clock, gatewayId, telemetry, log, answerTime }: GatewayParts,
): Promise<Result<JobRecord, Failure>> {
  const { manifest, tenant, priority, deadlineMs } = work;
  const nowMs = clock.nowMs();
  const usedMs = nowMs - work.startedAtMs;
  const payloadBytes = payload.reduce((sum, piece) => sum + piece.length, 0);
  const sent = work.span?.send({
    id: work.id,
    class: classOf(manifest.name, manifest.version),
    model: manifest.name,
    priority,
    rows: work.rows,
    payloadBytes,
    startedAtMs: nowMs,
  });
  const job = envelopeOf(work, { payloadBytes, admissionMs: usedMs, gatewayId, sent });
  const terms = termsOf({
    manifest,
    limits,
    flowWeight: flowWeight(tenant.weight, priority),
    hasTenants: tenants !== undefined,
    held:
      work.isHeld && work.whenLate !== 'hold'
        ? { usedMs: usedMs + answerTime.expectedMs, deadlineMs }
        : null,
  });
  const enqueued = await queue.enqueue(job, payload, terms);
  sent?.end(clock.nowMs(), enqueued.ok ? null : enqueued.error.code);
  if (!enqueued.ok) return err(enqueued.error);
  // An earlier try, whose answer was lost, may have added it.
  if (!enqueued.value.isDuplicate) {
    telemetry.accepted(manifest.name, manifest.version, payloadBytes);
  }
  const { ahead, enqueuedAtMs, deadlineAtMs, isAheadApproximate, estimate } = enqueued.value;
  const { id, class: cls } = job;
  const trace_id = work.span?.traceId;
  log.debug({ request_id: work.requestId, trace_id, job_id: id, class: cls, ahead }, 'accepted');
  return ok({
    job,
    status: 'queued',
    attempt: 0,
    enqueuedAtMs,
    startedAtMs: null,
    settledAtMs: null,
    deadlineAtMs,
    expiresAtMs: null,
    ahead,
    isAheadApproximate,
    etaAtMs: estimate === null ? null : enqueuedAtMs + estimate.readyInMs,
    outcome: null,
  });
}

function envelopeOf(
  work: Work,
  {
    payloadBytes,
    admissionMs,
    gatewayId,
    sent,
  }: {
    readonly payloadBytes: number;
    readonly admissionMs: number;
    readonly gatewayId: string;
    readonly sent: { readonly context: TraceContext } | undefined;
  },
): JobEnvelope {
  const envelope: JobEnvelope = {
    v: 1,
    id: work.id,
    class: classOf(work.manifest.name, work.manifest.version),
    tenant: work.tenant.name,
    priority: work.priority,
    rows: work.rows,
    payloadBytes,
    mode: work.mode,
    gateway: work.isHeld ? gatewayId : null,
    requestId: work.requestId,
    admissionMs,
    deadlineMs: work.deadlineMs,
    queueTimeoutMs: Math.min(work.queueTimeoutMs, queueTimeoutOf(work.manifest, work.priority)),
    executionTimeoutMs: work.executionTimeoutMs,
    attemptsMax: work.attemptsMax,
    retentionMs: work.retentionMs,
    metadata: work.metadata,
    ...(isComposed(work.manifest) ? { tenantWeight: work.tenant.weight } : {}),
  };
  return sent === undefined ? envelope : { ...envelope, trace: sent.context };
}
