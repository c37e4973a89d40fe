/**
 * Many models on one device: whole workers on the memory queue and a virtual clock, and the turns alone.
 * tidy-allow: both show the one promise of shared run time.
 */
import { classOf, type ModelManifest } from '@inferry/contracts';
import type { RunningView } from '@inferry/scheduling';
import { VirtualClock } from '@inferry/runtime';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { capacityOf, DeviceShare, type Sharer, type Turn } from './device-share.ts';
import {
  advance,
  answerOf,
  claimByOther,
  type Fixture,
  modelManifest,
  virtualFixture,
} from './worker.fixture.ts';

function model(name: string, runMs: number, rest: Partial<ModelManifest> = {}): ModelManifest {
  const simulated = { runMs, rowMs: 0, failOn: 666, hangOn: 777, crashOn: null };
  return { ...modelManifest, name, simulated, warmupRows: [1, 4], ...rest };
}

async function backlog(fixture: Pick<Fixture<never>, 'submit'>, name: string, jobs: number) {
  for (let i = 0; i < jobs; i += 1) await fixture.submit(i % 100, { class: classOf(name, '1') });
}

/** Runs in progress end first. */
async function close({ clock, worker }: Fixture<VirtualClock>): Promise<void> {
  const closed = worker.close();
  await advance(clock, 300);
  await closed;
}

type Ran = Pick<Fixture<never>, 'runs'>;

/** Time of the device that a model had, ms. */
function runTimeMs({ runs }: Ran, name: string): number {
  return runs
    .filter(({ endedAtMs, model }) => model === name && endedAtMs !== null)
    .reduce((sum, { endedAtMs, startedAtMs }) => sum + (endedAtMs ?? 0) - startedAtMs, 0);
}

/** Most runs that were in progress at one time. */
function mostAtOnce({ runs }: Ran): number {
  const overlapping = runs.map(
    ({ startedAtMs }) =>
      runs.filter(
        (other) => other.startedAtMs <= startedAtMs && startedAtMs < (other.endedAtMs ?? Infinity),
      ).length,
  );
  return Math.max(0, ...overlapping);
}

