/** The job API: submit, read (with a wait, or as events), cancel, remove. */
import {
  type Failure,
  failure,
  isJobId,
  isTerminal,
  type JobId,
  type JobRecord,
} from '@inferry/contracts';
import { parseCancel, parsePrefer, parseWait, type Preference } from '@inferry/protocols';
import type { Lookup } from '@inferry/queue';
import { err, ok, type Result } from '@inferry/runtime';

import type { GatewayParts } from '../deps.ts';
import { answer, type GatewayContext, onSentOf, problem } from '../http/exchange.ts';
import { readBody } from '../http/read-body.ts';
import { requireJson } from '../http/submit-body.ts';
import { jobAnswer, noteOutcome, preferenceApplied } from '../results/job-answer.ts';
import { cancelCounted, lookUp } from '../results/look-up.ts';
import { eventsOf, readPlace } from '../streaming/job-stream.ts';
import { submitJob } from '../submit.ts';
import { pathParameter, type Route } from './routes.ts';

export function jobRoutes(parts: GatewayParts): readonly Route[] {
  return [
    {
      method: 'POST',
      path: '/v1/models/{model}/jobs',
      answer: (c) => submitJob(c, pathParameter(c, 'model'), parts),
    },
    { method: 'POST', path: '/v1/jobs', answer: (c) => submitJob(c, undefined, parts) },
    { method: 'GET', path: '/v1/jobs/{id}', answer: (c) => readJob(c, parts) },
    { method: 'GET', path: '/v1/jobs/{id}/events', answer: (c) => readEvents(c, parts) },
    { method: 'POST', path: '/v1/jobs/{id}/cancel', answer: (c) => cancelJob(c, parts) },
    { method: 'DELETE', path: '/v1/jobs/{id}', answer: (c) => removeJob(c, parts) },
  ];
}

async function readJob(c: GatewayContext, parts: GatewayParts): Promise<Response> {
  const preference = readPreference(c);
  if (!preference.ok) return problem(c, preference.error);
  const found = await findJob(c, parts);
  if (!found.ok) return problem(c, found.error);
  let record = found.value;
  const { limits, held } = parts;
  const { waitMs: asked = 0 } = preference.value;
  const waitMs = Math.min(asked === 'default' ? limits.waitMsDefault : asked, limits.waitMsMax);
  const hasEnded = isTerminal(record.status);
  const place = waitMs > 0 && !hasEnded ? held.reserve() : undefined;
  if (place !== undefined) {
    try {
      const { signal } = c.req.raw;
      const waited = await held.wait({ id: record.job.id, waitMs, signal, kind: 'polite' });
      if (waited.end === 'outcome') noteOutcome(waited.record, onSentOf(c), parts);
      // The job may have changed (been claimed) without having ended.
      const now = waited.end === 'outcome' ? ok(waited.record) : await findJob(c, parts);
      if (!now.ok) return problem(c, now.error);
      record = now.value;
    } finally {
      place.release();
    }
  }
  const headers = preferenceApplied(preference.value, hasEnded || place !== undefined ? waitMs : 0);
  return jobAnswer(c, record, parts, { status: 200, headers });
}

async function readEvents(c: GatewayContext, parts: GatewayParts): Promise<Response> {
  const at = readPlace(c);
  if (!at.ok) return problem(c, at.error);
  const found = await findJob(c, parts);
  if (!found.ok) return problem(c, found.error);
  const place = parts.streams.reserve();
  if (place === undefined) return problem(c, parts.streams.refusal());
  return eventsOf(c, found.value, { at: at.value, place }, parts);
}

/** `?wait=` comes before `Prefer: wait`. Error: `invalid_query`. */
function readPreference(c: GatewayContext): Result<Preference, Failure> {
  const query = c.req.query('wait');
  if (query === undefined) return ok(parsePrefer(c.req.header('prefer')));
  const waitMs = parseWait(query);
  if (waitMs !== undefined) return ok({ waitMs, respondAsync: false });
  return err(failure('invalid_query', 'wait must be a whole number of seconds.'));
}

async function cancelJob(c: GatewayContext, parts: GatewayParts): Promise<Response> {
  // Not given back: such a body is small, or is refused.
  const bytes = await readBody(c, parts.bodyMemory.lend(), parts);
  if (!bytes.ok) return problem(c, bytes.error);
  if (bytes.value.length > 0) {
    const type = requireJson(c.req.header('content-type'));
    if (!type.ok) return problem(c, type.error);
  }
  const reason = parseCancel(bytes.value);
  if (!reason.ok) return problem(c, reason.error);
  const before = await findJob(c, parts);
  if (!before.ok) return problem(c, before.error);
  if (isTerminal(before.value.status)) return jobAnswer(c, before.value, parts, { status: 200 });
  const { job } = before.value;
  const detail = reason.value ?? 'Canceled by its owner.';
  const canceled = await cancelCounted(job.id, { by: 'caller', detail }, parts);
  if (!canceled.ok) return problem(c, canceled.error);
  const after = recordOf(canceled.value, job.id);
  if (!after.ok) return problem(c, after.error);
  return jobAnswer(c, after.value, parts, { status: 200 });
}

async function removeJob(c: GatewayContext, parts: GatewayParts): Promise<Response> {
  const id = jobIdOf(c);
  if (!id.ok) return problem(c, id.error);
  const erased = await parts.queue.erase(id.value);
  if (!erased.ok) return problem(c, erased.error);
  switch (erased.value) {
    case 'erased':
      return answer(c, { status: 204, body: null });
    case 'live': {
      const detail = `Job ${id.value} has not ended; cancel it first.`;
      return problem(c, failure('not_terminal', detail, { retryAfterMs: 1_000 }));
    }
    case 'gone':
      return problem(c, gone(id.value, 'deleted'));
    case 'never':
      return problem(c, unknownJob(id.value));
  }
}

async function findJob(
  c: GatewayContext,
  parts: GatewayParts,
): Promise<Result<JobRecord, Failure>> {
  const id = jobIdOf(c);
  if (!id.ok) return id;
  const found = await lookUp(id.value, parts);
  return found.ok ? recordOf(found.value, id.value) : found;
}

function recordOf(found: Lookup, id: JobId): Result<JobRecord, Failure> {
  switch (found.found) {
    case 'record':
      return ok(found.record);
    case 'gone':
      return err(gone(id, found.reason));
    case 'never':
      return err(unknownJob(id));
  }
}

function jobIdOf(c: GatewayContext): Result<JobId, Failure> {
  const id = pathParameter(c, 'id');
  return isJobId(id) ? ok(id) : err(unknownJob(id));
}

function unknownJob(id: string): Failure {
  return failure('job_not_found', `There is no job "${id.slice(0, 64)}".`);
}

function gone(id: JobId, reason: 'expired' | 'deleted'): Failure {
  const how = reason === 'expired' ? 'was kept until it expired' : 'was removed';
  return failure('job_gone', `Job ${id} ${how}.`, { extras: { reason } });
}
