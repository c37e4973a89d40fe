/** A time as the flags of commands take it. */
import { err, ok, type Result } from '@inferry/runtime';

const secondsPer = { ms: 0.001, s: 1, m: 60 } as const;

/** Seconds, or a number with its unit; in ms. */
export function time(minMs: number, maxMs: number): (text: string) => Result<number, string> {
  return (text) => {
    const [, number, unit = 's'] = /^(\d+(?:\.\d+)?)(ms|s|m)?$/u.exec(text) ?? [];
    const ms = Number(number) * 1_000 * secondsPer[unit as keyof typeof secondsPer];
    if (ms >= minMs && ms <= maxMs) return ok(ms);
    return err(`must be a time from ${minMs} ms to ${maxMs / 1_000} s like 5, 500ms or 2m`);
  };
}