describe('models that share a device', () => {
  const one = { concurrentRuns: 1 };

  test.each([
    [1, 1],
    [3, 1],
    [1, 3],
  ])('have its time by their weights, %i to %i, however long their runs', async (slow, quick) => {
    const manifests = [model('slow', 100, { weight: slow }), model('quick', 10, { weight: quick })];
    const fixture = virtualFixture({ manifests, deps: one });
    await backlog(fixture, 'slow', 400);
    await backlog(fixture, 'quick', 4_000);
    await fixture.worker.start();
    await advance(fixture.clock, 8_000);
    expect(mostAtOnce(fixture)).toBe(1);
    const [slowMs, quickMs] = [runTimeMs(fixture, 'slow'), runTimeMs(fixture, 'quick')];
    // No time is lost between the runs.
    expect(slowMs + quickMs).toBeGreaterThan(7_850);
    const share = slow / (slow + quick);
    expect(slowMs / (slowMs + quickMs)).toBeGreaterThan(share * 0.9);
    expect(quickMs / (slowMs + quickMs)).toBeGreaterThan((1 - share) * 0.9);
    await close(fixture);
  });

  test('of which one has work: it has the device to itself', async () => {
    const fixture = virtualFixture({ manifests: [model('a', 20), model('b', 20)], deps: one });
    await backlog(fixture, 'a', 4_000);
    await fixture.worker.start();
    await advance(fixture.clock, 2_000);
    expect(runTimeMs(fixture, 'a')).toBeGreaterThan(1_970);
    // Who comes later is owed nothing, and waits for no more than a run and the one claimed ahead.
    const [late] = [await fixture.submit(1, { class: classOf('b', '1') })];
    await advance(fixture.clock, 65);
    expect((await fixture.record(late)).status).toBe('succeeded');
    await close(fixture);
  });

  test('hold one batch more than run, and leave the rest in the queue', async () => {
    const manifests = ['a', 'b', 'c'].map((name) => model(name, 50));
    const fixture = virtualFixture({ manifests, deps: { concurrentRuns: 2 } });
    for (const { name } of manifests) await backlog(fixture, name, 100);
    await fixture.worker.start();
    for (let look = 0; look < 40; look += 1) {
      await advance(fixture.clock, 10);
      const classes = manifests.map(({ name }) => classOf(name, '1'));
      const stats = await fixture.queue.stats(classes);
      expect(stats.reduce((sum, { active }) => sum + active, 0)).toBeLessThanOrEqual(3 * 4);
    }
    expect(mostAtOnce(fixture)).toBe(2);
    await close(fixture);
  });

  test('do not wait for each other where all of them fit', async () => {
    const fixture = virtualFixture({ manifests: [model('a', 50), model('b', 50)] });
    await backlog(fixture, 'a', 40);
    await backlog(fixture, 'b', 40);
    await fixture.worker.start();
    await advance(fixture.clock, 520);
    expect(mostAtOnce(fixture)).toBe(2);
    expect(runTimeMs(fixture, 'a')).toBe(500);
    expect(runTimeMs(fixture, 'b')).toBe(500);
    await close(fixture);
  });

  test('go on after suspects, failures and runs that are late', async () => {
    const manifests = ['echo', 'other', 'third'].map((name) => model(name, 20));
    const fixture = virtualFixture({ manifests, deps: one, limits: { stuckRunGraceMs: 5_000 } });
    const suspects = [await fixture.submit(1), await fixture.submit(2), await fixture.submit(666)];
    const { claims } = await fixture.queue.claim(classOf('echo', '1'), claimByOther);
    await fixture.queue.giveBack(classOf('echo', '1'), claims, true);
    const late = await fixture.submit(3, { class: classOf('third', '1'), executionTimeoutMs: 5 });
    await backlog(fixture, 'other', 200);
    await backlog(fixture, 'third', 40);
    const last = await fixture.submit(9);
    await fixture.worker.start();
    await advance(fixture.clock, 2_500);
    expect(mostAtOnce(fixture)).toBe(1);
    const ended = await Promise.all(suspects.map((id) => fixture.record(id)));
    expect(ended.map(answerOf)).toEqual([1, 2, undefined]);
    expect((await fixture.record(late)).outcome?.error?.code).toBe('execution_timeout');
    expect(answerOf(await fixture.record(last))).toBe(9);
    const stats = await fixture.queue.stats(manifests.map(({ name }) => classOf(name, '1')));
    expect(stats.map(({ active, waiting }) => [active, waiting])).toEqual([
      [0, 0],
      [0, 0],
      [0, 0],
    ]);
    await close(fixture);
  });

  test('leave their jobs in the queue while a run is late', async () => {
    const manifests = [model('echo', 20), model('other', 20)];
    const limits = { stuckRunGraceMs: 5_000 };
    const fixture = virtualFixture({ manifests, deps: one, limits });
    await fixture.submit(777, { executionTimeoutMs: 15 });
    await fixture.worker.start();
    await advance(fixture.clock, 16);
    await backlog(fixture, 'other', 8);
    await advance(fixture.clock, 200);
    const [stats] = await fixture.queue.stats([classOf('other', '1')]);
    expect(stats).toMatchObject({ active: 0, waiting: 8 });
  });

  test('finish what they hold when the worker drains', async () => {
    const manifests = ['a', 'b', 'c'].map((name) => model(name, 30));
    const fixture = virtualFixture({ manifests, deps: one });
    for (const { name } of manifests) await backlog(fixture, name, 40);
    await fixture.worker.start();
    await advance(fixture.clock, 100);
    const drained = fixture.worker.drain();
    await advance(fixture.clock, 100);
    await drained;
    const stats = await fixture.queue.stats(manifests.map(({ name }) => classOf(name, '1')));
    expect(stats.every(({ active }) => active === 0)).toBe(true);
    expect(stats.some(({ waiting }) => waiting > 0)).toBe(true);
    expect(fixture.countOf('abandoned')).toBe(0);
    await close(fixture);
    expect(fixture.clock.pendingTimers).toBe(0);
  });
});

/** A lane as the device sees it, moved by hand. */
function byHand(name: string, rest: Partial<Sharer> = {}): Sharer {
  return {
    cls: classOf(name, '1'),
    weight: 1,
    slots: 1,
    claimAtMs: () => -Infinity,
    prepareMs: () => 0,
    running: () => [],
    expectedMs: () => 10,
    ...rest,
  };
}

