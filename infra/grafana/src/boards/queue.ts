/** The queue of each model version: how much waits, whether it is shared fairly, whether estimates come true. */
import { heat, ofModel, quantile } from '../promql.ts';
import { admission, fairness } from './fairness.ts';
import { type BoardSpec, query } from '../spec.ts';

const ofQueue = 'queue=~"$queue"';
const wait = `${ofModel}, stage="queue_wait"`;

export const queue: BoardSpec = {
  uid: 'inferry-queue',
  title: 'Inferry / Queue and fairness',
  tells:
    'How much waits and how long, how many workers that asks for, whether it is shared fairly, and whether what callers were told comes true.',
  variables: ['model', 'queue', 'priority'],
  sections: [
    {
      title: 'Depth and age',
      panels: [
        {
          id: 1,
          title: 'Jobs by state',
          tells: 'Jobs in line, and jobs that a worker has claimed.',
          view: 'lines',
          isStacked: true,
          unit: 'short',
          width: 8,
          queries: [
            query(
              `sum by (state) (max by (queue, state) (inferry_queue_jobs{${ofQueue}}))`,
              '{{state}}',
            ),
          ],
        },
        {
          id: 2,
          title: 'Oldest waiting job and target',
          tells:
            'Age of the job that has waited longest, and the wait that its class is meant to stay below. One priority that grows alone is starved by the others.',
          view: 'lines',
          unit: 's',
          width: 8,
          queries: [
            query(
              `max by (queue, priority) (inferry_queue_oldest_job_age_seconds{${ofQueue}, priority=~"$priority"})`,
              '{{queue}} {{priority}}',
            ),
            query(
              `max by (queue) (inferry_queue_target_wait_seconds{${ofQueue}})`,
              '{{queue}} target',
            ),
          ],
        },
        {
          id: 3,
          title: 'Headroom',
          tells:
            'Waiting jobs by the number at which the class refuses more. At 1 callers get queue_full.',
          view: 'lines',
          unit: 'percentunit',
          width: 8,
          thresholds: { base: 'transparent', steps: [{ value: 0.8, color: 'red' }] },
          queries: [
            query(
              `max by (queue) (inferry_queue_jobs{${ofQueue}, state="waiting"}) / max by (queue) (inferry_queue_limit_jobs{${ofQueue}})`,
              '{{queue}}',
            ),
          ],
        },
        {
          id: 4,
          title: 'Bytes kept',
          tells: 'Payloads that wait, and results that have not expired.',
          view: 'lines',
          isStacked: true,
          unit: 'bytes',
          width: 8,
          queries: [
            query(`max by (queue, kind) (inferry_queue_bytes{${ofQueue}})`, '{{queue}} {{kind}}'),
          ],
        },
        {
          id: 5,
          title: 'Wait until claimed',
          tells: 'Jobs by the time they waited in line.',
          view: 'heatmap',
          unit: 's',
          width: 8,
          queries: [query(heat('inferry_stage_duration_seconds', wait), '{{le}}')],
        },
        {
          id: 6,
          title: 'Wait until claimed, by model',
          tells: 'Half of the jobs waited less than p50, 99 of 100 less than p99.',
          view: 'lines',
          unit: 's',
          width: 8,
          queries: [0.5, 0.95, 0.99].map((q) =>
            query(
              quantile(q, 'inferry_stage_duration_seconds', ['model'], wait),
              `{{model}} p${q * 100}`,
              { hasExemplars: true },
            ),
          ),
        },
      ],
    },
    {
      title: 'Work and workers',
      panels: [
        {
          id: 10,
          title: 'Work that waits',
          tells: 'Time that one worker alone would need for the rows that wait, in full batches.',
          view: 'lines',
          isStacked: true,
          unit: 's',
          width: 8,
          queries: [query(`queue:inferry_queue_backlog_work_seconds:max{${ofQueue}}`, '{{queue}}')],
        },
        {
          id: 11,
          title: 'Predicted time to clear',
          tells:
            'Time the live workers need for what waits. Without a worker, as if there were one.',
          view: 'lines',
          unit: 's',
          width: 8,
          thresholds: { base: 'transparent', steps: [{ value: 30, color: 'orange' }] },
          queries: [query(`queue:inferry_queue_drain_seconds:predicted{${ofQueue}}`, '{{queue}}')],
        },
        {
          id: 12,
          title: 'Workers there, and load',
          tells:
            'Live workers of a class, and the workers that its arrivals would keep busy all the time. Workers shared by several classes count for each.',
          view: 'lines',
          unit: 'short',
          width: 8,
          queries: [
            query(`queue:inferry_workers:max{${ofQueue}}`, '{{queue}} there'),
            query(`queue:inferry_offered_load_workers:rate2m{${ofQueue}}`, '{{queue}} load'),
          ],
        },
        {
          id: 13,
          title: 'Workers wanted',
          tells:
            'For all classes together: to clear what waits within 30 s, to carry what arrives at 70 % utilization, and the larger of both.',
          view: 'lines',
          unit: 'short',
          width: 8,
          queries: [
            query('reason:inferry_workers_wanted:advice', 'by {{reason}}'),
            query('inferry_workers_wanted:advice', 'advice'),
          ],
        },
        {
          id: 14,
          title: 'Rows that arrive',
          tells: 'Rows accepted, a second. A request has one or several.',
          view: 'lines',
          isStacked: true,
          unit: 'rowsps',
          width: 8,
          queries: [
            query(
              `max by (queue) (rate(inferry_queue_arrived_rows_total{${ofQueue}}[$__rate_interval]))`,
              '{{queue}}',
            ),
          ],
        },
        {
          id: 15,
          title: "Little's law",
          tells:
            'Jobs that wait by the gauge, and by the rate of claims times the mean wait. While the depth is level the two lines are one, otherwise a metric lies; while it grows or falls, or jobs leave unclaimed, they part.',
          view: 'lines',
          unit: 'short',
          width: 8,
          queries: [
            query(
              `sum(rate(inferry_jobs_started_total{${ofModel}}[$__rate_interval])) * sum(rate(inferry_stage_duration_seconds_sum{${wait}}[$__rate_interval])) / sum(rate(inferry_stage_duration_seconds_count{${wait}}[$__rate_interval]))`,
              'claims x mean wait',
            ),
            query(
              'sum(max by (queue) (avg_over_time(inferry_queue_jobs{queue=~"($model)@.*", state="waiting"}[$__rate_interval])))',
              'waiting',
            ),
          ],
        },
      ],
    },
    fairness,
    admission,
    {
      title: 'Recovery and reading',
      panels: [
        {
          id: 40,
          title: 'Taken back, run again, dropped',
          tells:
            'Jobs taken back from silent workers or given back by workers that had to end, jobs run again, and results that came too late to count. After a crash, an outage or a short drain only.',
          view: 'lines',
          unit: 'ops',
          width: 6,
          queries: [
            query(
              `sum(rate(inferry_jobs_stalled_total{${ofModel}}[$__rate_interval]))`,
              'taken back',
            ),
            query(
              `sum(max by (queue) (rate(inferry_queue_given_back_jobs_total{${ofQueue}}[$__rate_interval])))`,
              'given back',
            ),
            query(
              `sum(rate(inferry_job_retries_total{${ofModel}}[$__rate_interval]))`,
              'run again',
            ),
            query(
              `sum(rate(inferry_duplicate_results_total{${ofModel}}[$__rate_interval]))`,
              'results dropped',
            ),
          ],
        },
        {
          id: 41,
          title: 'Time to read the queue',
          tells:
            'Of a gateway at its last scrape, to read the state behind the figures of this page.',
          view: 'lines',
          unit: 's',
          width: 6,
          queries: [
            query('max by (instance) (inferry_queue_collect_duration_seconds)', '{{instance}}'),
          ],
        },
        {
          id: 42,
          title: 'Failed readings',
          tells:
            'Times a gateway could not read that state: its figures then keep their last value for a minute, and go away.',
          view: 'lines',
          unit: 'short',
          width: 6,
          queries: [
            query(
              'sum by (instance) (increase(inferry_queue_collect_errors_total[$__rate_interval]))',
              '{{instance}}',
            ),
          ],
        },
        {
          id: 43,
          title: 'Do the stages add up',
          tells:
            'Sum of the stages of all requests by their latency. Off 1 by more than a twentieth, a stage is measured wrongly.',
          view: 'lines',
          unit: 'percentunit',
          width: 6,
          queries: [
            query(
              'stage_coverage:inferry_request_duration_seconds:ratio_rate5m',
              'stages by whole',
            ),
          ],
        },
      ],
    },
  ],
};
