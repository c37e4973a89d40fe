/** Start, drain and outages of a worker, on the memory queue. */
import type { ModelManifest } from '@inferry/contracts';
import { systemClock } from '@inferry/runtime';
import { waitFor } from '@inferry/testkit';
import { describe, expect, test } from 'vitest';
import {
  advance,
  answerOf,
  fixtureOn,
  modelManifest,
  replacing,
  virtualFixture,
} from './worker.fixture.ts';
import type { FindInstead } from './wanted-models.ts';

const away = () => Promise.reject(new Error('away'));

describe('start', () => {
  test('the worker announces its models once they are ready', async () => {
    const sample = { rows: 1, count: 1, inputs: [] };
    const fixture = virtualFixture({ manifests: [{ ...modelManifest, warmupSamples: [sample] }] });
    expect(fixture.worker.isReady).toBe(false);
    await fixture.worker.start();
    expect(fixture.worker.isReady).toBe(true);
    const [announced] = await fixture.queue.workers();
    expect(announced?.state).toBe('serving');
    // Where files lie on this host is nobody else's business.
    expect(announced?.models.map((model) => model.manifest.file)).toEqual([null]);
    expect(announced?.models[0]?.manifest.warmupSamples).toEqual([]);
    expect(announced?.models.map((model) => [model.manifest.name, model.state])).toEqual([
      ['echo', 'ready'],
    ]);
    await advance(fixture.clock, 10_000);
    expect(await fixture.queue.workers()).toHaveLength(1);
    await fixture.worker.close();
    expect(await fixture.queue.workers()).toEqual([]);
    expect(fixture.worker.state).toBe('stopped');
    expect(fixture.clock.pendingTimers).toBe(0);
  });

  test('a model that cannot be loaded fails the start, and every problem is named', async () => {
    const fixture = virtualFixture({ manifests: [broken('a'), modelManifest, broken('b')] });
    const result = await fixture.worker.start();
    expect(result.ok).toBe(false);
    if (result.ok) return;
    expect(result.error.code).toBe('model_unavailable');
    expect(result.error.detail).toContain('a@1');
    expect(result.error.detail).toContain('b@1');
    expect(fixture.worker.state).toBe('stopped');
    expect(await fixture.queue.workers()).toEqual([]);
    const failed = fixture.events.filter(({ name }) => name === 'modelLoadFailed');
    expect(failed.map(({ args }) => args)).toEqual([['a'], ['b']]);
    await fixture.worker.close();
  });

  test('a version that cannot be loaded beside one that can is told as failed, and the rest is served', async () => {
    const manifests = [modelManifest, { ...broken('echo'), version: '2' }];
    const fixture = virtualFixture({ manifests });
    const reason = expect.stringContaining('echo@2');
    expect(await fixture.worker.start()).toEqual({
      ok: true,
      value: [
        { model: 'echo', version: '1', result: 'loaded' },
        { model: 'echo', version: '2', result: 'failed', reason },
      ],
    });
    const [own] = await fixture.queue.workers();
    expect(own?.models.map(({ manifest, state }) => [manifest.version, state])).toEqual([
      ['1', 'ready'],
      ['2', 'failed'],
    ]);
    expect(own?.models[1]?.reason).toEqual(reason);
    expect(fixture.countOf('modelLoadFailed')).toBe(1);
    const id = await fixture.submit(7);
    await advance(fixture.clock, 100);
    expect(answerOf(await fixture.record(id))).toBe(7);
    // It is not tried again until it has changed.
    const applied = await fixture.worker.apply({ manifests, routing: {} });
    expect(applied.map(({ result }) => result)).toEqual(['kept', 'failed']);
    expect(fixture.countOf('modelLoadFailed')).toBe(1);
    await fixture.worker.close();
    expect(fixture.clock.pendingTimers).toBe(0);
  });

  test('where nothing of a model can be loaded, what takes its place is served until it has changed', async () => {
    const unloadable = (version: string): ModelManifest => ({ ...broken('echo'), version });
    const asked: (readonly string[])[] = [];
    const manifests = [unloadable('3')];
    const findInstead: FindInstead = async (_, failed) => {
      asked.push(failed);
      return failed.includes('2') ? modelManifest : unloadable('2');
    };
    const fixture = virtualFixture({ manifests, deps: { findInstead } });
    expect((await fixture.worker.start()).ok).toBe(true);
    expect(asked).toEqual([['3'], ['3', '2']]);
    const states = async (): Promise<readonly string[] | undefined> => {
      const [own] = await fixture.queue.workers();
      return own?.models.map(({ manifest, state }) => `${manifest.version} ${state}`);
    };
    expect(await states()).toEqual(['3 failed', '2 failed', '1 ready']);
    await fixture.worker.apply({ manifests, routing: {} });
    expect(await states()).toEqual(['3 failed', '1 ready']);
    await fixture.worker.apply({ manifests: [{ ...modelManifest, version: '3' }], routing: {} });
    expect(await states()).toEqual(['3 ready', '1 retiring']);
    await fixture.worker.close();
    expect(fixture.clock.pendingTimers).toBe(0);
  });

  test('what is found in the place of a model is tried a few times, and never the same again', async () => {
    const again = virtualFixture({
      manifests: [broken('echo')],
      deps: { findInstead: async () => broken('echo') },
    });
    expect((await again.worker.start()).ok).toBe(false);
    expect(again.countOf('modelLoadFailed')).toBe(1);
    const other = virtualFixture({
      manifests: [broken('echo')],
      deps: {
        findInstead: async (_, { length }) => ({ ...broken('echo'), version: `a${length}` }),
      },
    });
    expect((await other.worker.start()).ok).toBe(false);
    expect(other.countOf('modelLoadFailed')).toBe(4);
  });

  test('models without instances for the device are skipped; when all are, the start fails', async () => {
    const cuda = {
      ...modelManifest,
      name: 'gpu',
      instances: [{ kind: 'cuda', count: 1 } as const],
    };
    const mixed = virtualFixture({ manifests: [cuda, modelManifest] });
    expect((await mixed.worker.start()).ok).toBe(true);
    const [announced] = await mixed.queue.workers();
    expect(announced?.models.map((model) => model.manifest.name)).toEqual(['echo']);
    await mixed.worker.close();

    const none = virtualFixture({ manifests: [cuda] });
    const result = await none.worker.start();
    expect(!result.ok && result.error.detail).toContain('cpu');
  });
});

