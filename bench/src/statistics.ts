/** What many durations were, in the words of a table. */

export interface Summary {
  readonly count: number;
  readonly mean_ms: number;
  readonly std_ms: number;
  readonly median_ms: number;
  readonly p99_ms: number;
  readonly min_ms: number;
  readonly max_ms: number;
}

/** To a tenth of a millisecond; of no durations, zeros. */
export function summary(ms: readonly number[]): Summary {
  const sorted = ms.toSorted((a, b) => a - b);
  const mean = ms.reduce((sum, value) => sum + value, 0) / Math.max(1, ms.length);
  const variance = ms.reduce((sum, value) => sum + (value - mean) ** 2, 0) / Math.max(1, ms.length);
  return {
    count: ms.length,
    mean_ms: tenths(mean),
    std_ms: tenths(Math.sqrt(variance)),
    median_ms: tenths(quantile(sorted, 0.5)),
    p99_ms: tenths(quantile(sorted, 0.99)),
    min_ms: tenths(sorted[0] ?? 0),
    max_ms: tenths(sorted.at(-1) ?? 0),
  };
}

/** Of sorted durations: the least that so large a share of them stays within. */
function quantile(sorted: readonly number[], share: number): number {
  return sorted[Math.max(0, Math.ceil(share * sorted.length) - 1)] ?? 0;
}

function tenths(value: number): number {
  return Math.round(value * 10) / 10;
}

/** Milliseconds by stage, as a `Server-Timing` header tells them. */
export function stagesOf(serverTiming: string | null): Readonly<Record<string, number>> {
  const stages: Record<string, number> = {};
  for (const part of (serverTiming ?? '').split(', ')) {
    const [name, ms] = part.split(';dur=');
    if (name !== undefined && ms !== undefined) stages[name] = Number(ms);
  }
  return stages;
}
