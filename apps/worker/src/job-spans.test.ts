/** The spans of jobs and runs, through a whole worker on a virtual clock. */
import { openTracing, type Tracing } from '@inferry/telemetry';
import { expect, test } from 'vitest';
import { advance, replacing, silent, virtualFixture } from './worker.fixture.ts';

const caller = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
const trace = { traceparent: caller, tracestate: null };

interface SeenSpan {
  readonly name: string;
  readonly attributes: Readonly<Record<string, unknown>>;
  readonly links: readonly unknown[];
  /** In ms since 1,700,000,000 s, where the clock of the fixture begins. */
  readonly startMs: number;
  readonly endMs: number;
}

async function collecting(): Promise<{
  readonly tracing: Tracing;
  /** Ends the tracing. */
  readonly spans: () => Promise<readonly SeenSpan[]>;
}> {
  const seen: SeenSpan[] = [];
  const sinceStartMs = ([seconds, nanos]: readonly [number, number]): number =>
    (seconds - 1_700_000_000) * 1_000 + nanos / 1e6;
  const opened = await openTracing({
    env: { OTEL_EXPORTER_OTLP_ENDPOINT: 'http://collector', OTEL_TRACES_SAMPLER_ARG: '0' },
    role: 'worker',
    version: '0',
    instanceId: 'w',
    system: 'memory',
    clock: { nowMs: () => 0, after: () => () => undefined },
    logger: silent,
    exporter: {
      export(spans, done) {
        for (const { name, attributes, links, startTime, endTime } of spans) {
          const times = { startMs: sinceStartMs(startTime), endMs: sinceStartMs(endTime) };
          seen.push({ name, attributes, links, ...times });
        }
        done({ code: 0 });
      },
      shutdown: () => Promise.resolve(),
    },
  });
  if (!opened.ok || opened.value === undefined) throw new Error('tracing is on');
  const tracing = opened.value;
  const spans = async (): Promise<readonly SeenSpan[]> => {
    await tracing.close();
    return seen;
  };
  return { tracing, spans };
}

const processed = (spans: readonly SeenSpan[]) =>
  spans.filter(({ name }) => name === 'process echo@1');
const outcomes = (spans: readonly SeenSpan[]) =>
  processed(spans).map(({ attributes }) => [
    attributes['inferry.outcome'],
    attributes['error.type'],
  ]);

test('the stages of a job follow each other from its claim to its settlement', async () => {
  const { tracing, spans } = await collecting();
  const fixture = virtualFixture({ deps: { tracing } });
  await fixture.worker.start();
  await fixture.submit(1, { trace });
  await advance(fixture.clock, 50);
  await fixture.worker.close();
  const seen = await spans();
  const [job] = processed(seen);
  const stages = seen.filter(({ name }) => !/^(?:process|batch) /u.test(name));
  expect(stages.map(({ name }) => name)).toEqual([
    'fetch',
    'preprocess',
    'batch_wait',
    'compute',
    'postprocess',
    'publish',
  ]);
  let atMs = job?.startMs;
  for (const { startMs, endMs } of stages) {
    expect(startMs).toBe(atMs);
    atMs = endMs;
  }
  expect(job?.endMs).toBe(atMs);
  const compute = stages.find(({ name }) => name === 'compute');
  const batch = seen.find(({ name }) => name === 'batch echo');
  // A run of the model takes 20 ms.
  expect((compute?.endMs ?? 0) - (compute?.startMs ?? 0)).toBeCloseTo(20, 3);
  expect([batch?.startMs, batch?.endMs]).toEqual([compute?.startMs, compute?.endMs]);
  expect(job?.attributes).toMatchObject({
    'inferry.outcome': 'succeeded',
    'inferry.attempt': 1,
    'inferry.release_reason': 'slot',
  });
});

