/** The page docs/metrics.md: the catalogue of metrics as tables. Written by `npm run docs:metrics`. */
import {
  catalogue,
  createMetrics,
  type MetricRole,
  metricPrefix,
  type MetricSpec,
  parseExposition,
} from '@inferry/telemetry';

interface Section {
  readonly title: string;
  readonly isOf: (spec: MetricSpec) => boolean;
}

const sections: readonly Section[] = [
  {
    title: 'Requests, as gateways see them',
    isOf: ({ labels, name, roles }) =>
      isExactly(roles, 'gateway') && !('queue' in labels) && !name.startsWith('queue_'),
  },
  {
    title: 'Queues, as gateways see them',
    isOf: ({ labels, name, roles }) =>
      isExactly(roles, 'gateway') && ('queue' in labels || name.startsWith('queue_')),
  },
  { title: 'Jobs, batches and workers', isOf: ({ roles }) => isExactly(roles, 'worker') },
  { title: 'In gateways and workers', isOf: ({ roles }) => roles.length > 1 },
];

/** The page as it is committed, with the formatting of the formatter. */
export async function metricsPage(): Promise<string> {
  const worker = await seriesOf('worker');
  const gateway = await seriesOf('gateway');
  return [
    '# Metrics',
    'Generated from the catalogue by `npm run docs:metrics`; a test compares them.',
    [
      'Every role serves `/metrics` on `METRICS_PORT` (9464), in the text format of Prometheus, or in OpenMetrics with exemplars',
      'where `INFERRY_METRICS_FORMAT=openmetrics`. `serve` is a gateway and a worker in one process and exports both.',
    ].join('\n'),
    [
      '- Durations are in seconds, sizes in bytes, shares from 0 to 1.',
      '- `model` is a name of the model repository, `queue` is `model@version`; no label can be filled by a caller, and there is',
      '  none for tenants. Series with known labels exist at 0 from the start, those',
      '  of queues once a gateway has looked at them.',
      '- Every gateway tells the same of a queue: use `max by (queue)`, never `sum`. All else is of one process: use `sum`.',
      `- A worker has ${worker.fixed} series of ours and ${worker.perModel} more for each model, a gateway ${gateway.fixed} and ${gateway.perModel}; routes, status codes and versions`,
      '  add some dozens. Beyond about eight models a worker, give models to several groups of workers (`INFERRY_ONLY`).',
      '- Beside these there are `process_*` and `nodejs_*` of [prom-client](https://github.com/siimon/prom-client).',
    ].join('\n'),
    ...sections.flatMap(({ title, isOf }) => [
      `## ${title}`,
      table([
        ['Name', 'Type', 'Labels', 'Buckets', 'What it tells'],
        ...Object.values(catalogue)
          .filter((spec) => isOf(spec))
          .map(rowOf),
      ]),
    ]),
  ]
    .join('\n\n')
    .concat('\n');
}

function isExactly(roles: readonly MetricRole[], role: MetricRole): boolean {
  return roles.length === 1 && roles[0] === role;
}

function rowOf({ buckets, help, labels, name, type }: MetricSpec): readonly string[] {
  const known = Object.entries(labels).map(([label, values]) =>
    Array.isArray(values) ? `${label}: ${values.join(' ')}` : label,
  );
  const bounds = type === 'histogram' ? buckets.map(String).join(' ') : '';
  return [`\`${metricPrefix}${name}\``, type, known.join('; '), bounds, help];
}

/** Columns are as wide as their widest cell, as the formatter has them. */
function table([head = [], ...rows]: readonly (readonly string[])[]): string {
  const widths = head.map((_, i) =>
    Math.max(3, ...[head, ...rows].map((cells) => cells[i]?.length ?? 0)),
  );
  const line = (cells: readonly string[], fill: string): string =>
    `| ${widths.map((width, i) => (cells[i] ?? '').padEnd(width, fill)).join(' | ')} |`;
  const rule = line([], '-');
  return [line(head, ' '), rule, ...rows.map((cells) => line(cells, ' '))].join('\n');
}

/** Of our own metrics, once the queue of each model has been looked at. */
async function seriesOf(role: MetricRole): Promise<{ fixed: number; perModel: number }> {
  const ofQueue = Object.values(catalogue).filter(
    ({ labels, roles, type }: MetricSpec) =>
      'queue' in labels && type === 'gauge' && roles.includes(role),
  );
  const gauges = ofQueue.flatMap(({ labels }: MetricSpec) =>
    Object.values(labels).reduce(
      (sum, values) => sum * (Array.isArray(values) ? values.length : 1),
      1,
    ),
  );
  const countWith = async (models: number): Promise<number> => {
    const metrics = createMetrics(role, { version: '', revision: '', onnxruntime: '' });
    for (let i = 0; i < models; i += 1) metrics.declareModel(`m${i}`, `m${i}@1`);
    const series = [...parseExposition(await metrics.text()).keys()];
    return series.filter((name) => name.startsWith(metricPrefix)).length;
  };
  const fixed = await countWith(0);
  const looked = gauges.reduce((sum, series) => sum + series, 0);
  return { fixed, perModel: (await countWith(1)) - fixed + looked };
}
