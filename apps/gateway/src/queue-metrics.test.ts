/** What a gateway looks up of its queues, and what it exports of it. */
import {
  type ClassId,
  classOf,
  defaultLimits,
  type ModelManifest,
  newJobId,
  type Priority,
} from '@inferry/contracts';
import { ModelCatalogue } from '@inferry/models';
import { createMemoryQueue, type JobQueue } from '@inferry/queue';
import { systemRandom, VirtualClock } from '@inferry/runtime';
import { flowWeight, queueRules } from '@inferry/scheduling';
import { createMetrics, parseExposition } from '@inferry/telemetry';
import { beforeEach, expect, test } from 'vitest';

import { claimRequest, succeeded } from './gateway-fixture.test.ts';
import { iris } from './models-fixture.test.ts';
import { QueueLooks } from './queue-looks.ts';
import { collectQueueMetrics } from './queue-metrics.ts';

const cls = classOf('iris', '1');
const tenants = new Map([
  ['acme', 3],
  ['beta', 1],
]);

/** These stay when the queue cannot be seen. */
const counters = [
  'queue_arrived_rows_total{}',
  'queue_given_back_jobs_total{}',
  ...['succeeded', 'failed', 'invalid', 'canceled', 'expired', 'rejected'].map(
    (outcome) => `version_requests_total{outcome="${outcome}"}`,
  ),
];

let clock: VirtualClock;
let queue: JobQueue;
let catalogue: ModelCatalogue;
let looks: QueueLooks;
let metrics: ReturnType<typeof createMetrics<'gateway'>>;
let calls: readonly (readonly ClassId[])[];

beforeEach(() => {
  open([iris]);
});

function open(models: readonly ModelManifest[]): void {
  clock = new VirtualClock();
  queue = createMemoryQueue({ clock, rules: queueRules });
  calls = [];
  const stats = queue.stats.bind(queue);
  queue.stats = (classes) => {
    calls = [...calls, classes];
    return stats(classes);
  };
  catalogue = new ModelCatalogue();
  catalogue.replaceLocal({ models, routing: {} });
  looks = new QueueLooks({ queue, catalogue, clock, tenants });
  metrics = createMetrics('gateway', { version: '0', revision: '', onnxruntime: 'none' }, clock);
  collectQueueMetrics(metrics, { looks, limits: defaultLimits });
}

async function add(rows: number, tenant = 'default', priority: Priority = 'normal'): Promise<void> {
  const job = {
    v: 1,
    id: newJobId(clock.nowMs(), systemRandom),
    class: cls,
    tenant,
    priority,
    rows,
    payloadBytes: 1,
    mode: 'async',
    gateway: null,
    requestId: 'r',
    admissionMs: 0,
    deadlineMs: 3_600_000,
    queueTimeoutMs: 3_600_000,
    executionTimeoutMs: 1_000,
    attemptsMax: 3,
    retentionMs: 60_000,
    metadata: {},
  } as const;
  const weight = flowWeight(tenants.get(tenant) ?? 1, priority);
  const terms = { depthMax: 1e4, bytesMax: 1e6, tenantDepthMax: null, weight, budget: null };
  const enqueued = await queue.enqueue(job, Uint8Array.of(1), terms);
  if (!enqueued.ok) throw new Error(enqueued.error.detail);
}

/** A scrape; values of the queue's metrics by their name and labels without the queue. */
async function scrape(): Promise<ReadonlyMap<string, number>> {
  const samples = [...parseExposition(await metrics.text())];
  return new Map(
    samples.flatMap(([series, value]) =>
      series.includes('queue="iris@1"')
        ? [[series.replace('inferry_', '').replace(/queue="iris@1",?/u, ''), value] as const]
        : [],
    ),
  );
}

test('beside no worker at all there is everything that workers are started by', async () => {
  const idle = await scrape();
  expect(Object.fromEntries(idle)).toMatchObject({
    'queue_jobs{state="waiting"}': 0,
    'queue_oldest_job_age_seconds{priority="high"}': 0,
    'queue_arrived_rows_total{}': 0,
    'queue_row_work_seconds{}': 0.1,
    'queue_backlog_work_seconds{}': 0,
    'queue_workers{}': 0,
    'queue_target_wait_seconds{}': 30,
    'tenants_active{}': 0,
    'fairness_index{}': 1,
    'tenant_share_max_ratio{}': 0,
  });
  await add(2, 'acme', 'high');
  await clock.advance(3_000);
  await add(3);
  await clock.advance(1_000);
  expect(Object.fromEntries(await scrape())).toMatchObject({
    'queue_jobs{state="waiting"}': 2,
    'queue_oldest_job_age_seconds{priority="high"}': 4,
    'queue_oldest_job_age_seconds{priority="normal"}': 1,
    'queue_oldest_job_age_seconds{priority="low"}': 0,
    'queue_arrived_rows_total{}': 5,
    'queue_backlog_work_seconds{}': 0.5,
    'tenants_active{}': 2,
  });
});