describe('drain', () => {
  test('what is claimed is finished, nothing more is claimed', async () => {
    const fixture = virtualFixture();
    await fixture.worker.start();
    const claimed = await fixture.submit(1);
    await advance(fixture.clock, 5);
    const drained = fixture.worker.drain();
    const late = await fixture.submit(2);
    await advance(fixture.clock, 100);
    await drained;
    expect(answerOf(await fixture.record(claimed))).toBe(1);
    expect((await fixture.record(late)).status).toBe('queued');
    expect(fixture.worker.state).toBe('draining');
    await fixture.worker.close();
    expect(fixture.countOf('abandoned')).toBe(0);
  });

  test('what is not finished in time goes back to its place', async () => {
    const slow = { runMs: 5_000, rowMs: 0, failOn: null, hangOn: null, crashOn: null };
    const fixture = virtualFixture({
      manifests: [{ ...modelManifest, simulated: slow, executionTimeoutMs: 60_000 }],
      limits: { drainMs: 200 },
    });
    const first = await fixture.submit(1, { executionTimeoutMs: 60_000 });
    await fixture.worker.start();
    await advance(fixture.clock, 5);
    const drained = fixture.worker.drain();
    await advance(fixture.clock, 1_500);
    await drained;
    const record = await fixture.record(first);
    expect([record.status, record.attempt]).toEqual(['queued', 0]);
    expect(fixture.events).toContainEqual({ name: 'abandoned', args: [1] });
    await fixture.worker.close();
    expect(fixture.kills()).toBe(1);
  });
});

