import { VirtualClock } from '@inferry/runtime';
import { describe, expect, test } from 'vitest';
import { exchange } from './exchange.ts';
import { fakeServer, type ScriptedAnswer } from './http.fixture.ts';
import type { HttpRequest } from './http.ts';
import { optionsOf } from './options.fixture.ts';

const request: HttpRequest = {
  method: 'POST',
  origin: 'http://h',
  path: '/v1/models/m/jobs',
  headers: { 'content-type': 'application/json' },
  body: Buffer.from('{}'),
};

async function ask(
  script: readonly ScriptedAnswer[] | ((sent: HttpRequest) => ScriptedAnswer),
  { line = 'm --timeout 10', ms = 60_000 } = {},
) {
  const clock = new VirtualClock();
  const left = typeof script === 'function' ? [] : [...script];
  const server = fakeServer(clock, (sent) =>
    typeof script === 'function' ? script(sent) : (left.shift() ?? {}),
  );
  const startMs = clock.nowMs();
  let tookMs = 0;
  const ending = exchange(request, { http: server, clock, options: optionsOf(line) }).then(
    (result) => {
      tookMs = clock.nowMs() - startMs;
      return result;
    },
  );
  // What takes no time settles before time moves.
  await clock.advance(0);
  await clock.advance(ms);
  return { ending: await ending, sent: server.sent, tookMs };
}

const job = (status: string, more: object = {}) => ({
  object: 'job',
  id: 'job_1',
  status,
  ...more,
});

test('a job that succeeded is a success with its stages and its batch', async () => {
  const headers = {
    'server-timing': 'queue_wait;dur=1.5, compute;dur=2, total;dur=4',
    'x-batch-size': '3',
    'x-overtaken-by': '0',
  };
  const { ending } = await ask([{ headers, body: job('succeeded') }]);
  expect(ending).toMatchObject({ status: 200, code: null, isSuccess: true });
  expect(ending).toMatchObject({ batchRows: 3, overtakenBy: 0 });
  expect([...ending.stages.keys()]).toEqual(['queue_wait', 'compute', 'total']);
});

test('a job that failed is an error under the code it ended with, though the status is 200', async () => {
  const error = { code: 'input_rejected', detail: 'The image is damaged.' };
  const { ending } = await ask([{ body: job('failed', { error }) }]);
  expect(ending).toMatchObject({ status: 200, isSuccess: false, ...error });
});

test('a status that stands behind a large output is found', async () => {
  const body = { output: 'x'.repeat(5_000), status: 'succeeded' };
  expect((await ask([{ body }])).ending.isSuccess).toBe(true);
});

test('what is no job is no success of the job API, and is one of v2', async () => {
  expect((await ask([{ body: '<html>' }])).ending).toMatchObject({
    isSuccess: false,
    code: 'job without status',
  });
  const line = 'm --api v2';
  expect((await ask([{ body: '{"outputs":[]}' }], { line })).ending.isSuccess).toBe(true);
});

test('a refusal is told with its code, also without a problem document', async () => {
  const body = { code: 'queue_full', detail: 'Too many wait.' };
  expect((await ask([{ status: 503, body }])).ending).toMatchObject({ status: 503, ...body });
  const { ending } = await ask([{ status: 400, body: { error: 'bad shape' } }]);
  expect(ending).toMatchObject({ status: 400, code: null, detail: 'bad shape', isSuccess: false });
  expect((await ask([{ status: 502, body: 'Bad Gateway' }])).ending).toMatchObject({ code: null });
});

test('no answer is an error under the name of what went wrong', async () => {
  const fault = { code: 'ECONNRESET', detail: 'reset' };
  expect((await ask([{ fault }])).ending).toMatchObject({
    status: null,
    isSuccess: false,
    ...fault,
  });
  const { ending, tookMs } = await ask([{ afterMs: 11_000 }]);
  expect(ending).toMatchObject({ status: null, code: 'timeout' });
  expect(tookMs).toBe(10_000);
});

describe('a job instead of its result', () => {
  const accepted = { status: 202, headers: { 'job-id': 'job_1' }, body: job('queued') };

  test('is asked for until it has ended', async () => {
    const { ending, sent, tookMs } = await ask([
      { ...accepted, afterMs: 2_000 },
      { body: job('running'), headers: { 'job-id': 'job_1' }, afterMs: 3_000 },
      { body: job('succeeded'), afterMs: 1_000 },
    ]);
    expect(ending.isSuccess).toBe(true);
    expect(tookMs).toBe(6_000);
    expect(sent.map(({ method, path, body }) => [method, path, body === null])).toEqual([
      ['POST', '/v1/models/m/jobs', false],
      ['GET', '/v1/jobs/job_1?wait=8', true],
      ['GET', '/v1/jobs/job_1?wait=5', true],
    ]);
  });

  test('is asked for when the server says, where it does not hold the question', async () => {
    const headers = { 'job-id': 'job_1', 'retry-after': '2' };
    const { ending, sent, tookMs } = await ask([
      accepted,
      { body: job('queued'), headers },
      { body: job('succeeded') },
    ]);
    expect(ending.isSuccess).toBe(true);
    expect([sent.length, tookMs]).toEqual([3, 2_000]);
  });

  test('that does not end within the time limit is an error', async () => {
    const { ending, sent, tookMs } = await ask(() => accepted);
    expect(ending).toMatchObject({ status: null, code: 'timeout' });
    expect(tookMs).toBe(10_000);
    expect(sent.length).toBeLessThan(15);
  });

  test('is an answer like any other in v2', async () => {
    const { sent } = await ask([accepted], { line: 'm --api v2' });
    expect(sent).toHaveLength(1);
  });
});
