/** How long a caller waits, as the parameter `timeout` of the Open Inference Protocol tells. */
import { type Failure, failure } from '@inferry/contracts';
import { err, ok, type Result } from '@inferry/runtime';

/** Microseconds in milliseconds; undefined where it is not given or 0. Error: `invalid_deadline`. */
export function timeoutOf(
  timeout: string | number | bigint | boolean | undefined,
): Result<number | undefined, Failure> {
  if (timeout === undefined) return ok(undefined);
  const microseconds = Number(timeout);
  if (!/^\d{1,15}$/u.test(String(timeout))) {
    const detail = 'Parameter "timeout" must be a whole number of microseconds, 0 or more.';
    return err(failure('invalid_deadline', detail));
  }
  return ok(microseconds === 0 ? undefined : Math.max(1, Math.ceil(microseconds / 1000)));
}
