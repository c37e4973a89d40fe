/** Reads the header `Server-Timing` (https://www.w3.org/TR/server-timing/). */

/** A name, perhaps other parameters, and a duration. */
const entry = /^\s*([^\s;]+)\s*(?:;[^;]*)*?;\s*dur=(\d+(?:\.\d+)?)\s*(?:;|$)/u;
/** More names than any server of ours has stages; the others are left out. */
const namesMax = 32;

/** Milliseconds by name, in the order of the header; entries without a duration are left out. */
export function parseServerTiming(header: string | null | undefined): ReadonlyMap<string, number> {
  const durations = new Map<string, number>();
  for (const part of (header ?? '').split(',', namesMax)) {
    const [, name, ms] = entry.exec(part) ?? [];
    if (name !== undefined && ms !== undefined) durations.set(name, Number(ms));
  }
  return durations;
}
