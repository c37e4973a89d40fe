/**
 * The spine of `POST /v2/models/{model}/infer`: parse -> admit and enqueue -> await -> respond. The caller
 * gets no job to come back for, so a job that nobody waits for any more is canceled. Only where the answer
 * would be late, and the caller prefers a job to a refusal, it gets one.
 */
import {
  type Failure,
  failure,
  isTerminal,
  type JobId,
  type JobRecord,
  type ModelManifest,
  newJobId,
  type Outcome,
  partsOf,
} from '@inferry/contracts';
import {
  type InferAnswer,
  inferResponse,
  type InferRequest,
  jsonLengthHeader,
  parseInferRequest,
  parsePrefer,
} from '@inferry/protocols';
import { err, ok, type Result } from '@inferry/runtime';

import { accept, deferredWork, type Work } from './accept.ts';
import { admit } from './admission/admit.ts';
import { refuseEarly } from './admission/early.ts';
import { type Tenant, tenantHeader, tenantOf } from './admission/tenants.ts';
import type { WhenLate } from './admission/terms.ts';
import type { GatewayParts } from './deps.ts';
import { packed } from './http/content-coding.ts';
import { answer, type GatewayContext, problem } from './http/exchange.ts';
import { giveBackAfter, type LentMemory } from './http/body-memory.ts';
import { readBody } from './http/read-body.ts';
import {
  jobAnswer,
  noteAnswer,
  noteOutcome,
  resultHeaders,
  stageTiming,
} from './results/job-answer.ts';
import { lookUp } from './results/look-up.ts';

/** Past the deadline, so that the queue, on its own clock, has passed it too. */
const pastDeadlineMs = 100;
const retryAfterMs = 1_000;

interface Arrived {
  readonly request: InferRequest;
  readonly tenant: Tenant;
  readonly whenLate: WhenLate;
}

export async function inferTensors(
  c: GatewayContext,
  model: { readonly name: string; readonly version: string | undefined },
  parts: GatewayParts,
): Promise<Response> {
  const manifest = parts.catalogue.resolve(model.name, model.version);
  if (!manifest.ok) return refuse(c, manifest.error, undefined, parts);
  const memory = parts.bodyMemory.lend();
  const arrived = await receive(c, manifest.value, memory, parts); // 400 413 415 429 503
  if (!arrived.ok) {
    memory.giveBack();
    return refuse(c, arrived.error, manifest.value, parts);
  }
  const { request, whenLate } = arrived.value;
  const work = workOf(c, manifest.value, arrived.value, parts);

  const place = parts.held.reserve();
  if (place === undefined && whenLate !== 'defer') {
    memory.giveBack();
    return refuse(c, tooManyHeld(parts), manifest.value, parts); // 503
  }
  try {
    const placed = place === undefined ? deferredWork(work, parts.limits) : work;
    const accepted = await accept(placed, parts); // 429 503
    giveBackAfter(accepted, memory);
    if (!accepted.ok) return refuse(c, accepted.error, manifest.value, parts);
    const { record: queued, isDeferred } = accepted.value;
    if (place === undefined || isDeferred) return toComeBackFor(c, queued, parts);
    const record = await awaitRecord(c, queued, parts); // 504
    if (record.ok) noteAnswer(c, record.value, parts);
    return record.ok
      ? await respond(c, manifest.value, record.value, request)
      : problem(c, record.error, { 'Job-Id': queued.job.id });
  } finally {
    place?.release();
  }
}

async function receive(
  c: GatewayContext,
  manifest: ModelManifest,
  memory: LentMemory,
  parts: GatewayParts,
): Promise<Result<Arrived, Failure>> {
  const admission = admit(parts.load, parts.limits);
  if (!admission.ok) return admission;
  const tenant = tenantOf(c.req.header(tenantHeader), parts.tenants);
  if (!tenant.ok) return tenant;
  const whenLate = whenLateOf(c, manifest);
  if (whenLate === 'refuse') {
    const early = { manifest, tenant: tenant.value, deadlineMs: undefined };
    const asked = await refuseEarly(c, early, parts);
    if (!asked.ok) return asked;
  }
  // The media type is not looked at: the clients of this protocol send all kinds with their JSON.
  const bytes = await readBody(c, memory, parts);
  if (!bytes.ok) return bytes;
  const request = parseInferRequest(bytes.value, manifest, {
    hasPriorities: parts.tenants !== undefined,
    allocate: memory.allocate,
    jsonLength: c.req.header(jsonLengthHeader),
  });
  if (!request.ok) return request;
  const { priority, timeoutMs } = request.value;
  c.get('exchange').priority = priority;
  if (timeoutMs !== undefined && timeoutMs > parts.limits.deadlineMsMax) {
    const detail = `Parameter "timeout" is ${timeoutMs} ms; it must be at most ${parts.limits.deadlineMsMax} ms.`;
    return err(failure('invalid_deadline', detail));
  }
  return ok({ request: request.value, tenant: tenant.value, whenLate });
}

