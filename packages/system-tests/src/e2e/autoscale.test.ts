/** Workers come and go with the work: real processes, one Redis, a model that sleeps. */
import { execFile } from 'node:child_process';
import { rm } from 'node:fs/promises';
import { promisify } from 'node:util';
import { type AppProcess, repositoryPath, startProcess, waitFor } from '@inferry/testkit';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { startPrometheus } from '../observability/prometheus.ts';
import { writeSimulatedModel } from '../simulated-model.ts';
import {
  type Answer,
  type Document,
  ended,
  inParallel,
  metricSum,
  postJson,
  type RunningRole,
  readiness,
  System,
} from '../system.ts';

const brief = ['--window', '2s', '--stabilization', '2s', '--cooldown', '3s'];
let models: string;
let system: System;

beforeEach(async () => {
  models = await writeSimulatedModel('slow', { run_ms: 100 }, { max_batch_size: 4 });
  system = await System.open({ appendonly: 'everysec' });
});
afterEach(async () => {
  await system.stop();
  await rm(models, { recursive: true });
});

function environment(): Record<string, string> {
  return { REDIS_URL: system.redis.url, INFERRY_CONCURRENT_RUNS: '1', METRICS_PORT: '9464' };
}

function autoscale(flags: readonly string[]): AppProcess {
  const argv = ['autoscale', '--models', models, '--drain-target', '1s', ...flags];
  return startProcess(argv, { env: environment() });
}

