/** The simulation, in short: the guarantee of our scheduler holds, and the audit that says so would notice. */
import { describe, expect, test } from 'vitest';
import { poisson } from './clients.ts';
import { overtakesMax, spread } from './measures.ts';
import { estimateOfAll, newestFirst, retryToTail, workerFill } from './ours/mutants.ts';
import { ours } from './ours/ours.ts';
import { cork } from './policies/baselines.ts';
import { loop, type Result, simulate } from './simulate.ts';
import { render } from './table.ts';
import { allTables } from './tables/all.ts';
import { world } from './tables/rows.ts';
import type { Policy, World } from './world.ts';

type MakePolicy = (world: World) => Policy;

const targetMs = 500;
const four = [1, 1, 1, 1];

/** 50 clients in a closed loop on one device, or 200 on four. */
function closed(policy: MakePolicy, requests: number, slowness: readonly number[] = [1]) {
  const clients = loop({ clients: 50 * slowness.length, requests, onRefusal: 'retry' });
  return simulate({ world: world({ slowness }), policy, clients, targetMs });
}

function kinds({ broken }: Result): ReadonlySet<string> {
  return new Set(broken.map((what) => what.split(':')[0] ?? ''));
}

describe('50 clients in a closed loop, 60 ms for one row and 260 ms for eight', () => {
  test('nobody starves with our scheduler, and nobody is overtaken', async () => {
    const result = await closed(ours(), 4_500);
    const { answers, overtakesMax, refusedShare } = result.figures;
    expect(result.broken).toEqual([]);
    expect(answers.count).toBe(4_500);
    expect(refusedShare).toBe(0);
    expect(overtakesMax).toBe(0);
    expect(answers.max).toBeLessThanOrEqual(Math.ceil(50 / 8) * 260 * 1.1);
  });

  test('with a stack in place of the queue somebody waits for all the others', async () => {
    const { answers, overtakesMax } = (await closed(cork('0.13', Infinity), 4_500)).figures;
    expect(answers.max).toBeGreaterThan(100_000);
    expect(overtakesMax).toBeGreaterThan(4_000);
  });

  test('a refusal costs the way there and back, and what was refused is answered in the end', async () => {
    const result = await closed(ours({ budgetMs: targetMs, latencyTargetMs: targetMs }), 900);
    const { answers, attemptsPerAnswer, goodShare, refusals } = result.figures;
    expect(result.broken).toEqual([]);
    expect(answers.count).toBe(900);
    expect(attemptsPerAnswer).toBeGreaterThan(1.5);
    expect(goodShare).toBeGreaterThan(0.9);
    expect(refusals.count).toBeGreaterThan(0);
    expect(refusals.max).toBeCloseTo(4, 6);
  });

  test('a job instead of a refusal keeps its place in the one queue', async () => {
    const result = await closed(ours({ budgetMs: targetMs, onInfeasible: 'accept' }), 900);
    const { answers, attemptsPerAnswer, jobShare } = result.figures;
    expect(result.broken).toEqual([]);
    expect(attemptsPerAnswer).toBe(1);
    expect(jobShare).toBeGreaterThan(0.9);
    expect(answers.max).toBeLessThanOrEqual(Math.ceil(50 / 8) * 260 * 1.1);
  });

  test('jobs that come back keep their place', async () => {
    const result = await closed(ours({ givesBackEvery: 10 }), 900);
    expect(result.broken).toEqual([]);
    expect(result.figures.overtakesMax).toBe(0);
  });
});

test('every table of the short run keeps the guarantee', async () => {
  const { broken, tables } = await allTables(0.1);
  expect(broken).toEqual([]);
  expect(tables.map(({ title }) => title.charAt(0)).join('')).toBe('ABCDEFG');
});

test('the same seed gives the same run', async () => {
  const run = () =>
    simulate({
      world: world({ slowness: four }),
      policy: ours({ budgetMs: targetMs }),
      clients: (served) => poisson(served, { perSecond: 150, untilMs: 5_000 }),
      targetMs,
    });
  const [first, second] = [await run(), await run()];
  expect(first.requests.length).toBeGreaterThan(500);
  expect(first.requests).toEqual(second.requests);
});

describe('the audit notices', () => {
  test('the newest job first', async () => {
    expect([...kinds(await closed(newestFirst(), 900))]).toEqual(
      expect.arrayContaining(['G1', 'P4', 'G2']),
    );
  });

  test('a retry at the end of the line', async () => {
    const slipped = await closed(retryToTail({ givesBackEvery: 10 }), 900);
    expect([...kinds(slipped)]).toEqual(expect.arrayContaining(['G1', 'P4']));
  });

  test('workers that fill batches of their own', async () => {
    expect([...kinds(await closed(workerFill(), 900, four))]).toEqual(
      expect.arrayContaining(['G1', 'work']),
    );
  });

  test('an estimate that takes the whole line for one batch', async () => {
    expect([...kinds(await closed(ours(), 900, four))]).toEqual([]);
    expect([...kinds(await closed(estimateOfAll(), 900, four))]).toEqual(['estimates']);
  });
});

describe('figures', () => {
  test('overtakes are later ones that went before, of the one who met most', () => {
    expect(overtakesMax([0, 1, 2, 3])).toBe(0);
    expect(overtakesMax([3, 2, 1, 0])).toBe(3);
    expect(overtakesMax([1, 2, 0, 3])).toBe(2);
    expect(overtakesMax([])).toBe(0);
  });

  test('quantiles are values that occurred', () => {
    expect(spread([4, 1, 3, 2])).toEqual({ count: 4, mean: 2.5, p50: 2, p99: 4, max: 4 });
    expect(spread([])).toEqual({ count: 0, mean: 0, p50: 0, p99: 0, max: 0 });
  });

  test('a table is Markdown whose columns line up', () => {
    const rows = [
      ['ours', '1'],
      ['theirs', '1000'],
    ];
    expect(render({ title: 'T', columns: ['policy', 'max'], rows })).toBe(
      [
        'T',
        '',
        '| policy |  max |',
        '| ------ | ---: |',
        '| ours   |    1 |',
        '| theirs | 1000 |',
      ].join('\n'),
    );
  });
});
