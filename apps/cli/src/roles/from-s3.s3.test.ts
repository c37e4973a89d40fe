import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { ok, systemClock } from '@inferry/runtime';
import { createLogger } from '@inferry/telemetry';
import {
  freePort,
  repositoryPath,
  type S3Server,
  startProcess,
  startS3Server,
  waitFor,
} from '@inferry/testkit';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { type Config, parseConfig } from '../config.ts';
import { type FaultyWay, S3Place, startFaultyWay } from '../sources/s3.fixture.ts';
import { startFromS3 } from './from-s3.ts';
import { readModels } from './models.ts';
import type { RoleDeps, StartRole } from './role.ts';

const iris = await readFile(repositoryPath('models/iris/1/model.onnx'));

let server: S3Server;
let way: FaultyWay;
let place: S3Place;
beforeAll(async () => {
  server = await startS3Server();
});
afterAll(() => server[Symbol.asyncDispose]());
beforeEach(async () => {
  way = await startFaultyWay(server.url);
  place = await S3Place.make(server);
  place.env = { ...server.env, AWS_ENDPOINT_URL: way.url };
  await place.here.write('own', { 'iris/1/model.onnx': iris });
  await place.push('own', 'iris@1');
});
afterEach(async () => {
  await way.close();
  await place.remove();
});

function settings(): Record<string, string> {
  return {
    INFERRY_MODELS: `s3://${place.bucket.name}/models`,
    INFERRY_MODELS_CACHE: join(place.here.folder, 'cache'),
    INFERRY_MODELS_SYNC_MS: '200',
    INFERRY_MODELS_POLL_MS: '100',
  };
}

/** A role that reads its models and does nothing else; what it found, as `name@version`. */
async function start(
  env: Readonly<Record<string, string>>,
  stopping?: Promise<unknown>,
): Promise<{
  readonly read: () => Promise<readonly string[]>;
  readonly sync: () => Promise<void>;
  readonly stop: () => Promise<void>;
}> {
  let given: { readonly config: Config; readonly deps: RoleDeps } | undefined;
  const role: StartRole = async (config, deps) => {
    given = { config, deps };
    return ok({ httpPort: null, grpcPort: null, metricsPort: 0, drain: async () => undefined });
  };
  const config = parseConfig('serve', { env: { ...settings(), ...env }, flags: new Map() });
  if (!config.ok) throw new Error(JSON.stringify(config.error));
  const logger = createLogger({ role: 'test', level: 'fatal', destination: process.stderr });
  const deps = { logger, clock: systemClock, stopping } as RoleDeps;
  const started = await startFromS3(role, env)(config.value, deps);
  if (!started.ok) throw new Error(started.error.join('\n'));
  return {
    read: async () => {
      const models = await readModels({ modelsDir: given?.config.modelsDir ?? '', only: null });
      if (!models.ok) throw new Error(models.error.join('\n'));
      return models.value.models.map(({ name, version }) => `${name}@${version}`);
    },
    sync: async () => given?.deps.syncModels?.(),
    stop: () => started.value.drain(),
  };
}

test('a role finds its models in a directory, which follows the bucket', async () => {
  const role = await start(place.env);
  expect(await role.read()).toEqual(['iris@1']);
  await place.here.write('own', { 'iris/2/model.onnx': iris });
  await place.push('own', 'iris@2');
  await waitFor(async () => (await role.read()).length === 2);
  await role.stop();
});

test('who wants them now gets them now', async () => {
  const role = await start({ ...place.env, INFERRY_MODELS_SYNC_MS: '0' });
  await place.here.write('own', { 'rose/1/model.onnx': iris });
  await place.push('own', 'rose@1');
  expect(await role.read()).toEqual(['iris@1']);
  await role.sync();
  expect(await role.read()).toEqual(['iris@1', 'rose@1']);
  await role.stop();
});

test('without its bucket a role starts on what it had, and without that it does not', async () => {
  await (await start(place.env)).stop();
  way.fault = () => ({ answer: (response) => void response.writeHead(403).end() });
  const role = await start(place.env);
  expect(await role.read()).toEqual(['iris@1']);
  await role.stop();
  const elsewhere = { ...place.env, AWS_ENDPOINT_URL: `http://127.0.0.1:${await freePort()}` };
  await expect(start(elsewhere)).rejects.toThrow('AWS_ENDPOINT_URL says where it is');
});

test('a role that is stopped while it fetches ends at once, and leaves no lock', async () => {
  const role = await start({ ...place.env, INFERRY_MODELS_SYNC_MS: '0' });
  await place.here.write('own', { 'iris/2/model.onnx': iris });
  await place.push('own', 'iris@2');
  let isAsked = false;
  way.fault = (asked) => {
    isAsked ||= asked.includes('/files/');
    return asked.includes('/files/') ? { until: new Promise(() => undefined) } : undefined;
  };
  const syncing = role.sync();
  await waitFor(() => isAsked);
  await role.stop();
  await syncing;
  const left = await readdir(join(place.here.folder, 'cache'), { recursive: true });
  expect(left.filter((file) => file.endsWith('.lock'))).toEqual([]);
  // The one that stopped while it started has nothing to drain.
  const stopping = start(place.env, Promise.resolve());
  await expect(stopping).rejects.toThrow('was asked to stop');
});

test('a directory that cannot be written is told, with what to set', async () => {
  await place.here.write('own', { file: 'x' });
  const env = { ...place.env, INFERRY_MODELS_CACHE: join(place.here.folder, 'own', 'file') };
  await expect(start(env)).rejects.toThrow(/ENOTDIR.*INFERRY_MODELS_CACHE says where/u);
});

test('a command that is no role says that it wants a directory', async () => {
  expect(await readModels({ modelsDir: 's3://bucket/models', only: null })).toEqual({
    ok: false,
    error: [
      's3://bucket/models: serve, gateway and worker alone take models from S3; give this command a directory',
    ],
  });
});

test('serve answers for a model in a bucket', async () => {
  const { INFERRY_MODELS: models = '', ...more } = settings();
  const env = { ...place.env, ...more, PORT: '0', METRICS_PORT: '0' };
  await using serving = startProcess(['serve', models], { env });
  const line = await serving.waitForLine((text) => text.includes('"msg":"ready"'), 60_000);
  const { http_port: port } = JSON.parse(line) as { readonly http_port: number };
  const ready = await fetch(`http://127.0.0.1:${port}/v2/models/iris/versions/1/ready`);
  expect(ready.status).toBe(200);
  expect(serving.lines.join('\n')).not.toContain(place.env['AWS_SECRET_ACCESS_KEY']);
}, 90_000);
