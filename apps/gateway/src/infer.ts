/**
 * The spine of an infer request, over HTTP and over gRPC: admit -> read and parse -> enqueue -> await. The
 * caller gets no job to come back for, so a job that nobody waits for any more is canceled. Only where the
 * answer would be late, and the caller prefers a job to a refusal, it gets one. What differs between the
 * protocols is in {@link InferCall}, and in what its two ends make of an {@link InferEnd}.
 */
import {
  attemptsMaxOf,
  classOf,
  emitsPartials,
  type Failure,
  failure,
  isTerminal,
  type JobOutput,
  type JobRecord,
  type ModelManifest,
  newJobId,
  type Outcome,
} from '@inferry/contracts';
import type { InferRequest } from '@inferry/protocols';
import { err, ok, type Result } from '@inferry/runtime';

import { accept, type Accepted, deferredWork, type Work } from './accept.ts';
import { admit } from './admission/admit.ts';
import { refuseEarly } from './admission/early.ts';
import { type Tenant, tenantOf } from './admission/tenants.ts';
import type { WhenLate } from './admission/terms.ts';
import type { GatewayParts } from './deps.ts';
import type { Exchange } from './exchange.ts';
import { giveBackAfter, type LentMemory } from './http/body-memory.ts';
import { noteAnswer, noteOutcome } from './results/job-answer.ts';
import { cancelCounted, lookUp } from './results/look-up.ts';
import { type Telling, tellPartials } from './streaming/tell-partials.ts';
import { orBug } from './telemetry.ts';

/** Past the deadline, so that the queue, on its own clock, has passed it too. */
const pastDeadlineMs = 100;
const retryAfterMs = 1_000;

/** What the spine has to know of a request; all else is between the two ends of its protocol. */
export type InferWork = Pick<InferRequest, 'input' | 'rows' | 'timeoutMs' | 'priority'>;

export interface InferCall<Request extends InferWork = InferRequest> {
  readonly exchange: Exchange;
  readonly model: { readonly name: string; readonly version: string | undefined };
  /** As the caller names it. */
  readonly tenant: string | undefined;
  /** Size of what {@link InferCall.read} will read, where it is known before; else 0. */
  readonly bodyBytes: number;
  /** Rather a job to come back for than a refusal, or a wait. */
  readonly prefersJob: boolean;
  /** When the caller itself gives the call up. */
  readonly giveUpAtMs: number | undefined;
  /** Aborts when the caller is gone. */
  readonly signal: AbortSignal;
  /** The request, checked against the model; large pieces of it in `memory`. */
  readonly read: (manifest: ModelManifest, memory: LentMemory) => Promise<Result<Request, Failure>>;
  /** Takes what the job tells before its end, one after the other. Absent where the answer alone is wanted. */
  readonly onPartial?: (
    output: JobOutput,
    of: { readonly manifest: ModelManifest; readonly request: Asked<Request> },
  ) => Promise<void>;
  /** Calls back once the answer was handed to the socket; never where the caller went away. */
  readonly onSent: (callback: () => void) => void;
}

/** What is kept of a request while its job waits: the input is with the job. */
export type Asked<Request extends InferWork> = Omit<Request, 'input'>;

export type InferEnd<Request extends InferWork = InferRequest> =
  | {
      readonly end: 'output';
      readonly manifest: ModelManifest;
      readonly request: Asked<Request>;
      readonly output: JobOutput;
      /** Undefined where the output was kept from an earlier request: there is no job. */
      readonly record: JobRecord | undefined;
    }
  /** `record` where there is a job. */
  | { readonly end: 'failed'; readonly reason: Failure; readonly record: JobRecord | undefined }
  | { readonly end: 'deferred'; readonly record: JobRecord };

interface Arrived<Request> {
  readonly request: Request;
  readonly tenant: Tenant;
  readonly whenLate: WhenLate;
}

/** What is left of a request when its job is queued. */
interface Queued<Request extends InferWork> extends Accepted {
  readonly request: Asked<Request>;
  /** Undefined where nobody waits. */
  readonly place: { readonly release: () => void } | undefined;
  /** Under which its answer is to be kept; undefined where it is not. */
  readonly cacheKey: string | undefined;
}

/** A request that is answered without a job. */
interface Kept<Request extends InferWork> {
  readonly request: Asked<Request>;
  readonly output: JobOutput;
}

