/** Models that change while their worker serves, on the memory queue, with simulated models and a virtual clock. */
import { classOf } from '@inferry/contracts';
import { describe, expect, test } from 'vitest';
import { echo, graceMs, serving, v1, v2 } from './model-switch.fixture.ts';
import { advance, answerOf, claimByOther, replacing } from './worker.fixture.ts';

const slow = { rowMs: 0, failOn: null, hangOn: null, crashOn: null };

describe('a new version', () => {
  test('is loaded beside the old one, which serves on until it is ready', async () => {
    const on = await serving([echo('1')]);
    const release = on.hold();
    const applied = on.apply([echo('2')]);
    await advance(on.clock, 100);
    expect(await on.announced()).toEqual(['1 ready', '2 loading']);
    expect(await on.runOf(v1, 7)).toBe(7);
    release();
    expect(await applied).toEqual([
      { model: 'echo', version: '2', result: 'loaded' },
      { model: 'echo', version: '1', result: 'retiring' },
    ]);
    expect(await on.announced()).toEqual(['1 retiring', '2 ready']);
    expect(await on.runOf(v2, 8)).toBe(8);
    await on.worker.close();
    expect(on.log.filter((line) => !line.startsWith('close'))).toEqual([
      'load 1',
      'load 2',
      'run 1',
      'run 2',
    ]);
  });

  test('of several is loaded while no other is, and instances of it one after the other', async () => {
    const on = await serving([echo('1')]);
    const instances = [{ kind: 'cpu', count: 2 } as const];
    const release = on.hold();
    const applied = on.apply([echo('1'), { ...echo('2'), instances }, echo('3')]);
    await advance(on.clock, 10);
    expect(on.log).toEqual(['load 1', 'load 2']);
    expect(await on.announced()).toEqual(['1 ready', '2 loading', '3 loading']);
    release();
    await applied;
    expect(on.log).toEqual(['load 1', 'load 2', 'load 2', 'load 3']);
    expect(on.events).toContainEqual({ name: 'modelReloaded', args: ['echo', 'loaded'] });
    await on.worker.close();
  });

  test('that cannot be loaded leaves the old one, and is tried again when it has changed', async () => {
    const on = await serving([echo('1')]);
    on.broken.add('2');
    const failed = { model: 'echo', version: '2', result: 'failed', reason: '2 is broken' };
    expect(await on.apply([echo('2')])).toEqual([failed]);
    expect(await on.announced()).toEqual(['1 ready', '2 failed']);
    const [own] = await on.queue.workers();
    expect(own?.models[1]?.reason).toBe('2 is broken');
    expect(await on.runOf(v1, 7)).toBe(7);
    expect(on.events).toContainEqual({ name: 'modelReloaded', args: ['echo', 'failed'] });

    expect(await on.apply([echo('2')])).toEqual([failed]);
    expect(on.log.filter((line) => line === 'load 2')).toHaveLength(1);
    const mended = await on.apply([echo('2', 'mended')]);
    expect(mended.map(({ result }) => result)).toEqual(['loaded', 'retiring']);
    expect(await on.announced()).toEqual(['1 retiring', '2 ready']);
    await on.worker.close();
  });

  test('that could not be loaded is tried again when that is asked for, and forgotten when it is given up', async () => {
    const on = await serving([echo('1')]);
    on.broken.add('2');
    await on.apply([echo('1'), echo('2')]);
    on.broken.delete('2');
    const [kept, loaded] = await on.apply([echo('1'), echo('2')], ['echo']);
    expect([kept?.result, loaded?.result]).toEqual(['kept', 'loaded']);
    on.broken.add('3');
    await on.apply([echo('1'), echo('3')]);
    expect(await on.announced()).toEqual(['1 ready', '2 ready', '3 failed']);
    await on.apply([echo('1'), echo('2')]);
    expect(await on.announced()).toEqual(['1 ready', '2 ready']);
    await on.worker.close();
  });

  test('of one model that cannot be loaded keeps nobody else from changing', async () => {
    const other = { ...echo('1', 'other'), name: 'other' };
    const on = await serving([echo('1')]);
    on.broken.add('2');
    const report = await on.apply([echo('2'), other]);
    expect(report.map(({ model, result }) => [model, result])).toEqual([
      ['echo', 'failed'],
      ['other', 'loaded'],
    ]);
    expect(await on.runOf(classOf('other', '1'), 3)).toBe(3);
    await on.worker.close();
  });
});

