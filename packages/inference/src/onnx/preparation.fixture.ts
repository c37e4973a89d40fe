/** What a compute thread prepares with in tests: rows of two floats, back to back in one buffer. */
import { invariant } from '@inferry/runtime';
import type { HeldBatch, ThreadPreparation } from '../port.ts';

/** Rows of each item; a request without items breaks the thread. */
export type FixtureRequest = readonly (readonly (readonly [number, number])[])[];

export function openThreadPreparation(name: unknown): Promise<ThreadPreparation> {
  invariant(typeof name === 'string', 'the data has arrived');
  return Promise.resolve({
    prepare: (request: unknown) => Promise.resolve(held(name, request as FixtureRequest)),
    close: () => Promise.resolve(),
  });
}

function held(name: string, request: FixtureRequest): HeldBatch {
  invariant(request.length > 0, 'a batch has items');
  const values = Float32Array.from(request.flat(2));
  const starts = request.map((_, i) => request.slice(0, i).flat(2).length);
  return {
    answer: request.map((rows) => rows.length),
    tensors(position) {
      const rows = request[position] ?? [];
      const bytes = new Uint8Array(values.buffer, (starts[position] ?? 0) * 4, rows.length * 8);
      return [{ name, datatype: 'FP32', shape: [rows.length, 2], bytes }];
    },
    close: () => values.fill(NaN),
  };
}
