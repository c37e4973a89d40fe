/**
 * The state of the models under the names that Triton's metrics have, for dashboards and alerts that were made
 * for it. All but the first response are from the queue's statistics: every gateway tells the same.
 */
import { classOf, type ModelManifest } from '@inferry/contracts';
import { type Counters, lossReasons } from '@inferry/queue';
import type { ForeignFamily, GatewayMetrics } from '@inferry/telemetry';

import type { GatewayDeps } from './deps.ts';
import type { FirstResponses } from './first-responses.ts';

const ofAll = 'Of all workers: every gateway tells the same, so use max, not sum.';
const counters: readonly (readonly [string, keyof Counters, string])[] = [
  ['nv_inference_request_success', 'succeeded', 'Requests that succeeded.'],
  ['nv_inference_count', 'rows', 'Rows of requests that succeeded.'],
  ['nv_inference_exec_count', 'runs', 'Runs of the model that returned.'],
  [
    'nv_inference_request_duration_us',
    'wholeUs',
    'From the headers of requests that succeeded to their stored results.',
  ],
  ['nv_inference_queue_duration_us', 'queueUs', 'What they waited for their runs.'],
  [
    'nv_inference_compute_input_duration_us',
    'inputUs',
    'What fetching and preprocessing their payloads took, each with its whole batch.',
  ],
  [
    'nv_inference_compute_infer_duration_us',
    'inferUs',
    'What their runs took, each with its whole batch.',
  ],
  [
    'nv_inference_compute_output_duration_us',
    'outputUs',
    'What postprocessing and storing their results took.',
  ],
];

/** Only of models whose answers are kept, as in Triton. */
const cacheCounters: typeof counters = [
  ['nv_cache_num_hits_per_model', 'cacheHits', 'Requests that were answered from a cache.'],
  ['nv_cache_num_misses_per_model', 'cacheMisses', 'Requests whose answer was not there.'],
  ['nv_cache_hit_duration_per_model', 'cacheHitUs', 'What finding them took, us.'],
  ['nv_cache_miss_duration_per_model', 'cacheMissUs', 'What looking and keeping took, us.'],
];

/**
 * Exports them with each scrape; those from the queue's statistics are left out of one while the queue cannot be
 * reached.
 */
export function exportTritonMetrics(
  metrics: GatewayMetrics,
  {
    catalogue,
    firstResponses,
    looks,
    queue,
  }: Pick<GatewayDeps, 'catalogue' | 'looks' | 'queue'> & {
    readonly firstResponses: FirstResponses;
  },
): void {
  metrics.addForeign(() => Promise.resolve([firstResponseFamily(firstResponses)]));
  metrics.addForeign(async (): Promise<readonly ForeignFamily[]> => {
    const manifests = catalogue
      .list()
      .flatMap(({ versions }) => versions.map(({ manifest }) => manifest));
    const classes = manifests.map(({ name, version }) => classOf(name, version));
    const labelsOf = manifests.map(labelsIn);
    const [told, sights] = await Promise.all([queue.statistics(classes), looks.recent()]);
    const waiting = new Map(sights.map(({ stats }) => [stats.class, stats.waiting]));
    const countersAt = (i: number): Counters => told[i]?.counters ?? {};
    const all = manifests.map((_, i) => i);
    const cached = all.filter((i) => manifests[i]?.hasResponseCache === true);
    const familyOf = (
      [name, counter, help]: (typeof counters)[number],
      of: readonly number[],
    ): ForeignFamily => ({
      name,
      help: `${help} ${ofAll}`,
      type: 'counter',
      samples: of.map((i) => ({ labels: labelsOf[i] ?? {}, value: countersAt(i)[counter] ?? 0 })),
    });
    return [
      ...counters.map((one) => familyOf(one, all)),
      ...(cached.length === 0 ? [] : cacheCounters.map((one) => familyOf(one, cached))),
      {
        name: 'nv_inference_request_failure',
        help: `Requests that were accepted and did not succeed. ${ofAll}`,
        type: 'counter',
        samples: labelsOf.flatMap((labels, i) =>
          lossReasons.map((reason) => ({
            labels: { ...labels, reason: reason.toUpperCase() },
            value: countersAt(i)[`${reason}Jobs`] ?? 0,
          })),
        ),
      },
      {
        name: 'nv_inference_pending_request_count',
        help: `Requests that wait and were not claimed yet. ${ofAll}`,
        type: 'gauge',
        samples: classes.map((cls, i) => ({
          labels: labelsOf[i] ?? {},
          value: waiting.get(cls) ?? 0,
        })),
      },
    ];
  });
}

function firstResponseFamily(firstResponses: FirstResponses): ForeignFamily {
  return {
    name: 'nv_inference_first_response_histogram_ms',
    help: 'From the headers of requests to their first response. Of this gateway alone: use sum, not max.',
    type: 'histogram',
    samples: firstResponses.read().flatMap(({ bucketsMs, counts, manifest, sumMs }) => {
      const labels = labelsIn(manifest);
      let count = 0;
      const buckets = counts.map((own, i) => {
        count += own;
        const le = String(bucketsMs[i] ?? '+Inf');
        return { suffix: '_bucket', labels: { ...labels, le }, value: count } as const;
      });
      return [
        ...buckets,
        { suffix: '_sum', labels, value: sumMs } as const,
        { suffix: '_count', labels, value: count } as const,
      ];
    }),
  };
}

/** Those of the operator have `_` in front, as in Triton, so that they are none of the others. */
function labelsIn({
  metricTags = {},
  name,
  version,
}: ModelManifest): Readonly<Record<string, string>> {
  const tags = Object.entries(metricTags).map(([tag, value]) => [`_${tag}`, value]);
  return { model: name, version, ...Object.fromEntries(tags) };
}
