/** The refusals every implementation of the queue gives, in the same words. */
import { type ClassId, failure } from '@inferry/contracts';
import type { DepthLimits, EnqueueRefusal, Unavailable } from './port.ts';

export function queueFull(
  cls: ClassId,
  why: 'depth' | 'bytes',
  limits: DepthLimits,
): EnqueueRefusal {
  const detail =
    why === 'depth'
      ? `The queue of ${cls} holds ${limits.depthMax} jobs, its limit.`
      : `The queue of ${cls} has no room for this payload within its limit of ${limits.bytesMax} bytes.`;
  return { ...failure('queue_full', detail, { retryAfterMs: 1_000 }), code: 'queue_full' };
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
