/** Whether waiting is shared fairly, and whether what callers were told comes true. */
import { heat, ofModel, ofModelAndPriority, quantile } from '../promql.ts';
import { query, type Section } from '../spec.ts';

const ofQueue = 'queue=~"$queue"';

export const fairness: Section = {
  title: 'Fairness',
  panels: [
    {
      id: 20,
      title: 'Evenness between tenants',
      tells:
        'Jain index of the rows by weight that tenants got in the last minute, of those that had jobs waiting all through it: 1 is even, 1/n is all for one of n.',
      view: 'lines',
      unit: 'short',
      width: 8,
      max: 1,
      thresholds: { base: 'transparent', steps: [{ value: 0.7, color: 'orange' }] },
      // The least: a gateway that has just begun to look says 1.
      queries: [query(`min by (queue) (inferry_fairness_index{${ofQueue}})`, '{{queue}}')],
    },
    {
      id: 21,
      title: 'Largest share of a tenant',
      tells:
        'Largest share of the rows that one tenant got in the last minute. Near 1 is fair when nobody else asks.',
      view: 'lines',
      unit: 'percentunit',
      width: 8,
      max: 1,
      queries: [query(`max by (queue) (inferry_tenant_share_max_ratio{${ofQueue}})`, '{{queue}}')],
    },
    {
      id: 22,
      title: 'Tenants that wait',
      tells: 'Tenants with jobs waiting in a class.',
      view: 'lines',
      unit: 'short',
      width: 8,
      queries: [query(`max by (queue) (inferry_tenants_active{${ofQueue}})`, '{{queue}}')],
    },
    {
      id: 23,
      title: 'Wait by its bound',
      tells:
        'Wait of a job by the longest wait it was accepted with. Above 1 the bound did not hold: a worker was lost, or its runs became slower.',
      view: 'lines',
      unit: 'short',
      width: 8,
      thresholds: { base: 'transparent', steps: [{ value: 1, color: 'red' }] },
      queries: [
        query(quantile(0.5, 'inferry_fairness_bound_ratio', ['model'], ofModel), '{{model}} p50'),
        query(quantile(0.99, 'inferry_fairness_bound_ratio', ['model'], ofModel), '{{model}} p99'),
      ],
    },
    {
      id: 24,
      title: 'Overtaken jobs',
      tells:
        'Share of the claims of jobs that a later job of their tenant and priority had been claimed before. 0 while no worker is lost.',
      view: 'lines',
      unit: 'percentunit',
      width: 8,
      queries: [
        query(
          `sum by (model) (rate(inferry_overtaken_jobs_total{${ofModel}}[$__rate_interval])) / sum by (model) (rate(inferry_jobs_started_total{${ofModel}}[$__rate_interval]))`,
          '{{model}}',
        ),
      ],
    },
    {
      id: 25,
      title: 'Distance of overtaking',
      tells: 'Overtaken jobs by how many later ones were claimed before them. Over all models.',
      view: 'heatmap',
      unit: 'short',
      width: 8,
      queries: [query(heat('inferry_overtaken_distance_jobs'), '{{le}}')],
    },
  ],
};

export const admission: Section = {
  title: 'Admission',
  panels: [
    {
      id: 30,
      title: 'Error of predicted waits',
      tells:
        'How far off the wait was that a job was accepted with. "under": it ended later than predicted, "over": earlier.',
      view: 'lines',
      unit: 's',
      width: 8,
      queries: [0.5, 0.95].map((q) =>
        query(
          quantile(q, 'inferry_admission_wait_prediction_error_seconds', ['direction'], ofModel),
          `{{direction}} p${q * 100}`,
        ),
      ),
    },
    {
      id: 31,
      title: 'Promises missed',
      tells:
        'Share of the jobs that ended after the budget they were accepted with; those without one, after the estimate.',
      view: 'lines',
      unit: 'percentunit',
      width: 8,
      queries: [
        query(
          `sum by (model) (rate(inferry_promise_missed_total{${ofModel}}[$__rate_interval])) / sum by (model) (rate(inferry_admission_wait_prediction_error_seconds_count{${ofModel}}[$__rate_interval]))`,
          '{{model}}',
        ),
      ],
    },
    {
      id: 32,
      title: 'Expired and canceled',
      tells: 'Jobs whose time ran out before they ran, and jobs their owners gave up.',
      view: 'lines',
      unit: 'reqps',
      width: 8,
      queries: [
        query(
          `sum by (priority, outcome) (rate(inferry_requests_total{${ofModelAndPriority}, outcome=~"expired|canceled"}[$__rate_interval]))`,
          '{{priority}} {{outcome}}',
        ),
      ],
    },
    {
      id: 33,
      title: 'Refusals by reason',
      tells: 'Work not taken, by error code.',
      view: 'lines',
      isStacked: true,
      unit: 'reqps',
      width: 12,
      queries: [
        query(
          `sum by (model, reason) (rate(inferry_admission_total{${ofModel}, decision="rejected"}[$__rate_interval]))`,
          '{{model}} {{reason}}',
        ),
      ],
    },
    {
      id: 34,
      title: 'Time to refuse, p99',
      tells:
        'From request headers read to the refusal for load. Of reasons that do not occur there is nothing to see.',
      view: 'lines',
      unit: 's',
      width: 12,
      queries: [
        query(quantile(0.99, 'inferry_refusal_duration_seconds', ['reason']), '{{reason}}'),
      ],
    },
  ],
};