test('jobs that share a run have one batch span, with the links of those that are recorded', async () => {
  const { tracing, spans } = await collecting();
  const fixture = virtualFixture({ deps: { tracing } });
  for (const value of [1, 2]) await fixture.submit(value, { trace });
  await fixture.submit(3);
  await fixture.submit(4, { trace: { ...trace, traceparent: caller.replace(/01$/u, '00') } });
  await fixture.worker.start();
  await advance(fixture.clock, 50);
  await fixture.worker.close();
  const seen = await spans();
  expect(processed(seen)).toHaveLength(2);
  const batches = seen.filter(({ name }) => name === 'batch echo');
  expect(batches.map(({ links }) => links.length)).toEqual([2]);
  expect(batches[0]?.attributes).toMatchObject({
    'messaging.batch.message_count': 4,
    'inferry.rows': 4,
    'inferry.release_reason': 'full',
  });
});

test('only the job that the model refuses has an error', async () => {
  const { tracing, spans } = await collecting();
  const fixture = virtualFixture({ deps: { tracing } });
  for (const value of [1, 666]) await fixture.submit(value, { trace });
  await fixture.worker.start();
  await advance(fixture.clock, 200);
  await fixture.worker.close();
  const seen = await spans();
  expect(outcomes(seen).map(String).toSorted()).toEqual(['failed,model_error', 'succeeded,']);
  const batch = seen.find(({ name }) => name === 'batch echo');
  expect(batch?.attributes).not.toHaveProperty('error.type');
});

test('a job whose input cannot be used ends in the stage that found out', async () => {
  const { tracing, spans } = await collecting();
  const fixture = virtualFixture({ deps: { tracing } });
  await fixture.worker.start();
  await fixture.submit(null, { trace });
  await advance(fixture.clock, 20);
  await fixture.worker.close();
  const seen = await spans();
  expect(outcomes(seen)).toEqual([['failed', 'input_rejected']]);
  expect(seen.map(({ name }) => name)).toEqual([
    'fetch',
    'preprocess',
    'batch_wait',
    'publish',
    'process echo@1',
  ]);
});

test('a job that its owner cancels while it runs is lost to the worker', async () => {
  const { tracing, spans } = await collecting();
  const fixture = virtualFixture({ deps: { tracing } });
  await fixture.worker.start();
  const id = await fixture.submit(1, { trace });
  await advance(fixture.clock, 10);
  await fixture.queue.cancel(id, 'no longer wanted');
  await advance(fixture.clock, 50);
  await fixture.worker.close();
  expect(outcomes(await spans())).toEqual([['lost', 'lease_lost']]);
});

test('a job that is given back ends its span, and the next attempt has its own', async () => {
  const { tracing, spans } = await collecting();
  const options = { limits: { drainMs: 5 }, deps: { tracing } };
  const first = virtualFixture(options);
  await first.worker.start();
  await first.submit(1, { trace });
  await advance(first.clock, 2);
  const draining = first.worker.drain();
  await advance(first.clock, 10);
  await draining;
  const second = virtualFixture({ ...options, queue: first.queue });
  await second.clock.advance(first.clock.nowMs() - second.clock.nowMs());
  await second.worker.start();
  await advance(second.clock, 50);
  await second.worker.close();
  expect(outcomes(await spans())).toEqual([
    ['returned', undefined],
    ['succeeded', undefined],
  ]);
});

test('where tracing is off, jobs have no spans and nothing of them is computed', async () => {
  const fixture = virtualFixture({
    // Read for a span only.
    wrapQueue: (queue) =>
      replacing(queue, {
        async claim(...args) {
          const claimed = await queue.claim(...args);
          const guarded = claimed.claims.map((claim) => ({
            ...claim,
            job: Object.defineProperty({ ...claim.job }, 'trace', {
              get: () => expect.unreachable('the trace of a job was read'),
            }),
          }));
          return { ...claimed, claims: guarded };
        },
      }),
  });
  await fixture.worker.start();
  const id = await fixture.submit(1);
  await advance(fixture.clock, 50);
  expect((await fixture.record(id)).status).toBe('succeeded');
  await fixture.worker.close();
});
