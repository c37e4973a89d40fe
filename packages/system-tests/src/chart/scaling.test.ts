/**
 * What the chart has KEDA ask: the queries of a group, evaluated by the real promtool, come to what
 * `desiredWorkers` says, whatever else the same Prometheus knows; and the key it watches is where jobs wait.
 */
import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { desiredWorkers } from '@inferry/scheduling';
import { expect, test } from 'vitest';
import { ensurePrometheus } from '../../../../scripts/ensure-prometheus.mjs';
import { shippedRules } from '../observability/shipped.ts';
import { demoModels, postJson, System } from '../system.ts';
import { ofKind, renderedCase, renderedCases, type Rendered, type Trigger } from './rendered.ts';

const autoscaled = renderedCase('cpu-autoscaled');

function scaledObject(name: string): Rendered {
  const found = ofKind(autoscaled, 'ScaledObject').find(({ metadata }) => metadata.name === name);
  if (found === undefined) throw new Error(`no ScaledObject ${name}`);
  return found;
}

function trigger({ spec }: Rendered, name: string): Trigger {
  const found = spec.triggers?.find((one) => one.name === name);
  if (found === undefined) throw new Error(`no trigger ${name}`);
  return found;
}

/** A query without what tells installations and groups apart, and without what is only layout. */
function bare(query: string): string {
  return query
    .replaceAll(/\{[^}]*\}/gu, '')
    .replaceAll(/\s+/gu, ' ')
    .trim();
}

test('queries are what the rules record, for the queues of the group', () => {
  const { recording } = shippedRules();
  const recorded = (name: string): string =>
    bare(recording.find(({ record }) => record === name)?.expr ?? `${name} is not recorded`);
  const rowWork = 'queue:inferry_queue_row_work_seconds:max';
  const load = recorded('queue:inferry_offered_load_workers:rate2m');
  expect(load).toContain(rowWork);
  const scaled = renderedCases().flatMap((one) => ofKind(one, 'ScaledObject'));
  expect(scaled.length).toBeGreaterThan(3);
  for (const object of scaled) {
    expect(bare(trigger(object, 'backlog').metadata['query'] ?? '')).toBe(
      `sum(${recorded('queue:inferry_queue_backlog_work_seconds:max')})`,
    );
    expect(bare(trigger(object, 'load').metadata['query'] ?? '')).toBe(
      `sum(${load.replace(rowWork, recorded(rowWork))})`,
    );
  }
});

test('no answer of Prometheus is an error that keeps workers, and not an empty queue', () => {
  for (const { spec } of renderedCases().flatMap((one) => ofKind(one, 'ScaledObject'))) {
    const backlog = spec.triggers?.find(({ name }) => name === 'backlog');
    expect(backlog?.metadata['ignoreNullValues']).toBe('false');
    expect(spec.fallback?.['behavior']).toBe('currentReplicasIfHigher');
    for (const { metricType } of spec.triggers ?? []) expect(metricType).toBe('AverageValue');
    const names = spec.triggers?.map(({ name }) => name) ?? [];
    expect(names).toHaveLength(new Set(names).size);
  }
});

interface Told {
  readonly queue: string;
  readonly namespace: string;
  readonly backlogSeconds: number;
  readonly rowSeconds: number;
  readonly rowsPerSecond: number;
}

const scrapeSeconds = 15;

/** What two gateways tell of a queue for four minutes. */
function seriesOf({ queue, namespace, backlogSeconds, rowSeconds, rowsPerSecond }: Told) {
  const told = {
    backlog_work_seconds: `${backlogSeconds}+0x16`,
    row_work_seconds: `${rowSeconds}+0x16`,
    arrived_rows_total: `0+${rowsPerSecond * scrapeSeconds}x16`,
  };
  return Object.entries(told).flatMap(([name, values]) =>
    ['g1', 'g2'].map((instance) => ({
      series: `inferry_queue_${name}{queue="${queue}",namespace="${namespace}",instance="${instance}"}`,
      values,
    })),
  );
}

/** Numbers of few binary digits, and none at a border: a rate is off in its last digit. */
const own = (queue: string, backlogSeconds: number, rowsPerSecond: number): Told => ({
  queue,
  namespace: 'inferry',
  backlogSeconds,
  rowSeconds: 1 / 64,
  rowsPerSecond,
});
const others: readonly Told[] = [
  { ...own('iris@1', 9_000, 9_000), namespace: 'staging' },
  own('digits@1', 5_000, 5_000),
  own('iris-large@1', 5_000, 5_000),
  // A dot in a name is a dot.
  own('churnxv2@1', 5_000, 5_000),
];
const demands: readonly (readonly Told[])[] = [
  [own('iris@1', 0, 0)],
  [own('iris@1', 0.5, 0)],
  [own('iris@1', 30, 0), own('iris@2', 0.25, 0)],
  [own('iris@1', 31, 10), own('churn.v2@1', 62, 20)],
  [own('iris@1', 7, 100), own('iris@2', 8, 50), own('churn.v2@1', 0, 3)],
  [own('churn.v2@1', 100_000, 1)],
];