test('what a row takes is what workers told, also when none is left', async () => {
  const points = [{ rows: 1, ms: 80 }];
  await queue.offer('w1', cls, { rowsMax: 4, points, tailFactor: 1, rowWorkMs: 20 });
  await add(10);
  expect(Object.fromEntries(await scrape())).toMatchObject({
    'queue_row_work_seconds{}': 0.02,
    'queue_backlog_work_seconds{}': 0.2,
    'queue_workers{}': 1,
  });
  await queue.offer('w1', cls, null);
  await clock.advance(1_000);
  expect(Object.fromEntries(await scrape())).toMatchObject({
    'queue_row_work_seconds{}': 0.02,
    'queue_backlog_work_seconds{}': 0.2,
    'queue_workers{}': 0,
  });
});

test('the wait that a class is meant to stay below is the budget of its model, where it has one', async () => {
  const admission = { mode: 'target', budgetMs: 250, onInfeasible: 'refuse' } as const;
  open([{ ...iris, admission }]);
  expect((await scrape()).get('queue_target_wait_seconds{}')).toBe(0.25);
});

test('scrapes are told what a look saw, for a second', async () => {
  let flowCalls = 0;
  const flows = queue.flows.bind(queue);
  queue.flows = (classes) => {
    flowCalls += 1;
    return flows(classes);
  };
  await looks.look();
  for (let i = 0; i < 10; i += 1) {
    await clock.advance(90);
    await scrape();
  }
  expect(calls).toEqual([[cls]]);
  await clock.advance(100);
  await scrape();
  expect(calls).toHaveLength(2);
  // Flows cost more.
  for (let i = 0; i < 20; i += 1) {
    await clock.advance(500);
    await looks.look();
  }
  expect(flowCalls).toBe(3);
  // Who weighs what waits sees it as it is.
  await add(1);
  expect((await looks.look())[0]?.stats.waiting).toBe(1);
});

test('rows that arrived before the first look are not counted, nor is anything twice', async () => {
  await add(100);
  await looks.look();
  await add(7);
  await looks.look();
  await looks.look();
  expect((await scrape()).get('queue_arrived_rows_total{}')).toBe(7);
});

test('jobs that workers gave back are counted', async () => {
  await add(1);
  await add(1);
  await scrape();
  const { claims } = await queue.claim(cls, claimRequest);
  await queue.giveBack(cls, claims, false);
  await clock.advance(1_000);
  expect((await scrape()).get('queue_given_back_jobs_total{}')).toBe(2);
});

test('arrivals go on from what is there when the queue has lost its memory', async () => {
  await looks.look();
  await add(9);
  await looks.look();
  const other = createMemoryQueue({ clock, rules: queueRules });
  queue.enqueue = (...given) => other.enqueue(...given);
  queue.stats = (classes) => other.stats(classes);
  queue.flows = (classes) => other.flows(classes);
  await add(4);
  await looks.look();
  expect((await scrape()).get('queue_arrived_rows_total{}')).toBe(13);
});

test('a queue that lost the last second of its memory does not look flooded', async () => {
  await looks.look();
  await add(9);
  await looks.look();
  const stats = queue.stats.bind(queue);
  queue.stats = async (classes) =>
    (await stats(classes)).map((one) => ({ ...one, arrivedRows: one.arrivedRows - 2 }));
  await looks.look();
  expect((await scrape()).get('queue_arrived_rows_total{}')).toBe(11);
});

test('a look that another has overtaken changes nothing', async () => {
  await looks.look();
  const stats = queue.stats.bind(queue);
  let answer = (): void => undefined;
  queue.stats = async (classes) => {
    const early = await stats(classes);
    await new Promise<void>((resolve) => {
      answer = resolve;
    });
    return early;
  };
  const slow = looks.look();
  await clock.advance(100);
  queue.stats = stats;
  await add(5);
  await looks.look();
  answer();
  expect((await slow)[0]?.stats.arrivedRows).toBe(5);
  await looks.look();
  expect((await scrape()).get('queue_arrived_rows_total{}')).toBe(5);
});

