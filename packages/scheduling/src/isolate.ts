/**
 * A batch is an optimisation; failure stays per item. When the model refuses a batch, this finds out
 * which items it refuses and gets an answer for all the others.
 */
import { invariant, type Result } from '@inferry/runtime';

/** `bisect`: halve what fails. `one_by_one`: run every item alone. */
export type IsolationKind = 'bisect' | 'one_by_one';

/**
 * The cheaper way to find one culprit among `size` items: bisecting runs both halves at every level,
 * one by one runs them all. `meanRunMs` gives the expected duration of a run by its number of items;
 * while nothing is known, a run is taken to cost the same whatever its size, so that halving wins
 * as soon as it needs fewer runs.
 */
export function planIsolation(
  size: number,
  meanRunMs: (items: number) => number | undefined,
): IsolationKind {
  const costMs = (items: number): number => meanRunMs(items) ?? 1;
  let bisectMs = 0;
  for (let half = size; half > 1;) {
    half = Math.ceil(half / 2);
    bisectMs += 2 * costMs(half);
  }
  return bisectMs < size * costMs(1) ? 'bisect' : 'one_by_one';
}

/** Runs items together: one output for each of them in order, or one error for all. */
export type RunTogether<I, O, E> = (items: readonly I[]) => Promise<Result<readonly O[], E>>;

/**
 * Runs a batch; when it fails, runs parts of it until the culprits stand alone. Returns a result for each
 * item, in order: an item fails only when it failed alone. `plan` is asked once, after the first failure of
 * two or more items. Runs at most: 1 when nothing fails, 1 + n one by one, 2n - 1 bisecting.
 */
export async function runIsolating<I, O, E>(
  items: readonly I[],
  run: RunTogether<I, O, E>,
  plan: (size: number) => IsolationKind,
): Promise<readonly Result<O, E>[]> {
  const first = await runOnce(items, run);
  if (first !== undefined) return first;
  if (plan(items.length) === 'bisect') return halves(items, run);
  const results: Result<O, E>[] = [];
  for (const item of items) results.push(...(await runParts([item], run)));
  return results;
}

/** The results, or undefined when several items failed together and nobody knows whose fault it is. */
async function runOnce<I, O, E>(
  items: readonly I[],
  run: RunTogether<I, O, E>,
): Promise<readonly Result<O, E>[] | undefined> {
  const together = await run(items);
  if (together.ok) {
    const { value } = together;
    invariant(value.length === items.length, 'a run answers each of its items');
    return value.map((output) => ({ ok: true, value: output }));
  }
  return items.length === 1 ? [together] : undefined;
}

async function runParts<I, O, E>(
  items: readonly I[],
  run: RunTogether<I, O, E>,
): Promise<readonly Result<O, E>[]> {
  return (await runOnce(items, run)) ?? halves(items, run);
}

async function halves<I, O, E>(
  items: readonly I[],
  run: RunTogether<I, O, E>,
): Promise<readonly Result<O, E>[]> {
  const middle = Math.ceil(items.length / 2);
  const left = await runParts(items.slice(0, middle), run);
  return [...left, ...(await runParts(items.slice(middle), run))];
}
