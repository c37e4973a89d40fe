/** The order that the memory queue promises, over random histories in virtual time. */
import { VirtualClock } from '@inferry/runtime';
import { queueRules as rules } from '@inferry/scheduling';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { createMemoryQueue } from '../memory/memory-queue.ts';
import { type Command, histories, type Scene } from './commands.fixture.ts';
import { History, leaseMs } from './history.fixture.ts';
import type { Replay } from './replay.fixture.ts';

const one = [{ tenant: 'default', priority: 'normal', weight: 4 }] as const;
const many = [
  { tenant: 'a', priority: 'high', weight: 8 },
  { tenant: 'a', priority: 'low', weight: 1 },
  { tenant: 'b', priority: 'normal', weight: 12 },
  { tenant: 'c', priority: 'normal', weight: 4 },
] as const;
const neverMs = 1e9;

async function play(scene: Scene, commands: readonly Command[]): Promise<Replay> {
  const clock = new VirtualClock();
  const queue = createMemoryQueue({ clock, rules, leaseMs });
  const history = new History(queue, clock, scene);
  await history.play(commands);
  await queue.close();
  return history.replay;
}

/** Plays many histories of a scene; returns what they had in it, so that a test can ask for it. */
async function playAll(scene: Scene, numRuns: number): Promise<readonly Replay[]> {
  const replays: Replay[] = [];
  await fc.assert(
    fc.asyncProperty(histories(scene), async (commands) => {
      replays.push(await play(scene, commands));
    }),
    // A failure is made smaller within bounds, too.
    { numRuns, seed: 20_261_121, interruptAfterTimeLimit: 15_000, markInterruptAsFailure: true },
  );
  return replays;
}

const sumOf = (replays: readonly Replay[], count: (replay: Replay) => number): number =>
  replays.reduce((sum, replay) => sum + count(replay), 0);

describe('memory queue', () => {
  test('one flow is served in order of arrival, within the claims that the guarantee allows', async () => {
    const scene: Scene = { flows: one, rowsMax: 1, agingMs: neverMs, storms: 0, endings: 1 };
    const replays = await playAll(scene, 200);
    expect(sumOf(replays, ({ overtakes }) => overtakes)).toBe(0);
    expect(Math.max(...replays.map(({ tightest }) => tightest))).toBe(1);
  });

  test('one flow with lost workers: who comes back goes first, and is late by no more than allowed', async () => {
    const scene: Scene = { flows: one, rowsMax: 1, agingMs: neverMs, storms: 2, endings: 1 };
    const replays = await playAll(scene, 200);
    expect(sumOf(replays, ({ overtakes }) => overtakes)).toBeGreaterThan(0);
  });

  test('flows share by their weights, and no flow is passed by more than its share', async () => {
    const scene: Scene = { flows: many, rowsMax: 1, agingMs: neverMs, storms: 0, endings: 1 };
    const replays = await playAll(scene, 200);
    expect(Math.max(...replays.map(({ tightestShare }) => tightestShare))).toBe(1);
  });

  test('jobs of many rows, old jobs, lost workers and ends while waiting: always as the model says', async () => {
    const scene: Scene = { flows: many, rowsMax: 4, agingMs: 250, storms: 2, endings: 2 };
    const replays = await playAll(scene, 500);
    expect(sumOf(replays, ({ agedClaims }) => agedClaims)).toBeGreaterThan(0);
    expect(sumOf(replays, ({ returns }) => returns)).toBeGreaterThan(0);
  });
});
