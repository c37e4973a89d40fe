/** Processors over real processes: their steps share batches, a killed worker's job is finished by another, and cancel ends one. */
import { execFile } from 'node:child_process';
import { access, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { repositoryPath, waitFor } from '@inferry/testkit';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { call, type Document, ended, inParallel, postJson, System } from '../system.ts';

let system: System;
let models = '';
beforeEach(async () => {
  models = await mkdtemp(join(tmpdir(), 'inferry-processor-'));
  system = await System.open({}, { INFERRY_LEASE_MS: '1500' });
});
afterEach(async () => {
  await system.stop();
  await rm(models, { recursive: true });
});

async function put(path: string, text: string): Promise<void> {
  await mkdir(dirname(join(models, path)), { recursive: true });
  await writeFile(join(models, path), text);
}

function exists(path: string): Promise<boolean> {
  return access(path).then(
    () => true,
    () => false,
  );
}

const tensors = `inputs: [{name: x, dtype: FP32, shape: [-1, 1]}]
outputs: [{name: x, dtype: FP32, shape: [-1, 1]}]
`;

/** A processor that runs steps until a file says that it may end, and writes one when nobody wants its job. */
async function writePatientModel(): Promise<{ readonly mayEnd: string; readonly heard: string }> {
  const mayEnd = join(models, 'may-end');
  const heard = join(models, 'heard');
  await put('echo/model.yaml', `backend: simulated\nsimulated: {run_ms: 5}\n${tensors}`);
  await put('patient/model.yaml', `backend: processor\nprocessor: {runs: [echo]}\n${tensors}`);
  await put(
    'patient/processor.ts',
    `import { existsSync, writeFileSync } from 'node:fs';
import type { GivenTensors, ProcessorContext } from 'inferry/processor';

export async function generate({ inputs, run, signal }: ProcessorContext): Promise<GivenTensors> {
  signal.addEventListener('abort', () => writeFileSync(${JSON.stringify(heard)}, ''));
  for (;;) {
    const { x } = await run({ x: inputs['x']! });
    if (existsSync(${JSON.stringify(mayEnd)})) return { x: x! };
  }
}
`,
  );
  return { mayEnd, heard };
}

async function submit(url: string): Promise<string> {
  const x = { name: 'x', shape: [1, 1], datatype: 'FP32', data: [7] };
  const input = { inputs: [x] };
  const { body, status } = await postJson(
    `${url}/v1/models/patient/jobs`,
    { input },
    { prefer: 'respond-async' },
  );
  expect(status, JSON.stringify(body)).toBe(202);
  return String(body['id']);
}

async function isRunning(url: string, id: string): Promise<void> {
  await waitFor(async () => (await call(`${url}/v1/jobs/${id}`)).body['status'] === 'running');
}

test('a job whose worker is killed between its steps is finished by another', async () => {
  const { mayEnd } = await writePatientModel();
  const [gateway, first] = await Promise.all([
    system.start('gateway', models),
    system.start('worker', models),
  ]);
  const id = await submit(gateway.url);
  await isRunning(gateway.url, id);
  await system.start('worker', models);
  // The supervisor first, so that nothing restarts the worker.
  first.process.kill('SIGKILL');
  process.kill(first.childPid, 'SIGKILL');
  await first.process.exit;
  await writeFile(mayEnd, '');
  expect(await ended(gateway.url, id)).toMatchObject({
    status: 'succeeded',
    attempt: 2,
    output: { outputs: [{ name: 'x', data: [7] }] },
  });
});

test('a job that is canceled between its steps hears of it, and runs no more of them', async () => {
  const { heard } = await writePatientModel();
  const [gateway] = await Promise.all([
    system.start('gateway', models),
    system.start('worker', models),
  ]);
  const id = await submit(gateway.url);
  await isRunning(gateway.url, id);
  const canceled = await postJson(`${gateway.url}/v1/jobs/${id}/cancel`, {});
  expect(canceled.body).toMatchObject({ status: 'canceled' });
  await waitFor(() => exists(heard));
});

const picture = { name: 'pixel_values', shape: [3, 384, 384], datatype: 'FP32' };

test("captions of a model of BLIP's shapes are made in batches, step by step", async () => {
  const script = repositoryPath('docs/examples/captions/make-models.mjs');
  await promisify(execFile)(process.execPath, [script, models, '--hidden', '8']);
  const [gateway] = await Promise.all([
    system.start('gateway', models),
    system.start('worker', models),
  ]);
  const caption = async (shade: number): Promise<Document> => {
    const pixels = Buffer.from(new Float32Array(3 * 384 * 384).fill(shade).buffer);
    const header = JSON.stringify({
      inputs: [{ ...picture, parameters: { binary_data_size: pixels.length } }],
    });
    const { body, status } = await call(`${gateway.url}/v2/models/captions/infer`, {
      method: 'POST',
      headers: { 'inference-header-content-length': String(header.length) },
      body: Buffer.concat([Buffer.from(header), pixels]),
    });
    expect(status, JSON.stringify(body)).toBe(200);
    return body;
  };
  const shades = [-1, -0.5, 0.5, 1];
  const together = await inParallel(shades, shades.length, caption);
  const tokens = together.map(({ outputs }) => JSON.stringify(outputs));
  expect(together[0]).toMatchObject({ outputs: [{ name: 'tokens', shape: [20] }] });
  expect(new Set(tokens).size).toBe(shades.length);
  expect(JSON.stringify((await caption(0.5))['outputs'])).toBe(tokens[2]);
  let stats: Document = {};
  await waitFor(async () => {
    const { body } = await call(`${gateway.url}/v2/models/blip/stats`);
    [stats] = body['model_stats'] as [Document];
    return stats['inference_count'] === (shades.length + 1) * 20;
  });
  // 20 runs of the last caption; those of the others would be 80, had they not shared them.
  expect(Number(stats['execution_count'])).toBeLessThan(100);
});