describe('outages of the queue', () => {
  test('outcomes are kept and settled when the queue is back', async () => {
    let failures = 3;
    const fixture = virtualFixture({
      wrapQueue: (queue) =>
        replacing(queue, {
          settle: (...args) => {
            failures -= 1;
            return failures >= 0 ? Promise.reject(new Error('away')) : queue.settle(...args);
          },
        }),
    });
    const id = await fixture.submit(1);
    await fixture.worker.start();
    await advance(fixture.clock, 500);
    expect((await fixture.record(id)).status).toBe('running');
    await advance(fixture.clock, 8_000);
    expect(answerOf(await fixture.record(id))).toBe(1);
    expect(failures).toBe(-1);
    await fixture.worker.close();
  });

  test('an outcome whose job was taken meanwhile is dropped', async () => {
    const fixture = virtualFixture({
      wrapQueue: (queue) => replacing(queue, { settle: away }),
    });
    const id = await fixture.submit(1);
    await fixture.worker.start();
    await advance(fixture.clock, 100);
    await fixture.queue.cancel(id, 'no longer wanted');
    await advance(fixture.clock, 5_000);
    expect(fixture.countOf('resultDropped')).toBe(1);
    expect(fixture.events.findLast((event) => event.name === 'inFlight')?.args).toEqual([
      'echo',
      0,
    ]);
    await fixture.worker.close();
    expect(fixture.countOf('abandoned')).toBe(0);
  });

  test('while the queue stays away, draining ends in time', async () => {
    const fixture = virtualFixture({
      limits: { drainMs: 3_000 },
      wrapQueue: (queue) => {
        return replacing(queue, { settle: away, giveBack: away, retract: away });
      },
    });
    await fixture.submit(1);
    await fixture.worker.start();
    await advance(fixture.clock, 100);
    const drained = fixture.worker.drain();
    await advance(fixture.clock, 6_000);
    await drained;
    expect(fixture.events).toContainEqual({ name: 'abandoned', args: [1] });
    await fixture.worker.close();
    expect(fixture.clock.pendingTimers).toBe(0);
  });

  test('claims that fail are tried again', async () => {
    let failures = 2;
    const fixture = virtualFixture({
      wrapQueue: (queue) =>
        replacing(queue, {
          claim: (...args) => {
            failures -= 1;
            return failures >= 0 ? Promise.reject(new Error('away')) : queue.claim(...args);
          },
        }),
    });
    const id = await fixture.submit(1);
    await fixture.worker.start();
    await advance(fixture.clock, 3_000);
    expect(answerOf(await fixture.record(id))).toBe(1);
    await fixture.worker.close();
  });
});

describe('on the real clock, with threads', () => {
  test('the stages of every job add up to its time from end to end', async () => {
    const fixture = fixtureOn({ clock: systemClock, deps: { preparationThreads: 2 } });
    await fixture.worker.start();
    const ids = await Promise.all(Array.from({ length: 40 }, (_, i) => fixture.submit(i)));
    const records = await Promise.all(
      ids.map((id) => fixture.queue.outcome(id, new AbortController().signal)),
    );
    expect(records.map((record) => record && answerOf(record))).toEqual(ids.map((_, i) => i));
    await waitFor(() => fixture.countOf('endToEnd') === ids.length);
    const wholes = fixture.events.filter((event) => event.name === 'endToEnd');
    const stages = fixture.events.filter((event) => event.name === 'stage');
    expect(stages).toHaveLength(8 * wholes.length);
    for (const [i, whole] of wholes.entries()) {
      const parts = stages.slice(8 * i, 8 * i + 8).map((event) => Number(event.args[2]));
      const sumS = parts.reduce((sum, part) => sum + part, 0);
      const wholeS = Number(whole.args[2]);
      expect(Math.abs(sumS - wholeS)).toBeLessThanOrEqual(Math.max(0.001, 0.05 * wholeS));
    }
    await fixture.worker.close();
  });
});

/** A simulated model that does not say what to simulate. */
function broken(name: string): ModelManifest {
  return { ...modelManifest, name, simulated: null };
}
