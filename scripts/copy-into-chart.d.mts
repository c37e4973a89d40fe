/** See copy-into-chart.mjs. */
export function chartCopies(): readonly {
  readonly source: string;
  readonly copy: string;
  readonly suffix: string;
}[];
