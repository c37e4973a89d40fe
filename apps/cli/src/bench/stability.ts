/** When a load is stable: the rule of perf_analyzer (three windows in a row near to their means). */

export interface WindowFigures {
  /** Successes a second. */
  readonly throughput: number;
  /** The latency that is watched, in ms; null where nothing succeeded. */
  readonly latencyMs: number | null;
}

/** So many windows in a row have to agree, and are what is reported. */
export const agreeingWindows = 3;

/**
 * Whether the last three windows agree: throughput and latency of each are within `tolerance`, a share,
 * of the mean of the three. Windows in which nothing succeeded never agree.
 */
export function isStable(windows: readonly WindowFigures[], tolerance: number): boolean {
  const last = windows.slice(-agreeingWindows);
  const latencies = last.flatMap(({ latencyMs }) => latencyMs ?? []);
  if (latencies.length < agreeingWindows) return false;
  const throughputs = last.map(({ throughput }) => throughput);
  return isNearItsMean(throughputs, tolerance) && isNearItsMean(latencies, tolerance);
}

function isNearItsMean(values: readonly number[], tolerance: number): boolean {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
  return values.every((value) => Math.abs(value - mean) <= tolerance * mean);
}
