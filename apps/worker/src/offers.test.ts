/**
 * What a worker tells the queue of its speed, and what becomes of the estimates made from it.
 * tidy-allow: one way from run times to promises.
 */
import {
  classOf,
  defaultTenant,
  type Estimate,
  type ModelManifest,
  type ServiceProfile,
} from '@inferry/contracts';
import type { ClaimRequest, JobQueue } from '@inferry/queue';
import type { VirtualClock } from '@inferry/runtime';
import { describe, expect, test } from 'vitest';
import {
  advance,
  claimByOther,
  type Fixture,
  modelManifest,
  replacing,
  takesAll,
  virtualFixture,
} from './worker.fixture.ts';

const echo = classOf('echo', '1');
const warm: ModelManifest = { ...modelManifest, warmupRows: [1, 4] };
const simulated = { runMs: 20, rowMs: 10, failOn: null, hangOn: null, crashOn: null };

const outline = { rows: 1, tenant: defaultTenant, priority: 'normal', payloadBytes: 1 } as const;

async function quoteOf({ queue }: Pick<Fixture<never>, 'queue'>): Promise<Estimate | null> {
  const quote = await queue.quote({ class: echo, ...outline }, takesAll);
  if (!quote.ok) throw new Error(quote.error.detail);
  return quote.value;
}

interface Told {
  readonly offers: (ServiceProfile | null)[];
  readonly requests: ClaimRequest[];
  readonly wrapQueue: (queue: JobQueue) => JobQueue;
}

/** Notes what a worker tells. */
function listening(): Told {
  const offers: (ServiceProfile | null)[] = [];
  const requests: ClaimRequest[] = [];
  const wrapQueue = (queue: JobQueue): JobQueue =>
    replacing(queue, {
      offer: (workerId, cls, profile) => {
        offers.push(profile);
        return queue.offer(workerId, cls, profile);
      },
      claim: (cls, request) => {
        requests.push(request);
        return queue.claim(cls, request);
      },
    });
  return { offers, requests, wrapQueue };
}

async function submitMany(fixture: Pick<Fixture<never>, 'submit'>, jobs: number): Promise<void> {
  for (let i = 0; i < jobs; i += 1) await fixture.submit(i);
}

async function close({ clock, worker }: Fixture<VirtualClock>): Promise<void> {
  const closed = worker.close();
  await advance(clock, 300);
  await closed;
}

