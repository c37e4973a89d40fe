/** The first board: is it well, and if not, where to look. */
import { heat, ofModel, ofModelAndPriority, ofModelsQueue, quantile } from '../promql.ts';
import { now } from './overview-now.ts';
import { type BoardSpec, query } from '../spec.ts';

export const overview: BoardSpec = {
  uid: 'inferry-overview',
  title: 'Inferry / Overview',
  tells: 'Whether the system is well, and where to look when it is not.',
  variables: ['model', 'priority'],
  sections: [
    now,
    {
      title: 'Requests',
      panels: [
        {
          id: 10,
          title: 'Requests by outcome',
          tells:
            'How requests ended. "invalid": the input could not be used, its caller\'s doing; "rejected": the server could not take it.',
          view: 'lines',
          isStacked: true,
          unit: 'reqps',
          width: 12,
          queries: [
            query(
              `sum by (outcome) (rate(inferry_requests_total{${ofModelAndPriority}}[$__rate_interval]))`,
              '{{outcome}}',
            ),
          ],
        },
        {
          id: 11,
          title: 'Latency',
          tells:
            'From request headers read to result stored, of jobs that succeeded. Dots are traced requests.',
          view: 'lines',
          unit: 's',
          width: 12,
          queries: [0.5, 0.95, 0.99].map((q) =>
            query(
              quantile(q, 'inferry_request_duration_seconds', [], ofModelAndPriority),
              `p${q * 100}`,
              { hasExemplars: true },
            ),
          ),
        },
        {
          id: 12,
          title: 'Where a request spends its time',
          tells:
            'Mean time in each stage; together they are the mean latency. An item of a batch counts the whole run as its compute.',
          view: 'lines',
          isStacked: true,
          unit: 's',
          width: 12,
          queries: [
            query(
              `sum by (stage) (rate(inferry_stage_duration_seconds_sum{${ofModel}}[$__rate_interval])) / on () group_left () sum(rate(inferry_request_duration_seconds_count{${ofModel}}[$__rate_interval]))`,
              '{{stage}}',
            ),
          ],
        },
        {
          id: 13,
          title: 'Latency of all requests',
          tells: 'Requests by latency: two bands mean two kinds of requests, or of batches.',
          view: 'heatmap',
          unit: 's',
          width: 12,
          queries: [query(heat('inferry_request_duration_seconds', ofModelAndPriority), '{{le}}')],
        },
      ],
    },
    {
      title: 'Queue and workers',
      panels: [
        {
          id: 20,
          title: 'Arrivals and completions',
          tells:
            'Jobs accepted and jobs ended. Where the first stays above the second, the queue grows.',
          view: 'lines',
          unit: 'reqps',
          width: 8,
          queries: [
            query(
              `sum(rate(inferry_admission_total{${ofModel}, decision="accepted"}[$__rate_interval]))`,
              'accepted',
            ),
            query(
              `sum(rate(inferry_requests_total{${ofModel}, outcome!="rejected"}[$__rate_interval]))`,
              'ended',
            ),
          ],
        },
        {
          id: 21,
          title: 'Jobs by state',
          tells: 'Jobs in line, and jobs that a worker has claimed.',
          view: 'lines',
          isStacked: true,
          unit: 'short',
          width: 8,
          queries: [
            query(
              `sum by (state) (max by (queue, state) (inferry_queue_jobs{${ofModelsQueue}}))`,
              '{{state}}',
            ),
          ],
        },
        {
          id: 22,
          title: 'Workers: there and wanted',
          tells:
            'Workers that take jobs beside those wanted: to clear what waits within 30 s, and to carry what arrives at 70 % utilization; the advice is the larger. Over all models, as each worker serves all.',
          view: 'lines',
          unit: 'short',
          width: 8,
          queries: [
            query('sum(inferry_worker_ready) or vector(0)', 'ready'),
            query('reason:inferry_workers_wanted:advice', 'wanted by {{reason}}'),
            query('inferry_workers_wanted:advice', 'advice'),
          ],
        },
        {
          id: 23,
          title: 'Predicted time to clear the queue',
          tells:
            'Time the live workers need for what waits. Without a worker, as if there were one.',
          view: 'lines',
          unit: 's',
          width: 8,
          thresholds: { base: 'transparent', steps: [{ value: 30, color: 'orange' }] },
          queries: [
            query(`queue:inferry_queue_drain_seconds:predicted{${ofModelsQueue}}`, '{{queue}}'),
          ],
        },
        {
          id: 24,
          title: 'Refusals by reason',
          tells:
            'Work not taken, by error code. queue_full and deadline_infeasible ask for workers, not for higher limits.',
          view: 'lines',
          isStacked: true,
          unit: 'reqps',
          width: 8,
          queries: [
            query(
              `sum by (reason) (rate(inferry_admission_total{${ofModel}, decision="rejected"}[$__rate_interval]))`,
              '{{reason}}',
            ),
          ],
        },
        {
          id: 25,
          title: 'Time to refuse',
          tells:
            'From request headers read to the refusal for load. A refusal is to be quick, so that its caller can go elsewhere.',
          view: 'lines',
          unit: 's',
          width: 8,
          queries: [
            query(quantile(0.5, 'inferry_refusal_duration_seconds', []), 'p50'),
            query(quantile(0.99, 'inferry_refusal_duration_seconds', []), 'p99'),
          ],
        },
      ],
    },
    {
      title: 'Gateways',
      panels: [
        {
          id: 30,
          title: 'HTTP answers by status',
          tells: 'Every answer of the HTTP port, looking up jobs and health included.',
          view: 'lines',
          isStacked: true,
          unit: 'reqps',
          width: 8,
          queries: [
            query(
              'sum by (code) (rate(inferry_http_request_duration_seconds_count[$__rate_interval]))',
              '{{code}}',
            ),
          ],
        },
        {
          id: 31,
          title: 'HTTP time by route, p95',
          tells:
            'From request headers read to response sent; routes that wait for a job include the wait.',
          view: 'lines',
          unit: 's',
          width: 8,
          queries: [
            query(
              quantile(0.95, 'inferry_http_request_duration_seconds', ['method', 'route']),
              '{{method}} {{route}}',
            ),
          ],
        },
        {
          id: 32,
          title: 'Open requests',
          tells:
            'Requests being answered now, those of them that are held for the outcome of a job, and event streams.',
          view: 'lines',
          unit: 'short',
          width: 8,
          queries: [
            query('sum(inferry_http_requests_in_flight)', 'open'),
            query('sum(inferry_result_waiters)', 'held for an outcome'),
            query('sum(inferry_event_streams)', 'event streams'),
          ],
        },
        {
          id: 33,
          title: 'Partial outputs',
          tells: 'Parts of answers told to callers before the end of their jobs, each second.',
          view: 'lines',
          unit: 'short',
          width: 8,
          queries: [
            query(
              `sum by (model) (rate(inferry_partial_outputs_total{${ofModel}}[$__rate_interval]))`,
              '{{model}}',
            ),
          ],
        },
        {
          id: 34,
          title: 'Answers that were kept',
          tells:
            'Held requests for models with response_cache, each second: answered with what was kept, or not.',
          view: 'lines',
          unit: 'reqps',
          width: 4,
          queries: [
            query(
              `sum by (result) (rate(inferry_response_cache_requests_total{${ofModel}}[$__rate_interval]))`,
              '{{result}}',
            ),
          ],
        },
        {
          id: 35,
          title: 'Memory for them',
          tells: 'What the answers take that gateways keep (INFERRY_RESPONSE_CACHE_BYTES).',
          view: 'lines',
          unit: 'bytes',
          width: 4,
          queries: [query('sum(inferry_response_cache_bytes)', 'bytes')],
        },
      ],
    },
    {
      title: 'Health',
      panels: [
        {
          id: 40,
          title: 'Firing alerts',
          tells: 'Alerts that fire now. Each has a page in docs/runbooks.',
          view: 'table',
          unit: 'none',
          width: 12,
          columns: ['alertname', 'severity', 'model', 'queue', 'priority', 'instance'],
          queries: [
            {
              expr: 'ALERTS{alertname=~"Inferry.*", alertstate="firing", severity!="none"}',
              mayBeEmpty: 'No alert fires while all is well.',
            },
          ],
        },
        {
          id: 41,
          title: 'What runs',
          tells:
            'Processes by version. More than one version is a rollout under way, or one that stopped.',
          view: 'table',
          unit: 'short',
          width: 8,
          columns: ['version', 'revision', 'node', 'onnxruntime'],
          value: 'processes',
          queries: [query('count by (version, revision, node, onnxruntime) (inferry_build_info)')],
        },
        {
          id: 42,
          title: 'Targets down',
          tells: 'Processes that Prometheus could not scrape.',
          view: 'stat',
          isTall: true,
          unit: 'short',
          width: 4,
          thresholds: { base: 'green', steps: [{ value: 1, color: 'red' }] },
          queries: [query('count(up{job=~".*inferry.*"} == 0) or vector(0)', 'down')],
        },
      ],
    },
  ],
};
