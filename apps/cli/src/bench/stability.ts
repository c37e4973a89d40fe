/** When a load is stable: the rule of Triton's perf_analyzer (three windows in a row that differ little). */

export interface WindowFigures {
  /** Successes a second. */
  readonly throughput: number;
  /**
   * What has to be steady beside latency: the throughput of a closed loop. Of an open loop, whose arrivals may
   * be random, the successes for each request that came due: that is the server's part.
   */
  readonly pace: number;
  /** The latency that is watched, in ms; null where nothing succeeded. */
  readonly latencyMs: number | null;
}

/** So many windows in a row have to agree, and are what is reported. */
export const agreeingWindows = 3;

/**
 * Whether the last three windows agree: the largest pace is at most `tolerance`, a share, above the smallest,
 * and so is the largest latency. Windows in which nothing succeeded never agree.
 */
export function isStable(windows: readonly WindowFigures[], tolerance: number): boolean {
  const last = windows.slice(-agreeingWindows);
  const latencies = last.flatMap(({ latencyMs }) => latencyMs ?? []);
  if (latencies.length < agreeingWindows) return false;
  const paces = last.map(({ pace }) => pace);
  return isWithin(paces, tolerance) && isWithin(latencies, tolerance);
}

function isWithin(values: readonly number[], tolerance: number): boolean {
  return Math.max(...values) <= (1 + tolerance) * Math.min(...values);
}