describe('offers', () => {
  test('are there before the first claim, as long as the worker claims, and no longer', async () => {
    const fixture = virtualFixture({ manifests: [warm] });
    expect(await quoteOf(fixture)).toBeNull();
    await fixture.worker.start();
    // A run of 20 ms, and the exchanges around it.
    expect((await quoteOf(fixture))?.readyInMs).toBeCloseTo(22, 0);
    await advance(fixture.clock, 12_000);
    expect(await quoteOf(fixture)).not.toBeNull();
    const drained = fixture.worker.drain();
    await advance(fixture.clock, 1);
    expect(await quoteOf(fixture)).toBeNull();
    await drained;
    await advance(fixture.clock, 6_000);
    expect(await quoteOf(fixture)).toBeNull();
    await fixture.worker.close();
  });

  test('are withdrawn before the process is replaced', async () => {
    const fixture = virtualFixture({ manifests: [warm], limits: { stuckRunGraceMs: 100 } });
    await fixture.submit(777);
    await fixture.worker.start();
    await advance(fixture.clock, 1_090);
    expect(await quoteOf(fixture)).not.toBeNull();
    await advance(fixture.clock, 20);
    expect(fixture.kills()).toBe(1);
    expect(await quoteOf(fixture)).toBeNull();
  });

  test('of an idle class let one row in, whatever was learned of slow runs', async () => {
    const admission = { mode: 'target', budgetMs: 25, onInfeasible: 'refuse' } as const;
    const slow = { ...warm, admission, simulated: { ...simulated, runMs: 40 } };
    const { offers, wrapQueue } = listening();
    const fixture = virtualFixture({ manifests: [slow], wrapQueue });
    await fixture.worker.start();
    const oneRowMs = (): number => {
      const last = offers.at(-1);
      return (last?.points[0]?.ms ?? 0) * (last?.tailFactor ?? 0);
    };
    expect(oneRowMs()).toBeGreaterThan(50);
    await advance(fixture.clock, 2_100);
    expect(oneRowMs()).toBeCloseTo(20);
    // A row that is let in says how long runs take now.
    await fixture.submit(1);
    await advance(fixture.clock, 1_000);
    expect(oneRowMs()).toBeGreaterThan(50);
    await close(fixture);
  });

  test('of an idle class that is slow indeed let no more in once a run has shown it', async () => {
    const admission = { mode: 'target', budgetMs: 25, onInfeasible: 'refuse' } as const;
    const slow = { ...warm, admission, simulated: { ...simulated, runMs: 40 } };
    const fixture = virtualFixture({ manifests: [slow] });
    await fixture.worker.start();
    await advance(fixture.clock, 2_100);
    const terms = { ...takesAll, budget: { usedMs: 0, budgetMs: 25, needsWorker: false } };
    let taken = 0;
    for (let i = 0; i < 80; i += 1) {
      const quote = await fixture.queue.quote({ class: echo, ...outline }, terms);
      if (quote.ok) {
        taken += 1;
        await fixture.submit(1);
      }
      await advance(fixture.clock, 10);
    }
    // The first one, and who came while it ran.
    expect(taken).toBeGreaterThanOrEqual(1);
    expect(taken).toBeLessThanOrEqual(4);
    await close(fixture);
  });

  test('of a class whose runs are long do not take it for idle while one is under way', async () => {
    const admission = { mode: 'target', budgetMs: 2_000, onInfeasible: 'refuse' } as const;
    const slow = { ...warm, admission, simulated: { ...simulated, runMs: 5_000 } };
    const { offers, wrapQueue } = listening();
    const fixture = virtualFixture({ manifests: [slow], wrapQueue });
    await fixture.worker.start();
    await fixture.submit(1, { executionTimeoutMs: 60_000 });
    offers.splice(0);
    await advance(fixture.clock, 4_500);
    expect(offers.length).toBeGreaterThan(0);
    for (const offer of offers) expect(offer?.points[0]?.ms).toBeGreaterThan(5_000);
    await advance(fixture.clock, 1_000);
    await close(fixture);
  });

  test('that fail are made again with the next renewal', async () => {
    let failures = 2;
    const fixture = virtualFixture({
      manifests: [warm],
      wrapQueue: (queue) =>
        replacing(queue, {
          offer: (...args) => {
            failures -= 1;
            return failures >= 0 ? Promise.reject(new Error('away')) : queue.offer(...args);
          },
        }),
    });
    await fixture.worker.start();
    await advance(fixture.clock, 1_700);
    expect(await quoteOf(fixture)).toBeNull();
    await advance(fixture.clock, 1_700);
    expect(await quoteOf(fixture)).not.toBeNull();
    await fixture.worker.close();
  });

  test('say nothing while nothing is known of runs', async () => {
    const told = listening();
    const fixture = virtualFixture({ wrapQueue: told.wrapQueue });
    await fixture.worker.start();
    expect(told.offers).toEqual([]);
    // The first run of a size teaches nothing.
    await fixture.submit(1);
    await advance(fixture.clock, 50);
    await fixture.submit(2);
    await advance(fixture.clock, 2_000);
    expect(told.offers.at(-1)?.points[0]).toMatchObject({ rows: 1 });
    await fixture.worker.close();
  });

  test('are there for a model without a warm-up that runs seldom', async () => {
    const fixture = virtualFixture();
    await fixture.worker.start();
    for (let i = 0; i < 2; i += 1) {
      await fixture.submit(1);
      await advance(fixture.clock, 6_000);
    }
    expect((await quoteOf(fixture))?.readyInMs).toBeCloseTo(22, 0);
    await fixture.worker.close();
  });

  test('stretch by what other models of the worker take', async () => {
    const told = listening();
    const fixture = virtualFixture({
      manifests: [warm, { ...warm, name: 'other', weight: 3 }],
      deps: { concurrentRuns: 1 },
      wrapQueue: told.wrapQueue,
    });
    for (let i = 0; i < 3_000; i += 1) {
      await fixture.submit(1);
      await fixture.submit(1, { class: classOf('other', '1') });
    }
    await fixture.worker.start();
    const [alone] = told.offers;
    expect(alone?.points[0]?.ms).toBeCloseTo(22, 0);
    await advance(fixture.clock, 1_700);
    const [weak, strong] = told.offers.slice(-2).map((offer) => offer?.points[0]?.ms ?? 0);
    expect([weak, strong].map((ms) => Math.round((ms ?? 0) / 20))).toEqual([4, 1]);
    await close(fixture);
  });
});

