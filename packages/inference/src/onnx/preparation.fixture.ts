/** What a compute thread prepares with in tests: rows of two floats, back to back in one buffer. */
import { invariant } from '@inferry/runtime';
import type { HeldBatch, ThreadPreparation } from '../port.ts';

/** Rows of each item; a request without items breaks the thread. */
export interface FixtureRequest {
  readonly items: readonly (readonly (readonly [number, number])[])[];
  /** Whether the run of all items begins at once. */
  readonly isExpected: boolean;
}

export function openThreadPreparation(name: unknown): Promise<ThreadPreparation> {
  invariant(typeof name === 'string', 'the data has arrived');
  return Promise.resolve({
    prepare: (request: unknown) => Promise.resolve(held(name, request as FixtureRequest)),
    close: () => Promise.resolve(),
  });
}

function held(name: string, { items, isExpected }: FixtureRequest): HeldBatch {
  invariant(items.length > 0, 'a batch has items');
  const values = Float32Array.from(items.flat(2));
  const starts = items.map((_, i) => items.slice(0, i).flat(2).length);
  const rowCounts = items.map((rows) => rows.length);
  return {
    answer: rowCounts,
    expected: isExpected ? { rows: rowCounts, outputs: [] } : null,
    tensors(position) {
      const rows = items[position] ?? [];
      const bytes = new Uint8Array(values.buffer, (starts[position] ?? 0) * 4, rows.length * 8);
      return [{ name, datatype: 'FP32', shape: [rows.length, 2], bytes }];
    },
    close: () => values.fill(NaN),
  };
}
