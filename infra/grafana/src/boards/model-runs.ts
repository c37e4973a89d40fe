/** How a model is run: in which batches, and on what. */
import { heat, ofModel, ofModelsQueue, quantile } from '../promql.ts';
import { query, type Section } from '../spec.ts';

export const batches: Section = {
  title: 'Batches',
  panels: [
    {
      id: 20,
      title: 'Rows run together',
      tells: 'Runs by the number of their rows.',
      view: 'heatmap',
      unit: 'short',
      width: 8,
      queries: [query(heat('inferry_batch_size', ofModel), '{{le}}')],
    },
    {
      id: 21,
      title: 'Fill and padding',
      tells:
        'Fill: mean rows of a run by the most that may run together. Padding: share of the elements that were added to make inputs alike. Much padding asks for classes of like shapes.',
      view: 'lines',
      unit: 'percentunit',
      width: 8,
      max: 1,
      queries: [
        query(
          `sum by (model) (rate(inferry_batch_size_sum{${ofModel}}[$__rate_interval])) / sum by (model) (rate(inferry_batch_size_count{${ofModel}}[$__rate_interval])) / max by (model) (inferry_batch_size_limit{${ofModel}})`,
          '{{model}} fill',
        ),
        query(
          `sum by (model) (rate(inferry_batch_elements_total{${ofModel}, kind="padding"}[$__rate_interval])) / sum by (model) (rate(inferry_batch_elements_total{${ofModel}}[$__rate_interval]))`,
          '{{model}} padding',
        ),
      ],
    },
    {
      id: 22,
      title: 'Why batches go',
      tells:
        'By reason. full: no more rows fit. slot: a compute thread was free and waiting for more would not have paid. linger: the time to wait for more was over. deadline: the latency target allowed no more waiting. returned: it has a job that came back.',
      view: 'lines',
      isStacked: true,
      unit: 'ops',
      width: 8,
      queries: [
        query(
          `sum by (reason) (rate(inferry_batch_releases_total{${ofModel}}[$__rate_interval]))`,
          '{{reason}}',
        ),
      ],
    },
    {
      id: 23,
      title: 'Time of a run',
      tells: 'Of one batch in the model, without preparation.',
      view: 'lines',
      unit: 's',
      width: 8,
      queries: [
        query(quantile(0.5, 'inferry_batch_compute_seconds', ['model'], ofModel), '{{model}} p50'),
        query(quantile(0.99, 'inferry_batch_compute_seconds', ['model'], ofModel), '{{model}} p99'),
      ],
    },
    {
      id: 24,
      title: 'Rows a busy second',
      tells:
        'Throughput that one compute thread would have if it were never idle: the capacity at the batch sizes of now.',
      view: 'lines',
      unit: 'rowsps',
      width: 8,
      queries: [
        query(
          `sum by (model) (rate(inferry_batch_size_sum{${ofModel}}[$__rate_interval])) / sum by (model) (rate(inferry_worker_busy_seconds_total{${ofModel}}[$__rate_interval]))`,
          '{{model}}',
        ),
      ],
    },
    {
      id: 25,
      title: 'Work of a row in a full batch',
      tells:
        'Time of one worker that a row takes in a full batch, as workers told it: what admission and scaling reckon with.',
      view: 'lines',
      unit: 's',
      width: 8,
      queries: [query(`queue:inferry_queue_row_work_seconds:max{${ofModelsQueue}}`, '{{queue}}')],
    },
  ],
};

export const whereItRuns: Section = {
  title: 'Where it runs',
  panels: [
    {
      id: 40,
      title: 'Time to load',
      tells:
        'Mean of one instance by phase, since the workers started. Scaling out takes at least this long.',
      view: 'lines',
      unit: 's',
      width: 8,
      queries: [
        query(
          `sum by (model, phase) (inferry_model_load_seconds_sum{${ofModel}}) / sum by (model, phase) (inferry_model_load_seconds_count{${ofModel}})`,
          '{{model}} {{phase}}',
        ),
      ],
    },
    {
      id: 41,
      title: 'Failed loads',
      tells: 'Instances that could not be loaded, in the chosen range.',
      view: 'stat',
      isTall: true,
      unit: 'short',
      width: 4,
      thresholds: { base: 'green', steps: [{ value: 1, color: 'red' }] },
      queries: [
        query(
          `sum by (model) (increase(inferry_model_load_failures_total{${ofModel}}[$__range]))`,
          '{{model}}',
          { isInstant: true },
        ),
      ],
    },
    {
      id: 42,
      title: 'Loaded versions',
      tells: 'Which worker holds which version.',
      view: 'table',
      unit: 'none',
      width: 12,
      columns: ['model', 'version', 'instance'],
      queries: [query(`inferry_model_loaded_info{${ofModel}} == 1`)],
    },
    {
      id: 43,
      title: 'Execution providers',
      tells:
        'What a model was meant to run on, and what its warm-up run really ran on. Where they differ it is slower than it should be.',
      view: 'table',
      unit: 'none',
      width: 12,
      columns: ['model', 'expected', 'provider', 'device', 'instance'],
      queries: [query(`inferry_execution_provider_info{${ofModel}} == 1`)],
    },
    {
      id: 44,
      title: 'Preparation of inputs',
      tells:
        'Which threads prepare inputs (compute: those that run them), and what decodes JPEG there.',
      view: 'table',
      unit: 'none',
      width: 12,
      columns: ['model', 'where', 'jpeg_decoder', 'instance'],
      queries: [query(`inferry_preparation_info{${ofModel}} == 1`)],
    },
  ],
};
