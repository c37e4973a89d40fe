import { seededRandom, VirtualClock } from '@inferry/runtime';
import { describe, expect, test } from 'vitest';
import type { Ending } from './exchange.ts';
import type { HttpRequest } from './http.ts';
import { measureLevel, type Phase } from './measure.ts';
import { optionsOf } from './options.fixture.ts';

const success: Ending = {
  status: 200,
  code: null,
  detail: '',
  isSuccess: true,
  stages: new Map(),
  batchRows: null,
  overtakenBy: null,
};
const refused: Ending = { ...success, status: 503, code: 'queue_full', isSuccess: false };

interface Given {
  /** What follows the model on the command line. */
  readonly line?: string;
  /** How long an answer takes, and what it is, by the time since the start. */
  readonly answer?: (sinceMs: number) => { readonly ms: number; readonly ending?: Ending };
  readonly stopAfterMs?: number;
  readonly cpu?: (sinceMs: number) => readonly (number | null)[];
}

/** Measures one load on a virtual clock, for as long as it takes. */
async function measured({ line = '', answer = () => ({ ms: 10 }), stopAfterMs, cpu }: Given) {
  const clock = new VirtualClock();
  const startMs = clock.nowMs();
  const sinceMs = (): number => clock.nowMs() - startMs;
  const options = optionsOf(`m --warmup 1 --window 1 --timeout 5 ${line}`.trim());
  const stop = new AbortController();
  if (stopAfterMs !== undefined) clock.after(stopAfterMs, () => stop.abort());
  const phases: Phase[] = [];
  const asked: string[] = [];
  let endedMs = 0;
  const measurement = measureLevel(options.levels[0]!, {
    clock,
    random: seededRandom(1),
    options,
    requests: ['/a', '/b', '/c'].map((path) => ({ path }) as HttpRequest),
    exchange: ({ path }) => {
      asked.push(path);
      const { ms, ending = success } = answer(sinceMs());
      return new Promise((resolve) => clock.after(ms, () => resolve(ending)));
    },
    readCpu: async () => ({ client: sinceMs() / 4, servers: cpu?.(sinceMs()) ?? [] }),
    stop: stop.signal,
    onPhase: (phase) => phases.push(phase),
  }).then((result) => {
    endedMs = sinceMs();
    return result;
  });
  await clock.advance(120_000);
  return { ...(await measurement), phases, asked, endedMs };
}

test('a steady load is stable after three windows, which are what is reported', async () => {
  const { end, windows, figures, discarded, phases } = await measured({
    line: '--concurrency 4',
  });
  expect(end).toBe('stable');
  expect(windows.map(({ tally }) => tally.requests)).toEqual([400, 400, 400]);
  expect(figures).toEqual(
    Array.from({ length: 3 }, () => ({ throughput: 400, pace: 400, latencyMs: 10 })),
  );
  expect(discarded).toEqual({ requests: 0, errors: 0 });
  expect(phases.map(({ name, number }) => `${name} ${number}`)).toEqual([
    'warm-up 1',
    'window 1',
    'window 2',
    'window 3',
  ]);
});

test('what is open at the end is waited for, and not counted', async () => {
  const { windows, endedMs } = await measured({
    line: '--concurrency 4',
    answer: () => ({ ms: 330 }),
  });
  expect(windows.map(({ tally }) => tally.requests)).toEqual([12, 12, 12]);
  expect(endedMs).toBe(4_290);
});

test('inputs are sent in turn', async () => {
  const { asked } = await measured({});
  expect(asked.slice(0, 7)).toEqual(['/a', '/b', '/c', '/a', '/b', '/c', '/a']);
});

test('what comes before the last three windows is counted apart', async () => {
  // Slow and failing at first, then steady.
  const { end, windows, figures, discarded } = await measured({
    answer: (sinceMs) =>
      sinceMs < 3_000 ? { ms: sinceMs % 200 < 100 ? 100 : 50, ending: success } : { ms: 10 },
  });
  expect(end).toBe('stable');
  expect(figures.length).toBe(5);
  expect(windows.map(({ tally }) => tally.succeeded)).toEqual([100, 100, 100]);
  expect(discarded.requests).toBeGreaterThan(10);
});

test('a load that never agrees is not stable after the last window that is allowed', async () => {
  const { end, figures, windows } = await measured({
    line: '--max-windows 5',
    answer: (sinceMs) => ({ ms: 10 + sinceMs / 100 }),
  });
  expect(end).toBe('not_stable');
  expect(figures).toHaveLength(5);
  expect(windows).toHaveLength(3);
});

