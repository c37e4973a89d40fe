/** One model or several: how fast, where the time goes, how well it is batched, what it runs on. */
import { ofModel, ofModelAndPriority, ofModelsQueue, quantile } from '../promql.ts';
import { batches, whereItRuns } from './model-runs.ts';
import { type BoardSpec, query } from '../spec.ts';

export const model: BoardSpec = {
  uid: 'inferry-model',
  title: 'Inferry / Model',
  tells:
    'How fast models answer, where their time goes, how well they are batched, and on what they run.',
  variables: ['model', 'priority'],
  sections: [
    {
      title: 'Now',
      panels: [
        {
          id: 1,
          title: 'Requests',
          tells: 'Requests that succeeded, a second.',
          view: 'stat',
          unit: 'reqps',
          width: 6,
          queries: [
            query(
              `sum by (model) (rate(inferry_requests_total{${ofModelAndPriority}, outcome="succeeded"}[$__rate_interval]))`,
              '{{model}}',
            ),
          ],
        },
        {
          id: 2,
          title: 'Worker time per row',
          tells:
            'Busy time of a compute thread for one row, over the last 10 minutes. Falls as batches grow.',
          view: 'stat',
          unit: 's',
          width: 6,
          queries: [
            query(
              `sum by (model) (rate(inferry_worker_busy_seconds_total{${ofModel}}[10m])) / sum by (model) (rate(inferry_batch_size_sum{${ofModel}}[10m]))`,
              '{{model}}',
            ),
          ],
        },
        {
          id: 3,
          title: 'Mean batch',
          tells: 'Rows run together.',
          view: 'stat',
          unit: 'short',
          width: 6,
          queries: [
            query(
              `sum by (model) (rate(inferry_batch_size_sum{${ofModel}}[$__rate_interval])) / sum by (model) (rate(inferry_batch_size_count{${ofModel}}[$__rate_interval]))`,
              '{{model}}',
            ),
          ],
        },
        {
          id: 4,
          title: 'Workers that hold it',
          tells: 'Workers in which the model is loaded.',
          view: 'stat',
          unit: 'short',
          width: 6,
          queries: [
            query(
              `count by (model) (max by (model, instance) (inferry_model_loaded_info{${ofModel}}))`,
              '{{model}}',
            ),
          ],
        },
      ],
    },
    {
      title: 'Latency',
      panels: [
        {
          id: 10,
          title: 'Latency by priority',
          tells: 'From request headers read to result stored. Dots are traced requests.',
          view: 'lines',
          unit: 's',
          width: 8,
          queries: [
            query(
              quantile(
                0.95,
                'inferry_request_duration_seconds',
                ['model', 'priority'],
                ofModelAndPriority,
              ),
              '{{model}} {{priority}} p95',
              { hasExemplars: true },
            ),
            query(
              quantile(
                0.99,
                'inferry_request_duration_seconds',
                ['model', 'priority'],
                ofModelAndPriority,
              ),
              '{{model}} {{priority}} p99',
              { hasExemplars: true },
            ),
          ],
        },
        {
          id: 11,
          title: 'Stages, p95',
          tells:
            'Time in each stage that 95 of 100 jobs stay below. Quantiles do not add up; means do.',
          view: 'lines',
          unit: 's',
          width: 8,
          queries: [
            query(
              quantile(0.95, 'inferry_stage_duration_seconds', ['stage'], ofModel),
              '{{stage}}',
              { hasExemplars: true },
            ),
          ],
        },
        {
          id: 12,
          title: 'Share of each stage',
          tells:
            'Share of the whole time that jobs spent in each stage. Much queue_wait asks for workers, much batch_wait for a look at the release reasons.',
          view: 'lines',
          isStacked: true,
          unit: 'percentunit',
          width: 8,
          max: 1,
          queries: [
            query(
              `sum by (stage) (rate(inferry_stage_duration_seconds_sum{${ofModel}}[$__rate_interval])) / on () group_left () sum(rate(inferry_stage_duration_seconds_sum{${ofModel}}[$__rate_interval]))`,
              '{{stage}}',
            ),
          ],
        },
        {
          id: 13,
          title: 'Delivery',
          tells:
            'From the outcome reaching the gateway to the answer sent, of requests that were held for it. Comes after the latency above.',
          view: 'lines',
          unit: 's',
          width: 8,
          queries: [
            query(
              quantile(0.5, 'inferry_deliver_duration_seconds', ['model'], ofModel),
              '{{model}} p50',
            ),
            query(
              quantile(0.99, 'inferry_deliver_duration_seconds', ['model'], ofModel),
              '{{model}} p99',
            ),
          ],
        },
        {
          id: 14,
          title: 'Run by what was expected of it',
          tells:
            'Time of a run by the time the worker had learned to expect. Well above 1 for long: the device is shared, throttled, or sees shapes it has not seen.',
          view: 'lines',
          unit: 'short',
          width: 8,
          thresholds: {
            base: 'transparent',
            steps: [{ value: 1.5, color: 'orange' }],
          },
          queries: [
            query(quantile(0.5, 'inferry_latency_ratio', ['model'], ofModel), '{{model}} p50'),
            query(quantile(0.95, 'inferry_latency_ratio', ['model'], ofModel), '{{model}} p95'),
          ],
        },
        {
          id: 15,
          title: 'Payload, p95',
          tells: 'Bytes stored for an accepted job.',
          view: 'lines',
          unit: 'bytes',
          width: 8,
          queries: [
            query(quantile(0.95, 'inferry_request_payload_bytes', ['model'], ofModel), '{{model}}'),
          ],
        },
      ],
    },
    batches,
    {
      title: 'Failures',
      panels: [
        {
          id: 30,
          title: 'Requests that did not succeed',
          tells: 'By outcome; canceled by their owners included.',
          view: 'lines',
          isStacked: true,
          unit: 'reqps',
          width: 8,
          queries: [
            query(
              `sum by (model, outcome) (rate(inferry_requests_total{${ofModelAndPriority}, outcome!="succeeded"}[$__rate_interval]))`,
              '{{model}} {{outcome}}',
            ),
          ],
        },
        {
          id: 31,
          title: 'Late answers',
          tells: 'Jobs that succeeded after the budget they were accepted with.',
          view: 'lines',
          unit: 'reqps',
          width: 8,
          queries: [
            query(
              `sum by (model, priority) (rate(inferry_late_requests_total{${ofModelAndPriority}}[$__rate_interval]))`,
              '{{model}} {{priority}}',
            ),
          ],
        },
        {
          id: 32,
          title: 'Runs again and divided batches',
          tells:
            'Jobs run again because their worker was lost or their batch failed, and batches divided to find the item at fault.',
          view: 'lines',
          unit: 'ops',
          width: 8,
          queries: [
            query(
              `sum by (reason) (rate(inferry_job_retries_total{${ofModel}}[$__rate_interval]))`,
              'again: {{reason}}',
            ),
            query(
              `sum by (kind) (rate(inferry_batch_isolations_total{${ofModel}}[$__rate_interval]))`,
              'divided: {{kind}}',
            ),
          ],
        },
      ],
    },
    {
      title: 'Versions',
      panels: [
        {
          id: 50,
          title: 'Traffic by version',
          tells:
            'Share of the requests that name no version which each version gets. Gateways agree within a second.',
          view: 'lines',
          unit: 'percentunit',
          width: 8,
          max: 1,
          queries: [
            query(
              `max by (queue) (inferry_traffic_share_ratio{${ofModelsQueue}}) > 0`,
              '{{queue}}',
            ),
          ],
        },
        {
          id: 51,
          title: 'Requests by version',
          tells: 'Requests that have ended, a second, however they ended.',
          view: 'lines',
          unit: 'reqps',
          width: 8,
          queries: [
            query(
              `sum by (queue) (rate(inferry_version_requests_total{${ofModelsQueue}}[$__rate_interval]))`,
              '{{queue}}',
            ),
          ],
        },
        {
          id: 52,
          title: 'Failures by version',
          tells:
            'Share of the requests that the server failed, of those that count. A new version that is worse than the others shows here.',
          view: 'lines',
          unit: 'percentunit',
          width: 8,
          queries: [
            query(
              `sum by (queue) (rate(inferry_version_requests_total{${ofModelsQueue}, outcome=~"failed|expired|rejected"}[$__rate_interval])) / sum by (queue) (rate(inferry_version_requests_total{${ofModelsQueue}, outcome!~"canceled|invalid"}[$__rate_interval]))`,
              '{{queue}}',
            ),
          ],
        },
        {
          id: 53,
          title: 'Changes while serving',
          tells:
            'Versions loaded, replaced, retired, or failed to load, by all workers, in each interval. Where one failed, what was served stays.',
          view: 'lines',
          unit: 'short',
          width: 8,
          queries: [
            query(
              `sum by (model, result) (increase(inferry_model_reloads_total{${ofModel}}[$__rate_interval]))`,
              '{{model}} {{result}}',
            ),
          ],
        },
        {
          id: 54,
          title: 'Problems of the repository',
          tells:
            'What is wrong with its files, as each process read them last. A model with a problem is served as it was.',
          view: 'lines',
          unit: 'short',
          width: 8,
          queries: [
            query(
              'max by (job, instance) (inferry_model_repository_problems)',
              '{{job}} {{instance}}',
            ),
          ],
        },
      ],
    },
    whereItRuns,
  ],
};