describe('what a row takes of a worker', () => {
  const twoSlots: ModelManifest = { ...warm, instances: [{ kind: 'cpu', count: 2 }], simulated };

  /** Rows that were claimed so far, each times what it takes. */
  async function workDoneMs(
    { queue }: Pick<Fixture<never>, 'queue'>,
    { manifests }: { readonly manifests: readonly ModelManifest[] },
  ): Promise<number> {
    const classes = manifests.map(({ name }) => classOf(name, '1'));
    const flows = await queue.flows(classes);
    const stats = await queue.stats(classes);
    return stats.reduce((sum, { rowWorkMs }, i) => {
      const rows = (flows[i] ?? []).reduce((taken, { takenRows }) => taken + takenRows, 0);
      return sum + rows * (rowWorkMs ?? Number.NaN);
    }, 0);
  }

  test.each([
    // 60 ms for 4 rows.
    ['one slot', { ...warm, simulated }, null, 15],
    ['two slots', twoSlots, null, 7.5],
    ['two slots that run in turn', twoSlots, 1, 15],
  ])('of %s is what it does in full batches', async (_, manifest, concurrentRuns, workMs) => {
    const manifests = [manifest];
    const fixture = virtualFixture({ manifests, deps: { concurrentRuns } });
    await submitMany(fixture, 2_000);
    await fixture.worker.start();
    const [stats] = await fixture.queue.stats([echo]);
    expect(stats).toMatchObject({ workers: 1 });
    expect(stats?.rowWorkMs).toBeCloseTo(workMs, 0);
    await advance(fixture.clock, 2_000);
    // Within a batch that runs and one that is claimed ahead.
    const doneMs = await workDoneMs(fixture, { manifests });
    expect(doneMs / 2_000).toBeGreaterThan(0.97);
    expect(doneMs / 2_000).toBeLessThan(1.07);
    await close(fixture);
  });

  test('adds up over the models that share it', async () => {
    const manifests = [
      { ...warm, simulated },
      { ...warm, simulated: { ...simulated, runMs: 100 }, name: 'other', weight: 3 },
    ];
    const fixture = virtualFixture({ manifests, deps: { concurrentRuns: 1 } });
    for (let i = 0; i < 1_000; i += 1) {
      await fixture.submit(1);
      await fixture.submit(1, { class: classOf('other', '1') });
    }
    await fixture.worker.start();
    await advance(fixture.clock, 4_000);
    const doneMs = await workDoneMs(fixture, { manifests });
    expect(doneMs / 4_000).toBeGreaterThan(0.97);
    expect(doneMs / 4_000).toBeLessThan(1.07);
    await close(fixture);
  });
});

describe('free times', () => {
  test('of slots are what is left of their runs, with what was claimed ahead', async () => {
    const told = listening();
    const fixture = virtualFixture({
      manifests: [{ ...warm, instances: [{ kind: 'cpu', count: 2 }], simulated, agingMs: 7 }],
      wrapQueue: told.wrapQueue,
    });
    await fixture.worker.start();
    await submitMany(fixture, 4);
    await advance(fixture.clock, 20);
    await submitMany(fixture, 12);
    await advance(fixture.clock, 80);
    const free = told.requests.map(({ agingMs, freeInMs }) => {
      expect(agingMs).toBe(7);
      return freeInMs.map(Math.round);
    });
    // Idle; a batch of 4 rows, of 60 ms, claimed and not started; 20 ms old, and then one of a row, of
    // 30 ms; the last are claimed just before a run ends.
    expect(free.slice(0, 4)).toEqual([
      [0, 0],
      [0, 0],
      [60, 0],
      [40, 0],
    ]);
    expect(free.slice(4)).toEqual([
      [3, 13],
      [53, 3],
    ]);
    await close(fixture);
  });
});

