/** What is refused before its body has been sent, and what is heard out. */
import { connect } from 'node:net';

import { type AdmissionSpec, classOf, type Limits, type ModelManifest } from '@inferry/contracts';
import { afterEach, describe, expect, test } from 'vitest';

import { type TestGateway, testGateway } from '../gateway-fixture.test.ts';
import { iris } from '../models-fixture.test.ts';

const cls = classOf('iris', '1');
const large = 100_000;

let gateway: TestGateway;
let close: (() => Promise<void>) | undefined;
afterEach(async () => {
  await close?.();
  close = undefined;
});

/** A gateway that would refuse every held request, and the number of times it asks the queue first. */
async function open({
  admission,
  limits,
  tenants,
}: {
  readonly admission?: Partial<AdmissionSpec>;
  readonly limits?: Partial<Limits>;
  readonly tenants?: ReadonlyMap<string, number>;
} = {}): Promise<{ readonly asked: () => number }> {
  const spec = { mode: 'target', budgetMs: 250, onInfeasible: 'refuse', ...admission } as const;
  const model: ModelManifest = { ...iris, admission: spec, queueDepthMax: 100 };
  gateway = testGateway(limits, { models: [model], ...(tenants === undefined ? {} : { tenants }) });
  close = () => gateway.close();
  const points = [{ rows: 1, ms: 1_000 }];
  await gateway.queue.offer('w0', cls, { rowsMax: 1, points, tailFactor: 1, rowWorkMs: 100 });
  let asked = 0;
  const quote = gateway.queue.quote.bind(gateway.queue);
  gateway.queue.quote = (...given) => {
    asked += 1;
    return quote(...given);
  };
  return { asked: () => asked };
}

function submit(
  headers: Readonly<Record<string, string>>,
  path = '/v1/models/iris/jobs',
  more: Readonly<Record<string, unknown>> = {},
): Promise<Response> {
  const text = JSON.stringify({ input: { length: 5, width: 2 }, ...more }).padEnd(large);
  const length = String(text.length);
  const all = { 'Content-Type': 'application/json', 'Content-Length': length, ...headers };
  return gateway.request(path, { method: 'POST', body: text, headers: all });
}

function retryAfterMs(response: Response): number {
  return Number(response.headers.get('retry-after-ms'));
}

/** Sends the head of a request and nothing of its body; resolves with the first that is answered. */
async function headOnly(path: string, headers: readonly string[]): Promise<string> {
  const { port } = await gateway.gateway.listen({ host: '127.0.0.1', port: 0 });
  return new Promise((resolve, reject) => {
    const socket = connect(port, '127.0.0.1', () =>
      socket.write(
        [`POST ${path} HTTP/1.1`, 'Host: x', `Content-Length: ${large}`, ...headers, '', ''].join(
          '\r\n',
        ),
      ),
    );
    socket.once('data', (chunk) => {
      resolve(chunk.toString());
      socket.destroy();
    });
    socket.once('error', reject);
  });
}

const wait = { Prefer: 'wait=1' };

describe('a large body', () => {
  test.each([
    ['/v1/models/iris/jobs', ['Prefer: wait=5']],
    ['/v2/models/iris/infer', []],
    ['/v2/models/iris/infer', ['Expect: 100-continue']],
  ])('to %s is never sent where its answer would be late %j', async (path, headers) => {
    await open();
    const text = await headOnly(path, headers);
    expect(text).toMatch(/^HTTP\/1\.1 503 /u);
    expect(text).toContain('deadline_infeasible');
  });

  test('is asked for where it is wanted', async () => {
    await open({ admission: { mode: 'depth', budgetMs: null } });
    const text = await headOnly('/v1/models/iris/jobs', ['Expect: 100-continue']);
    expect(text).toMatch(/^HTTP\/1\.1 100 Continue/u);
  });

  test('is refused after one question, and where there are priorities after one for each', async () => {
    const plain = await open();
    expect([(await submit(wait)).status, plain.asked()]).toEqual([503, 1]);
    await close?.();
    const fair = await open({ tenants: new Map([['acme', 1]]) });
    expect([(await submit(wait)).status, fair.asked()]).toEqual([503, 3]);
  });

  test('is sent back for one turn, by the line of those that name no priority', async () => {
    await open({ tenants: new Map([['acme', 1]]), admission: { budgetMs: 250 } });
    for (let i = 0; i < 3; i += 1) {
      await submit({ 'Content-Length': '100' }, '/v1/models/iris/jobs', { priority: 'low' });
    }
    const told = [];
    for (let i = 0; i < 2; i += 1) {
      const response = await submit(wait);
      const { code, estimate_ms } = (await response.json()) as Record<string, unknown>;
      told.push({ code, estimate: Number(estimate_ms), ms: retryAfterMs(response) });
    }
    const [first, second] = told;
    // One of the three that wait goes before it: the tag of the first of them is as small as its own.
    expect(first).toMatchObject({ code: 'deadline_infeasible' });
    expect(first?.estimate).toBeLessThan(2_500);
    expect(first?.ms).toBeLessThanOrEqual(1_900);
    expect(Number(second?.ms) - Number(first?.ms)).toBeGreaterThan(800);
    expect(Number(second?.ms) - Number(first?.ms)).toBeLessThanOrEqual(1_000);
  });

  test('that is too large is told so, and not to come back', async () => {
    await open({ limits: { bodyBytesMax: 80_000 } });
    expect((await submit(wait)).status).toBe(413);
    const infer = await submit({}, '/v2/models/iris/infer');
    expect(infer.status).toBe(413);
  });

  test('is heard out where a more urgent request would be in time', async () => {
    const tenants = new Map([['acme', 1]]);
    const { asked } = await open({ tenants, admission: { budgetMs: 2_500 } });
    for (let i = 0; i < 2; i += 1) await submit({ 'Content-Length': '100' });
    const response = await submit(wait);
    const document = (await response.json()) as Record<string, unknown>;
    expect([document['code'], asked()]).toEqual(['quota_exceeded', 2]);
  });

  test.each([
    ['nobody waits', {}, {}],
    ['the caller can come back', {}, { Prefer: 'respond-async, wait=1' }],
    ['the model accepts', { admission: { onInfeasible: 'accept' } }, wait],
    ['no request can be held', { limits: { heldRequestsMax: 0 } }, wait],
    [
      'the model has no budget',
      { admission: { mode: 'depth', budgetMs: null } },
      { Prefer: 'wait=0' },
    ],
  ] as const)('is read without a question where %s', async (_, scene, headers) => {
    const { asked } = await open(scene);
    expect([(await submit(headers)).status, asked()]).toEqual([202, 0]);
  });

  test('with a key is read first, because it may be a replay', async () => {
    const { asked } = await open();
    const first = await submit({ 'Idempotency-Key': 'k' });
    const again = await submit({ 'Idempotency-Key': 'k', Prefer: 'wait=1' });
    expect([first.status, again.status, asked()]).toEqual([202, 202, 0]);
    expect(again.headers.get('idempotency-replayed')).toBe('true');
  });

  test('is the only one that is worth a question', async () => {
    const { asked } = await open();
    const small = await submit({ ...wait, 'Content-Length': '65536' });
    expect([small.status, asked()]).toEqual([503, 0]);
  });

  test('whose model is named inside is read first', async () => {
    const { asked } = await open();
    expect([(await submit(wait, '/v1/jobs')).status, asked()]).toEqual([422, 0]);
  });
});
