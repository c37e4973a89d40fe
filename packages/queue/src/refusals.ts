/** The refusals every implementation of the queue gives, in the same words. */
import { type ClassId, failure } from '@inferry/contracts';
import type { EnqueueRefusal, EnqueueTerms, Unavailable } from './port.ts';

export function queueFull(
  cls: ClassId,
  why: 'depth' | 'bytes',
  terms: Pick<EnqueueTerms, 'depthMax' | 'bytesMax'>,
): EnqueueRefusal {
  const detail =
    why === 'depth'
      ? `The queue of ${cls} holds ${terms.depthMax} jobs, its limit.`
      : `The queue of ${cls} has no room for this payload within its limit of ${terms.bytesMax} bytes.`;
  return { ...failure('queue_full', detail, { retryAfterMs: 1_000 }), code: 'queue_full' };
}

/** The tenant has as many jobs waiting in the class as one tenant may have. */
export function quotaExceeded(cls: ClassId, tenant: string, depthMax: number): EnqueueRefusal {
  const detail = `The queue of ${cls} holds ${depthMax} jobs of ${tenant}, the limit of a tenant.`;
  return { ...failure('quota_exceeded', detail, { retryAfterMs: 1_000 }), code: 'quota_exceeded' };
}

/**
 * The answer would come after the budget. `quota_exceeded` when the caller's own waiting jobs are the
 * reason. `estimateMs`: expected from the start of the request, what was spent before included.
 */
export function lateRefusal(
  cls: ClassId,
  code: 'deadline_infeasible' | 'quota_exceeded',
  late: {
    readonly estimateMs: number;
    readonly budgetMs: number;
    readonly retryAfterMs: number;
  },
): EnqueueRefusal {
  const estimateMs = Math.round(late.estimateMs);
  const budgetMs = Math.round(late.budgetMs);
  const reason = code === 'quota_exceeded' ? ' behind your own jobs that wait' : '';
  const detail = `${cls} would answer in ${estimateMs} ms${reason}, the limit is ${budgetMs} ms.`;
  const extras = { estimate_ms: estimateMs, budget_ms: budgetMs };
  return { ...failure(code, detail, { retryAfterMs: Math.ceil(late.retryAfterMs), extras }), code };
}

export function modelUnavailable(cls: ClassId): EnqueueRefusal {
  const detail = `No worker serves ${cls} at present.`;
  return {
    ...failure('model_unavailable', detail, { retryAfterMs: 1_000 }),
    code: 'model_unavailable',
  };
}

export function storageExhausted(): EnqueueRefusal {
  const detail = 'Redis has reached its memory limit.';
  return {
    ...failure('storage_exhausted', detail, { retryAfterMs: 5_000 }),
    code: 'storage_exhausted',
  };
}

export function unavailable(): Unavailable {
  const detail = 'Redis cannot be reached at present.';
  return {
    ...failure('queue_unavailable', detail, { retryAfterMs: 1_000 }),
    code: 'queue_unavailable',
  };
}
