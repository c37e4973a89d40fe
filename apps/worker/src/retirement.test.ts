/** Versions that are wanted no longer, until they are gone. */
import { describe, expect, test } from 'vitest';
import { echo, graceMs, serving, tellOf, v1, v2 } from './model-switch.fixture.ts';
import { advance, answerOf, replacing } from './worker.fixture.ts';

describe('a version that retires', () => {
  test('goes when it was not needed for two leases, with its sessions', async () => {
    const on = await serving([echo('1'), echo('2')]);
    await on.apply([echo('2')]);
    await advance(on.clock, graceMs - 100);
    expect(await on.announced()).toEqual(['1 retiring', '2 ready']);
    expect(on.log).not.toContain('close 1');
    await advance(on.clock, 1_200);
    expect(await on.announced()).toEqual(['2 ready']);
    expect(on.log).toContain('close 1');
    expect(on.events).toContainEqual({ name: 'modelUnloaded', args: ['echo', '1'] });
    expect(on.events).toContainEqual({ name: 'modelReloaded', args: ['echo', 'retired'] });
    expect((await on.queue.stats([v1]))[0]?.workers).toBe(0);
    expect(await on.runOf(v2, 1)).toBe(1);
    await on.worker.close();
    expect(on.clock.pendingTimers).toBe(0);
  });

  test('serves jobs that were accepted late, and stays as long again', async () => {
    const on = await serving([echo('1'), echo('2')]);
    await on.apply([echo('2')]);
    await advance(on.clock, graceMs - 1_000);
    expect(await on.runOf(v1, 5)).toBe(5);
    await advance(on.clock, graceMs - 1_000);
    expect(await on.announced()).toEqual(['1 retiring', '2 ready']);
    expect(await on.runOf(v1, 6)).toBe(6);
    await advance(on.clock, graceMs + 1_000);
    expect(await on.announced()).toEqual(['2 ready']);
    await on.worker.close();
  });

  test('stays while another worker has it, in whatever state but retiring', async () => {
    const on = await serving([echo('1'), echo('2')]);
    const stays = async (state: 'ready' | 'retiring' | 'failed'): Promise<void> => {
      for (let ms = 0; ms < 2 * graceMs; ms += 2_000) {
        await tellOf(on, ['1', state]);
        await advance(on.clock, 2_000);
      }
    };
    await on.apply([echo('2')]);
    await stays('ready');
    expect(await on.announced()).toEqual(['1 retiring', '2 ready']);
    await stays('failed');
    expect(await on.announced()).toEqual(['1 retiring', '2 ready']);
    await stays('retiring');
    expect(await on.announced()).toEqual(['2 ready']);
    await on.worker.close();
  });

  test('stays while another worker runs a job of it', async () => {
    const hung = { runMs: 60_000, rowMs: 0, failOn: null, hangOn: null, crashOn: null };
    const slow = { ...echo('1'), simulated: hung, executionTimeoutMs: 120_000 };
    const on = await serving([slow, echo('2')]);
    await on.submit(1, { class: v1, executionTimeoutMs: 120_000 });
    await advance(on.clock, 10);
    await on.apply([echo('2')]);
    await advance(on.clock, 2 * graceMs);
    expect(await on.announced()).toEqual(['1 retiring', '2 ready']);
    await advance(on.clock, 60_000);
    expect(await on.announced()).toEqual(['2 ready']);
    await on.worker.close();
  });

  test('serves on when it is wanted again, without being loaded again', async () => {
    const on = await serving([echo('1')]);
    await on.apply([echo('2')]);
    await advance(on.clock, 5_000);
    const report = await on.apply([echo('1')]);
    expect(report.map(({ result, version }) => [version, result])).toEqual([
      ['1', 'kept'],
      ['2', 'retiring'],
    ]);
    await advance(on.clock, graceMs + 1_000);
    expect(await on.announced()).toEqual(['1 ready']);
    expect(on.log).toEqual(['load 1', 'load 2', 'close 2']);
    expect(await on.runOf(v1, 5)).toBe(5);
    await on.worker.close();
  });

  test('is given up only when nothing of it came while it was', async () => {
    let isLate = false;
    const on = await serving([echo('1'), echo('2')], {
      wrapQueue: (queue) =>
        replacing(queue, {
          // A gateway that had not heard enqueues in the moment in which the last look says that nothing waits.
          stats: async (classes) => {
            const told = await queue.stats(classes);
            if (!isLate || told[0]?.class !== v1) return told;
            isLate = false;
            lateId = await submitLate();
            return told;
          },
        }),
    });
    let lateId: Awaited<ReturnType<typeof on.submit>> | undefined;
    const submitLate = () => on.submit(9, { class: v1 });
    await on.apply([echo('2')]);
    await advance(on.clock, graceMs - 500);
    isLate = true;
    await advance(on.clock, 3_000);
    expect(lateId).toBeDefined();
    if (lateId !== undefined) expect(answerOf(await on.record(lateId))).toBe(9);
    expect(await on.announced()).toEqual(['1 retiring', '2 ready']);
    await advance(on.clock, graceMs + 1_000);
    expect(await on.announced()).toEqual(['2 ready']);
    await on.worker.close();
  });

  test('does not go while the queue is away', async () => {
    let isAway = false;
    const on = await serving([echo('1'), echo('2')], {
      wrapQueue: (queue) =>
        replacing(queue, {
          stats: (classes) => (isAway ? Promise.reject(new Error('away')) : queue.stats(classes)),
        }),
    });
    await on.apply([echo('2')]);
    await advance(on.clock, graceMs - 1_000);
    isAway = true;
    await advance(on.clock, 5_000);
    isAway = false;
    await advance(on.clock, graceMs - 1_000);
    expect(await on.announced()).toEqual(['1 retiring', '2 ready']);
    await advance(on.clock, 2_000);
    expect(await on.announced()).toEqual(['2 ready']);
    await on.worker.close();
  });
});
