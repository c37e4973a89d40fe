/** What every process has, gateways too: Redis, Node.js, and its metrics. */
import { ofInstance, quantile } from '../promql.ts';
import { query, type Section, type Thresholds } from '../spec.ts';

/** Foreign metrics of the same name, of exporters, are left out. */
const ours = `and on (instance) inferry_build_info{${ofInstance}}`;
const noExporter = 'Only where redis_exporter is scraped.';
const faultAt = (value: number): Thresholds => ({
  base: 'transparent',
  steps: [{ value, color: 'red' }],
});

export const redis: Section = {
  title: 'Redis',
  panels: [
    {
      id: 30,
      title: 'Connections',
      tells: 'Whether each process is connected, by what the connection is for.',
      view: 'states',
      unit: 'short',
      width: 8,
      texts: {
        '0': { text: 'away', color: 'red' },
        '1': { text: 'connected', color: 'green' },
      },
      queries: [
        query(
          `min by (instance, client) (inferry_redis_connected{${ofInstance}})`,
          '{{instance}} {{client}}',
        ),
      ],
    },
    {
      id: 31,
      title: 'Fit to hold queues',
      tells:
        'What gateways find out about Redis every 10 s: among others that it evicts nothing, keeps an append-only file, has memory left and takes a real write.',
      view: 'states',
      unit: 'short',
      width: 8,
      texts: { '0': { text: 'unfit', color: 'red' }, '1': { text: 'fit', color: 'green' } },
      queries: [query('min by (check) (inferry_redis_config_ok)', '{{check}}')],
    },
    {
      id: 32,
      title: 'Connections that came back',
      tells: 'How often a lost connection came back.',
      view: 'lines',
      unit: 'short',
      width: 8,
      queries: [
        query(
          `sum by (instance, client) (increase(inferry_redis_reconnects_total{${ofInstance}}[$__rate_interval]))`,
          '{{instance}} {{client}}',
        ),
      ],
    },
    {
      id: 33,
      title: 'Round trip',
      tells: 'Of a trivial command, asked every 5 s. Every job needs several round trips.',
      view: 'lines',
      unit: 's',
      width: 12,
      thresholds: faultAt(0.02),
      queries: [
        query(
          quantile(0.5, 'inferry_redis_rtt_seconds', ['instance'], ofInstance),
          '{{instance}} p50',
        ),
        query(
          quantile(0.99, 'inferry_redis_rtt_seconds', ['instance'], ofInstance),
          '{{instance}} p99',
        ),
      ],
    },
    {
      id: 34,
      title: 'Memory of Redis',
      tells: 'Against its maxmemory, at which writes are refused: nothing is evicted.',
      view: 'lines',
      unit: 'bytes',
      width: 12,
      queries: [
        query('max by (instance) (redis_memory_used_bytes)', '{{instance}} used', {
          mayBeEmpty: noExporter,
        }),
        query('max by (instance) (redis_memory_max_bytes)', '{{instance}} maxmemory', {
          mayBeEmpty: noExporter,
        }),
      ],
    },
  ],
};

export const nodejs: Section = {
  title: 'Node.js',
  panels: [
    {
      id: 40,
      title: 'Event-loop lag, p99',
      tells:
        'Lateness of a timer on the main thread. Leases are renewed there: near the length of a lease, healthy workers count as lost.',
      view: 'lines',
      unit: 's',
      width: 8,
      thresholds: faultAt(0.25),
      queries: [
        query(
          quantile(0.99, 'inferry_event_loop_lag_seconds', ['instance'], ofInstance),
          '{{instance}}',
        ),
      ],
    },
    {
      id: 41,
      title: 'Event-loop utilization',
      tells:
        'Share of the time in which the main thread is busy. A gateway near 1 needs another beside it.',
      view: 'lines',
      unit: 'percentunit',
      width: 8,
      max: 1,
      thresholds: faultAt(0.9),
      queries: [
        query(
          `max by (instance) (inferry_event_loop_utilization_ratio{${ofInstance}})`,
          '{{instance}}',
        ),
      ],
    },
    {
      id: 42,
      title: 'Garbage collection',
      tells: 'Share of the time in which garbage is collected.',
      view: 'lines',
      unit: 'percentunit',
      width: 8,
      queries: [
        query(
          `sum by (instance) (rate(nodejs_gc_duration_seconds_sum{${ofInstance}}[$__rate_interval])) ${ours}`,
          '{{instance}}',
        ),
      ],
    },
    {
      id: 43,
      title: 'Memory',
      tells:
        'Of the whole process, of it the heap of JavaScript, and buffers outside it. Models are in none of the last two.',
      view: 'lines',
      unit: 'bytes',
      width: 12,
      queries: [
        query(`process_resident_memory_bytes{${ofInstance}} ${ours}`, '{{instance}} resident'),
        query(`nodejs_heap_size_used_bytes{${ofInstance}} ${ours}`, '{{instance}} heap'),
        query(`nodejs_external_memory_bytes{${ofInstance}} ${ours}`, '{{instance}} external'),
      ],
    },
    {
      id: 44,
      title: 'CPU',
      tells: 'Cores that a process keeps busy.',
      view: 'lines',
      unit: 'short',
      width: 12,
      queries: [
        query(
          `rate(process_cpu_seconds_total{${ofInstance}}[$__rate_interval]) ${ours}`,
          '{{instance}}',
        ),
      ],
    },
  ],
};

export const scraped: Section = {
  title: 'What is scraped',
  panels: [
    {
      id: 50,
      title: 'Series of a process',
      tells:
        'Samples in one scrape. They grow with the number of models; a scrape of more than 10,000 is dropped.',
      view: 'lines',
      unit: 'short',
      width: 6,
      thresholds: { base: 'transparent', steps: [{ value: 5000, color: 'orange' }] },
      queries: [query(`scrape_samples_scraped{${ofInstance}} ${ours}`, '{{instance}}')],
    },
    {
      id: 51,
      title: 'Time of a scrape',
      tells: 'As Prometheus sees it. Writing the answer holds up the main thread.',
      view: 'lines',
      unit: 's',
      width: 6,
      queries: [query(`scrape_duration_seconds{${ofInstance}} ${ours}`, '{{instance}}')],
    },
    {
      id: 52,
      title: 'Builds',
      tells: 'What each process runs.',
      view: 'table',
      unit: 'none',
      width: 12,
      columns: ['instance', 'job', 'version', 'revision', 'node', 'onnxruntime'],
      queries: [query(`inferry_build_info{${ofInstance}}`)],
    },
  ],
};
