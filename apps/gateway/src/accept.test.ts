/** A version that goes while a request for it arrives. */
import { classOf, type ModelManifest, type ServedModel } from '@inferry/contracts';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';

import {
  startWorker,
  type TestGateway,
  testGateway,
  type TestWorker,
} from './gateway-fixture.test.ts';
import { iris } from './models-fixture.test.ts';

const second: ModelManifest = { ...iris, version: '2' };
const fields = { length: 5, width: 2 };
const tensor = { name: 'features', datatype: 'FP32', shape: [1, 2], data: [5, 2] };

let gateway: TestGateway;
let worker: TestWorker;

function announce(state: ServedModel['state'] | 'gone'): void {
  const served = { state: 'ready', provider: 'cpu', device: 'cpu', loadMs: 1 } as const;
  const models: ServedModel[] = [{ ...served, manifest: second }];
  if (state !== 'gone') models.push({ ...served, manifest: iris, state });
  const own = { v: 1, workerId: 'w', host: 'h', pid: 1, startedAtMs: 1 } as const;
  gateway.catalogue.replaceAnnounced([{ ...own, state: 'serving', models }]);
}

function open(leaseMs = 5_000): void {
  gateway = testGateway({ leaseMs }, { models: [] });
  announce('ready');
  worker = startWorker(gateway.queue, undefined, [classOf('iris', '1'), classOf('iris', '2')]);
}

async function close(): Promise<void> {
  await worker.stop();
  await gateway.close();
}

beforeEach(() => open());
afterEach(close);

/** `meanwhile` happens when the first of the body is read. */
function post(path: string, content: unknown, meanwhile: () => void): Promise<Response> {
  const body = new ReadableStream(
    {
      pull(controller) {
        meanwhile();
        controller.enqueue(Buffer.from(JSON.stringify(content)));
        controller.close();
      },
    },
    { highWaterMark: 0 },
  );
  const headers = { 'Content-Type': 'application/json', Prefer: 'wait=5' };
  return gateway.request(path, { method: 'POST', body, headers, duplex: 'half' });
}

describe.each([
  ['a job', '/v1/models/iris@1/jobs', { input: fields }],
  ['an infer request', '/v2/models/iris/versions/1/infer', { inputs: [tensor] }],
])('%s', (_what, path, content) => {
  const unload = (): void =>
    gateway.catalogue.replaceAnnounced(
      [],
      [{ number: 1, model: 'iris', want: 'unloaded', atMs: 1 }],
    );

  test.each<readonly [string, () => void]>([
    ['that no worker has any more', () => announce('gone')],
    ['that was unloaded', unload],
  ])('for a version %s is refused', async (_how, go) => {
    const answer = await post(path, content, go);
    expect([answer.status, answer.headers.get('retry-after')]).toEqual([503, '1']);
    expect(JSON.stringify(await answer.json())).toContain(
      'Version 1 of model \\"iris\\" was retired while the request arrived.',
    );
    expect(await gateway.queue.stats([classOf('iris', '1')])).toMatchObject([{ arrivedRows: 0 }]);
  });

  test('for one that is about to go is served, unless it arrived for too long', async () => {
    expect((await post(path, content, () => announce('retiring'))).status).toBe(200);
    expect(worker.seen).toHaveLength(1);
    await close();
    open(0);
    expect((await post(path, content, () => announce('retiring'))).status).toBe(503);
    expect(worker.seen).toHaveLength(0);
  });
});

test('a job that names its model in the body draws its version when that is read', async () => {
  const answer = await post('/v1/jobs', { model: 'iris', input: fields }, () => announce('gone'));
  expect(await answer.json()).toMatchObject({ model_version: '2', status: 'succeeded' });
});