test('when the queue cannot be reached the scrape says so, and goes on', async () => {
  await scrape();
  queue.stats = () => Promise.reject(new Error('away'));
  await clock.advance(1_000);
  expect(await metrics.text()).toContain('inferry_queue_collect_errors_total 1');
});

test('how queues stand is told for a minute after the last look, and again after the next', async () => {
  await add(3);
  expect((await scrape()).get('queue_jobs{state="waiting"}')).toBe(1);
  const stats = queue.stats.bind(queue);
  queue.stats = () => Promise.reject(new Error('away'));
  await clock.advance(60_000);
  expect((await scrape()).get('queue_jobs{state="waiting"}')).toBe(1);
  await clock.advance(1);
  expect([...(await scrape()).keys()]).toEqual(counters);
  queue.stats = stats;
  expect((await scrape()).get('queue_backlog_work_seconds{}')).toBeCloseTo(0.3);
});

test('before the first look nothing is said of a queue, also when its model was asked for', async () => {
  queue.stats = () => Promise.reject(new Error('away'));
  metrics.declareModel('iris', cls);
  expect([...(await scrape()).keys()]).toEqual(counters);
});

test('rows are shared as the weights of the tenants and priorities say', async () => {
  for (let i = 0; i < 300; i += 1) {
    await add(1, 'acme', 'high');
    await add(1, 'beta', 'high');
    await add(1, 'beta', 'low');
  }
  await looks.look();
  await queue.claim(cls, { ...claimRequest, rowsMax: 132 });
  await clock.advance(5_000);
  await looks.look();
  const shared = await scrape();
  // 24 : 8 : 1, from the first job of each on.
  expect(shared.get('fairness_index{}')).toBeGreaterThan(0.99);
  expect(shared.get('tenant_share_max_ratio{}')).toBeCloseTo(24 / 33, 1);
  expect(shared.get('tenants_active{}')).toBe(2);
});

test('the shares of traffic that versions get now are told, and which gets all', async () => {
  open([iris, { ...iris, version: '2' }]);
  const ready = ['1', '2'].map((version) => {
    const manifest = { ...iris, version };
    return { manifest, state: 'ready', provider: 'cpu', device: 'cpu', loadMs: 1 } as const;
  });
  const share = async (version: string) => {
    await looks.look();
    const told = parseExposition(await metrics.text());
    return told.get(`inferry_traffic_share_ratio{queue="iris@${version}"}`);
  };
  expect([await share('1'), await share('2')]).toEqual([0, 1]);
  const traffic = [
    { version: '1', weight: 3 },
    { version: '2', weight: 1 },
  ];
  const models = ready.map(({ manifest }) => manifest);
  catalogue.replaceLocal({ models, routing: { iris: { labels: {}, traffic } } });
  const announced = { v: 1, workerId: 'w', host: 'h', pid: 1, startedAtMs: 1 } as const;
  catalogue.replaceAnnounced([{ ...announced, state: 'serving', models: ready }]);
  await clock.advance(1_000);
  expect([await share('1'), await share('2')]).toEqual([0.75, 0.25]);
});

test('a class that left the catalogue is looked at until nothing is left in it, and its series go away', async () => {
  await add(1);
  expect((await scrape()).has('queue_jobs{state="waiting"}')).toBe(true);
  catalogue.replaceLocal({ models: [], routing: {} });
  await looks.look();
  await clock.advance(120_000);
  expect((await scrape()).get('queue_jobs{state="waiting"}')).toBe(1);
  expect([...looks.classes.keys()]).toEqual([cls]);
  const [claim] = (await queue.claim(cls, claimRequest)).claims;
  await clock.advance(1_000);
  expect((await scrape()).get('queue_jobs{state="active"}')).toBe(1);
  if (claim !== undefined) await queue.settle(cls, [{ claim, outcome: succeeded }]);
  // Seen empty, and gone with the next look.
  for (let i = 0; i < 2; i += 1) {
    await clock.advance(1_000);
    await looks.look();
  }
  expect([...(await scrape()).keys()]).toEqual([]);
  expect(looks.classes.size).toBe(0);
  catalogue.replaceLocal({ models: [iris], routing: {} });
  await clock.advance(1_000);
  expect((await scrape()).get('queue_jobs{state="waiting"}')).toBe(0);
});
