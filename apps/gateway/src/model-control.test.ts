import type { CarriedOut, ServedModel, WorkerAnnouncement } from '@inferry/contracts';
import { waitFor } from '@inferry/testkit';
import { afterEach, describe, expect, test } from 'vitest';

import { type TestGateway, testGateway } from './gateway-fixture.test.ts';
import { field, openGrpc } from './grpc/grpc-fixture.test.ts';
import type { ControlSettings } from './model-control.ts';
import { iris } from './models-fixture.test.ts';

/** Runs in reverse when a test is over. */
const closing: (() => Promise<unknown> | void)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).toReversed()) await close();
});

const allowed = { isAllowed: true, waitMs: 60_000 };
const ready: ServedModel = {
  manifest: iris,
  state: 'ready',
  provider: 'cpu',
  device: 'cpu',
  loadMs: 1,
};

/** A gateway whose rounds follow each other at once. */
async function open(
  modelControl: ControlSettings = allowed,
  more: Parameters<typeof testGateway>[1] = {},
): Promise<TestGateway> {
  const fixture = testGateway({ sweepMs: 5 }, { modelControl, ...more });
  closing.push(() => fixture.close());
  await fixture.gateway.listen({ host: '127.0.0.1', port: 0 });
  return fixture;
}

/** A worker says what it has, and what it made of the last order of iris. */
function announce(
  { queue }: TestGateway,
  workerId: string,
  end?: CarriedOut,
  over: Partial<WorkerAnnouncement> = {},
): Promise<void> {
  return queue.announce({
    v: 1,
    workerId,
    host: 'h',
    pid: 1,
    state: 'serving',
    startedAtMs: 1,
    models: [ready],
    ...(end === undefined ? {} : { carriedOut: { iris: end } }),
    ...over,
  });
}

function post(
  gateway: TestGateway,
  path: string,
  { body, signal }: { readonly body?: unknown; readonly signal?: AbortSignal } = {},
): Promise<Response> {
  return gateway.request(`/v2/repository/${path}`, {
    method: 'POST',
    ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    ...(signal === undefined ? {} : { signal }),
  });
}

/** The number of the order that was given. */
async function ordered({ queue }: TestGateway): Promise<number> {
  let number = 0;
  await waitFor(async () => {
    number = (await queue.orders())[0]?.number ?? 0;
    return number > 0;
  });
  return number;
}

