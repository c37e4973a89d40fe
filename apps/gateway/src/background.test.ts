import {
  classOf,
  defaultLimits,
  defaultTenant,
  newJobId,
  type WorkerAnnouncement,
} from '@inferry/contracts';
import { ModelCatalogue } from '@inferry/models';
import { createMemoryQueue, StatisticsTally } from '@inferry/queue';
import { seededRandom, VirtualClock } from '@inferry/runtime';
import { queueRules } from '@inferry/scheduling';
import { createLogger, createMetrics } from '@inferry/telemetry';
import { expect, test } from 'vitest';

import { createBackground } from './background.ts';
import { claimRequest } from './gateway-fixture.test.ts';
import { HeldRequests } from './results/held-requests.ts';
import { ModelControl } from './model-control.ts';
import { QueueLooks } from './queue-looks.ts';
import { collectQueueMetrics } from './queue-metrics.ts';
import { createGatewayTelemetry } from './telemetry.ts';
import { iris } from './models-fixture.test.ts';

function setUp() {
  const clock = new VirtualClock();
  const queue = createMemoryQueue({ clock, rules: queueRules });
  const metrics = createMetrics('gateway', { version: '0', revision: '', onnxruntime: 'none' });
  const lines: string[] = [];
  const catalogue = new ModelCatalogue();
  const looks = new QueueLooks({ clock, queue, catalogue });
  const base = {
    clock,
    queue,
    catalogue,
    looks,
    random: seededRandom(1),
    limits: defaultLimits,
    telemetry: createGatewayTelemetry(metrics),
    log: createLogger({
      role: 'gateway',
      level: 'info',
      destination: { write: (line) => void lines.push(line) },
    }),
    gatewayId: 'gw',
    version: '0',
  };
  const held = new HeldRequests(base);
  const parts = {
    ...base,
    load: { isDraining: false, waitingTotal: 0 },
    held,
    control: new ModelControl({ ...base, held }, { isAllowed: false, waitMs: 0 }),
    statistics: new StatisticsTally(queue),
  };
  return { ...parts, metrics, lines, background: createBackground(parts) };
}

const worker: WorkerAnnouncement = {
  v: 1,
  workerId: 'w1',
  host: 'h',
  pid: 1,
  state: 'serving',
  startedAtMs: 0,
  models: [{ manifest: iris, state: 'ready', provider: 'cpu', device: 'cpu', loadMs: 1 }],
};

const cls = classOf('iris', '1');
const terms = { depthMax: 10, bytesMax: 1000, tenantDepthMax: null, weight: 4, budget: null };

function job(nowMs: number, deadlineMs: number) {
  return {
    v: 1,
    id: newJobId(nowMs, seededRandom(7)),
    class: cls,
    tenant: defaultTenant,
    priority: 'normal',
    rows: 1,
    payloadBytes: 1,
    mode: 'async',
    gateway: null,
    requestId: 'r',
    admissionMs: 0,
    deadlineMs,
    queueTimeoutMs: deadlineMs,
    executionTimeoutMs: 1000,
    attemptsMax: 3,
    retentionMs: 60_000,
    metadata: {},
  } as const;
}

test('a round learns the models from the workers, and sees the load', async () => {
  const { background, catalogue, queue, load, looks, clock, metrics } = setUp();
  collectQueueMetrics(metrics, { looks, limits: defaultLimits });
  await queue.announce(worker);
  await queue.enqueue(job(clock.nowMs(), 60_000), Uint8Array.of(1), terms);
  await background.round();
  expect(catalogue.list()).toMatchObject([{ name: 'iris', state: 'ready' }]);
  expect(load.waitingTotal).toBe(1);
  const text = await metrics.text();
  expect(text).toContain('inferry_queue_jobs{queue="iris@1",state="waiting"} 1');
  expect(text).toContain('inferry_queue_limit_jobs{queue="iris@1"} 3');
});

test('a job that ran when its time ran out has failed, and is counted so', async () => {
  const { background, queue, clock, metrics } = setUp();
  await queue.announce(worker);
  const late = job(clock.nowMs(), 700);
  await queue.enqueue(late, Uint8Array.of(1), terms);
  await queue.claim(late.class, claimRequest);
  await background.round();
  background.start();
  await clock.advance(2_000);
  await background.stop();
  expect(await queue.find(late.id)).toMatchObject({ value: { record: { status: 'failed' } } });
  const text = await metrics.text();
  expect(text).toContain('requests_total{model="iris",priority="normal",outcome="failed"} 1');
  expect(text).not.toContain('outcome="expired"} 1');
  expect(text).not.toMatch(/jobs_stalled_total\{[^}]*\} [1-9]/u);
});

test('jobs whose time ran out are ended and counted without anyone asking for them', async () => {
  const { background, queue, clock, metrics } = setUp();
  await queue.announce(worker);
  const late = job(clock.nowMs(), 700);
  await queue.enqueue(late, Uint8Array.of(1), terms);
  await background.round();
  background.start();
  await clock.advance(2_000);
  await background.stop();
  expect(await queue.find(late.id)).toMatchObject({
    ok: true,
    value: { record: { status: 'expired' } },
  });
  expect(await metrics.text()).toContain(
    'requests_total{model="iris",priority="normal",outcome="expired"} 1',
  );
  expect(clock.pendingTimers).toBe(0);
});

test('jobs of a version that its workers dropped are swept all the same', async () => {
  const { background, catalogue, queue, clock } = setUp();
  await queue.announce(worker);
  const late = job(clock.nowMs(), 3_000);
  await queue.enqueue(late, Uint8Array.of(1), terms);
  await background.round();
  await queue.announce({ ...worker, models: [] });
  await background.round();
  expect(catalogue.list()).toEqual([]);
  const ended: unknown[] = [];
  const sweep = queue.sweep.bind(queue);
  queue.sweep = async (of) => {
    const swept = await sweep(of);
    ended.push(...swept.expired.map(({ id }) => id));
    return swept;
  };
  await clock.advance(4_000);
  await background.round();
  expect(ended).toEqual([late.id]);
});

test('an outage is told once, and its end', async () => {
  const { background, queue, lines } = setUp();
  const workers = queue.workers.bind(queue);
  queue.workers = () => Promise.reject(new Error('away'));
  await background.round();
  await background.round();
  queue.workers = workers;
  await background.round();
  await background.round();
  expect(lines.map((line) => (JSON.parse(line) as { msg: string }).msg)).toEqual([
    'the queue cannot be looked after',
    'the queue is back',
  ]);
});
