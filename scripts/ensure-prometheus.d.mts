/** A program that can be run, and the version it told. */
export interface EnsuredTool {
  readonly path: string;
  readonly version: string;
}

/** See ensure-prometheus.mjs. Throws an Error with advice when one of them cannot be had. */
export function ensurePrometheus(): Readonly<
  Record<'prometheus' | 'promtool' | 'amtool', EnsuredTool>
>;
