import { classOf, type Limits } from '@inferry/contracts';
import { EventReader, waitFor } from '@inferry/testkit';
import { afterEach, expect, test } from 'vitest';

import { claimRequest, type TestGateway, testGateway } from '../gateway-fixture.test.ts';

const cls = classOf('iris', '1');
const body = '{"input":{"length":1,"width":2}}';

let gateway: TestGateway | undefined;
afterEach(async () => {
  await gateway?.close();
});

async function start(limits: Partial<Limits> = {}): Promise<string> {
  gateway = testGateway(limits);
  const { port } = await gateway.gateway.listen({ host: '127.0.0.1', port: 0 });
  return `http://127.0.0.1:${port}/v1/models/iris/jobs`;
}

function open(url: string, signal?: AbortSignal): Promise<Response> {
  const headers = {
    'Content-Type': 'application/json',
    Accept: 'text/event-stream',
    'Accept-Encoding': 'gzip',
  };
  return fetch(url, { method: 'POST', body, headers, ...(signal === undefined ? {} : { signal }) });
}

async function openStreams(): Promise<string | undefined> {
  const text = (await gateway?.metrics.text()) ?? '';
  return /^inferry_event_streams (\d+)$/mu.exec(text)?.[1];
}

test('a stream lives longer than a request may take to arrive, and what it tells is sent at once, as it is', async () => {
  const url = await start({ requestReceiveMsMax: 1_000, streamPingMs: 100 });
  const response = await open(url);
  expect(response.status).toBe(200);
  expect(response.headers.get('content-encoding')).toBeNull();
  expect(response.headers.get('transfer-encoding')).toBe('chunked');
  const reader = new EventReader(response);
  expect(await reader.next()).toMatchObject({ event: 'state' });
  // Its place in the line is told in between.
  while (reader.others.length <= 15) expect(await reader.next()).toMatchObject({ event: 'queue' });
  const { claims } = await gateway!.queue.claim(cls, claimRequest);
  expect((await reader.until('state')).data).toMatchObject({ status: 'running' });
  await gateway!.queue.cancel(claims[0]!.job.id, 'no');
  await reader.until('done');
});

test('the place of a caller that closed its connection is free, and its job goes on', async () => {
  const url = await start();
  const caller = new AbortController();
  const response = await open(url, caller.signal);
  await new EventReader(response).next();
  expect(await openStreams()).toBe('1');
  caller.abort();
  await waitFor(async () => (await openStreams()) === '0', { timeoutMs: 5_000 });
  const { claims } = await gateway!.queue.claim(cls, claimRequest);
  expect(claims[0]?.job.id).toBe(response.headers.get('job-id'));
});

test('a drain ends the streams, and then nothing is open', async () => {
  const url = await start();
  const reader = new EventReader(await open(url));
  await reader.next();
  const drained = gateway!.gateway.drain();
  expect(await reader.all()).toEqual([]);
  await drained;
  await gateway!.gateway.close();
});

test('many streams end with a drain, and Node complains of no leak', async () => {
  const warnings: Error[] = [];
  const note = (warning: Error): void => void warnings.push(warning);
  process.on('warning', note);
  const first = await open(await start());
  const events = new URL(`/v1/jobs/${first.headers.get('job-id')}/events`, first.url);
  const others = await Promise.all(Array.from({ length: 12 }, () => fetch(events)));
  expect(await openStreams()).toBe('13');
  const readers = [first, ...others].map((response) => new EventReader(response));
  await gateway!.gateway.drain();
  await Promise.all(readers.map((reader) => reader.all()));
  process.off('warning', note);
  expect(warnings).toEqual([]);
});