interface Advice {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

async function advice(...flags: readonly string[]): Promise<Advice> {
  const argv = [repositoryPath('apps/cli/bin/inferry.js'), 'scale-advice', ...flags];
  const env = { PATH: process.env['PATH'], ...environment() };
  return promisify(execFile)(process.execPath, argv, { env }).then(
    ({ stdout, stderr }) => ({ code: 0, stdout, stderr }),
    (cause: Advice) => cause,
  );
}

const rowOf = (value: number) => [{ name: 'x', shape: [1, 1], datatype: 'FP32', data: [value] }];

function infer(gateway: RunningRole, value: number): Promise<Answer> {
  return postJson(`${gateway.url}/v2/models/slow/infer`, { inputs: rowOf(value) });
}

/** Submits so many jobs one after the other; their ids in the order of acceptance. */
async function submit(gateway: RunningRole, jobs: number): Promise<readonly string[]> {
  const ids: string[] = [];
  for (let i = 0; i < jobs; i += 1) {
    const body = { input: { inputs: rowOf(i) } };
    const answer = await postJson(`${gateway.url}/v1/models/slow/jobs`, body);
    expect(answer.status).toBe(202);
    ids.push(String(answer.body['id']));
  }
  return ids;
}

function allOf(gateway: RunningRole, ids: readonly string[]): Promise<readonly Document[]> {
  return inParallel(ids, 32, (id) => ended(gateway.url, id));
}

async function waiting(gateway: RunningRole, jobs: number): Promise<void> {
  await waitFor(
    async () => (await metricSum([gateway], 'inferry_queue_jobs', { state: 'waiting' })) === jobs,
    { timeoutMs: 30_000, what: `${jobs} jobs to wait` },
  );
}

/** The sizes that the autoscaler decided for, in order. */
function targets(autoscaler: AppProcess): readonly number[] {
  return autoscaler
    .logs()
    .filter(({ role, target }) => role === 'autoscaler' && target !== undefined)
    .map(({ target }) => Number(target));
}

test('a step load brings workers from none to three and back; held requests wait for them, and nothing is lost', async () => {
  const gateway = await system.start('gateway', models);
  const values = Array.from({ length: 150 }, (_, i) => i);
  const answers = Promise.all(values.map((value) => infer(gateway, value)));
  await waiting(gateway, values.length);

  await using autoscaler = autoscale(['--max', '3', ...brief]);
  const bodies = (await answers).map(({ status, body }) => {
    expect(status, JSON.stringify(body)).toBe(200);
    return (body['outputs'] as readonly { readonly data: readonly number[] }[])[0]?.data[0];
  });
  expect(bodies).toEqual(values);
  await autoscaler.waitForLine(/"target":0,.*"draining workers"/u, 60_000);
  const [first, second, ...later] = targets(autoscaler);
  expect([first, second]).toEqual([2, 3]);
  expect(later).toEqual(later.toSorted((a, b) => b - a));

  // And once more from none, for jobs that nobody waits for; stopped in the midst of them, and begun again.
  const ids = await submit(gateway, 36);
  await ended(gateway.url, String(ids[0]));
  autoscaler.kill('SIGTERM');
  expect(await autoscaler.exit).toEqual({ code: 0, signal: null });
  await using next = autoscale(['--max', '1', ...brief]);
  const jobs = await allOf(gateway, ids);
  expect(jobs.map(({ status, attempt }) => [status, attempt])).toEqual(
    jobs.map(() => ['succeeded', 1]),
  );
  expect((await next.stop()).code).toBe(0);
});

test('one worker starts jobs in the order of their acceptance, across its own end and an outage of Redis; it drains when its autoscaler is killed', async () => {
  const gateway = await system.start('gateway', models);
  const ids = await submit(gateway, 60);
  await using autoscaler = autoscale(['--max', '1', '--stabilization', '2s', '--cooldown', '60s']);
  const first = await readiness(autoscaler, 'worker');
  // What a worker holds when it is killed comes back in its place, after a lease.
  process.kill(first.childPid, 'SIGKILL');
  const second = await readiness(autoscaler, 'worker', (pid) => pid !== first.childPid);
  const jobs = await allOf(gateway, ids);
  expect(jobs.map(({ status }) => status)).toEqual(jobs.map(() => 'succeeded'));
  const starts = jobs
    .filter(({ attempt }) => attempt === 1)
    .map((job) => String(job['started_at']));
  expect(starts).toEqual(starts.toSorted());

  await system.redis.stop();
  await autoscaler.waitForLine(/the queue does not tell/u, 60_000);
  await system.redis.start();
  await autoscaler.waitForLine(/the queue tells again/u, 60_000);
  expect(targets(autoscaler)).toEqual([1]);

  // Nobody is left that would look after the worker: it notices, and drains.
  autoscaler.kill('SIGKILL');
  await waitFor(() => !isAlive(second.childPid), { timeoutMs: 60_000, what: 'its worker to end' });
});

test('the advice of the queue and of Prometheus is the same; what is away is told', async () => {
  const gateway = await system.start('gateway', models);
  await submit(gateway, 100);
  const target = new URL(gateway.metricsUrl).host;
  await using prometheus = await startPrometheus({ 'inferry-gateway': [target] });
  // Nobody has told what a row takes: a tenth of a second each.
  const flags = ['--max', '50', '--drain-target', '2'];
  const [byQueue, byNobody] = await Promise.all([
    advice('--models', models, '--window', '1', ...flags),
    advice('--window', '1'),
  ]);
  expect(byQueue).toMatchObject({ code: 0, stdout: '5\n' });
  expect(byQueue.stderr).toContain('5 wanted, for the backlog');
  const recorded = await waitFor(
    async () => {
      const read = await advice('--prometheus', prometheus.url, ...flags, '--json');
      return read.code === 0 && read;
    },
    { timeoutMs: 60_000, what: 'Prometheus to have recorded what waits' },
  );
  const queue = { queue: 'slow@1', backlog_seconds: 10, load_workers: 0 };
  expect(JSON.parse(recorded.stdout)).toMatchObject({ workers: 5, queues: [queue] });

  expect(byNobody).toMatchObject({
    code: 1,
    stdout: '',
    stderr: 'inferry: no worker lives that would say what it serves; --models DIR does\n',
  });
  await system.redis.stop();
  const away = await advice('--models', models);
  expect(away).toMatchObject({ code: 1, stdout: '' });
  expect(away.stderr).toMatch(
    /^inferry: Redis does not answer at 127.0.0.1:\d+, for 3 s; inferry doctor says why$/mu,
  );
});

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