describe('a model', () => {
  test('that goes altogether retires, and comes back from its files', async () => {
    const other = { ...echo('1', 'other'), name: 'other' };
    const on = await serving([echo('1'), other]);
    await on.apply([other]);
    await advance(on.clock, graceMs + 1_000);
    const [own] = await on.queue.workers();
    expect(own?.models.map(({ manifest }) => manifest.name)).toEqual(['other']);
    const report = await on.apply([echo('1'), other]);
    expect(report.map(({ model, result }) => [model, result])).toEqual([
      ['other', 'kept'],
      ['echo', 'loaded'],
    ]);
    expect(await on.runOf(v1, 4)).toBe(4);
    await on.worker.close();
  });

  test('may be the last, or the first: a worker without one serves nothing, and goes on', async () => {
    const on = await serving([]);
    expect(on.worker.isReady).toBe(true);
    await on.apply([echo('1')]);
    expect(await on.runOf(v1, 4)).toBe(4);
    await on.apply([]);
    await advance(on.clock, graceMs + 1_000);
    expect(await on.announced()).toEqual([]);
    expect(on.worker.isReady).toBe(true);
    await on.worker.close();
  });

  test('shares the device as many as there are: what comes and goes changes how', async () => {
    const on = await serving([echo('1')], { deps: { concurrentRuns: 1 } });
    const other = { ...echo('1', 'other'), name: 'other' };
    const slotsTold = (): unknown => on.events.findLast(({ name }) => name === 'slots')?.args[0];
    const overlapping = (): number =>
      on.runs.filter((run) =>
        on.runs.some(
          (one) =>
            one !== run &&
            one.startedAtMs < (run.endedAtMs ?? Infinity) &&
            run.startedAtMs < (one.endedAtMs ?? Infinity),
        ),
      ).length;
    await on.apply([echo('1'), other]);
    for (let i = 0; i < 6; i += 1) {
      await on.submit(i);
      await on.submit(i, { class: classOf('other', '1') });
    }
    await advance(on.clock, 500);
    expect([slotsTold(), overlapping()]).toEqual([1, 0]);
    await on.apply([echo('1')]);
    await advance(on.clock, graceMs + 1_000);
    expect(await on.runOf(v1, 3)).toBe(3);
    await on.worker.close();
  });
});

describe('another content of the same version', () => {
  test('takes its place: batches under way end on the old sessions, which are closed then', async () => {
    const on = await serving([echo('1', 'old')]);
    const before = await on.submit(1);
    await advance(on.clock, 5);
    const report = await on.apply([echo('1', 'new')]);
    expect(report).toEqual([{ model: 'echo', version: '1', result: 'replaced' }]);
    const after = await on.submit(2);
    await advance(on.clock, 60);
    expect(answerOf(await on.record(before))).toBe(1);
    expect(answerOf(await on.record(after))).toBe(2);
    expect(on.log).toEqual(['load old', 'run old', 'load new', 'run new', 'close old']);
    const [own] = await on.queue.workers();
    expect(own?.models.map(({ manifest, state }) => [manifest.digest, state])).toEqual([
      ['new', 'ready'],
    ]);
    await on.worker.close();
    expect(on.clock.pendingTimers).toBe(0);
  });

  test('keeps no other model waiting for the batches of the old one', async () => {
    const on = await serving([{ ...echo('1', 'old'), simulated: { ...slow, runMs: 900 } }]);
    const before = await on.submit(1);
    await advance(on.clock, 5);
    const other = { ...echo('1', 'other'), name: 'other' };
    const applied = on.apply([echo('1', 'new'), other]);
    await advance(on.clock, 50);
    expect((await applied).map(({ result }) => result)).toEqual(['replaced', 'loaded']);
    expect((await on.record(before)).status).toBe('running');
    await advance(on.clock, 1_000);
    expect(answerOf(await on.record(before))).toBe(1);
    await on.worker.close();
  });

  test('that cannot be loaded changes nothing, and the versions beside it stay', async () => {
    const on = await serving([echo('1', 'old'), echo('2')]);
    on.broken.add('new');
    const report = await on.apply([echo('1', 'new')]);
    expect(report).toEqual([
      { model: 'echo', version: '1', result: 'failed', reason: 'new is broken' },
    ]);
    expect(await on.announced()).toEqual(['1 ready', '2 ready']);
    expect(await on.runOf(v1, 3)).toBe(3);
    expect(on.log.at(-1)).toBe('run old');
    expect(await on.apply([echo('1', 'old')])).toMatchObject([
      { version: '1', result: 'kept' },
      { version: '2', result: 'retiring' },
    ]);
    await on.worker.close();
  });

  test('comes again and again under load, and no job is lost nor run twice', async () => {
    const on = await serving([echo('1', 'c0')]);
    const ids: Awaited<ReturnType<typeof on.submit>>[] = [];
    for (let round = 1; round <= 8; round += 1) {
      for (let i = 0; i < 6; i += 1) ids.push(await on.submit(10 * round + i));
      const applied = on.apply([echo('1', `c${round}`)]).then(() => true);
      const goesOn = (): Promise<boolean> => advance(on.clock, 13).then(() => false);
      while (!(await Promise.race([applied, goesOn()])));
    }
    await advance(on.clock, 1_000);
    const records = await Promise.all(ids.map((id) => on.record(id)));
    expect(records.map(({ attempt, status }) => `${status} ${attempt}`)).toEqual(
      ids.map(() => 'succeeded 1'),
    );
    const closed = on.log.filter((line) => line.startsWith('close'));
    expect(closed).toEqual(Array.from({ length: 8 }, (_, i) => `close c${i}`));
    await on.worker.close();
  });

  test('keeps to itself what it owes: a suspect that was claimed in vain still runs alone', async () => {
    let isCut = false;
    const on = await serving([echo('1', 'old')], {
      wrapQueue: (queue) =>
        replacing(queue, {
          claim: async (cls, request) => {
            const claimed = await queue.claim(cls, request);
            if (!isCut || !request.takeSuspect) return claimed;
            isCut = false;
            await queue.giveBack(cls, claimed.claims, true);
            throw new Error('the reply was lost');
          },
        }),
    });
    const id = await on.submit(4);
    const { claims } = await on.queue.claim(v1, claimByOther);
    isCut = true;
    await on.queue.giveBack(v1, claims, true);
    await advance(on.clock, 20);
    await on.apply([echo('1', 'new')]);
    await advance(on.clock, 2_000);
    expect(answerOf(await on.record(id))).toBe(4);
    await on.worker.close();
  });
});

