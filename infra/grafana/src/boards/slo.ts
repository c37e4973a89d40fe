/** Objectives: what was promised for each priority, how much of the budget for errors is left, and who spends it. */
import { errorRatio, ofModelAndPriority } from '../promql.ts';
import { type BoardSpec, query } from '../spec.ts';

const ofPriority = 'priority=~"$priority"';
const budget = 'priority:inferry_slo_error_budget:ratio';
const burnRates = [
  ['5m', 'model_priority:inferry_slo_errors_per_requests:ratio_rate5m'],
  ['1h', 'model_priority:inferry_slo_errors_per_requests:ratio_rate1h'],
  ['6h', 'model_priority:inferry_slo_errors_per_requests:ratio_rate6h'],
] as const;
/** Where the budget of 30 days lasts exactly those, 5 days, and 2. */
const burning = {
  base: 'transparent',
  steps: [
    { value: 1, color: 'yellow' },
    { value: 6, color: 'orange' },
    { value: 14.4, color: 'red' },
  ],
} as const;

export const slo: BoardSpec = {
  uid: 'inferry-slo',
  title: 'Inferry / Objectives',
  tells:
    'Share of requests that the server answers in time, by priority: the objective, what was attained, and where the budget for errors goes. Failed, expired, refused and late requests are errors; canceled ones and unusable inputs do not count.',
  variables: ['model', 'priority'],
  sections: [
    {
      title: 'Last 30 days',
      panels: [
        {
          id: 1,
          title: 'Objective',
          tells: 'Share of requests to be answered in time.',
          view: 'stat',
          unit: 'percentunit',
          decimals: 2,
          width: 8,
          queries: [query(`1 - ${budget}{${ofPriority}}`, '{{priority}}', { isInstant: true })],
        },
        {
          id: 2,
          title: 'Attained',
          tells: 'Share of the requests of the last 30 days that were answered in time.',
          view: 'stat',
          unit: 'percentunit',
          decimals: 2,
          width: 8,
          queries: [
            query(`1 - ${errorRatio('30d', ['priority'], ofModelAndPriority)}`, '{{priority}}', {
              isInstant: true,
            }),
          ],
        },
        {
          id: 3,
          title: 'Budget left',
          tells:
            'Share of the errors that the objective allows in 30 days which have not been made. Below 0 the objective is missed: reliability goes before features.',
          view: 'gauge',
          unit: 'percentunit',
          width: 8,
          max: 1,
          thresholds: {
            base: 'red',
            steps: [
              { value: 0.1, color: 'orange' },
              { value: 0.5, color: 'green' },
            ],
          },
          queries: [
            query(
              `1 - (${errorRatio('30d', ['priority'], ofModelAndPriority)}) / on (priority) ${budget}`,
              '{{priority}}',
              { isInstant: true },
            ),
          ],
        },
      ],
    },
    {
      title: 'Now',
      panels: [
        {
          id: 10,
          title: 'Burn rate',
          tells:
            'How fast errors use up the budget: at 1 it lasts exactly 30 days, at 14.4 two days. Alerts come when a long and a short window agree.',
          view: 'lines',
          unit: 'short',
          width: 12,
          thresholds: burning,
          queries: burnRates.map(([window, errors]) =>
            query(
              `${errors}{${ofModelAndPriority}} / on (priority) group_left () ${budget}`,
              `{{model}} {{priority}} ${window}`,
            ),
          ),
        },
        {
          id: 11,
          title: 'Errors by cause',
          tells:
            'Share of the requests that count, by what became of them. rejected asks for capacity, late for a look at the stages, failed for the logs of the workers.',
          view: 'lines',
          isStacked: true,
          unit: 'percentunit',
          width: 12,
          queries: [
            query(
              `sum by (outcome) (rate(inferry_requests_total{${ofModelAndPriority}, outcome=~"failed|expired|rejected"}[$__rate_interval])) / on () group_left () sum(rate(inferry_requests_total{${ofModelAndPriority}, outcome!~"canceled|invalid"}[$__rate_interval]))`,
              '{{outcome}}',
            ),
            query(
              `sum(rate(inferry_late_requests_total{${ofModelAndPriority}}[$__rate_interval])) / sum(rate(inferry_requests_total{${ofModelAndPriority}, outcome!~"canceled|invalid"}[$__rate_interval]))`,
              'late',
            ),
          ],
        },
        {
          id: 12,
          title: 'Requests that count',
          tells: 'By priority. Of few requests, one error is a large share.',
          view: 'lines',
          unit: 'reqps',
          width: 8,
          queries: [
            query(
              `sum by (priority) (rate(inferry_requests_total{${ofModelAndPriority}, outcome!~"canceled|invalid"}[$__rate_interval]))`,
              '{{priority}}',
            ),
          ],
        },
        {
          id: 13,
          title: 'Answers within 250 ms',
          tells:
            'Share of the jobs that succeeded within 250 ms, by priority. Not an objective: a yardstick.',
          view: 'lines',
          unit: 'percentunit',
          width: 8,
          max: 1,
          queries: [
            query(
              `sum by (priority) (rate(inferry_request_duration_seconds_bucket{${ofModelAndPriority}, le="0.25"}[$__rate_interval])) / sum by (priority) (rate(inferry_request_duration_seconds_count{${ofModelAndPriority}}[$__rate_interval]))`,
              '{{priority}}',
            ),
          ],
        },
        {
          id: 14,
          title: 'Worst models',
          tells: 'Share of errors in the last hour, by model and priority; the ten worst.',
          view: 'table',
          unit: 'percentunit',
          width: 8,
          columns: ['model', 'priority'],
          value: 'errors',
          queries: [
            query(
              `topk(10, model_priority:inferry_slo_errors_per_requests:ratio_rate1h{${ofModelAndPriority}})`,
            ),
          ],
        },
      ],
    },
  ],
};