test('KEDA wants as many workers as desiredWorkers, of this group and this installation', async () => {
  const object = scaledObject('inferry-worker-tabular');
  const { minReplicaCount: min = -1, maxReplicaCount: max = -1 } = object.spec;
  const backlog = trigger(object, 'backlog').metadata;
  const load = trigger(object, 'load').metadata;
  const wanted = `ceil(${backlog['query']} / ${backlog['threshold']}) > ceil(${load['query']} / ${load['threshold']}) or ceil(${load['query']} / ${load['threshold']})`;
  const results = demands.map((queues) => {
    const demand = {
      backlogSeconds: queues.reduce((sum, one) => sum + one.backlogSeconds, 0),
      loadWorkers: queues.reduce((sum, one) => sum + one.rowsPerSecond * one.rowSeconds, 0),
    };
    return desiredWorkers(demand, { min, max });
  });
  expect(results).toEqual([0, 1, 2, 4, 4, 8]);
  const tests = demands.map((queues, i) => ({
    interval: `${scrapeSeconds}s`,
    input_series: [...queues, ...others].flatMap(seriesOf),
    promql_expr_test: [
      {
        expr: `clamp(${wanted}, ${min}, ${max})`,
        eval_time: '4m',
        exp_samples: [{ labels: '{}', value: results[i] }],
      },
    ],
  }));
  const silent = {
    interval: `${scrapeSeconds}s`,
    input_series: others.flatMap(seriesOf),
    promql_expr_test: [{ expr: backlog['query'], eval_time: '4m', exp_samples: [] }],
  };
  const directory = await mkdtemp(join(tmpdir(), 'inferry-chart-'));
  try {
    const file = join(directory, 'scaling.yml');
    // JSON is YAML.
    await writeFile(file, JSON.stringify({ rule_files: [], tests: [...tests, silent] }));
    const { promtool } = ensurePrometheus();
    const ran = await promisify(execFile)(promtool.path, ['test', 'rules', file]);
    expect(ran.stdout).toContain('SUCCESS');
  } finally {
    await rm(directory, { recursive: true });
  }
});

test('every class of a group that may sleep can wake it, and asks Redis as its URL says', () => {
  const { spec } = scaledObject('inferry-worker-tabular');
  const wakes = (spec.triggers ?? []).filter(({ type }) => type === 'redis');
  expect(wakes.map(({ metadata }) => metadata['listName'])).toEqual([
    'inferry:{iris@1}:prioritized',
    'inferry:{iris@2}:prioritized',
    'inferry:{churn.v2@1}:prioritized',
  ]);
  for (const { metadata, authenticationRef } of wakes) {
    expect(metadata).toMatchObject({
      address: 'redis.data.svc:6380',
      enableTLS: 'true',
      databaseIndex: '2',
      activationListLength: '0',
    });
    const authentication = ofKind(autoscaled, 'TriggerAuthentication').find(
      (one) => one.metadata.name === authenticationRef?.name,
    );
    const parameters = authentication?.spec.secretTargetRef?.map(({ parameter }) => parameter);
    expect(parameters).toEqual(['username', 'password']);
  }
  const never = scaledObject('inferry-worker-vision').spec.triggers ?? [];
  expect(never.filter(({ type }) => type === 'redis')).toEqual([]);
});

test('a job that waits is in the sorted set that wakes workers, and no worker need be there', async () => {
  const system = await System.open();
  try {
    const gateway = await system.start('gateway', demoModels);
    const listName = trigger(scaledObject('inferry-worker-tabular'), 'wake-0').metadata['listName'];
    const lengths = [`TYPE ${listName}`, `ZCARD ${listName}`];
    expect(await ask(system.redis.port, lengths)).toEqual(['+none', ':0']);
    const row = { sepal_length: 5.1, sepal_width: 3.5, petal_length: 1.4, petal_width: 0.2 };
    const posted = await postJson(`${gateway.url}/v1/models/iris/jobs`, { input: row });
    expect(posted.status).toBe(202);
    expect(await ask(system.redis.port, lengths)).toEqual(['+zset', ':1']);
  } finally {
    await system.stop();
  }
});

/** Replies to inline commands, in their lines. */
function ask(port: number, commands: readonly string[]): Promise<readonly string[]> {
  return new Promise((resolve, reject) => {
    const socket = connect({ port, host: '127.0.0.1' });
    let text = '';
    socket.once('error', reject);
    socket.once('close', () => resolve(text.split('\r\n').slice(0, commands.length)));
    socket.on('data', (chunk: Buffer) => (text += chunk.toString()));
    socket.write([...commands, 'QUIT', ''].join('\r\n'));
  });
}
