/** The least-squares line of run time over rows as BentoML's optimizer computes it. */

export interface Sample {
  readonly rows: number;
  readonly ms: number;
  readonly waitMs: number;
}

/**
 * Slope and intercept. When all samples have one size, no line is determined; then it is the solution of
 * the least norm, which is what numpy's `lstsq` answers, and puts nearly all into the slope.
 */
export function leastSquares(samples: readonly Sample[]): {
  readonly slope: number;
  readonly intercept: number;
} {
  const n = samples.length;
  let x = 0;
  let y = 0;
  let xx = 0;
  let xy = 0;
  for (const { ms, rows } of samples) {
    x += rows;
    y += ms;
    xx += rows * rows;
    xy += rows * ms;
  }
  const determinant = n * xx - x * x;
  if (determinant < 1e-9) {
    const rows = x / n;
    const ms = y / n;
    return { slope: (ms * rows) / (rows * rows + 1), intercept: ms / (rows * rows + 1) };
  }
  const slope = (n * xy - x * y) / determinant;
  return { slope, intercept: (y - slope * x) / n };
}
