/** Reads the header `Server-Timing` (https://www.w3.org/TR/server-timing/). */

/** More names than any server of ours has stages; the others are left out. */
const namesMax = 32;

/** Milliseconds by name, in the order of the header; entries without a duration are left out. */
export function parseServerTiming(header: string | null | undefined): ReadonlyMap<string, number> {
  const durations = new Map<string, number>();
  for (const part of (header ?? '').split(',', namesMax)) {
    const [name = '', ...parameters] = part.split(';').map((text) => text.trim());
    const duration = parameters.find((text) => /^dur=[\d.]+$/u.test(text));
    if (name !== '' && duration !== undefined) durations.set(name, Number(duration.slice(4)));
  }
  return durations;
}