describe('turns', () => {
  const { signal } = new AbortController();

  /** Notes who has a turn, in order. */
  function asking(device: DeviceShare) {
    const had: string[] = [];
    const ask = ({ cls }: Sharer): void => {
      void device.turn(cls, signal).then(() => had.push(cls));
    };
    return { had, ask };
  }

  test('are not taken from a class by one that would claim earlier because it prepares longer', async () => {
    const clock = new VirtualClock();
    const device = new DeviceShare(1, clock);
    let run = { startedAtMs: 0, expectedMs: 100, tailFactor: 1.1 };
    // Its own slot is busy: it claims when the device is about to be free, and no earlier.
    const claimAtMs = (): number => (had.length === 0 ? -Infinity : run.startedAtMs + 88);
    const quick = byHand('quick', { running: () => [run], claimAtMs });
    const slow = byHand('slow', { prepareMs: () => 50, expectedMs: () => 1_000 });
    device.join(quick);
    device.join(slow);
    const { ask, had } = asking(device);
    const turn = device.exclusiveTurn(slow.cls);
    await turn.mayRun();
    await clock.advance(1_000);
    turn.end();
    run = { startedAtMs: clock.nowMs(), expectedMs: 100, tailFactor: 1.1 };
    ask(quick);
    await clock.advance(0);
    ask(quick);
    ask(slow);
    await clock.advance(87);
    expect(had).toEqual([quick.cls]);
    await clock.advance(1);
    expect(had).toEqual([quick.cls, quick.cls]);
  });

  test('are there while the device has room, though a class has claimed ahead of its own slot', async () => {
    const clock = new VirtualClock();
    const device = new DeviceShare(2, clock);
    const run = { startedAtMs: clock.nowMs(), expectedMs: 100, tailFactor: 1.1 };
    const claimAtMs = (): number => (had.length < 2 ? -Infinity : Infinity);
    const busy = byHand('busy', { running: () => [run], claimAtMs });
    const other = byHand('other');
    device.join(busy);
    device.join(other);
    const { ask, had } = asking(device);
    for (const sharer of [busy, busy, busy, other]) {
      ask(sharer);
      await clock.advance(0);
    }
    expect(had).toEqual([busy.cls, busy.cls, other.cls]);
  });
});

describe('classes that come and go', () => {
  const signal = new AbortController().signal;
  const turnOf = async (device: DeviceShare, { cls }: Sharer): Promise<Turn> => {
    const turn = await device.turn(cls, signal);
    if (turn === undefined) throw new Error('nothing aborts it');
    return turn;
  };

  test('a class that has joined anew waits for room that its batches from before still take', async () => {
    const clock = new VirtualClock();
    const device = new DeviceShare(1, clock);
    const before = byHand('a');
    device.join(before);
    const running = await turnOf(device, before);
    await running.mayRun();
    device.leave(before.cls);
    const after = byHand('a');
    device.join(after);
    const next = device.exclusiveTurn(after.cls);
    let runs = false;
    void next.mayRun().then(() => (runs = true));
    await clock.advance(1_000);
    expect(runs).toBe(false);
    running.end();
    await clock.advance(0);
    expect(runs).toBe(true);
    // The one before has no part in it any more: its end is no end of the class.
    device.part(before);
    next.end();
    await turnOf(device, after);
  });

  test('a device that has grown lets run what waited, and one that has shrunk ends what runs first', async () => {
    const clock = new VirtualClock();
    const device = new DeviceShare(1, clock);
    const [a, b] = [byHand('a'), byHand('b')];
    device.join(a);
    device.join(b);
    const ran: string[] = [];
    const run = async (sharer: Sharer): Promise<Turn> => {
      const turn = device.exclusiveTurn(sharer.cls);
      void turn.mayRun().then(() => ran.push(sharer.cls));
      await clock.advance(0);
      return turn;
    };
    const turns = [await run(a), await run(b)];
    expect(ran).toEqual(['a@1']);
    device.resize(Infinity);
    await clock.advance(0);
    expect(ran).toEqual(['a@1', 'b@1']);
    device.resize(1);
    turns.push(await run(a));
    turns[0]?.end();
    await clock.advance(0);
    expect(ran).toHaveLength(2);
    turns[1]?.end();
    await clock.advance(0);
    expect(ran).toEqual(['a@1', 'b@1', 'a@1']);
    expect(device.runsOf(3)).toBe(1);
    turns[2]?.end();
    device.part(b);
    expect(device.stretch(a.cls)).toBe(1);
  });
});