/** Resolves when all is known that an answer is made of. Refusals are counted here. */
export async function infer<Request extends InferWork = InferRequest>(
  call: InferCall<Request>,
  parts: GatewayParts,
): Promise<InferEnd<Request>> {
  const { name, version } = call.model;
  // Once: whatever is done for this request is done for the version that it gets here.
  const chosen = parts.catalogue.choose(name, version, parts.random);
  if (!chosen.ok) return refuse(call, chosen.error, undefined, parts);
  const manifest = chosen.value;
  const onBug = (): void => void refuse(call, failure('internal', ''), manifest, parts);
  // A function of its own: as long as one waits, all that its variables hold is kept.
  const queued = await orBug(enqueue(call, manifest, parts), onBug); // 400 413 415 429 503
  if (!queued.ok) return refuse(call, queued.error, manifest, parts);
  const cls = classOf(manifest.name, manifest.version);
  const responds = parts.firstResponses?.of(cls, call.exchange);
  if ('output' in queued.value) {
    responds?.();
    return { end: 'output', manifest, record: undefined, ...queued.value };
  }
  const { cacheKey, isDeferred, place, record: accepted, request } = queued.value;
  try {
    if (place === undefined || isDeferred) return { end: 'deferred', record: accepted };
    const telling = tellTo(call, queued.value, { manifest, responds }, parts);
    const awaited = await awaitRecord(call, accepted, parts); // 504
    // The wait is over; how long the caller takes to read the parts is its own affair.
    place.release();
    if (awaited.ok) noteAnswer(call.exchange, awaited.value, parts);
    await telling?.finish(awaited.ok);
    if (!awaited.ok) return { end: 'failed', reason: awaited.error, record: accepted };
    responds?.();
    const record = awaited.value;
    const output = record.outcome?.output ?? null;
    if (output !== null && cacheKey !== undefined) parts.cache.keep(manifest, cacheKey, output);
    return output === null
      ? { end: 'failed', reason: outcomeFailure(record.outcome), record }
      : { end: 'output', manifest, request, output, record };
  } finally {
    place?.release();
  }
}

/** Undefined where there is nothing to tell, or nobody to be told. */
function tellTo<Request extends InferWork>(
  { onPartial, signal }: InferCall<Request>,
  { record, request }: Queued<Request>,
  {
    manifest,
    responds,
  }: { readonly manifest: ModelManifest; readonly responds: (() => void) | undefined },
  parts: GatewayParts,
): Telling | undefined {
  if (onPartial === undefined || !emitsPartials(manifest)) return undefined;
  const tell = (output: JobOutput): Promise<void> => {
    responds?.();
    return onPartial(output, { manifest, request });
  };
  return tellPartials(record.job, { signal, tell }, parts);
}

/** Reads the request and queues its job, unless its answer is kept. The place for the wait is taken only where that succeeds. */
async function enqueue<Request extends InferWork>(
  call: InferCall<Request>,
  manifest: ModelManifest,
  parts: GatewayParts,
): Promise<Result<Queued<Request> | Kept<Request>, Failure>> {
  const memory = parts.bodyMemory.lend();
  const arrived = await receive(call, manifest, memory, parts);
  if (!arrived.ok) {
    memory.giveBack();
    return arrived;
  }
  const work = workOf(call, manifest, arrived.value, parts);
  const { input, ...request } = arrived.value.request;
  const kept = parts.cache.look(manifest, input, call.exchange.startedAtMs);
  if (kept?.output !== undefined) {
    memory.giveBack();
    return ok({ request, output: kept.output });
  }
  const place = parts.held.reserve();
  if (place === undefined && arrived.value.whenLate !== 'defer') {
    memory.giveBack();
    return err(parts.held.refusal()); // 503
  }
  let isQueued = false;
  try {
    const placed = place === undefined ? deferredWork(work, parts.limits) : work;
    const accepted = await accept(placed, parts); // 429 503
    giveBackAfter(accepted, memory);
    if (!accepted.ok) return accepted;
    isQueued = true;
    return ok({ ...accepted.value, place, request, cacheKey: kept?.key });
  } finally {
    if (!isQueued) place?.release();
  }
}

async function receive<Request extends InferWork>(
  call: InferCall<Request>,
  manifest: ModelManifest,
  memory: LentMemory,
  parts: GatewayParts,
): Promise<Result<Arrived<Request>, Failure>> {
  const admission = admit(parts.load, parts.limits);
  if (!admission.ok) return admission;
  const tenant = tenantOf(call.tenant, parts.tenants);
  if (!tenant.ok) return tenant;
  const whenLate = whenLateOf(call, manifest);
  if (whenLate === 'refuse') {
    const { bodyBytes, exchange } = call;
    const early = { exchange, bodyBytes, manifest, tenant: tenant.value, deadlineMs: undefined };
    const asked = await refuseEarly(early, parts);
    if (!asked.ok) return asked;
  }
  const request = await call.read(manifest, memory);
  if (!request.ok) return request;
  const { priority, timeoutMs } = request.value;
  call.exchange.priority = priority;
  if (timeoutMs !== undefined && timeoutMs > parts.limits.deadlineMsMax) {
    const detail = `Parameter "timeout" is ${timeoutMs} ms; it must be at most ${parts.limits.deadlineMsMax} ms.`;
    return err(failure('invalid_deadline', detail));
  }
  if (call.giveUpAtMs !== undefined && call.giveUpAtMs <= parts.clock.nowMs()) {
    return err(
      failure('deadline_exceeded', 'The deadline of the call had passed when it arrived.'),
    );
  }
  return ok({ request: request.value, tenant: tenant.value, whenLate });
}

