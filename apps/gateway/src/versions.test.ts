/** Which version a request gets, and that it is one for all that is done for it. */
import { classOf, type ModelManifest, type ModelRouting } from '@inferry/contracts';
import { type Random, systemRandom } from '@inferry/runtime';
import { parseExposition } from '@inferry/telemetry';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';

import {
  startWorker,
  type TestGateway,
  testGateway,
  type TestWorker,
} from './gateway-fixture.test.ts';
import { iris } from './models-fixture.test.ts';

const first: ModelManifest = {
  ...iris,
  admission: { mode: 'timeout', budgetMs: null, onInfeasible: 'refuse' },
};
const second: ModelManifest = { ...first, version: '2' };
const ready = [first, second].map((manifest) => {
  return { manifest, state: 'ready', provider: 'cpu', device: 'cpu', loadMs: 1 } as const;
});
const halves: ModelRouting = {
  labels: { stable: '1', canary: '2' },
  traffic: [
    { version: '1', weight: 1 },
    { version: '2', weight: 1 },
  ],
};

/** Chooses the versions in turn, and counts how often it is asked. */
class Turns implements Random {
  asked = 0;
  bytes(length: number): Uint8Array {
    return systemRandom.bytes(length);
  }

  unit(): number {
    this.asked += 1;
    return this.asked % 2 === 1 ? 0 : 0.99;
  }
}

let random: Turns;
let gateway: TestGateway;
let worker: TestWorker;

function serve(states: readonly ('ready' | 'retiring')[], routing: ModelRouting = halves): void {
  const models = ready.map((one, i) => ({ ...one, state: states[i] ?? 'ready' }));
  const announced = { v: 1, workerId: 'w', host: 'h', pid: 1, startedAtMs: 1 } as const;
  gateway.catalogue.replaceLocal({ models: [first, second], routing: { iris: routing } });
  gateway.catalogue.replaceAnnounced([{ ...announced, state: 'serving', models }]);
}

function open(): void {
  random = new Turns();
  gateway = testGateway({}, { models: [], random });
  serve(['ready', 'ready']);
  worker = startWorker(gateway.queue, undefined, [classOf('iris', '1'), classOf('iris', '2')]);
}

beforeEach(open);
afterEach(async () => {
  await worker.stop();
  await gateway.close();
});

async function post(
  path: string,
  body: unknown,
  headers: Readonly<Record<string, string>> = {},
): Promise<{ status: number; headers: Headers; body: Record<string, unknown> }> {
  const text = typeof body === 'string' ? body : JSON.stringify(body);
  const length = { 'Content-Length': String(text.length) };
  const response = await gateway.request(path, {
    method: 'POST',
    body: text,
    headers: { 'Content-Type': 'application/json', ...length, ...headers },
  });
  const answered = (await response.json()) as Record<string, unknown>;
  return { status: response.status, headers: response.headers, body: answered };
}

const fields = { length: 5, width: 2 };
const tensor = { name: 'features', datatype: 'FP32', shape: [1, 2], data: [5, 2] };
function spaced(body: unknown): string {
  return JSON.stringify(body).padEnd(70_000);
}
const seenClasses = (): string[] => worker.seen.map(({ claim }) => claim.job.class);

test.each([
  ['a job', '/v1/models/iris/jobs', { input: fields }, { Prefer: 'wait=5' }],
  [
    'a job that names its model',
    '/v1/jobs',
    { model: 'iris', input: fields },
    { Prefer: 'wait=5' },
  ],
  ['an infer request', '/v2/models/iris/infer', { inputs: [tensor] }],
  ['a predict request', '/v1/models/iris:predict', { instances: [fields] }],
  ['a classify request', '/v1/models/iris:classify', { examples: [fields] }],
  ['a call by inputs', '/bento/iris', fields],
  // Large enough to be asked about before they are read.
  ['a large job', '/v1/models/iris/jobs', spaced({ input: fields }), { Prefer: 'wait=5' }],
  ['a large infer request', '/v2/models/iris/infer', spaced({ inputs: [tensor] })],
])('%s draws its version once, whatever becomes of it', async (...given) => {
  const [, path, body, headers] = given;
  await post(path, body, headers);
  await post(path, body, headers);
  expect(random.asked).toBe(2);
  expect(seenClasses()).toEqual(['iris@1', 'iris@2']);
});

test('an answer names the version that was drawn, and a refusal is counted once', async () => {
  const infer = async () => (await post('/v2/models/iris/infer', { inputs: [tensor] })).body;
  expect([await infer(), await infer()]).toMatchObject([
    { model_version: '1' },
    { model_version: '2' },
  ]);
  await post('/v1/models/iris/jobs', { input: { length: 'x' } });
  expect(random.asked).toBe(3);
  const told = parseExposition(await gateway.metrics.text());
  const refused = 'model="iris",decision="rejected",reason="invalid_input"';
  expect(told.get(`inferry_admission_total{${refused}}`)).toBe(1);
  expect(told.get('inferry_version_requests_total{queue="iris@1",outcome="rejected"}')).toBe(0);
});

