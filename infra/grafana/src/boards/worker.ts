/** Processes one by one: what workers do, and how each process, its GPU and its Redis are. */
import { ofInstance } from '../promql.ts';
import { nodejs, redis, scraped } from './processes.ts';
import { type BoardSpec, query } from '../spec.ts';

const noGpu = 'Only where a worker runs on a GPU.';

export const worker: BoardSpec = {
  uid: 'inferry-worker',
  title: 'Inferry / Workers and processes',
  tells: 'What each worker does, and how each process, its GPU and its connection to Redis are.',
  variables: ['instance'],
  sections: [
    {
      title: 'Work',
      panels: [
        {
          id: 1,
          title: 'State of workers',
          tells:
            'Of each worker. warming: models are being loaded. draining: it finishes what it has and takes nothing new.',
          view: 'states',
          unit: 'short',
          width: 12,
          texts: {
            '1': { text: 'warming', color: 'yellow' },
            '2': { text: 'serving', color: 'green' },
            '3': { text: 'draining', color: 'blue' },
          },
          queries: [
            query(
              `max by (instance) (inferry_worker_state{${ofInstance}, state="warming"} or 2 * inferry_worker_state{${ofInstance}, state="serving"} or 3 * inferry_worker_state{${ofInstance}, state="draining"})`,
              '{{instance}}',
            ),
          ],
        },
        {
          id: 2,
          title: 'Utilization',
          tells:
            'Share of its compute threads that a worker keeps busy. Threads that also prepare inputs count that too.',
          view: 'lines',
          unit: 'percentunit',
          width: 12,
          thresholds: { base: 'transparent', steps: [{ value: 0.7, color: 'orange' }] },
          queries: [
            query(
              `sum by (instance) (rate(inferry_worker_busy_seconds_total{${ofInstance}}[$__rate_interval])) / sum by (instance) (inferry_worker_slots{${ofInstance}})`,
              '{{instance}}',
            ),
          ],
        },
        {
          id: 3,
          title: 'Rows a second',
          tells: 'Rows that a worker runs.',
          view: 'lines',
          unit: 'rowsps',
          width: 8,
          queries: [
            query(
              `sum by (instance) (rate(inferry_batch_size_sum{${ofInstance}}[$__rate_interval]))`,
              '{{instance}}',
            ),
          ],
        },
        {
          id: 4,
          title: 'Jobs in flight',
          tells:
            'Jobs claimed and not settled: those in a batch, and those that wait for the next one.',
          view: 'lines',
          unit: 'short',
          width: 8,
          queries: [
            query(
              `sum by (instance) (inferry_worker_jobs_in_flight{${ofInstance}})`,
              '{{instance}}',
            ),
          ],
        },
        {
          id: 5,
          title: 'Busy time by model',
          tells: 'Compute threads that each model keeps busy, over the chosen workers.',
          view: 'lines',
          isStacked: true,
          unit: 'short',
          width: 8,
          queries: [
            query(
              `sum by (model) (rate(inferry_worker_busy_seconds_total{${ofInstance}}[$__rate_interval]))`,
              '{{model}}',
            ),
          ],
        },
      ],
    },
    {
      title: 'GPU',
      panels: [
        {
          id: 10,
          title: 'GPU memory',
          tells:
            'Memory in use on each GPU, by all processes, and how much there is. From nvidia-smi, otherwise from DCGM. Steady growth ends in failed runs: restart the worker after a drain.',
          view: 'lines',
          unit: 'bytes',
          width: 12,
          queries: [
            query(
              `max by (instance, gpu) (inferry_gpu_memory_used_bytes{${ofInstance}}) or (max by (instance, gpu) (DCGM_FI_DEV_FB_USED * 1048576) unless on () inferry_gpu_memory_used_bytes)`,
              '{{instance}} GPU {{gpu}} used',
              { mayBeEmpty: noGpu },
            ),
            query(
              `max by (instance, gpu) (inferry_gpu_memory_total_bytes{${ofInstance}})`,
              '{{instance}} GPU {{gpu}} total',
              { mayBeEmpty: noGpu },
            ),
          ],
        },
        {
          id: 11,
          title: 'GPU busy',
          tells:
            'Share of the time in which a kernel ran, from nvidia-smi, otherwise from DCGM. Low while jobs wait: the worker is held up by something else.',
          view: 'lines',
          unit: 'percentunit',
          width: 12,
          max: 1,
          queries: [
            query(
              `max by (instance, gpu) (inferry_gpu_utilization_ratio{${ofInstance}}) or (max by (instance, gpu) (DCGM_FI_DEV_GPU_UTIL / 100) unless on () inferry_gpu_utilization_ratio)`,
              '{{instance}} GPU {{gpu}}',
              { mayBeEmpty: noGpu },
            ),
          ],
        },
      ],
    },
    {
      title: 'Trouble',
      panels: [
        {
          id: 20,
          title: 'Claims lost',
          tells:
            'Leases a worker could not renew, jobs taken back from workers that fell silent, results dropped because their job had ended or changed hands, and jobs not finished when the time to drain was over. After a crash, an outage or a short drain only.',
          view: 'lines',
          unit: 'short',
          width: 8,
          queries: [
            query(
              `sum by (instance) (increase(inferry_lock_renewal_failures_total{${ofInstance}}[$__rate_interval]))`,
              '{{instance}} not renewed',
            ),
            query(
              `sum by (instance) (increase(inferry_jobs_stalled_total{${ofInstance}}[$__rate_interval]))`,
              '{{instance}} taken back',
            ),
            query(
              `sum by (instance) (increase(inferry_duplicate_results_total{${ofInstance}}[$__rate_interval]))`,
              '{{instance}} results dropped',
            ),
            query(
              `sum by (instance) (increase(inferry_shutdown_abandoned_jobs_total{${ofInstance}}[$__rate_interval]))`,
              '{{instance}} abandoned at shutdown',
            ),
          ],
        },
        {
          id: 22,
          title: 'Clock against Redis',
          tells:
            'Clock of a worker minus the clock of the queue. It is reckoned with; far off, or moving, it blurs stages that begin on one clock and end on the other.',
          view: 'lines',
          unit: 's',
          width: 8,
          queries: [
            query(
              `max by (instance) (inferry_clock_offset_seconds{${ofInstance}})`,
              '{{instance}}',
            ),
          ],
        },
        {
          id: 23,
          title: 'Durations cut to 0',
          tells:
            'How often a duration between two processes came out negative: the offset above was not yet known, or a clock was set.',
          view: 'lines',
          unit: 'short',
          width: 8,
          queries: [
            query(
              `sum by (instance, stage) (increase(inferry_clock_clamped_total{${ofInstance}}[$__rate_interval]))`,
              '{{instance}} {{stage}}',
            ),
          ],
        },
      ],
    },
    redis,
    nodejs,
    scraped,
  ],
};
