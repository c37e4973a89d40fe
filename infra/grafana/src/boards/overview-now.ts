/** The line of figures at the top of the overview. */
import { errorRatio, ofModelAndPriority, ofModelsQueue, quantile } from '../promql.ts';
import { query, type Section } from '../spec.ts';

export const now: Section = {
  title: 'Now',
  panels: [
    {
      id: 1,
      title: 'Objective kept',
      tells:
        'Share of the requests in the chosen range that the server answered in time: those that failed, expired, were refused or came late are missing from it. Canceled requests and unusable inputs do not count.',
      view: 'stat',
      unit: 'percentunit',
      decimals: 2,
      width: 3,
      thresholds: {
        base: 'red',
        steps: [
          { value: 0.98, color: 'orange' },
          { value: 0.99, color: 'yellow' },
          { value: 0.995, color: 'green' },
        ],
      },
      queries: [
        query(`1 - ${errorRatio('$__range', [], ofModelAndPriority)}`, 'kept', {
          isInstant: true,
        }),
      ],
    },
    {
      id: 2,
      title: 'Throughput',
      tells: 'Requests that succeeded, a second.',
      view: 'stat',
      unit: 'reqps',
      width: 3,
      queries: [
        query(
          `sum(rate(inferry_requests_total{${ofModelAndPriority}, outcome="succeeded"}[$__rate_interval]))`,
          'succeeded',
        ),
      ],
    },
    {
      id: 3,
      title: 'p99 end to end',
      tells: 'Time from request headers read to result stored that 99 of 100 requests stay below.',
      view: 'stat',
      unit: 's',
      width: 3,
      queries: [
        query(quantile(0.99, 'inferry_request_duration_seconds', [], ofModelAndPriority), 'p99'),
      ],
    },
    {
      id: 4,
      title: 'Waiting jobs',
      tells: 'Jobs in line, not yet claimed by a worker.',
      view: 'stat',
      unit: 'short',
      width: 3,
      queries: [
        query(
          `sum(max by (queue) (inferry_queue_jobs{${ofModelsQueue}, state="waiting"}))`,
          'waiting',
        ),
      ],
    },
    {
      id: 5,
      title: 'Oldest waiting job',
      tells: 'Age of the job that has waited longest, by the clock of the queue.',
      view: 'stat',
      unit: 's',
      width: 3,
      queries: [
        query(
          `max(inferry_queue_oldest_job_age_seconds{${ofModelsQueue}, priority=~"$priority"})`,
          'oldest',
        ),
      ],
    },
    {
      id: 6,
      title: 'Workers ready',
      tells: 'Workers that take jobs. 0 is right only where nothing waits.',
      view: 'stat',
      unit: 'short',
      width: 3,
      thresholds: { base: 'orange', steps: [{ value: 1, color: 'green' }] },
      queries: [query('sum(inferry_worker_ready) or vector(0)', 'ready')],
    },
    {
      id: 7,
      title: 'Worker utilization',
      tells: 'Share of the compute threads that are busy. Above 70 % waits grow quickly.',
      view: 'stat',
      unit: 'percentunit',
      width: 3,
      max: 1,
      thresholds: {
        base: 'green',
        steps: [
          { value: 0.7, color: 'yellow' },
          { value: 0.9, color: 'red' },
        ],
      },
      queries: [
        query(
          'sum(rate(inferry_worker_busy_seconds_total[$__rate_interval])) / sum(inferry_worker_slots)',
          'busy',
        ),
      ],
    },
    {
      id: 8,
      title: 'Refused',
      tells: 'Share of the requests that the server could not take.',
      view: 'stat',
      unit: 'percentunit',
      width: 3,
      thresholds: {
        base: 'green',
        steps: [
          { value: 0.01, color: 'yellow' },
          { value: 0.05, color: 'red' },
        ],
      },
      queries: [
        query(
          `sum(rate(inferry_requests_total{${ofModelAndPriority}, outcome="rejected"}[$__rate_interval])) / sum(rate(inferry_requests_total{${ofModelAndPriority}}[$__rate_interval]))`,
          'refused',
        ),
      ],
    },
  ],
};
