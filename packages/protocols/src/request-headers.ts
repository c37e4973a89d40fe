/** Values of request headers with a grammar of their own, and of the query `wait`. */

export interface Preference {
  /** Milliseconds to hold the request; `default` for a bare `wait`; undefined when not asked for. */
  readonly waitMs: number | 'default' | undefined;
  readonly respondAsync: boolean;
}

/** RFC 7240 `Prefer`. Unknown and unreadable preferences are ignored, as that RFC asks. */
export function parsePrefer(header: string | undefined): Preference {
  let waitMs: Preference['waitMs'];
  let respondAsync = false;
  for (const part of (header ?? '').split(',')) {
    const [name = '', value] = (part.split(';')[0] ?? '').split('=').map((text) => text.trim());
    if (name.toLowerCase() === 'respond-async') respondAsync = true;
    // The first of several is the one that counts.
    if (name.toLowerCase() === 'wait' && waitMs === undefined) waitMs = parseWait(value ?? '');
  }
  return { waitMs, respondAsync };
}

/**
 * Seconds as `wait` takes them: a whole number, however large (the caller of this caps it), or nothing for
 * the default. In ms; undefined when unreadable.
 */
export function parseWait(text: string): number | 'default' | undefined {
  const digits = text.replaceAll('"', '');
  if (digits === '') return 'default';
  return /^\d+$/u.test(digits) ? Number(digits) * 1000 : undefined;
}

const secondsPer = { h: 3600, m: 60, s: 1 } as const;

/** `Cancel-After`: whole seconds (`30`), or hours, minutes and seconds in that order (`1h30m`, `90s`). */
export function parseCancelAfter(text: string): number | undefined {
  if (/^\d{1,9}$/u.test(text)) return Number(text) * 1000;
  const match = /^(?:(\d{1,6})h)?(?:(\d{1,6})m)?(?:(\d{1,9})s)?$/u.exec(text);
  if (match === null || text === '') return undefined;
  const [, hours = '0', minutes = '0', seconds = '0'] = match;
  const total =
    Number(hours) * secondsPer.h + Number(minutes) * secondsPer.m + Number(seconds) * secondsPer.s;
  return total * 1000;
}

/**
 * The key in `Idempotency-Key`: a quoted string or a bare token of 1 to 255 visible ASCII characters.
 * Undefined when it is neither.
 */
export function parseIdempotencyKey(text: string): string | undefined {
  const quoted = /^"((?:[\x20-\x21\x23-\x5b\x5d-\x7e]|\\["\\])*)"$/u.exec(text);
  const key = quoted?.[1]?.replaceAll(/\\(["\\])/gu, '$1') ?? text;
  return /^[\x21-\x7e]{1,255}$/u.test(key) ? key : undefined;
}