describe('capacity', () => {
  test.each([
    [[1, 1], 2, null, Infinity],
    [[1, 1, 1], 2, null, 2],
    [[3], 2, null, Infinity],
    [[3, 1], 1, null, 3],
    [[2], 8, 1, 1],
    [[1, 1], 1, 4, Infinity],
  ])('of slots %j on %i cores, wanted %s: %s', (slots, cores, wanted, capacity) => {
    expect(capacityOf(slots, { cores, wanted })).toBe(capacity);
  });
});

interface Class {
  readonly slots: number;
  readonly jobs: number;
  readonly runMs: number;
  readonly weight: number;
}

const aClass = fc.record({
  slots: fc.integer({ min: 1, max: 3 }),
  jobs: fc.integer({ min: 0, max: 12 }),
  runMs: fc.integer({ min: 1, max: 40 }),
  weight: fc.integer({ min: 1, max: 10 }),
});

interface Seen {
  runs: number;
  mostRuns: number;
  batches: number;
  mostBatches: number;
}

/** Serves one class as a lane would, a job a batch, and notes what is under way on the device. */
class Served {
  readonly slots: (RunningView | null)[];
  left: number;
  claimed = 0;
  unfinished = 0;

  readonly spec: Class;
  readonly seen: Seen;

  constructor(spec: Class, seen: Seen) {
    this.spec = spec;
    this.seen = seen;
    this.slots = Array.from({ length: spec.slots }, () => null);
    this.left = spec.jobs;
  }

  sharer(cls: Sharer['cls']): Sharer {
    const { runMs, slots, weight } = this.spec;
    const running = () => this.slots.flatMap((slot) => slot ?? []);
    return {
      cls,
      weight,
      slots,
      claimAtMs: () => (this.unfinished < slots ? -Infinity : Infinity),
      prepareMs: () => 0,
      running,
      expectedMs: () => runMs,
    };
  }

  async run(turn: Turn, clock: VirtualClock, device: DeviceShare): Promise<void> {
    const { runMs } = this.spec;
    const { seen } = this;
    this.left -= 1;
    this.unfinished += 1;
    seen.batches += 1;
    seen.mostBatches = Math.max(seen.mostBatches, seen.batches);
    turn.claimed(1);
    await turn.mayRun();
    seen.runs += 1;
    seen.mostRuns = Math.max(seen.mostRuns, seen.runs);
    const slot = this.slots.indexOf(null);
    this.slots[slot] = { startedAtMs: clock.nowMs(), expectedMs: runMs, tailFactor: 1.1 };
    device.changed();
    await new Promise<void>((resolve) => void clock.after(runMs, resolve));
    this.slots[slot] = null;
    seen.runs -= 1;
    seen.batches -= 1;
    this.unfinished -= 1;
    turn.end();
  }
}

test('every batch is served in the end, never more at a time than the device takes', async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(aClass, { minLength: 1, maxLength: 5 }),
      fc.integer({ min: 1, max: 3 }),
      async (specs, capacity) => {
        const clock = new VirtualClock();
        const device = new DeviceShare(capacity, clock);
        const seen = { runs: 0, mostRuns: 0, batches: 0, mostBatches: 0 };
        const classes = specs.map((spec) => new Served(spec, seen));
        const loops = classes.map(async (served, i) => {
          const cls = classOf(`m${i}`, '1');
          device.join(served.sharer(cls));
          const running: Promise<void>[] = [];
          const { signal } = new AbortController();
          for (;;) {
            const turn = await device.turn(cls, signal);
            if (turn === undefined) break;
            if (served.left === 0) {
              turn.giveBack();
              break;
            }
            running.push(served.run(turn, clock, device));
          }
          device.leave(cls);
          await Promise.all(running);
        });
        // The device never rests while there is work.
        const workMs = specs.reduce((sum, { jobs, runMs }) => sum + jobs * runMs, 0);
        await advance(clock, workMs + 1);
        await Promise.all(loops);
        expect(classes.map(({ left }) => left)).toEqual(specs.map(() => 0));
        expect(seen.mostRuns).toBeLessThanOrEqual(capacity);
        expect(seen.mostBatches).toBeLessThanOrEqual(capacity + 1);
      },
    ),
    { numRuns: 60 },
  );
});
