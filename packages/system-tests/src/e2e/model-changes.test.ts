/** The files of a served version change under load, and the processes are told so by a signal. */
import { readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { waitFor } from '@inferry/testkit';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { writeSimulatedModel } from '../simulated-model.ts';
import { metricSum, postJson, type RunningRole, System } from '../system.ts';

let system: System;
let models: string;

beforeEach(async () => {
  system = await System.open({}, { INFERRY_MODELS_POLL_MS: '0' });
  models = await writeSimulatedModel('m', { run_ms: 10 });
});
afterEach(async () => {
  await system.stop();
  await rm(models, { recursive: true });
});

const timeoutMs = 30_000;
const inputs = [{ name: 'x', datatype: 'FP32', shape: [1, 1], data: [1] }];

test('other content takes the place of what is served, without a failed request', async () => {
  const [gateway, worker] = await Promise.all([
    system.start('gateway', models),
    system.start('worker', models),
  ]);
  let answers = 0;
  const failed: unknown[] = [];
  const stop = new AbortController();
  const client = async (): Promise<void> => {
    while (!stop.signal.aborted) {
      const asked = postJson(`${gateway.url}/v2/models/m/infer`, { inputs });
      const { body, status } = await asked.catch((cause: unknown) => ({ body: cause, status: 0 }));
      if (status === 200) answers += 1;
      else failed.push(body);
    }
  };
  const clients = Promise.all(Array.from({ length: 4 }, client));
  const more = async (): Promise<unknown> => {
    const from = answers;
    return waitFor(() => answers > from + 20, { what: 'answers', timeoutMs });
  };
  await more();
  const yaml = join(models, 'm', 'model.yaml');
  const text = await readFile(yaml, 'utf8');
  for (const round of [1, 2, 3]) {
    await writeFile(yaml, `${text}execution_timeout_ms: ${40_000 + round}\n`);
    hangUp([gateway, worker]);
    await waitFor(async () => (await reloads(worker, 'replaced')) === round, {
      what: `other content, the ${round}.`,
      timeoutMs,
    });
    await more();
  }
  // What cannot be loaded, and what cannot be read, changes nothing.
  await writeFile(yaml, 'backend: simulated\n');
  hangUp([gateway, worker]);
  await worker.process.waitForLine(/"problem":".*model\.yaml/u, timeoutMs);
  await more();
  stop.abort();
  await clients;
  expect(failed).toEqual([]);
  expect(await reloads(worker, 'replaced')).toBe(3);
}, 120_000);

/** To their supervisors, as an operator would. */
function hangUp(roles: readonly RunningRole[]): void {
  for (const { process } of roles) process.kill('SIGHUP');
}

function reloads(worker: RunningRole, result: string): Promise<number> {
  return metricSum([worker], 'inferry_model_reloads_total', { model: 'm', result });
}
