/**
 * Every metric of the catalogue moves, in every role that exports it: each is seen to change by what the
 * catalogue says moves it. The last test holds the sum of the others to the catalogue.
 * tidy-allow: one list of events, and what was shown is shared by all of them.
 */
import { cp, mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { catalogueList, type MetricRole, parseExposition } from '@inferry/telemetry';
import { freePort, repositoryPath, startProcess, waitFor } from '@inferry/testkit';
import { afterAll, afterEach, beforeEach, expect, test } from 'vitest';
import { joinRepositories, writeSimulatedModel } from '../simulated-model.ts';
import { startFakeGpu } from './fake-gpu.ts';
import { openHandWorker } from './hand-worker.ts';
import { clockThatSteps, killForGood, queueSlow, submitSlow, untilRunning } from './slow-jobs.ts';
import { complaints, exposition, hasMoved, movedBy, type Samples, scrape } from './scrape.ts';
import {
  type Answer,
  call,
  demoModels,
  fixtureModels,
  metricSum,
  postJson,
  System,
} from '../system.ts';

const leaseMs = 1_500;
const slowMs = 400;

const nothing: Samples = new Map();

const sentiment = repositoryPath('packages/testkit/fixtures/pipelines/sentiment');
/** Most series of a process with four models; rendering 5,000 blocks its main thread for 26 ms. */
const seriesMax = { gateway: 2_000, worker: 2_500 };

/** `<role> <name>` of what was seen to move. */
const shown = new Set<string>();
const directories: string[] = [];
let system: System;

beforeEach(async () => {
  system = await System.open({ appendonly: 'everysec' }, { INFERRY_LEASE_MS: String(leaseMs) });
});
afterEach(async () => {
  await system.stop();
});
afterAll(async () => {
  for (const directory of directories) await rm(directory, { recursive: true });
});

async function temporaryFolder(): Promise<string> {
  const directory = await mkdtemp(join(tmpdir(), 'inferry-metrics-'));
  directories.push(directory);
  return directory;
}

/** A repository with a model of texts, which are padded. */
async function textModels(): Promise<string> {
  const directory = await temporaryFolder();
  await cp(sentiment, join(directory, 'sentiment'), { recursive: true });
  return directory;
}

/** Scrapes until each of the metrics has been seen to differ from `before`. */
async function expectToMove(
  role: MetricRole,
  metricsUrl: string,
  names: readonly string[],
  before: Samples = nothing,
): Promise<void> {
  const missing = new Set(names);
  await waitFor(
    async () => {
      const now = await scrape(metricsUrl);
      for (const name of missing) {
        if (!hasMoved(name, before, now)) continue;
        missing.delete(name);
        shown.add(`${role} ${name}`);
      }
      if (missing.size > 0) throw new Error(`have not moved: ${[...missing].join(', ')}`);
      return true;
    },
    { timeoutMs: 20_000, what: `metrics of a ${role} to move` },
  );
}

async function slowModels(): Promise<string> {
  const directory = await writeSimulatedModel('slow', { run_ms: slowMs }, { max_batch_size: 2 });
  directories.push(directory);
  return directory;
}

test('start, idle, traffic, padding: four models, one of texts', async () => {
  const models = await joinRepositories([demoModels, await slowModels(), await textModels()]);
  directories.push(models);
  const [gateway, worker] = await Promise.all([
    system.start('gateway', models),
    system.start('worker', models),
  ]);
  const roles = [
    { role: 'gateway', url: gateway.metricsUrl },
    { role: 'worker', url: worker.metricsUrl },
  ] as const;
  const before = await Promise.all(
    roles.map(async ({ role, url }) => ({ role, url, samples: await scrape(url) })),
  );
  await Promise.all(roles.map(({ role, url }) => expectToMove(role, url, movedBy('start', role))));

  const held = Array.from({ length: 6 }, () => submitSlow(gateway, { prefer: 'wait=20' }));
  const canceled = submitSlow(gateway).then(({ body }) =>
    call(`${gateway.url}/v1/jobs/${String(body['id'])}/cancel`, { method: 'POST' }),
  );
  await Promise.all(
    before.flatMap(({ role, url, samples }) => [
      expectToMove(role, url, movedBy('traffic', role), samples),
      expectToMove(role, url, movedBy('idle', role), samples),
    ]),
  );
  expect((await Promise.all(held)).map(({ status }) => status)).toEqual(Array(6).fill(200));
  expect((await canceled).body['status']).toBe('canceled');

  // Shorter than the length that it is padded to.
  const text = { input: { text: 'good' } };
  const wait = { prefer: 'wait=20' };
  const padded = await postJson(`${gateway.url}/v1/models/sentiment/jobs`, text, wait);
  expect(padded.body['status']).toBe('succeeded');
  await expectToMove('worker', worker.metricsUrl, movedBy('padding', 'worker'), before[1]?.samples);
  for (const kind of ['useful', 'padding']) {
    const labels = { model: 'sentiment', kind };
    const elements = await metricSum([worker], 'inferry_batch_elements_total', labels);
    expect(elements, kind).toBeGreaterThan(0);
  }

  for (const { role, url } of roles) {
    const text = await exposition(url);
    expect(complaints(text), role).toEqual([]);
    expect(parseExposition(text).size, role).toBeLessThan(seriesMax[role]);
  }
});

test('late_answer: a worker stops for longer than the budget of a request that it was to answer', async () => {
  const budgetMs = 500;
  const admission = `{mode: target, budget_ms: ${budgetMs}}`;
  const models = await writeSimulatedModel('slow', { run_ms: 50 }, { admission });
  directories.push(models);
  const [gateway, worker] = await Promise.all([
    system.start('gateway', models),
    system.start('worker', models),
  ]);
  const before = await scrape(worker.metricsUrl);
  process.kill(worker.childPid, 'SIGSTOP');
  const answer = submitSlow(gateway, { prefer: 'wait=20' });
  const age = 'inferry_queue_oldest_job_age_seconds{queue="slow@1",priority="normal"}';
  await waitFor(async () => ((await scrape(gateway.metricsUrl)).get(age) ?? 0) > budgetMs / 1_000, {
    what: 'the budget to be over',
  });
  process.kill(worker.childPid, 'SIGCONT');
  expect((await answer).body['status']).toBe('succeeded');
  await expectToMove('worker', worker.metricsUrl, movedBy('late_answer', 'worker'), before);
});

test('clock_step: the clock of a worker is suddenly ahead of that of the queue', async () => {
  const stepping = await System.open({}, clockThatSteps);
  try {
    const gateway = await stepping.start('gateway', demoModels);
    const worker = await stepping.start('worker', demoModels, ['--only', 'iris']);
    const input = { sepal_length: 5, sepal_width: 3, petal_length: 1, petal_width: 0.2 };
    const submit = (): Promise<Answer> =>
      postJson(`${gateway.url}/v1/models/iris/jobs`, { input }, { prefer: 'wait=20' });
    const names = movedBy('clock_step', 'worker');
    const before = await scrape(worker.metricsUrl);
    // Until then the best estimate of the offset is an old one: the next claim is not the quickest of all.
    for (let i = 0; i < 20; i += 1) await submit();
    const stepped = async (): Promise<boolean> => {
      process.kill(worker.childPid, 'SIGUSR2');
      await submit();
      const now = await scrape(worker.metricsUrl);
      return names.every((name) => hasMoved(name, before, now));
    };
    await waitFor(stepped, { timeoutMs: 20_000, what: 'a negative duration' });
    await expectToMove('worker', worker.metricsUrl, names, before);
  } finally {
    await stepping.stop();
  }
});

test('streaming: a job tells a part of its answer to a caller that follows it', async () => {
  const gateway = await system.start('gateway', demoModels);
  const before = await scrape(gateway.metricsUrl);
  const input = { sepal_length: 5, sepal_width: 3, petal_length: 1, petal_width: 0.2 };
  const { body, status } = await postJson(`${gateway.url}/v1/models/iris/jobs`, { input });
  expect(status, JSON.stringify(body)).toBe(202);
  const worker = await openHandWorker(system.redis.url, 'iris@1');
  try {
    const stop = new AbortController();
    const url = `${gateway.url}/v1/jobs/${String(body['id'])}/events`;
    const stream = await fetch(url, { signal: stop.signal });
    await worker.tell(await worker.claim(), 1, 'a part');
    await expectToMove('gateway', gateway.metricsUrl, movedBy('streaming', 'gateway'), before);
    stop.abort();
    await stream.text().catch(() => undefined);
  } finally {
    await worker.close();
  }
});

test('repetition: a request with the input of another, for a model whose answers are kept', async () => {
  const models = await writeSimulatedModel('kept', {}, { response_cache: 'true' });
  directories.push(models);
  const gateway = await system.start('gateway', models);
  await system.start('worker', models, ['--only', 'kept']);
  // What answers is known to the gateway before anything is kept.
  await waitFor(async () => (await fetch(`${gateway.url}/v2/models/kept/ready`)).ok);
  const inputs = [{ name: 'x', datatype: 'FP32', shape: [1, 1], data: [1] }];
  const infer = (): Promise<Answer> => postJson(`${gateway.url}/v2/models/kept/infer`, { inputs });
  const first = await infer();
  const second = await infer();
  expect([first, second].map(({ status }) => status)).toEqual([200, 200]);
  expect(second.body).toEqual(first.body);
  expect([first, second].map(({ headers }) => headers.get('cache-status'))).toEqual([
    null,
    'inferry; hit',
  ]);
  await expectToMove('gateway', gateway.metricsUrl, movedBy('repetition', 'gateway'));
});

test('gpu: a worker on a GPU asks nvidia-smi for it, and tells what it answers', async () => {
  const gpu = await startFakeGpu(await temporaryFolder());
  try {
    await expectToMove('worker', gpu.metricsUrl, movedBy('gpu', 'worker'));
    expect(complaints(await exposition(gpu.metricsUrl))).toEqual([]);
    // Where there is no GPU its model does not load; until it knows, it is a worker like any other.
    const models = await temporaryFolder();
    const model = join(models, 'identity_fp32');
    await cp(join(fixtureModels, 'identity_fp32'), model, { recursive: true });
    await writeFile(join(model, 'model.yaml'), 'instances: [{ kind: cuda }]\n');
    await using worker = startProcess(['worker', '--models', models, '--device', 'cuda:1'], {
      env: { REDIS_URL: system.redis.url, METRICS_PORT: '0', INFERRY_SUPERVISE: '0' },
    });
    await waitFor(async () => (await gpu.asked()).trim().endsWith('-i 1'));
    await worker.stop();
  } finally {
    await gpu.close();
  }
});

test('refusal: a queue of one job is asked to take a second', async () => {
  const models = await writeSimulatedModel('slow', {}, { queue: '{max_depth: 1}' });
  directories.push(models);
  const gateway = await system.start('gateway', models);
  expect((await submitSlow(gateway)).status).toBe(202);
  expect((await submitSlow(gateway)).body['code']).toBe('queue_full');
  await expectToMove('gateway', gateway.metricsUrl, movedBy('refusal', 'gateway'));
});

test('late_result: the result of a job that was canceled while it ran', async () => {
  const models = await slowModels();
  const gateway = await system.start('gateway', models);
  const worker = await system.start('worker', models);
  const [id = ''] = await queueSlow(gateway, 1);
  await untilRunning(gateway, id);
  await call(`${gateway.url}/v1/jobs/${id}/cancel`, { method: 'POST' });
  await expectToMove('worker', worker.metricsUrl, movedBy('late_result', 'worker'));
});

test('batch_failure: one input of a batch makes the run throw', async () => {
  const gateway = await system.start('gateway', fixtureModels);
  for (const value of [1, 99, 3]) {
    const inputs = [{ name: 'x', shape: [1, 1], datatype: 'INT64', data: [value] }];
    await postJson(`${gateway.url}/v1/models/picky/jobs`, { input: { inputs } });
  }
  const worker = await system.start('worker', fixtureModels, ['--only', 'picky']);
  await expectToMove('worker', worker.metricsUrl, movedBy('batch_failure', 'worker'));
});

const stalled = 'inferry_jobs_stalled_total';

test('worker_lost: a worker takes the jobs back where no gateway lives', async () => {
  const models = await slowModels();
  const gateway = await system.start('gateway', models);
  const victim = await system.start('worker', models);
  const [id = ''] = await queueSlow(gateway, 2);
  await untilRunning(gateway, id);
  killForGood(victim);
  expect((await gateway.process.stop()).code).toBe(0);
  const survivor = await system.start('worker', models);
  await expectToMove('worker', survivor.metricsUrl, [stalled]);
});

test('worker_lost: a gateway takes the jobs back where no worker lives', async () => {
  const models = await slowModels();
  const gateway = await system.start('gateway', models);
  const victim = await system.start('worker', models);
  const [id = ''] = await queueSlow(gateway, 2);
  await untilRunning(gateway, id);
  killForGood(victim);
  await expectToMove('gateway', gateway.metricsUrl, [stalled]);
});

test('worker_lost: while it is not yet missed, another overtakes its jobs', async () => {
  const models = await slowModels();
  const [gateway, victim, survivor] = await Promise.all([
    system.start('gateway', models),
    system.start('worker', models),
    system.start('worker', models),
  ]);
  await queueSlow(gateway, 16);
  for (const { metricsUrl } of [victim, survivor]) {
    await expectToMove('worker', metricsUrl, ['inferry_jobs_started_total']);
  }
  killForGood(victim);
  const names = movedBy('worker_lost', 'worker').filter((name) => name !== stalled);
  await expectToMove('worker', survivor.metricsUrl, names);
});

test('redis_outage, collector_failure: Redis is stopped under a running job and started again', async () => {
  const models = await writeSimulatedModel('slow', { run_ms: 3_000 });
  directories.push(models);
  const gateway = await system.start('gateway', models);
  const worker = await system.start('worker', models);
  const [id = ''] = await queueSlow(gateway, 1);
  await untilRunning(gateway, id);
  const reconnects = 'inferry_redis_reconnects_total';
  await system.redis.stop('SIGTERM');
  await Promise.all([
    expectToMove('gateway', gateway.metricsUrl, movedBy('collector_failure', 'gateway')),
    expectToMove(
      'worker',
      worker.metricsUrl,
      movedBy('redis_outage', 'worker').filter((name) => name !== reconnects),
    ),
  ]);
  await system.redis.start();
  await Promise.all([
    expectToMove('gateway', gateway.metricsUrl, movedBy('redis_outage', 'gateway')),
    expectToMove('worker', worker.metricsUrl, [reconnects]),
  ]);
});

test('load_failure: a model with an operator that does not exist', async () => {
  const models = await joinRepositories([fixtureModels]);
  directories.push(models);
  const broken = join(models, 'broken/1');
  await mkdir(broken, { recursive: true });
  const file = await readFile(join(models, 'identity_fp32/1/model.onnx'));
  file.write('Idontity', file.indexOf('Identity'));
  await writeFile(join(broken, 'model.onnx'), file);
  const port = await freePort();
  await using worker = startProcess(['worker', '--models', models, '--only', 'broken'], {
    env: { REDIS_URL: system.redis.url, METRICS_PORT: String(port), INFERRY_SUPERVISE: '0' },
  });
  const metricsUrl = `http://127.0.0.1:${port}`;
  await expectToMove('worker', metricsUrl, movedBy('load_failure', 'worker'));
  worker.kill('SIGTERM');
  expect((await worker.exit).code).toBe(0);
  expect(worker.lines.join('\n')).toContain('broken@1');
});

test('model_change: a version comes, another has other content, and the files of a model break', async () => {
  const models = await slowModels();
  const following = await System.open({}, { INFERRY_MODELS_POLL_MS: '100' });
  try {
    const [gateway, worker] = await Promise.all([
      following.start('gateway', models),
      following.start('worker', models),
    ]);
    const reloads = (result: string): Promise<number> =>
      metricSum([worker], 'inferry_model_reloads_total', { model: 'slow', result });
    await mkdir(join(models, 'slow/2'));
    await waitFor(async () => (await reloads('loaded')) === 1, { what: 'a new version' });
    const yaml = join(models, 'slow/model.yaml');
    const text = await readFile(yaml, 'utf8');
    await writeFile(yaml, `${text}execution_timeout_ms: 50000\n`);
    await waitFor(async () => (await reloads('replaced')) === 2, { what: 'other content' });
    await writeFile(yaml, 'max_batch_size: many\n');
    await Promise.all([
      expectToMove('gateway', gateway.metricsUrl, movedBy('model_change', 'gateway')),
      expectToMove('worker', worker.metricsUrl, movedBy('model_change', 'worker')),
    ]);
  } finally {
    await following.stop();
  }
});

test('forced_exit: a job is still running when the time to drain is over', async () => {
  const models = await writeSimulatedModel('slow', { run_ms: 30_000 });
  directories.push(models);
  const hasty = await System.open({}, { INFERRY_DRAIN_MS: '100' });
  try {
    const gateway = await hasty.start('gateway', models);
    const first = await hasty.start('worker', models);
    const [id = ''] = await queueSlow(gateway, 1);
    await untilRunning(gateway, id);
    first.process.kill('SIGTERM');
    await expectToMove('gateway', gateway.metricsUrl, movedBy('forced_exit', 'gateway'));
    await first.process.exit;
    const worker = await hasty.start('worker', models);
    await untilRunning(gateway, id);
    // While Redis does not answer, the worker still tries to give its job back: time for a scrape.
    process.kill(hasty.redis.pid, 'SIGSTOP');
    try {
      worker.process.kill('SIGTERM');
      await expectToMove('worker', worker.metricsUrl, movedBy('forced_exit', 'worker'));
    } finally {
      process.kill(hasty.redis.pid, 'SIGCONT');
    }
    await worker.process.exit;
  } finally {
    await hasty.stop();
  }
});

test('every metric of the catalogue was seen to move, in every role that exports it', () => {
  const all = catalogueList().flatMap(({ fullName, roles }) =>
    roles.map((role) => `${role} ${fullName}`),
  );
  expect(all.filter((metric) => !shown.has(metric))).toEqual([]);
});
