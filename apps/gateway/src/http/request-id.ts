/** The id of a request: what the caller sent where that is usable, else a new one. */
import { newId } from '@inferry/contracts';
import type { Clock, Random } from '@inferry/runtime';

const usable = /^[A-Za-z0-9._-]{1,128}$/u;

export function requestIdOf(
  given: string | undefined,
  { clock, random }: { readonly clock: Clock; readonly random: Random },
): string {
  return given !== undefined && usable.test(given) ? given : newId('req', clock.nowMs(), random);
}
