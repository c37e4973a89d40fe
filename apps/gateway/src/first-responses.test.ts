/** How long callers waited for the first response, under the name that Triton has for it. */
import { classOf, type ModelManifest } from '@inferry/contracts';
import { systemClock } from '@inferry/runtime';
import { parseExposition } from '@inferry/telemetry';
import { EventReader } from '@inferry/testkit';
import { afterEach, describe, expect, test } from 'vitest';

import { startWorker, succeeded, type TestGateway, testGateway } from './gateway-fixture.test.ts';
import { iris } from './models-fixture.test.ts';
import { QueueLooks } from './queue-looks.ts';
import { claimTalk, say, saying, settleTalk, talker } from './streaming/talker-fixture.test.ts';
import { exportTritonMetrics } from './triton-metrics.ts';

/** Runs in reverse when a test is over. */
const closing: (() => Promise<unknown>)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).toReversed()) await close();
});

function open(...models: readonly ModelManifest[]): TestGateway {
  const gateway = testGateway({}, { cacheBytesMax: 100_000, models });
  const { catalogue, firstResponses, metrics, queue } = gateway;
  const looks = new QueueLooks({ queue, catalogue, clock: systemClock });
  exportTritonMetrics(metrics, { catalogue, firstResponses, looks, queue });
  closing.push(() => gateway.close());
  return gateway;
}

const name = 'nv_inference_first_response_histogram_ms';

async function lines({ metrics }: TestGateway): Promise<readonly string[]> {
  const text = await metrics.text();
  return text.split('\n').filter((line) => line.startsWith(name));
}

async function count(gateway: TestGateway, model = 'iris'): Promise<number | undefined> {
  const samples = parseExposition((await lines(gateway)).join('\n'));
  return samples.get(`${name}_count{model="${model}",version="1"}`);
}

describe('its series', () => {
  const changed: ModelManifest = {
    ...iris,
    firstResponseBucketsMs: [0.5, 10],
    metricTags: { team: 'a' },
  };
  const observe = ({ firstResponses }: TestGateway, ms: number): void =>
    firstResponses.of(classOf('iris', '1'), { elapsedMs: () => ms })();

  test("are there before the first response, with Triton's buckets", async () => {
    const gateway = open(iris);
    const labels = 'model="iris",version="1"';
    const told = ['100', '500', '2000', '5000', '+Inf'].map(
      (le) => `${name}_bucket{${labels},le="${le}"} 0`,
    );
    expect(await lines(gateway)).toEqual([
      ...told,
      `${name}_sum{${labels}} 0`,
      `${name}_count{${labels}} 0`,
    ]);
  });

  test('have the buckets and the tags of the model, a bound being in its bucket', async () => {
    const gateway = open(changed);
    for (const ms of [0.25, 0.5, 0.75, 10, 100]) observe(gateway, ms);
    const labels = 'model="iris",version="1",_team="a"';
    expect(await lines(gateway)).toEqual([
      `${name}_bucket{${labels},le="0.5"} 2`,
      `${name}_bucket{${labels},le="10"} 4`,
      `${name}_bucket{${labels},le="+Inf"} 5`,
      `${name}_sum{${labels}} 111.5`,
      `${name}_count{${labels}} 5`,
    ]);
  });

  test('begin anew with other buckets, and go with the version', async () => {
    const gateway = open(iris);
    observe(gateway, 7);
    const show = (...models: readonly ModelManifest[]): void =>
      gateway.catalogue.replaceLocal({ models, routing: {} });
    show({ ...iris, digest: 'changed' });
    expect(await lines(gateway)).toContain(`${name}_count{model="iris",version="1"} 1`);
    show(changed);
    expect(await lines(gateway)).toContain(`${name}_count{model="iris",version="1",_team="a"} 0`);
    observe(gateway, 7);
    show();
    // Of a request that was still open.
    observe(gateway, 7);
    expect(await lines(gateway)).toEqual([]);
    show(changed);
    expect(await lines(gateway)).toContain(`${name}_count{model="iris",version="1",_team="a"} 0`);
  });
});

describe('a request counts once', () => {
  const post = (gateway: TestGateway, path: string, body: unknown, headers = {}) =>
    gateway.request(path, {
      method: 'POST',
      body: JSON.stringify(body),
      headers: { 'Content-Type': 'application/json', ...headers },
    });
  const work = (gateway: TestGateway, run: Parameters<typeof startWorker>[1]): void => {
    const worker = startWorker(gateway.queue, run);
    closing.push(() => worker.stop());
  };
  const job = { input: { length: 1, width: 2 } };
  const predict = { instances: [{ length: 1, width: 2 }] };

  test('when it is answered, also from a cache, or with a job that failed', async () => {
    const manifest: ModelManifest = { ...iris, hasResponseCache: true };
    const gateway = open(manifest);
    const models = [
      { manifest, state: 'ready', provider: 'cpu', device: 'cpu', loadMs: 1 },
    ] as const;
    const worker = { v: 1, workerId: 'w', host: 'h', pid: 1, startedAtMs: 1 } as const;
    gateway.catalogue.replaceAnnounced([{ ...worker, state: 'serving', models }]);
    const error = { code: 'model_error', detail: 'broken' } as const;
    let isBroken = true;
    work(gateway, () =>
      isBroken ? { ...succeeded, status: 'failed', output: null, error } : succeeded,
    );
    expect((await post(gateway, '/v1/models/iris:predict', predict)).status).toBe(500);
    isBroken = false;
    expect((await post(gateway, '/v1/models/iris:predict', predict)).status).toBe(200);
    const kept = await post(gateway, '/v1/models/iris:predict', predict);
    expect(kept.headers.get('cache-status')).toBe('inferry; hit');
    expect(await count(gateway)).toBe(3);
  });

  test('not when it is refused', async () => {
    const gateway = open(iris);
    expect((await post(gateway, '/v1/models/iris:predict', {})).status).toBe(400);
    expect(await count(gateway)).toBe(0);
  });

  test('of the job API where it waits, and not again where it is repeated', async () => {
    const gateway = open(iris);
    work(gateway, () => succeeded);
    const path = '/v1/models/iris/jobs';
    expect((await post(gateway, path, job)).status).toBe(202);
    expect(await count(gateway)).toBe(0);
    const headers = { Prefer: 'wait=5', 'Idempotency-Key': 'key' };
    expect((await post(gateway, path, job, headers)).status).toBe(200);
    expect((await post(gateway, path, job, headers)).status).toBe(200);
    expect(await count(gateway)).toBe(1);
    const events = { Accept: 'text/event-stream' };
    await new EventReader(await post(gateway, path, job, events)).all();
    expect(await count(gateway)).toBe(2);
  });

  test.each([
    ['generate_stream', 'message', '/v2/models/talker/generate_stream', { prompt: 'hello' }],
    [
      'the events of a job',
      'output',
      '/v1/models/talker/jobs',
      {
        input: {
          inputs: [{ name: 'prompt', datatype: 'BYTES', shape: [1, 1], data: ['hello'] }],
        },
      },
    ],
  ])('of %s with the first part', async (_what, event, path, body) => {
    const gateway = open(talker);
    const answer = post(gateway, path, body, { Accept: 'text/event-stream' });
    const claim = await claimTalk(gateway.queue);
    await say(gateway.queue, claim, 'a');
    const reader = new EventReader(await answer);
    await reader.until(event);
    expect(await count(gateway, 'talker')).toBe(1);
    await settleTalk(gateway.queue, claim, saying('a b'));
    await reader.all();
    expect(await count(gateway, 'talker')).toBe(1);
  });
});
