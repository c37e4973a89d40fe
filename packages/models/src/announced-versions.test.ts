import type { WorkerAnnouncement } from '@inferry/contracts';
import { expect, test } from 'vitest';
import { served, worker } from './catalogue-fixture.test.ts';
import { ModelCatalogue } from './catalogue.ts';

const iris = { name: 'iris', version: '1' };
const has = (id: string, digest: string, state: 'ready' | 'loading' | 'retiring' = 'ready') =>
  worker(id, [served('1', state, { digest })]);

/** What is known of the content after each of the announcements. */
function contents(...seen: readonly (readonly WorkerAnnouncement[])[]): (number | undefined)[] {
  const catalogue = new ModelCatalogue();
  return seen.map((workers) => {
    catalogue.replaceAnnounced(workers);
    return catalogue.contentOf(iris);
  });
}

test('the content of a version is known while all workers that run it have the same', () => {
  const [none, loading, one, both, mixed, again] = contents(
    [],
    [has('w1', 'a', 'loading')],
    [has('w1', 'a')],
    [has('w1', 'a'), has('w2', 'a')],
    [has('w1', 'a'), has('w2', 'b')],
    [has('w1', 'b'), has('w2', 'b')],
  );
  expect([none, loading, mixed]).toEqual([undefined, undefined, undefined]);
  expect(one).toEqual(expect.any(Number));
  expect(both).toBe(one);
  expect(again).toBeGreaterThan(one!);
  // One that retires still runs what waits.
  expect(contents([has('w1', 'a', 'retiring'), has('w2', 'b')])).toEqual([undefined]);
});

test('content that comes back is new content, and content without a worker is what it was', () => {
  const [first, away, other, back, forgotten, anew] = contents(
    [has('w1', 'a')],
    [],
    [has('w2', 'b')],
    [has('w2', 'a')],
    [worker('w2', [])],
    [has('w2', 'a')],
  );
  expect(away).toBe(first);
  expect(other).toBeGreaterThan(first!);
  expect(back).toBeGreaterThan(other!);
  expect(forgotten).toBeUndefined();
  expect(anew).toBeGreaterThan(back!);
});