describe('an idempotency key', () => {
  const submit = (key: string, path = '/v1/models/iris/jobs') =>
    post(path, { input: fields }, { 'Idempotency-Key': key });

  test('gives all its tries one version, and keys are spread over the versions', async () => {
    const versions = new Map<string, unknown>();
    const versionOf = async (key: string) => (await submit(key)).body['model_version'];
    for (let i = 0; i < 20; i += 1) versions.set(`${i}`, await versionOf(`${i}`));
    expect(new Set(versions.values())).toEqual(new Set(['1', '2']));
    // A queue that knows nothing of the keys any more.
    await gateway.close();
    await worker.stop();
    open();
    for (const [key, version] of versions) expect(await versionOf(key)).toBe(version);
    expect(random.asked).toBe(0);
  });

  test('finds the job that was made, whatever the shares say now', async () => {
    const made = await submit('key');
    serve(['ready', 'ready'], { labels: {}, traffic: [{ version: '1', weight: 1 }] });
    const again = [await submit('key')];
    serve(['ready', 'ready'], { labels: {}, traffic: [{ version: '2', weight: 1 }] });
    again.push(await submit('key'));
    for (const { headers } of again) {
      expect(headers.get('idempotency-replayed')).toBe('true');
      expect(headers.get('job-id')).toBe(made.headers.get('job-id'));
    }
  });

  test('finds it also when the version is there no more', async () => {
    const made = await submit('key', '/v1/models/iris@1/jobs');
    serve(['retiring', 'ready']);
    const again = await submit('key', '/v1/models/iris@1/jobs');
    expect(again.headers.get('job-id')).toBe(made.headers.get('job-id'));
    const other = await submit('other', '/v1/models/iris@1/jobs');
    expect(other).toMatchObject({ status: 404, body: { code: 'model_version_not_found' } });
    // The key of a refused one is free.
    serve(['ready', 'ready']);
    expect(await submit('other', '/v1/models/iris@1/jobs')).toMatchObject({ status: 202 });
  });
});

describe('a label', () => {
  test.each([
    ['/v1/models/iris@canary/jobs', { input: fields }],
    ['/v1/jobs', { model: 'iris@canary', input: fields }],
    ['/v2/models/iris/versions/canary/infer', { inputs: [tensor] }],
    ['/v1/models/iris/labels/canary:predict', { instances: [fields] }],
    ['/v1/models/iris/labels/canary:classify', { examples: [fields] }],
    ['/v1/models/iris/versions/canary:predict', { instances: [fields] }],
    ['/v1/models/iris@canary:predict', { instances: [fields] }],
    ['/bento/iris@canary', fields],
  ])('names its version in POST %s', async (path, body) => {
    await post(path, body, { Prefer: 'wait=5' });
    expect(seenClasses()).toEqual(['iris@2']);
    expect(random.asked).toBe(0);
  });

  test('names its version in what is told of it', async () => {
    const read = async (path: string) => (await gateway.request(path)).json();
    const model = { version: '2', model_version_status: [{ version: '2', state: 'AVAILABLE' }] };
    expect(await read('/v1/models/iris/labels/canary')).toMatchObject(model);
    expect(await read('/v1/models/iris@canary')).toMatchObject(model);
    expect(await read('/v1/models/iris/labels/canary/metadata')).toMatchObject({
      model_spec: { version: '2' },
    });
    expect(await read('/v2/models/iris/versions/canary/ready')).toMatchObject({ ready: true });
    expect(await read('/v2/models/iris/versions/canary/config')).toMatchObject({ name: 'iris' });
    expect(await read('/v2/models/iris/versions/canary/stats')).toMatchObject({
      model_stats: [{ name: 'iris', version: '2' }],
    });
    expect(await read('/v1/models/iris/labels/none')).toMatchObject({
      status: 404,
      code: 'model_version_not_found',
      detail: expect.stringContaining('it has: canary, stable, 1, 2') as string,
    });
  });
});

test('a model tells its labels, its traffic, and how each of its versions is doing', async () => {
  serve(['retiring', 'ready']);
  const response = await gateway.request('/v1/models/iris');
  expect(await response.json()).toMatchObject({
    default_version: '2',
    versions: ['2'],
    labels: { canary: '2' },
    traffic: [{ version: '2', weight: 1 }],
    version_status: [
      { version: '1', status: 'retiring', ready_workers: 0 },
      { version: '2', status: 'ready', ready_workers: 1 },
    ],
    model_version_status: [
      { version: '2', state: 'AVAILABLE' },
      { version: '1', state: 'UNLOADING' },
    ],
  });
});