/** A caller that says nothing of coming back reads no job document: it waits, where the model lets it. */
function whenLateOf(
  { prefersJob }: Pick<InferCall, 'prefersJob'>,
  { admission }: ModelManifest,
): WhenLate {
  if (prefersJob) return 'defer';
  return admission.onInfeasible === 'accept' ? 'hold' : 'refuse';
}

function workOf(
  { exchange, giveUpAtMs }: Pick<InferCall, 'exchange' | 'giveUpAtMs'>,
  manifest: ModelManifest,
  { request, tenant, whenLate }: Arrived<InferWork>,
  { clock, random, limits }: GatewayParts,
): Work {
  const { requestId, startedAtMs, span } = exchange;
  const { input, rows, timeoutMs = manifest.timeoutMs, priority } = request;
  const nowMs = clock.nowMs();
  const leftMs = giveUpAtMs === undefined ? Infinity : Math.max(1, Math.ceil(giveUpAtMs - nowMs));
  const deadlineMs = Math.min(timeoutMs, leftMs);
  return {
    id: newJobId(nowMs, random),
    requestId,
    startedAtMs,
    span,
    manifest,
    tenant,
    priority,
    input,
    rows,
    mode: 'held',
    isHeld: true,
    whenLate,
    deadlineMs,
    queueTimeoutMs: deadlineMs,
    executionTimeoutMs: manifest.executionTimeoutMs,
    attemptsMax: attemptsMaxOf(manifest, limits),
    retentionMs: limits.retentionMsHeld,
    metadata: {},
  };
}

/** The terminal record. Errors: `deadline_exceeded`, `draining`, `canceled_by_user` (nobody reads it), `queue_unavailable`. */
async function awaitRecord(
  { onSent, signal }: Pick<InferCall, 'onSent' | 'signal'>,
  accepted: JobRecord,
  parts: GatewayParts,
): Promise<Result<JobRecord, Failure>> {
  const { id, deadlineMs } = accepted.job;
  const waitMs = deadlineMs + pastDeadlineMs;
  const waited = await parts.held.wait({ id, waitMs, signal, kind: 'needed' });
  // Best effort: a job that cannot be canceled ends by its deadline.
  const abandon = (by: 'caller' | 'server', detail: string): Promise<unknown> =>
    cancelCounted(id, { by, detail }, parts);
  switch (waited.end) {
    case 'outcome':
      noteOutcome(waited.record, onSent, parts);
      return ok(waited.record);
    case 'disconnected':
      await abandon('caller', 'The caller closed the connection.');
      return err(failure('canceled_by_user', 'The connection was closed.'));
    case 'draining': {
      await abandon('server', 'The server shut down before the answer was there.');
      const detail = 'This server shut down before the answer was there.';
      return err(failure('draining', detail, { retryAfterMs }));
    }
    case 'elapsed': {
      // Looking at a job whose time is over ends it, and tells in which way it ended.
      const found = await lookUp(id, parts);
      const record = found.ok && found.value.found === 'record' ? found.value.record : undefined;
      if (record !== undefined && isTerminal(record.status)) return ok(record);
      const detail = `The job did not end within ${deadlineMs} ms.`;
      return err(failure('deadline_exceeded', detail));
    }
  }
}

function outcomeFailure(outcome: Outcome | null): Failure {
  const error = outcome?.error ?? null;
  return error === null
    ? failure('job_gone', 'The result was removed before it could be read.')
    : failure(error.code, error.detail);
}

function refuse(
  { exchange }: Pick<InferCall, 'exchange'>,
  reason: Failure,
  manifest: ModelManifest | undefined,
  parts: GatewayParts,
): InferEnd & { readonly end: 'failed' } {
  const { elapsedMs, priority } = exchange;
  const seconds = elapsedMs() / 1_000;
  parts.telemetry.rejected({ model: manifest, priority, code: reason.code, seconds });
  return { end: 'failed', reason, record: undefined };
}
