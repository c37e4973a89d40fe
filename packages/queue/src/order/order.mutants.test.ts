/** The checks of order can fail: queues with known faults are found out. */
import { Emitter, VirtualClock } from '@inferry/runtime';
import { queueRules as rules } from '@inferry/scheduling';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { createMemoryQueue } from '../memory/memory-queue.ts';
import type { Claimed, ClaimRequest, JobQueue, QueueEvents } from '../port.ts';
import type { QueueRules } from '../rules.ts';
import { type Command, histories, type Scene } from './commands.fixture.ts';
import { History, leaseMs } from './history.fixture.ts';

const one: Scene = {
  flows: [{ tenant: 'default', priority: 'normal', weight: 4 }],
  rowsMax: 1,
  agingMs: 1e9,
  storms: 0,
  endings: 0,
};
const two: Scene = {
  ...one,
  flows: [
    { tenant: 'a', priority: 'normal', weight: 4 },
    { tenant: 'b', priority: 'normal', weight: 12 },
  ],
};

type Open = (clock: VirtualClock) => JobQueue;

const withRules =
  (wrong: Partial<QueueRules>): Open =>
  (clock) =>
    createMemoryQueue({ clock, leaseMs, rules: { ...rules, ...wrong } });

/** The first difference in any of many histories; undefined when there is none. */
async function fault(scene: Scene, open: Open): Promise<string | undefined> {
  const result = await fc.check(
    fc.asyncProperty(histories(scene), async (commands: readonly Command[]) => {
      const clock = new VirtualClock();
      await new History(open(clock), clock, scene).play(commands);
    }),
    { numRuns: 60, seed: 5, endOnFailure: true },
  );
  const { errorInstance } = result;
  return errorInstance instanceof Error ? errorInstance.message : undefined;
}

test('the queue as it is has no fault', async () => {
  expect(await fault(one, withRules({}))).toBeUndefined();
  expect(await fault({ ...two, storms: 2 }, withRules({}))).toBeUndefined();
});

test('newest first is found', async () => {
  let tag = 0;
  const startTag = (): number => (tag -= 1);
  expect(await fault(one, withRules({ startTag }))).toMatch(/ahead instead of|^claim/u);
});

test('weights that do not count are found', async () => {
  const nextTag = (tag: number, rows: number): number => rules.nextTag(tag, rows, 1);
  expect(await fault(two, withRules({ nextTag }))).toMatch(/ahead instead of|^claim/u);
});

test('virtual time that stands still is found', async () => {
  const timeAfter = (virtualTime: number): number => virtualTime;
  expect(await fault(two, withRules({ timeAfter }))).toMatch(/ahead instead of|^claim/u);
});

test('a flow that comes back to what it had saved up is found', async () => {
  const startTag = (virtualTime: number, flowTag: number): number =>
    flowTag === 0 ? virtualTime : flowTag;
  expect(await fault(two, withRules({ startTag }))).toMatch(/ahead instead of|^claim/u);
});

test('workers that fill up ahead of need are found', async () => {
  const found = await fault(one, (clock) => filling(withRules({})(clock)));
  expect(found).toMatch(/^claim|jobs wait|jobs are active|ahead instead of/u);
});

/**
 * Each worker takes twice what it is asked for and hands out the rest when it is asked again. Its changes
 * tell of what is handed out, so that it looks like a queue whose claims are not in order.
 */
function filling(queue: JobQueue): JobQueue {
  const events = new Emitter<QueueEvents>();
  const kept = new Map<string, Claimed['claims']>();
  let number = 0;
  let isHidden = false;
  queue.events.on('changed', (change) => {
    if (!isHidden) events.emit('changed', { ...change, number: (number += 1) });
  });
  const claim: JobQueue['claim'] = async (cls, request: ClaimRequest) => {
    const { workerId, rowsMax } = request;
    isHidden = true;
    const answer = await queue.claim(cls, { ...request, rowsMax: 2 * rowsMax });
    isHidden = false;
    const all = [...(kept.get(workerId) ?? []), ...answer.claims];
    const claims = all.slice(0, rowsMax);
    kept.set(workerId, all.slice(rowsMax));
    if (claims.length > 0) {
      const ids = claims.map(({ job }) => job.id);
      const atMs = answer.nowMs;
      events.emit('changed', { class: cls, what: 'claim', number: (number += 1), atMs, ids });
    }
    return { ...answer, claims, waiting: answer.waiting + all.length - claims.length };
  };
  return new Proxy(queue, {
    get: (target, name) => {
      if (name === 'events') return events;
      if (name === 'claim') return claim;
      const value: unknown = Reflect.get(target, name, target);
      return typeof value === 'function' ? (value.bind(target) as unknown) : value;
    },
  });
}
