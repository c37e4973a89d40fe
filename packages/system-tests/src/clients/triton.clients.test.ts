/**
 * Triton's own clients (tritonclient, from PyPI) against real processes: `npm run test:clients`. Needs python3
 * with venv, and the first time a package index. What is checked is in the scripts beside this file.
 */
import { execFile } from 'node:child_process';
import { cp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { repositoryPath } from '@inferry/testkit';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { pythonPackages } from '../python-packages.ts';
import { joinRepositories, writeSimulatedModel } from '../simulated-model.ts';
import { writeTalkingModel } from '../talking-model.ts';
import { fixtureModels, type RunningRole, System } from '../system.ts';

const run = promisify(execFile);
const folder = import.meta.dirname;

let python: string;
let system: System;
let gateway: RunningRole;
let models: string;

beforeAll(async () => {
  python = join(await pythonPackages('clients', join(folder, 'requirements.txt')), 'python');
  models = await joinRepositories([
    fixtureModels,
    repositoryPath('docs/examples/ensemble/models'),
    await writeSimulatedModel('slow', { run_ms: 1_000 }),
    // Of each client its own, so that nothing is counted but what it sent.
    await writeSimulatedModel('counted_http', { run_ms: 5, fail_on: 666 }),
    await writeSimulatedModel('counted_grpc', { run_ms: 5, fail_on: 666 }),
    await writeTalkingModel(5),
    await writeSimulatedModel('switched_http', {}),
    await writeSimulatedModel('switched_grpc', {}),
  ]);
  for (const kind of ['http', 'grpc']) {
    const folder = join(fixtureModels, 'identity_fp32');
    await cp(folder, join(models, `onnx_${kind}`), { recursive: true });
  }
  // Nothing changes but by what the clients order.
  system = await System.open({}, { GRPC_PORT: '0', INFERRY_MODELS_POLL_MS: '0' });
  gateway = await system.start('gateway', models);
  await system.start('worker', models);
});
afterAll(async () => {
  await system.stop();
  await rm(models, { recursive: true, force: true });
});

async function checked(script: string, more: readonly string[] = []): Promise<readonly Check[]> {
  const addresses = [gateway.url.replace('http://', ''), `127.0.0.1:${gateway.grpcPort}`];
  const { stdout } = await run(python, [join(folder, script), ...addresses, ...more]);
  const lines = stdout.trim().split('\n');
  return lines.map((line) => JSON.parse(line) as Check);
}

interface Check {
  readonly check: string;
  readonly error: string | null;
}

test('every check of the official clients finds what it should, over HTTP and gRPC', async () => {
  const checks = await checked('triton_client.py');
  expect(checks.length).toBeGreaterThan(80);
  expect(checks.filter(({ error }) => error !== null)).toEqual([]);
});

test('the official clients load and unload models, over HTTP and gRPC', async () => {
  const checks = await checked('triton_control.py', [models]);
  expect(checks).toHaveLength(18);
  expect(checks.filter(({ error }) => error !== null)).toEqual([]);
});

test('the official clients know an ensemble as one, over HTTP and gRPC', async () => {
  const checks = await checked('triton_ensemble.py');
  expect(checks).toHaveLength(10);
  expect(checks.filter(({ error }) => error !== null)).toEqual([]);
});
