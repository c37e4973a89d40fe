/** Isolation, for every batch and every set of culprits. */
import { err, ok, type Result } from '@inferry/runtime';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type IsolationKind, runIsolating } from './isolate.ts';

interface Drawn {
  readonly culprit: boolean;
  readonly id: number;
}

const batches = fc
  .array(fc.boolean(), { minLength: 1, maxLength: 40 })
  .map((flags) => flags.map((culprit, id): Drawn => ({ culprit, id })));
const kinds = fc.constantFrom<IsolationKind>('bisect', 'one_by_one');

describe('runIsolating', () => {
  test('exactly the culprits fail, and every other item gets its own output', async () => {
    await fc.assert(
      fc.asyncProperty(batches, kinds, async (items, kind) => {
        const results = await runIsolating(items, runOf().run, () => kind);
        expect(results).toEqual(
          items.map((item) => (item.culprit ? err('culprit') : ok(`out ${item.id}`))),
        );
      }),
    );
  });

  test('the number of runs is bounded, and one is enough when nothing fails', async () => {
    await fc.assert(
      fc.asyncProperty(batches, kinds, async (items, kind) => {
        const { run, sizes } = runOf();
        await runIsolating(items, run, () => kind);
        const isClean = items.every((item) => !item.culprit);
        const many = kind === 'bisect' ? 2 * items.length - 1 : items.length + 1;
        expect(sizes.length).toBeLessThanOrEqual(isClean ? 1 : many);
      }),
    );
  });

  test('one culprit is found by bisecting in two runs a level', async () => {
    const { run, sizes } = runOf();
    const items = Array.from({ length: 32 }, (_, id) => ({ culprit: id === 13, id }));
    await runIsolating(items, run, () => 'bisect');
    expect(sizes.length).toBe(1 + 2 * 5);
  });
});

/** A model that refuses every batch with a culprit in it. */
function runOf(): {
  run: (items: readonly Drawn[]) => Promise<Result<readonly string[], string>>;
  sizes: number[];
} {
  const sizes: number[] = [];
  const run = (items: readonly Drawn[]): Promise<Result<readonly string[], string>> => {
    sizes.push(items.length);
    const isBad = items.some((item) => item.culprit);
    return Promise.resolve(isBad ? err('culprit') : ok(items.map((item) => `out ${item.id}`)));
  };
  return { run, sizes };
}
