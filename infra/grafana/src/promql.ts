/** Queries that occur more than once. Filters are written as between braces: `model=~"$model"`. */

/** Filters by the variables of a board. */
export const ofModel = 'model=~"$model"';
export const ofModelAndPriority = 'model=~"$model", priority=~"$priority"';
export const ofInstance = 'instance=~"$instance"';
/** Queues are named `model@version`. */
export const ofModelsQueue = 'queue=~"($model)@.*"';

/** The `q`-quantile of a histogram within the rate interval, for each value of the labels `by`. */
export function quantile(q: number, metric: string, by: readonly string[], filter = ''): string {
  return `histogram_quantile(${q}, sum by (${[...by, 'le'].join(', ')}) (rate(${metric}_bucket${braces(filter)}[$__rate_interval])))`;
}

/** What was observed within each interval, by bucket: for a heatmap. */
export function heat(metric: string, filter = ''): string {
  return `sum by (le) (increase(${metric}_bucket${braces(filter)}[$__rate_interval]))`;
}

/**
 * Share of the requests that count which the server failed, within `window`: jobs that failed, expired,
 * were refused, or came late. `by`: labels to keep, none for the whole.
 */
export function errorRatio(window: string, by: readonly string[], filter: string): string {
  const sum = by.length === 0 ? 'sum' : `sum by (${by.join(', ')}) `;
  const of = (metric: string, more = ''): string =>
    `increase(${metric}{${filter}${more}}[${window}])`;
  const bad = of('inferry_requests_total', ', outcome=~"failed|expired|rejected"');
  const late = of('inferry_late_requests_total');
  const all = of('inferry_requests_total', ', outcome!~"canceled|invalid"');
  return `${sum}(${bad} or ${late}) / ${sum}(${all})`;
}

function braces(filter: string): string {
  return filter === '' ? '' : `{${filter}}`;
}