describe('an order to load', () => {
  test('is answered when every worker that stays has carried it out', async () => {
    const gateway = await open();
    await announce(gateway, 'w1');
    await announce(gateway, 'w2');
    await announce(gateway, 'leaving', undefined, { state: 'draining' });
    let isAnswered = false;
    const answer = post(gateway, 'models/iris/load').finally(() => (isAnswered = true));
    const number = await ordered(gateway);
    await announce(gateway, 'w1', { number, problem: null });
    await announce(gateway, 'w2', { number: number - 1, problem: 'of another order' });
    // Once the gateway knows of w3 it has seen all of this.
    const models = [{ ...ready, manifest: { ...iris, version: '2' } }];
    await announce(gateway, 'w3', { number, problem: null }, { models });
    const isKnown = async (): Promise<boolean> =>
      (await gateway.request('/v2/models/iris/versions/2/ready')).status === 200;
    await waitFor(isKnown);
    expect(isAnswered).toBe(false);
    await announce(gateway, 'w2', { number, problem: null });
    const response = await answer;
    expect([response.status, await response.text()]).toEqual([200, '']);
    expect(await gateway.queue.orders()).toMatchObject([{ model: 'iris', want: 'loaded' }]);
  });

  test('is answered once this gateway has read its own repository too, and others read theirs', async () => {
    let reads = 0;
    let goOn = (): void => undefined;
    const rereadModels = (): Promise<void> => {
      reads += 1;
      return new Promise((resolve) => (goOn = resolve));
    };
    const gateway = await open(allowed, { rereadModels });
    await announce(gateway, 'w1');
    let isAnswered = false;
    const answer = post(gateway, 'models/iris/load').finally(() => (isAnswered = true));
    const number = await ordered(gateway);
    const models = [{ ...ready, manifest: { ...iris, version: '2' } }];
    await announce(gateway, 'w1', { number, problem: null }, { models });
    const isKnown = async (): Promise<boolean> =>
      (await gateway.request('/v2/models/iris/versions/2/ready')).status === 200;
    await waitFor(isKnown);
    expect([isAnswered, reads]).toEqual([false, 1]);
    goOn();
    expect((await answer).status).toBe(200);
    // Given by another gateway.
    await gateway.queue.order({ model: 'digits', want: 'unloaded' });
    await gateway.queue.order({ model: 'iris', want: 'loaded' });
    await waitFor(() => reads === 2);
    goOn();
  });

  test('that a worker cannot carry out is answered 400 with its reason', async () => {
    const gateway = await open();
    const failed: ServedModel = { ...ready, state: 'failed', reason: 'broken' };
    await announce(gateway, 'w1');
    const answer = post(gateway, 'models/iris/load');
    const number = await ordered(gateway);
    await announce(gateway, 'w1', { number, problem: null });
    await announce(gateway, 'w2', { number, problem: 'is broken' }, { models: [failed] });
    const response = await answer;
    expect(response.status).toBe(400);
    expect(await response.json()).toMatchObject({
      code: 'model_control_failed',
      error: '1 of 2 workers could not load "iris": is broken',
    });
  });

  test('is carried out though workers with another repository do not have the model', async () => {
    const gateway = await open();
    await announce(gateway, 'w1');
    const answer = post(gateway, 'models/iris/load');
    const number = await ordered(gateway);
    await announce(gateway, 'w2', { number, problem: 'is not in the repository' }, { models: [] });
    await announce(gateway, 'w1', { number, problem: null });
    expect((await answer).status).toBe(200);
  });

  test('of a model that nobody has is answered 400', async () => {
    const gateway = await open();
    const none = { models: [] };
    await announce(gateway, 'w1', undefined, none);
    const answer = post(gateway, 'models/nobody/load');
    const number = await ordered(gateway);
    const carriedOut = { nobody: { number, problem: 'is not in the repository' } };
    await announce(gateway, 'w1', undefined, { ...none, carriedOut });
    expect((await answer).status).toBe(400);
  });

  test('of a model that is called as what every object has is not carried out by itself', async () => {
    const gateway = await open({ isAllowed: true, waitMs: 50 });
    await announce(gateway, 'w1', { number: 1, problem: null });
    expect((await post(gateway, 'models/constructor/load')).status).toBe(400);
  });

  test('that another one undoes before it is carried out is answered 400', async () => {
    const gateway = await open();
    await announce(gateway, 'w1');
    const answer = post(gateway, 'models/iris/load');
    await ordered(gateway);
    const later = await gateway.queue.order({ model: 'iris', want: 'unloaded' });
    const number = later.ok ? later.value.number : 0;
    await announce(gateway, 'w1', { number, problem: null }, { models: [] });
    const response = await answer;
    expect([response.status, await response.json()]).toMatchObject([
      400,
      { error: 'A later order to unload "iris" took the place of this one.' },
    ]);
  });

  test('stands though no worker lives that could carry it out', async () => {
    const gateway = await open();
    const response = await post(gateway, 'models/iris/load');
    expect(response.status).toBe(503);
    expect(await response.json()).toMatchObject({ code: 'model_unavailable' });
    expect(await gateway.queue.orders()).toHaveLength(1);
  });

  test('that is not carried out in time is answered 503, and stands', async () => {
    const gateway = await open({ isAllowed: true, waitMs: 50 });
    await announce(gateway, 'w1');
    const response = await post(gateway, 'models/iris/load');
    expect(response.status).toBe(503);
    const { error } = (await response.json()) as { readonly error: string };
    expect(error).toContain('1 of 1 workers had not carried it out within 50 ms');
    expect(await gateway.queue.orders()).toHaveLength(1);
  });

  test('is not waited for by a server that goes, nor for a caller that is gone', async () => {
    const gateway = await open();
    await announce(gateway, 'w1');
    const gone = new AbortController();
    const abandoned = post(gateway, 'models/iris/load', { signal: gone.signal });
    await ordered(gateway);
    gone.abort();
    expect((await abandoned).status).toBe(408);
    const waiting = post(gateway, 'models/digits/load');
    await waitFor(async () => (await gateway.queue.orders()).length === 2);
    await gateway.gateway.drain();
    expect((await waiting).status).toBe(503);
    expect(await (await post(gateway, 'models/iris/load')).json()).toMatchObject({
      code: 'draining',
    });
    expect(await gateway.queue.orders()).toHaveLength(2);
  });

  test('says what of its body is not done here', async () => {
    const gateway = await open();
    const own = { parameters: { config: '{}', 'file:1/model.onnx': 'x' } };
    const given = await post(gateway, 'models/iris/load', { body: own });
    expect([given.status, await given.json()]).toMatchObject([
      400,
      {
        error: expect.stringContaining('#/parameters/config is not supported') as string,
        errors: [
          { pointer: '#/parameters/config' },
          { pointer: '#/parameters/file:1~1model.onnx' },
        ],
      },
    ]);
    const unknown = await post(gateway, 'models/iris/load', { body: { parameters: { x: '1' } } });
    expect(await unknown.json()).toMatchObject({ code: 'unknown_field', status: 400 });
    const named = await post(gateway, 'mine/models/iris/load');
    expect([named.status, await named.json()]).toMatchObject([501, { code: 'not_implemented' }]);
    const odd = await post(gateway, 'models/no%20name/load');
    expect([odd.status, await odd.json()]).toMatchObject([400, { code: 'invalid_input' }]);
    expect(await gateway.queue.orders()).toEqual([]);
  });
});

