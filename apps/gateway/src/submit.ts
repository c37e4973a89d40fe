/**
 * The spine of `POST /v1/models/{model}/jobs` and `POST /v1/jobs`: parse -> reserve the key -> admit and
 * enqueue -> await -> respond. Every refusal has a code in the error registry.
 */
import {
  type ErrorCode,
  type Failure,
  failure,
  isTerminal,
  type JobRecord,
  type ModelManifest,
  newJobId,
} from '@inferry/contracts';
import {
  parseCancelAfter,
  parseIdempotencyKey,
  parsePrefer,
  parseSubmit,
  type Preference,
  type SubmitBody,
} from '@inferry/protocols';
import { err, ok, type Result } from '@inferry/runtime';

import { accept } from './accept.ts';
import { admit } from './admission/admit.ts';
import { refuseEarly } from './admission/early.ts';
import { type Tenant, tenantHeader, tenantOf } from './admission/tenants.ts';
import type { WhenLate } from './admission/terms.ts';
import type { GatewayParts } from './deps.ts';
import { bodyBytesOf, type GatewayContext, onSentOf, problem } from './http/exchange.ts';
import { giveBackAfter, type LentMemory } from './http/body-memory.ts';
import { readBody } from './http/read-body.ts';
import { submitBodyOf, submitMediaTypes } from './http/submit-body.ts';
import { keyedRequest, reserveKey, settleKey } from './idempotency.ts';
import { chooseModel } from './model-reference.ts';
import { jobAnswer, noteAnswer, noteOutcome, preferenceApplied } from './results/job-answer.ts';
import { lookUp } from './results/look-up.ts';
import { fromTheStart } from './streaming/follow-partials.ts';
import { eventsOf, wantsEvents } from './streaming/job-stream.ts';
import type { StreamPlace } from './streaming/stream-places.ts';
import { orBug } from './telemetry.ts';

interface SubmitHeaders {
  readonly preference: Preference;
  readonly waitMs: number;
  readonly cancelAfterMs: number | undefined;
  readonly idempotencyKey: string | undefined;
  readonly tenant: Tenant;
}

interface Named {
  readonly reference: string;
  readonly model: Result<ModelManifest, Failure>;
}

interface Arrived extends SubmitHeaders {
  /** The model in the path; undefined where the body names it. */
  readonly named: Named | undefined;
  readonly bytes: Uint8Array;
  readonly body: SubmitBody;
  /** Holds the body and what is decoded from it. */
  readonly memory: LentMemory;
}

interface Placed {
  readonly record: JobRecord;
  readonly isReplay: boolean;
  /** The answer would be late: the caller gets the job at once, to come back for. */
  readonly isDeferred: boolean;
}

/** What is left of a request when its job is placed. */
interface Queued extends Pick<SubmitHeaders, 'preference' | 'waitMs'> {
  readonly placed: Placed;
  /** Undefined where nobody waits. */
  readonly place: { readonly release: () => void } | undefined;
  /** Undefined where the caller wants one document, and no events. */
  readonly stream: StreamPlace | undefined;
}

export async function submitJob(
  c: GatewayContext,
  reference: string | undefined,
  parts: GatewayParts,
): Promise<Response> {
  const named = reference === undefined ? undefined : nameModel(c, reference, parts);
  const onBug = (): void => countRefusal(c, 'internal', parts);
  // A function of its own: as long as one waits, all that its variables hold is kept.
  const queued = await orBug(enqueue(c, named, parts), onBug); // 400 404 408 409 410 413 415 422 429 503
  if (!queued.ok) return refuse(c, queued.error, parts);
  const { place, placed, preference, stream, waitMs } = queued.value;
  const replayed = placed.isReplay ? { 'Idempotency-Replayed': 'true' } : {};
  const location = { Location: `/v1/jobs/${placed.record.job.id}`, ...replayed };
  const { job } = placed.record;
  const responds = placed.isReplay
    ? undefined
    : parts.firstResponses?.of(job.class, c.get('exchange'));
  if (stream !== undefined) {
    const of = { at: fromTheStart, place: stream, responds };
    return eventsOf(c, placed.record, of, parts, location);
  }
  try {
    let { record } = placed;
    const isHeld = place !== undefined && !placed.isDeferred;

    if (isHeld && !isTerminal(record.status)) {
      const { signal } = c.req.raw;
      const waited = await parts.held.wait({ id: record.job.id, waitMs, signal, kind: 'polite' });
      if (waited.end === 'outcome') noteOutcome(waited.record, onSentOf(c), parts);
      record = waited.end === 'outcome' ? waited.record : await asOfNow(record, parts);
      if (waited.end === 'outcome' && !placed.isReplay) {
        responds?.();
        noteAnswer(c.get('exchange'), record, parts);
      }
    }

    return jobAnswer(c, record, parts, {
      status: isTerminal(record.status) ? 200 : 202,
      headers: {
        ...location,
        ...preferenceApplied(preference, isHeld ? waitMs : 0),
      },
    });
  } finally {
    place?.release();
  }
}