/** A caller that says nothing of coming back reads no job document: it waits, where the model lets it. */
function whenLateOf(c: GatewayContext, { admission }: ModelManifest): WhenLate {
  if (parsePrefer(c.req.header('prefer')).respondAsync) return 'defer';
  return admission.onInfeasible === 'accept' ? 'hold' : 'refuse';
}

function workOf(
  c: GatewayContext,
  manifest: ModelManifest,
  { request, tenant, whenLate }: Arrived,
  { clock, random, limits }: GatewayParts,
): Work {
  const { requestId, startedAtMs, span } = c.get('exchange');
  const { input, rows, timeoutMs, priority } = request;
  const deadlineMs = timeoutMs ?? manifest.timeoutMs;
  return {
    id: newJobId(clock.nowMs(), random),
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
    attemptsMax: limits.attemptsMax,
    retentionMs: limits.retentionMsHeld,
    metadata: {},
  };
}

/** The terminal record. Errors: `deadline_exceeded`, `draining`, `canceled_by_user` (nobody reads it), `queue_unavailable`. */
async function awaitRecord(
  c: GatewayContext,
  accepted: JobRecord,
  parts: GatewayParts,
): Promise<Result<JobRecord, Failure>> {
  const { id, deadlineMs } = accepted.job;
  const { signal } = c.req.raw;
  const waitMs = deadlineMs + pastDeadlineMs;
  const waited = await parts.held.wait({ id, waitMs, signal, kind: 'needed' });
  switch (waited.end) {
    case 'outcome':
      noteOutcome(c, waited.record, parts);
      return ok(waited.record);
    case 'disconnected':
      await abandon(id, 'The caller closed the connection.', parts);
      return err(failure('canceled_by_user', 'The connection was closed.'));
    case 'draining': {
      await abandon(id, 'The server shut down before the answer was there.', parts);
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

/** Best effort: a job that cannot be canceled ends by its deadline. */
async function abandon(id: JobId, why: string, { queue, telemetry }: GatewayParts): Promise<void> {
  const found = await queue.cancel(id, why);
  if (!found.ok || found.value.found !== 'record') return;
  const { record } = found.value;
  if (record.status !== 'canceled') return;
  telemetry.canceled(partsOf(record.job.class).model, record.job.priority);
}

function toComeBackFor(c: GatewayContext, record: JobRecord, parts: GatewayParts): Response {
  const headers = {
    Location: `/v1/jobs/${record.job.id}`,
    'Preference-Applied': 'respond-async',
  };
  return jobAnswer(c, record, parts, { status: 202, headers });
}

async function respond(
  c: GatewayContext,
  manifest: ModelManifest,
  record: JobRecord,
  request: InferRequest,
): Promise<Response> {
  const headers = { 'Job-Id': record.job.id, ...resultHeaders(record) };
  const timing = stageTiming(record);
  const output = record.outcome?.output ?? null;
  if (output === null) return problem(c, outcomeFailure(record.outcome), headers);
  const form = formOf(inferResponse(manifest, output, request));
  const { body, headers: coding } = await packed(c, form.body);
  return answer(c, {
    status: 200,
    body,
    headers: { ...headers, ...form.headers, ...coding },
    ...(timing === undefined ? {} : { timing }),
  });
}

/** JSON alone, or JSON and what its tensors say follows it. */
function formOf({ binary, json }: InferAnswer): {
  readonly body: string | Uint8Array;
  readonly headers: Readonly<Record<string, string>>;
} {
  if (binary === undefined) return { body: json, headers: { 'Content-Type': 'application/json' } };
  const text = Buffer.from(json);
  const headers = {
    'Content-Type': 'application/octet-stream',
    [jsonLengthHeader]: String(text.length),
  };
  return { body: Buffer.concat([text, ...binary]), headers };
}

function outcomeFailure(outcome: Outcome | null): Failure {
  const error = outcome?.error ?? null;
  return error === null
    ? failure('job_gone', 'The result was removed before it could be read.')
    : failure(error.code, error.detail);
}

function tooManyHeld({ limits }: GatewayParts): Failure {
  const detail = `This server holds ${limits.heldRequestsMax} open requests already (its limit).`;
  return failure('queue_full', detail, { retryAfterMs });
}

function refuse(
  c: GatewayContext,
  reason: Failure,
  manifest: ModelManifest | undefined,
  parts: GatewayParts,
): Response {
  const { elapsedMs, priority } = c.get('exchange');
  const seconds = elapsedMs() / 1_000;
  parts.telemetry.rejected({ model: manifest, priority, code: reason.code, seconds });
  return problem(c, reason);
}
