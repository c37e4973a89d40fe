/** What a latency model knows, as plain data that can be stored; and the check of what was stored. */

/** Runs of a size that its mean remembers: about the last so many. */
export const runsKeptMax = 50;
/** Sizes kept; a model with very large batches would have thousands. */
export const sizesMax = 64;
export const tailFactorMax = 3;
/** A longer run is a clock that jumped. */
const durationMsMax = 86_400_000;
/** 64 sizes take a tenth of it. */
const textCharsMax = 65_536;

/** What is known of one size. */
export interface MeasuredSize {
  readonly rows: number;
  /** Runs that its mean remembers, 1..50. */
  readonly runs: number;
  /** Their mean, recent ones weighing more. */
  readonly meanMs: number;
  /** Runs of other sizes since it ran last. */
  readonly age: number;
}

/** A model as plain data. */
export interface LatencySnapshot {
  readonly sizes: readonly MeasuredSize[];
  readonly tailFactor: number;
}

/** The snapshot in a stored text; null for any other text. */
export function parseLatencySnapshot(text: string): LatencySnapshot | null {
  if (text.length > textCharsMax) return null;
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return null;
  }
  if (!isObject(value)) return null;
  const { sizes, tailFactor } = value;
  if (!Array.isArray(sizes) || !sizes.every(isObject)) return null;
  const snapshot = {
    sizes: sizes.map(({ age, meanMs, rows, runs }) => ({
      rows: numberOf(rows),
      runs: numberOf(runs),
      meanMs: numberOf(meanMs),
      age: numberOf(age),
    })),
    tailFactor: numberOf(tailFactor),
  };
  return flawOf(snapshot) === null ? snapshot : null;
}

/** What should be true of a snapshot and is not; null when it is sound. */
export function flawOf({ sizes, tailFactor }: LatencySnapshot): string | null {
  if (sizes.length > sizesMax) return 'a model knows at most 64 sizes';
  const seen = new Set<number>();
  for (const { age, meanMs, rows, runs } of sizes) {
    if (!Number.isSafeInteger(rows) || rows < 1) return 'a size has at least one row';
    if (seen.has(rows)) return 'a size is there once';
    seen.add(rows);
    if (!(runs >= 1 && runs <= runsKeptMax)) return 'a size that was measured ran 1 to 50 times';
    if (!isDuration(meanMs)) return 'a mean is a duration';
    if (!(age >= 0 && Number.isFinite(age))) return 'no size ran in the future';
  }
  const isTail = tailFactor >= 1 && tailFactor <= tailFactorMax;
  return isTail ? null : 'a tail factor lies in 1..3';
}

export function isDuration(ms: number): boolean {
  return ms >= 0 && ms <= durationMsMax;
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null;
}

function numberOf(value: unknown): number {
  return typeof value === 'number' ? value : Number.NaN;
}
