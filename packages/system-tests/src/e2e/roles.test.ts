/** Processes and their ends: starting apart, draining, and the second signal. */
import { startProcess } from '@inferry/testkit';
import { afterEach, beforeEach, expect, test } from 'vitest';
import {
  call,
  demoModels,
  ended,
  postJson,
  readiness,
  type RunningRole,
  System,
} from '../system.ts';
import { writeSimulatedModel } from '../simulated-model.ts';

let system: System;
beforeEach(async () => {
  system = await System.open();
});
afterEach(async () => {
  await system.stop();
});

const iris = {
  input: { sepal_length: 5.1, sepal_width: 3.5, petal_length: 1.4, petal_width: 0.2 },
};
const slow = { inputs: [{ name: 'x', shape: [1, 1], datatype: 'FP32', data: [1] }] };

async function submit(gateway: RunningRole, model: string, body: unknown): Promise<string> {
  const { status, body: job } = await postJson(`${gateway.url}/v1/models/${model}/jobs`, body);
  expect(status).toBe(202);
  return String(job['id']);
}

test('a gateway accepts jobs while no worker lives; a worker that comes later answers them', async () => {
  const gateway = await system.start('gateway', demoModels);
  const ids = [];
  for (let i = 0; i < 5; i += 1) ids.push(await submit(gateway, 'iris', iris));
  expect(await call(`${gateway.url}/v1/jobs/${ids[3]}`)).toMatchObject({
    status: 200,
    body: { status: 'queued', queue: { ahead: 3 } },
  });
  await system.start('worker', demoModels, ['--only', 'iris']);
  const starts = [];
  for (const id of ids) {
    const job = await ended(gateway.url, id);
    expect(job).toMatchObject({ status: 'succeeded', output: { label: 'setosa' } });
    starts.push(String(job['started_at']));
  }
  expect(starts).toEqual(starts.toSorted());
});

test('SIGTERM lets a worker finish what it claimed, and a gateway answer its held waits', async () => {
  const models = await writeSimulatedModel('slow', { run_ms: 1_500 });
  const gateway = await system.start('gateway', models);
  const worker = await system.start('worker', models);
  const other = await system.start('gateway', models);
  const id = await submit(gateway, 'slow', { input: slow });
  const running = await waitUntil(other, id, 'running');
  expect(running['attempt']).toBe(1);
  const held = call(`${gateway.url}/v1/jobs/${id}?wait=20`);
  worker.process.kill('SIGTERM');
  gateway.process.kill('SIGTERM');
  expect(await held).toMatchObject({ status: 200, body: { id } });
  expect(await worker.process.exit).toEqual({ code: 0, signal: null });
  expect(await gateway.process.exit).toEqual({ code: 0, signal: null });
  expect(await ended(other.url, id)).toMatchObject({ status: 'succeeded', attempt: 1 });
});

test('a second signal ends the process at once', async () => {
  const models = await writeSimulatedModel('slow', { run_ms: 20_000 });
  const gateway = await system.start('gateway', models);
  const worker = await system.start('worker', models);
  const id = await submit(gateway, 'slow', { input: slow });
  await waitUntil(gateway, id, 'running');
  worker.process.kill('SIGTERM');
  await worker.process.waitForLine(/"msg":"[^"]*drain/u);
  const askedAtMs = performance.now();
  worker.process.kill('SIGTERM');
  const { code } = await worker.process.exit;
  expect(code).not.toBe(0);
  expect(performance.now() - askedAtMs).toBeLessThan(5_000);
});

test('a role that cannot be configured says why and exits with 2', async () => {
  const worker = startProcess(['worker', '--models', demoModels, '--device', 'cuda:0'], {
    env: { REDIS_URL: system.redis.url, METRICS_PORT: '0' },
  });
  expect((await worker.exit).code).toBe(2);
  expect(worker.lines.join('\n')).toMatch(/cuda/u);
  const gateway = startProcess(['gateway', '--models', demoModels], { env: { PORT: 'x' } });
  expect((await gateway.exit).code).toBe(2);
  expect(gateway.lines.join('\n')).toMatch(/PORT/u);
});

test('serve without Redis is ready by itself and says that its queue is in memory', async () => {
  await using serve = startProcess(['serve', demoModels], {
    env: { PORT: '0', METRICS_PORT: '0' },
  });
  const { url } = await readiness(serve, 'serve');
  const { status, body } = await postJson(`${url}/v1/models/iris/jobs`, iris, {
    prefer: 'wait=10',
  });
  expect(status).toBe(200);
  expect(body).toMatchObject({ status: 'succeeded', output: { label: 'setosa' } });
  expect(serve.lines.join('\n')).toMatch(/REDIS_URL/u);
});

test('gRPC has a port of its own, which is told, found by doctor, and not had by two', async () => {
  const ports = { PORT: '0', GRPC_PORT: '0', METRICS_PORT: '0' };
  await using first = startProcess(['serve', demoModels], { env: ports });
  const { grpcPort } = await readiness(first, 'serve');
  const told = `gRPC     127.0.0.1:${grpcPort} (Open Inference Protocol v2)`;
  await first.waitForLine((line) => line === told);
  const env = { ...ports, GRPC_PORT: String(grpcPort) };
  const second = startProcess(['serve', demoModels], { env });
  expect((await second.exit).code).toBe(2);
  expect(second.lines.join('\n')).toContain(`GRPC_PORT: cannot listen on 127.0.0.1:${grpcPort}`);
  const doctor = startProcess(['doctor', demoModels], { env });
  await doctor.exit;
  expect(doctor.lines.join('\n')).toContain(`Inferry answers on 127.0.0.1:${grpcPort}`);
});

async function waitUntil(
  gateway: RunningRole,
  id: string,
  status: string,
): Promise<Readonly<Record<string, unknown>>> {
  for (let i = 0; i < 400; i += 1) {
    const { body } = await call(`${gateway.url}/v1/jobs/${id}`);
    if (body['status'] === status) return body;
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
  throw new Error(`job ${id} did not become ${status}`);
}
