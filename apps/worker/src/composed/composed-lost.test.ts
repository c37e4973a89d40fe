/** Jobs of composed models whose worker was lost: what another one finds of their steps. */
import { classOf } from '@inferry/contracts';
import { createMemoryQueue } from '@inferry/queue';
import { VirtualClock } from '@inferry/runtime';
import { queueRules } from '@inferry/scheduling';
import { expect, test } from 'vitest';
import {
  advance,
  answerOf,
  claimByOther,
  fixtureOn,
  modelManifest,
  replacing,
} from '../worker.fixture.ts';
import { ensembleOf, type Lanes, openLanes } from './lane.fixture.ts';

/** x -> echo -> echo -> y. */
const twice = ensembleOf('twice', [
  { inputs: { x: 'x' }, outputs: { y: 'middle' } },
  { inputs: { x: 'middle' }, outputs: { y: 'y' } },
]);
const ofTwice = { class: classOf('twice', '1') };
const echo = classOf('echo', '1');

async function stopped(lanes: Lanes, clock: VirtualClock): Promise<void> {
  const stopping = lanes.stop();
  await advance(clock, 3_000);
  await stopping;
}

const limits = { leaseMs: 900, sweepMs: 100 };

/** The lanes are gone in the middle of the first step, and nobody renews what they claimed. */
async function lostAfter(ms: number) {
  const clock = new VirtualClock();
  const queue = createMemoryQueue({ clock, rules: queueRules, leaseMs: limits.leaseMs });
  const fixture = fixtureOn({ clock, queue, limits });
  const halves = { alive: true };
  const never = new Promise<never>(() => undefined);
  const ending = replacing(queue, {
    claim: (cls, request) => (halves.alive ? queue.claim(cls, request) : never),
    renew: (...args) => (halves.alive ? queue.renew(...args) : Promise.resolve([])),
    settle: (cls, settlements) =>
      halves.alive ? queue.settle(cls, settlements) : Promise.reject(new Error('gone')),
    cancel: (id, detail) => (halves.alive ? queue.cancel(id, detail) : queue.find(id)),
    outcome: (id, signal) =>
      halves.alive ? queue.outcome(id, signal) : new Promise(() => undefined),
  });
  await openLanes({ clock, queue: ending, composed: [twice], limits, workerId: 'lost' });
  const id = await fixture.submit(4, ofTwice);
  await advance(clock, ms);
  halves.alive = false;
  for (let i = 0; i < 20; i += 1) {
    await queue.sweep(ofTwice.class);
    await advance(clock, 100);
  }
  return { ...fixture, id };
}

test('a job whose worker was lost begins again, and finds its step in its place in line, not another one behind', async () => {
  const fixture = await lostAfter(10);
  const { clock, queue } = fixture;
  expect(await queue.stats([echo])).toMatchObject([{ waiting: 1 }]);
  const lanes = await openLanes({ clock, queue, composed: [twice], limits });
  await advance(clock, 100);
  expect(await queue.stats([echo])).toMatchObject([{ waiting: 1 }]);
  expect(await fixture.record(fixture.id)).toMatchObject({ status: 'running', attempt: 2 });
  const other = fixtureOn({ clock, queue, manifests: [modelManifest] });
  await other.worker.start();
  await advance(clock, 2_500);
  expect(answerOf(await fixture.record(fixture.id))).toBe(4);
  expect(other.runs.map((run) => run.values)).toEqual([[4], [4]]);
  await other.worker.close();
  await stopped(lanes, clock);
});

test('a job whose worker was lost begins again, and sends a step anew that was canceled meanwhile', async () => {
  const fixture = await lostAfter(10);
  const { clock, queue } = fixture;
  const [step] = await queue.claim(echo, claimByOther).then(({ claims }) => claims);
  await queue.cancel(step?.job.id ?? fixture.id, 'by a worker that gave the job back');
  const lanes = await openLanes({ clock, queue, composed: [twice], limits });
  await advance(clock, 100);
  expect(await queue.stats([echo])).toMatchObject([{ waiting: 1 }]);
  expect(await fixture.record(fixture.id)).toMatchObject({ status: 'running' });
  await queue.cancel(fixture.id, 'enough');
  await advance(clock, 1_000);
  await stopped(lanes, clock);
});