test('the percentile that was asked for is what has to agree', async () => {
  // One in ten takes longer from window to window; the mean hardly moves.
  let count = 0;
  const answer = (sinceMs: number) => {
    count += 1;
    return { ms: count % 10 === 0 ? 10 + Math.floor(sinceMs / 1_000) * 4 : 10 };
  };
  expect(await measured({ answer })).toMatchObject({ end: 'stable' });
  count = 0;
  const { end } = await measured({ answer, line: '--percentile 95 --max-windows 3' });
  expect(end).toBe('not_stable');
});

describe('windows of slow models', () => {
  test('last until ten requests have ended', async () => {
    const { windows, end } = await measured({ answer: () => ({ ms: 400 }) });
    expect(end).toBe('stable');
    expect(windows.map(({ tally }) => tally.requests)).toEqual([10, 10, 10]);
    expect(windows.map(({ durationMs }) => durationMs)).toEqual([3_800, 4_000, 4_000]);
  });

  test('but not for ever', async () => {
    const { windows } = await measured({ answer: () => ({ ms: 2_000 }) });
    expect(windows.map(({ durationMs }) => durationMs)).toEqual([6_000, 6_000, 6_000]);
  });

  test('a warm-up lasts until it had its requests', async () => {
    const { phases } = await measured({
      line: '--warmup-requests 8',
      answer: () => ({ ms: 500 }),
    });
    expect(phases[1]!.startedAtMs - phases[0]!.startedAtMs).toBe(4_000);
  });
});

test('where nothing succeeds, one window is enough', async () => {
  const { end, windows } = await measured({ answer: () => ({ ms: 20, ending: refused }) });
  expect(end).toBe('failed');
  expect(windows).toHaveLength(1);
  expect([...windows[0]!.tally.outcomes.values()]).toMatchObject([
    { status: 503, code: 'queue_full', requests: 50 },
  ]);
});

describe('an open loop', () => {
  test('counts latency from the instant a request was due', async () => {
    const line = '--request-rate 100 --arrivals constant';
    const { end, windows } = await measured({ line, answer: () => ({ ms: 30 }) });
    expect(end).toBe('stable');
    expect(windows[0]!.tally.latency.meanMs).toBeCloseTo(30, 6);
    expect(windows.map(({ tally }) => tally.requests)).toEqual([100, 100, 100]);
  });

  test('at random is stable where the server is, though the arrivals are not', async () => {
    // At this rate the numbers of arrivals in a second differ by far more than a tenth.
    const line = '--request-rate 20 --arrivals poisson';
    const { end, figures } = await measured({ line, answer: () => ({ ms: 1 }) });
    expect(end).toBe('stable');
    const rates = figures.slice(-3).map(({ throughput }) => throughput);
    expect(Math.max(...rates) / Math.min(...rates)).toBeGreaterThan(1.1);
  });

  test('that the server cannot carry is not stable while latency grows', async () => {
    const line = '--request-rate 100 --arrivals constant --max-windows 4';
    const { end } = await measured({ line, answer: (sinceMs) => ({ ms: sinceMs / 4 }) });
    expect(end).toBe('not_stable');
  });

  test('counts what could not be sent as an error of its own', async () => {
    const { windows } = await measured({
      line: '--request-rate 100 --arrivals constant --in-flight-max 2',
      answer: () => ({ ms: 100 }),
    });
    const { errors, succeeded, outcomes, lateness } = windows[0]!.tally;
    expect([errors, succeeded]).toEqual([80, 20]);
    expect(outcomes.get('null not_sent')).toMatchObject({ requests: 80, latency: { count: 0 } });
    expect(lateness.count).toBe(20);
  });
});

describe('a stop', () => {
  test('ends the window it falls into, and what is open is not waited for', async () => {
    const { end, windows, endedMs } = await measured({
      stopAfterMs: 2_505,
      answer: (sinceMs) => ({ ms: sinceMs < 2_400 ? 10 : 4_000 }),
    });
    expect(end).toBe('interrupted');
    expect(windows.map(({ durationMs }) => durationMs)).toEqual([1_000, 505]);
    expect(endedMs).toBe(2_505);
  });

  test('within the warm-up leaves nothing to report', async () => {
    const { end, windows, endedMs } = await measured({ stopAfterMs: 300 });
    expect([end, windows.length, endedMs]).toEqual(['interrupted', 0, 300]);
  });
});

test('CPU time is that of the window; of a process that was started again it is not known', async () => {
  const { windows } = await measured({ cpu: (ms) => [ms / 2, ms < 2_500 ? ms : 1, null] });
  expect(windows.map(({ cpuMs }) => cpuMs)).toEqual([
    { client: 250, servers: [500, 1_000, null] },
    { client: 250, servers: [500, null, null] },
    { client: 250, servers: [500, 0, null] },
  ]);
});