describe('slots that cannot all run', () => {
  const manifest: ModelManifest = { ...warm, instances: [{ kind: 'cpu', count: 2 }], simulated };

  test('are told as the one that does', async () => {
    const told = listening();
    const { wrapQueue } = told;
    const deps = { concurrentRuns: 1 };
    const fixture = virtualFixture({ manifests: [manifest], deps, wrapQueue });
    await submitMany(fixture, 12);
    await fixture.worker.start();
    await advance(fixture.clock, 10);
    // The second is claimed just before the first ends, 60 ms after its start.
    expect(told.requests.map(({ freeInMs }) => freeInMs)).toEqual([[0]]);
    await advance(fixture.clock, 52);
    expect(told.requests.map(({ freeInMs }) => freeInMs.map(Math.round))).toEqual([[0], [3]]);
    expect(told.offers[0]?.points[0]?.ms).toBeCloseTo(32, 0);
    await close(fixture);
  });
});

describe('promises', () => {
  test('of jobs that were accepted with an estimate are told', async () => {
    const fixture = virtualFixture({ manifests: [warm] });
    await fixture.worker.start();
    const ended = () => fixture.events.filter(({ name }) => name === 'promiseEnded');
    await submitMany(fixture, 12);
    await advance(fixture.clock, 100);
    expect(ended()).toHaveLength(12);
    // The runs took what was expected of them, and exchanges with this queue take no time.
    expect(ended().every(({ args }) => Number(args[1]) <= 0)).toBe(true);
    const bounds = fixture.events.filter(({ name }) => name === 'waitBound');
    expect(bounds).toHaveLength(12);
    expect(bounds.every(({ args }) => Number(args[1]) <= 1)).toBe(true);
    const ratios = fixture.events.filter(({ name }) => name === 'latencyRatio');
    expect(ratios.map(({ args }) => args[1])).toEqual([1, 1, 1]);
    await fixture.worker.close();
  });

  test('no run time is learned, and no ratio told, of a device that did nothing for long', async () => {
    const fixture = virtualFixture({ manifests: [warm] });
    await fixture.worker.start();
    await advance(fixture.clock, 6_000);
    await fixture.submit(1);
    await advance(fixture.clock, 50);
    expect(fixture.countOf('latencyRatio')).toBe(0);
    await fixture.submit(1);
    await advance(fixture.clock, 50);
    expect(fixture.countOf('latencyRatio')).toBe(1);
    await fixture.worker.close();
  });
});

describe('linger', () => {
  const lingering = (mode: 'auto' | 'none' | 'defer'): ModelManifest => ({
    ...warm,
    linger: { mode, maxMs: 16 },
  });

  /** One job every `everyMs`, 60 of them. */
  async function arrive(fixture: Fixture<VirtualClock>, everyMs: number): Promise<void> {
    for (let i = 0; i < 60; i += 1) {
      await fixture.submit(1);
      await advance(fixture.clock, everyMs);
    }
  }

  test.each([
    ['auto', 6, true],
    ['auto', 45, false],
    ['none', 6, false],
    ['defer', 45, true],
  ] as const)('%s, a job every %i ms: waits for company %s', async (mode, everyMs, waits) => {
    const told = listening();
    const { wrapQueue } = told;
    const fixture = virtualFixture({ manifests: [lingering(mode)], wrapQueue });
    await fixture.worker.start();
    await arrive(fixture, everyMs);
    const asked = new Set(told.requests.slice(-20).map(({ rowsMin }) => rowsMin));
    expect(asked.has(4)).toBe(waits);
    await advance(fixture.clock, 100);
    const stats = await fixture.queue.stats([echo]);
    expect(stats.map(({ active, waiting }) => active + waiting)).toEqual([0]);
    await fixture.worker.close();
  });

  test('is not for a job that came back', async () => {
    const fixture = virtualFixture({ manifests: [lingering('defer')] });
    const [, second] = [await fixture.submit(1), await fixture.submit(2)];
    const { claims } = await fixture.queue.claim(echo, claimByOther);
    await fixture.queue.giveBack(echo, claims, false);
    await fixture.worker.start();
    await advance(fixture.clock, 2);
    expect(fixture.runs.map(({ values }) => values)).toEqual([[1, 2]]);
    await advance(fixture.clock, 30);
    expect((await fixture.record(second)).status).toBe('succeeded');
    await fixture.worker.close();
  });
});