/** Once a request: all that is done for it is done for the version that it gets here. */
function nameModel(c: GatewayContext, reference: string, parts: GatewayParts): Named {
  const key = parseIdempotencyKey(c.req.header('idempotency-key') ?? '');
  const model = chooseModel(reference, key, parts);
  if (model.ok) c.get('exchange').model = model.value;
  return { reference, model };
}

/** Reads the request and places its job. */
async function enqueue(
  c: GatewayContext,
  named: Named | undefined,
  parts: GatewayParts,
): Promise<Result<Queued, Failure>> {
  const memory = parts.bodyMemory.lend();
  const arrived = await receive(c, named, memory, parts);
  if (!arrived.ok) {
    memory.giveBack();
    return arrived;
  }
  const { preference, waitMs } = arrived.value;
  const stream = wantsEvents(c) ? parts.streams.reserve() : undefined;
  if (wantsEvents(c) && stream === undefined) {
    memory.giveBack();
    return err(parts.streams.refusal());
  }
  // The place is taken before the job exists, so that it is known whether somebody will wait.
  const place = waitMs > 0 ? parts.held.reserve() : undefined;
  let isPlaced = false;
  try {
    const placed = await placeOnce(c, arrived.value, place !== undefined, parts);
    giveBackAfter(placed, memory);
    if (!placed.ok) return placed;
    isPlaced = true;
    return ok({ placed: placed.value, place, stream, preference, waitMs });
  } finally {
    if (!isPlaced) {
      place?.release();
      stream?.release();
    }
  }
}

/** What has become of it since it was accepted; as it was then, where nobody can say. */
async function asOfNow(record: JobRecord, parts: GatewayParts): Promise<JobRecord> {
  const found = await lookUp(record.job.id, parts);
  return found.ok && found.value.found === 'record' ? found.value.record : record;
}

/** Headers and body, read and within their limits. The cheapest checks come first. */
async function receive(
  c: GatewayContext,
  named: Named | undefined,
  memory: LentMemory,
  parts: GatewayParts,
): Promise<Result<Arrived, Failure>> {
  const admission = admit(parts.load, parts.limits);
  if (!admission.ok) return admission;
  const headers = readHeaders(c, parts);
  if (!headers.ok) return headers;
  // A request with a key is heard out: it may be a replay, which neither the models nor the queue have a say in.
  if (named !== undefined && headers.value.idempotencyKey === undefined) {
    if (!named.model.ok) return named.model;
    const early = await checkEarly(c, headers.value, named.model.value, parts);
    if (!early.ok) return early;
  }
  const bytes = await readBody(c, memory, parts);
  if (!bytes.ok) return bytes;
  const body = submitBodyOf(c.req.header('content-type'), bytes.value);
  if (!body.ok) return body;
  return ok({ ...headers.value, named, bytes: bytes.value, body: body.value, memory });
}

async function checkEarly(
  c: GatewayContext,
  { preference, waitMs, cancelAfterMs, tenant }: SubmitHeaders,
  manifest: ModelManifest,
  parts: GatewayParts,
): Promise<Result<void, Failure>> {
  const isHeld = waitMs > 0 && parts.held.hasPlace;
  if (!isHeld || whenLate(preference, manifest) !== 'refuse') return ok(undefined);
  const bodyBytes = bodyBytesOf(c);
  const exchange = c.get('exchange');
  const outline = { exchange, bodyBytes, manifest, tenant, deadlineMs: cancelAfterMs };
  return refuseEarly(outline, parts);
}

function whenLate({ respondAsync }: Preference, { admission }: ModelManifest): WhenLate {
  return respondAsync || admission.onInfeasible === 'accept' ? 'defer' : 'refuse';
}

