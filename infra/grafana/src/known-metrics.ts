/** The metrics that a query may name: those of the catalogue, recorded ones, and a few that are not ours. */
import { catalogueList } from '@inferry/telemetry';
import { repositoryFiles } from '@inferry/testkit';
import { parse } from 'yaml';
import { checkQuery, type KnownMetrics, type LabelSet } from './promql-labels.ts';

/** Labels that the scrape adds. */
const scraped = ['instance', 'job'];

/** Not ours, with the labels our queries may use. */
const foreign: Readonly<Record<string, readonly string[]>> = {
  ALERTS: ['alertname', 'alertstate', 'severity', 'model', 'queue', 'priority', ...scraped],
  up: scraped,
  scrape_samples_scraped: scraped,
  scrape_duration_seconds: scraped,
  process_cpu_seconds_total: scraped,
  process_resident_memory_bytes: scraped,
  process_start_time_seconds: scraped,
  nodejs_external_memory_bytes: scraped,
  nodejs_gc_duration_seconds_sum: ['kind', ...scraped],
  nodejs_heap_size_used_bytes: scraped,
  redis_memory_max_bytes: scraped,
  redis_memory_used_bytes: scraped,
  DCGM_FI_DEV_FB_USED: ['gpu', ...scraped],
  DCGM_FI_DEV_GPU_UTIL: ['gpu', ...scraped],
};

interface Rule {
  readonly record?: string;
  readonly expr: string;
  readonly labels?: Readonly<Record<string, string>>;
}

/** Series of a metric of the catalogue, as they are stored. */
export function seriesOf(metric: { fullName: string; type: string }): readonly string[] {
  const suffixes = metric.type === 'histogram' ? ['_bucket', '_sum', '_count'] : [''];
  return suffixes.map((suffix) => metric.fullName + suffix);
}

/** Recording rules of `infra/prometheus/rules`, in their order. */
export function recordingRules(): readonly (Rule & { readonly record: string })[] {
  return repositoryFiles('infra/prometheus/rules')
    .flatMap(
      ({ text }) => (parse(text) as { groups: readonly { rules: readonly Rule[] }[] }).groups,
    )
    .flatMap(({ rules }) => rules)
    .flatMap((rule) => (rule.record === undefined ? [] : [{ ...rule, record: rule.record }]));
}

/** Labels of everything that may be queried; those of recorded series follow from their rules. */
export function knownMetrics(): KnownMetrics {
  const labels = new Map<string, LabelSet>(
    Object.entries(foreign).map(([name, names]) => [name, new Set(names)]),
  );
  for (const metric of catalogueList())
    for (const name of seriesOf(metric)) {
      const le = name.endsWith('_bucket') && metric.type === 'histogram' ? ['le'] : [];
      labels.set(name, new Set([...Object.keys(metric.labels), ...scraped, ...le]));
    }
  const known: KnownMetrics = (name) => labels.get(name);
  for (const { record, expr, labels: added } of recordingRules())
    labels.set(record, new Set([...checkQuery(expr, known).labels, ...Object.keys(added ?? {})]));
  return known;
}
