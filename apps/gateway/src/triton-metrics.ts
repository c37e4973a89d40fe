/**
 * The state of the models under the names that Triton's metrics have, for dashboards and alerts that were made
 * for it. From the queue's statistics: every gateway tells the same.
 */
import { classOf } from '@inferry/contracts';
import { type Counters, lossReasons } from '@inferry/queue';
import type { ForeignFamily, GatewayMetrics } from '@inferry/telemetry';

import type { GatewayDeps } from './deps.ts';

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

/** Exports them with each scrape; left out of one while the queue cannot be reached. */
export function exportTritonMetrics(
  metrics: GatewayMetrics,
  { catalogue, looks, queue }: Pick<GatewayDeps, 'catalogue' | 'looks' | 'queue'>,
): void {
  metrics.addForeign(async (): Promise<readonly ForeignFamily[]> => {
    const models = catalogue
      .list()
      .flatMap(({ name, versions }) => versions.map(({ version }) => ({ model: name, version })));
    const classOfModel = ({ model, version }: (typeof models)[number]) => classOf(model, version);
    const classes = models.map(classOfModel);
    const [told, sights] = await Promise.all([queue.statistics(classes), looks.recent()]);
    const waiting = new Map(sights.map(({ stats }) => [stats.class, stats.waiting]));
    const countersAt = (i: number): Counters => told[i]?.counters ?? {};
    return [
      ...counters.map(([name, counter, help]): ForeignFamily => ({
        name,
        help: `${help} ${ofAll}`,
        type: 'counter',
        samples: models.map((labels, i) => ({ labels, value: countersAt(i)[counter] ?? 0 })),
      })),
      {
        name: 'nv_inference_request_failure',
        help: `Requests that were accepted and did not succeed. ${ofAll}`,
        type: 'counter',
        samples: models.flatMap((labels, i) =>
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
        samples: models.map((labels) => ({
          labels,
          value: waiting.get(classOfModel(labels)) ?? 0,
        })),
      },
    ];
  });
}