function readHeaders(
  c: GatewayContext,
  { limits, tenants }: GatewayParts,
): Result<SubmitHeaders, Failure> {
  const preference = parsePrefer(c.req.header('prefer'));
  // Who gets events is told where the job stands, and waits as long as it likes.
  const wanted = wantsEvents(c) ? 0 : (preference.waitMs ?? 0);
  const asked = wanted === 'default' ? limits.waitMsDefault : wanted;
  const cancelAfter = c.req.header('cancel-after');
  const cancelAfterMs = cancelAfter === undefined ? undefined : parseCancelAfter(cancelAfter);
  if (cancelAfter !== undefined && cancelAfterMs === undefined) {
    const detail = 'Cancel-After must be whole seconds or like 90s, 5m, 1h30m.';
    return err(failure('invalid_header', detail, { extras: { header: 'Cancel-After' } }));
  }
  const key = c.req.header('idempotency-key');
  const idempotencyKey = key === undefined ? undefined : parseIdempotencyKey(key);
  if (key !== undefined && idempotencyKey === undefined) {
    const detail = 'Idempotency-Key must be 1 to 255 visible ASCII characters, quoted or not.';
    return err(failure('invalid_idempotency_key', detail));
  }
  const tenant = tenantOf(c.req.header(tenantHeader), tenants);
  if (!tenant.ok) return tenant;
  const waitMs = Math.min(asked, limits.waitMsMax);
  return ok({ preference, waitMs, cancelAfterMs, idempotencyKey, tenant: tenant.value });
}

/** Places the job, or finds the one that an earlier request with the same key placed. */
async function placeOnce(
  c: GatewayContext,
  arrived: Arrived,
  isHeld: boolean,
  parts: GatewayParts,
): Promise<Result<Placed, Failure>> {
  if (arrived.idempotencyKey === undefined) {
    const id = newJobId(parts.clock.nowMs(), parts.random);
    return place(c, arrived, { id, isHeld }, parts);
  }
  const keyed = keyedRequest({
    key: arrived.idempotencyKey,
    tenant: arrived.tenant.name,
    route: c.get('exchange').route,
    model: arrived.named?.reference ?? '',
    contentType: c.req.header('content-type') ?? '',
    cancelAfter: c.req.header('cancel-after') ?? '',
    body: arrived.bytes,
  });
  const reservation = await reserveKey(keyed, parts);
  if (!reservation.ok) return reservation;
  if (reservation.value.do === 'replay') {
    return ok({ record: reservation.value.record, isReplay: true, isDeferred: false });
  }
  const { id, isNew } = reservation.value;
  const placed = await place(c, arrived, { id, isHeld }, parts);
  await settleKey(keyed, { isNew, result: placed }, parts);
  return placed;
}

async function place(
  c: GatewayContext,
  arrived: Arrived,
  { id, isHeld }: { readonly id: JobRecord['job']['id']; readonly isHeld: boolean },
  parts: GatewayParts,
): Promise<Result<Placed, Failure>> {
  const { named, body, memory, cancelAfterMs, preference, tenant } = arrived;
  const { limits, tenants } = parts;
  const submission = parseSubmit(body, {
    modelIn: named === undefined ? 'body' : 'path',
    modelOf: (inBody) => (named ?? nameModel(c, inBody ?? '', parts)).model,
    limits,
    allocate: memory.allocate,
    cancelAfterMs,
    hasPriorities: tenants !== undefined,
  });
  if (!submission.ok) return submission;
  const exchange = c.get('exchange');
  exchange.priority = submission.value.priority;
  const { requestId, startedAtMs, span } = exchange;
  const retentionMs = submission.value.retentionMs ?? limits.retentionMsAsync;
  const accepted = await accept(
    // Also where somebody waits: when the wait is over first, the job is asked for by its id.
    {
      ...submission.value,
      id,
      requestId,
      startedAtMs,
      span,
      tenant,
      mode: 'async',
      isHeld,
      whenLate: whenLate(preference, submission.value.manifest),
      retentionMs,
    },
    parts,
  );
  return accepted.ok ? ok({ ...accepted.value, isReplay: false }) : accepted;
}

function refuse(c: GatewayContext, reason: Failure, parts: GatewayParts): Response {
  countRefusal(c, reason.code, parts);
  const isMedia = reason.code === 'unsupported_media_type';
  return problem(c, reason, isMedia ? { 'Accept-Post': submitMediaTypes } : {});
}

function countRefusal(c: GatewayContext, code: ErrorCode, parts: GatewayParts): void {
  const { elapsedMs, model, priority } = c.get('exchange');
  parts.telemetry.rejected({ model, priority, code, seconds: elapsedMs() / 1_000 });
}
