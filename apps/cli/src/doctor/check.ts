/** What a check of `inferry doctor` finds. */

export interface Finding {
  /** `Redis: persistence`. */
  readonly name: string;
  readonly verdict: 'fine' | 'doubtful' | 'bad' | 'left out';
  readonly detail: string;
  /** What to do about it; null where there is nothing to do. */
  readonly remedy: string | null;
}

export function fine(name: string, detail: string): Finding {
  return { name, verdict: 'fine', detail, remedy: null };
}

export function doubtful(name: string, detail: string, remedy: string): Finding {
  return { name, verdict: 'doubtful', detail, remedy };
}

export function bad(name: string, detail: string, remedy: string): Finding {
  return { name, verdict: 'bad', detail, remedy };
}

export function leftOut(name: string, detail: string, remedy: string): Finding {
  return { name, verdict: 'left out', detail, remedy };
}
