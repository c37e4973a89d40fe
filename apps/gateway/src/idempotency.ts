/**
 * `Idempotency-Key`: the first submit with a key makes the job, later ones find it. A key is reserved
 * before the job is enqueued and confirmed after; a process that dies in between leaves a reserved key
 * without a job, which the next try completes under the same id, so that never two jobs come of one key.
 */
import { createHash } from 'node:crypto';

import { type Failure, failure, type JobId, type JobRecord, newJobId } from '@inferry/contracts';
import { err, ok, type Result, sleep } from '@inferry/runtime';

import type { GatewayParts } from './deps.ts';
import { lookUp } from './results/look-up.ts';

/** The key of a request and what it is compared by. */
export interface KeyedRequest {
  readonly key: string;
  readonly fingerprint: string;
}

export type Reservation =
  /** Make the job, with this id; then {@link settleKey}. `isNew`: no try before this one can have made it. */
  | { readonly do: 'accept'; readonly id: JobId; readonly isNew: boolean }
  /** The job is there. */
  | { readonly do: 'replay'; readonly record: JobRecord };

/** How long a racing twin of the request may take to appear, and how often it is looked for. */
const patienceMs = 1_000;
const lookEveryMs = 50;

/**
 * `route` and `model` are those of the path, so that a key may be used again elsewhere, and each tenant
 * has keys of its own. The fingerprint is over raw bytes: a client that repeats a request repeats its bytes.
 */
export function keyedRequest(request: {
  readonly key: string;
  readonly tenant: string;
  readonly route: string;
  readonly model: string;
  readonly contentType: string;
  readonly cancelAfter: string;
  readonly body: Uint8Array;
}): KeyedRequest {
  const scope = [request.tenant, 'POST', request.route, request.model, request.key].join('\n');
  const fingerprint = createHash('sha256')
    .update(`${request.contentType}\n`)
    .update(request.body)
    .update(`\n${request.cancelAfter}`);
  return {
    key: createHash('sha256').update(scope).digest('hex'),
    fingerprint: fingerprint.digest('hex'),
  };
}

/**
 * Errors: `idempotency_key_reused`, `idempotency_in_progress`, `job_gone` (the job of the key has been
 * removed; it is never silently run again), `queue_unavailable`.
 */
export async function reserveKey(
  request: KeyedRequest,
  parts: GatewayParts,
): Promise<Result<Reservation, Failure>> {
  const { queue, clock, random, limits } = parts;
  const id = newJobId(clock.nowMs(), random);
  for (let waitedMs = 0; ; waitedMs += lookEveryMs) {
    const reserved = await queue.keys.reserve(
      request.key,
      request.fingerprint,
      id,
      limits.idempotencyMs,
    );
    if (!reserved.ok) return reserved;
    const { isNew, binding } = reserved.value;
    if (isNew) return ok({ do: 'accept', id, isNew });
    if (binding.fingerprint !== request.fingerprint) {
      const detail = 'This Idempotency-Key was used with another request.';
      return err(failure('idempotency_key_reused', detail));
    }
    const found = await lookUp(binding.id, parts);
    if (!found.ok) return found;
    if (found.value.found === 'record') return ok({ do: 'replay', record: found.value.record });
    if (found.value.found === 'gone' || binding.isConfirmed) {
      const detail = `Job ${binding.id} of this Idempotency-Key has been removed.`;
      return err(failure('job_gone', detail));
    }
    if (waitedMs === 0 && clock.nowMs() - binding.reservedAtMs >= patienceMs) {
      return ok({ do: 'accept', id: binding.id, isNew });
    }
    if (waitedMs >= patienceMs) break;
    await sleep(clock, lookEveryMs);
  }
  const detail = 'The first request with this Idempotency-Key is still being accepted.';
  return err(failure('idempotency_in_progress', detail, { retryAfterMs: patienceMs }));
}

/**
 * Confirms the key of an accepted job, frees the key of a refused one. After `queue_unavailable`, and where
 * an earlier try may have stored the job, nobody knows whether there is one: the key stays reserved, and the
 * next try completes it. A confirm that fails is made good the same way, so neither failure is an error of
 * the request.
 */
export async function settleKey(
  request: KeyedRequest,
  { isNew, result }: { readonly isNew: boolean; readonly result: Result<unknown, Failure> },
  { queue, log }: GatewayParts,
): Promise<void> {
  if (!result.ok && (!isNew || result.error.code === 'queue_unavailable')) return;
  const done = result.ok
    ? await queue.keys.confirm(request.key)
    : await queue.keys.release(request.key);
  if (!done.ok) log.warn({ detail: done.error.detail }, 'an idempotency key was not settled');
}