test('an order to unload is answered when it is carried out; of a model that nobody knows it is refused', async () => {
  const gateway = await open();
  await announce(gateway, 'w1');
  const body = { parameters: { unload_dependents: true } };
  const answer = post(gateway, 'models/iris/unload', { body });
  const number = await ordered(gateway);
  await announce(gateway, 'w1', { number, problem: null }, { models: [] });
  expect((await answer).status).toBe(200);
  const unknown = await post(gateway, 'models/nobody/unload');
  expect([unknown.status, await unknown.json()]).toMatchObject([404, { code: 'model_not_found' }]);
  const wrong = await post(gateway, 'models/iris/unload', {
    body: { parameters: { unload_dependents: 'yes' } },
  });
  expect(wrong.status).toBe(400);
  expect(await gateway.queue.orders()).toMatchObject([{ model: 'iris', want: 'unloaded' }]);
});

test('where models are not controlled by callers an order is refused, and names the setting', async () => {
  const gateway = await open({ isAllowed: false, waitMs: 1 });
  const response = await post(gateway, 'models/iris/load');
  expect(response.status).toBe(503);
  expect(response.headers.get('retry-after')).toBeNull();
  const { error } = (await response.json()) as { readonly error: string };
  expect(error).toContain('INFERRY_MODEL_CONTROL');
  expect(await gateway.queue.orders()).toEqual([]);
});

test('a page of another site does not control models', async () => {
  const gateway = await open();
  const response = await gateway.request('/v2/repository/models/iris/unload', {
    method: 'POST',
    headers: { 'Sec-Fetch-Site': 'cross-site' },
  });
  expect([response.status, await response.json()]).toMatchObject([
    503,
    { code: 'model_control_off' },
  ]);
  expect(await gateway.queue.orders()).toEqual([]);
});

test('the index is told whatever the repository is called', async () => {
  const gateway = await open();
  const [named, plain] = await Promise.all([post(gateway, 'mine/index'), post(gateway, 'index')]);
  expect(await named.json()).toEqual(await plain.json());
});

describe('over gRPC', () => {
  const parameter = (name: string, value: Buffer): Buffer =>
    field(3, Buffer.concat([field(1, name), field(2, value)]));
  const no = Buffer.of(8, 0);

  test('models are loaded and unloaded, and refusals have the status that fits', async () => {
    const gateway = await openGrpc({ sweepMs: 5 }, { modelControl: allowed });
    await announce(gateway, 'w1');
    const unloading = gateway.call(
      'RepositoryModelUnload',
      Buffer.concat([field(2, 'iris'), parameter('unload_dependents', no)]),
    );
    const number = await ordered(gateway);
    await announce(gateway, 'w1', { number, problem: null }, { models: [] });
    expect(await unloading).toMatchObject({ error: null, answer: Buffer.alloc(0) });
    const code = async (method: string, message: Buffer): Promise<number | undefined> =>
      (await gateway.call(method, message)).error?.code;
    expect(await code('RepositoryModelUnload', field(2, 'nobody'))).toBe(5);
    const named = Buffer.concat([field(1, 'mine'), field(2, 'iris')]);
    expect(await code('RepositoryModelLoad', named)).toBe(12);
    const config = parameter('config', field(3, '{}'));
    expect(await code('RepositoryModelLoad', Buffer.concat([field(2, 'iris'), config]))).toBe(3);
    expect(await gateway.queue.orders()).toMatchObject([{ want: 'unloaded' }]);
  });

  test('a call that is not waited for any more leaves its order', async () => {
    const gateway = await openGrpc({ sweepMs: 5 }, { modelControl: allowed });
    await announce(gateway, 'w1');
    const deadline = Date.now() + 200;
    const { error } = await gateway.call('RepositoryModelLoad', field(2, 'iris'), {}, { deadline });
    expect(error?.code).toBe(4);
    expect(await gateway.queue.orders()).toHaveLength(1);
    await gateway.gateway.drain();
  });
});
