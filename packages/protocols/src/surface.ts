/** In whose words problems are told, and with which status of HTTP. */
import { type ErrorCode, errorRegistry } from '@inferry/contracts';

/**
 * `v1`: ours. `v2`: Open Inference v2. `serving`: TensorFlow Serving. Where v2 is to answer as Triton does:
 * `triton`, and `triton_ready` of what is asked whether it is ready.
 */
export type Surface = 'v1' | 'v2' | 'serving' | 'triton' | 'triton_ready';

/** What v2 answers: its own statuses, or those that Triton has for the same. */
export type Compat = 'none' | 'triton';

/**
 * Everywhere but on v1 a 422 is a 400, as clients of these protocols expect. Triton has neither 429 nor 504:
 * what is full or late is unavailable; what is not ready is a bad request, unless the server is on its way out.
 */
export function statusOn(surface: Surface, code: ErrorCode): number {
  const { status } = errorRegistry[code];
  if (surface === 'v1') return status;
  if (status === 422) return 400;
  if (surface === 'v2' || surface === 'serving') return status;
  if (surface === 'triton_ready' && status === 503 && code !== 'draining') return 400;
  return status === 429 || status === 504 ? 503 : status;
}

/** The surface of the routes of v2. */
export function inferenceSurface(compat: Compat): Surface {
  return compat === 'triton' ? 'triton' : 'v2';
}

/** The surface of those that tell what is ready. */
export function readinessSurface(compat: Compat): Surface {
  return compat === 'triton' ? 'triton_ready' : 'v2';
}