describe('an end', () => {
  test('while a version is loaded does not wait for it, and what it brings is closed', async () => {
    const on = await serving([echo('1')]);
    const release = on.hold();
    const applied = on.apply([echo('2')]);
    await advance(on.clock, 10);
    const id = await on.submit(1);
    await advance(on.clock, 5);
    const drained = on.worker.drain();
    await advance(on.clock, 100);
    await drained;
    expect(answerOf(await on.record(id))).toBe(1);
    expect(await on.queue.workers()).toEqual([]);
    const closed = on.worker.close();
    release();
    expect(await applied).toMatchObject([{ version: '2', result: 'failed' }]);
    await closed;
    expect(on.log.slice(-3)).toEqual(['run 1', 'close 2', 'close 1']);
    expect(on.clock.pendingTimers).toBe(0);
  });

  test('while batches of an old content run waits for them', async () => {
    const on = await serving([echo('1', 'old')]);
    const id = await on.submit(1);
    await advance(on.clock, 5);
    await on.apply([echo('1', 'new')]);
    const closed = on.worker.close();
    await advance(on.clock, 100);
    await closed;
    expect(answerOf(await on.record(id))).toBe(1);
    expect(on.log.filter((line) => line.startsWith('close')).toSorted()).toEqual([
      'close new',
      'close old',
    ]);
    expect(on.clock.pendingTimers).toBe(0);
  });

  test('while a version retires ends that too', async () => {
    const on = await serving([echo('1'), echo('2')]);
    await on.apply([echo('2')]);
    await advance(on.clock, 3_000);
    const waiting = await on.submit(1, { class: v1 });
    await on.worker.close();
    expect((await on.record(waiting)).status).toBe('queued');
    expect(on.log.slice(-2).toSorted()).toEqual(['close 1', 'close 2']);
    expect(on.clock.pendingTimers).toBe(0);
  });

  test('is the end of changes: what is asked for after it is not done', async () => {
    const on = await serving([echo('1')]);
    await on.worker.close();
    expect(await on.apply([echo('2'), echo('3')])).toEqual([]);
    expect(on.log).toEqual(['load 1', 'close 1']);
  });
});

test('what became of orders, and how requests choose, is told to the gateways', async () => {
  const on = await serving([echo('1')]);
  const routing = { echo: { labels: { stable: '1' }, traffic: [] } };
  await on.worker.apply({ manifests: [echo('1')], routing });
  const carriedOut = { echo: { number: 3, problem: null } };
  on.worker.tellCarriedOut(carriedOut);
  await advance(on.clock, 1);
  expect(await on.queue.workers()).toMatchObject([{ routing, carriedOut }]);
  await on.worker.close();
});
