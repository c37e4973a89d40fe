/** What is read from a stored text, and what is not. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { LatencyModel } from './latency-model.ts';
import { parseLatencySnapshot } from './latency-snapshot.ts';

const size = { rows: 4, runs: 2.5, meanMs: 12.25, age: 3 };

function stored(value: unknown): string {
  return JSON.stringify(value);
}

function parsed(sizes: unknown, tailFactor: unknown = 1.2): unknown {
  return parseLatencySnapshot(stored({ sizes, tailFactor }));
}

describe('parseLatencySnapshot', () => {
  test('what a model stored is read as it was', () => {
    const run = fc.record({
      rows: fc.integer({ min: 1, max: 500 }),
      durationMs: fc.double({ min: 0, max: 86_400_000, noNaN: true }),
      isFirst: fc.constant(false),
      idleMs: fc.constant(0),
    });
    fc.assert(
      fc.property(fc.array(run, { maxLength: 300 }), (runs) => {
        const model = new LatencyModel();
        for (const run of runs) model.record(run);
        const snapshot = model.snapshot();
        expect(parseLatencySnapshot(stored(snapshot))).toEqual(snapshot);
      }),
    );
  });

  test('members that it does not know are left out', () => {
    const text = stored({ sizes: [{ ...size, color: 1 }], tailFactor: 1, v: 2 });
    expect(parseLatencySnapshot(text)).toEqual({ sizes: [size], tailFactor: 1 });
  });

  test.each<[string, unknown]>([
    ['no sizes', undefined],
    ['sizes that are no list', { 0: size, length: 1 }],
    ['a size that is none', [null]],
    ['no rows', [{ ...size, rows: 0 }]],
    ['half a row', [{ ...size, rows: 1.5 }]],
    ['rows as text', [{ ...size, rows: '4' }]],
    ['the same size twice', [size, size]],
    ['a size that never ran', [{ ...size, runs: 0 }]],
    ['a size that ran too often', [{ ...size, runs: 51 }]],
    ['a negative mean', [{ ...size, meanMs: -1 }]],
    ['a mean of more than a day', [{ ...size, meanMs: 86_400_001 }]],
    ['a mean that is missing', [{ ...size, meanMs: undefined }]],
    ['a size from the future', [{ ...size, age: -1 }]],
    ['too many sizes', Array.from({ length: 65 }, (_, at) => ({ ...size, rows: at + 1 }))],
  ])('%s is no snapshot', (_, sizes) => {
    expect(parsed([size])).not.toBeNull();
    expect(parsed(sizes)).toBeNull();
  });

  test.each([0.9, 3.1, null, '2'])('nor is a tail factor of %j', (tailFactor) => {
    expect(parsed([size], tailFactor)).toBeNull();
  });

  test('an age without an end is none', () => {
    const text = '{"sizes":[{"rows":1,"runs":1,"meanMs":1,"age":1e999}],"tailFactor":1}';
    expect(parseLatencySnapshot(text)).toBeNull();
    expect(parseLatencySnapshot(text.replace('1e999', '9'))).not.toBeNull();
  });

  test('a text that is too long is not even read', () => {
    const text = stored({ sizes: [size], tailFactor: 1 });
    expect(parseLatencySnapshot(text.padEnd(65_536))).not.toBeNull();
    expect(parseLatencySnapshot(text.padEnd(65_537))).toBeNull();
  });

  test('no text makes it throw, and what it reads a model takes', () => {
    const member = fc.oneof(
      { weight: 9, arbitrary: fc.constantFrom(1, 2, 3, 7, 50) },
      { weight: 1, arbitrary: fc.jsonValue() },
    );
    const size = fc.record({ rows: member, runs: member, meanMs: member, age: member });
    const almost = fc.record({ sizes: fc.array(size, { maxLength: 3 }), tailFactor: member });
    const text = fc.oneof(fc.string(), fc.json(), fc.json({ maxDepth: 1 }), almost.map(stored));
    let read = 0;
    fc.assert(
      fc.property(text, (text) => {
        const snapshot = parseLatencySnapshot(text);
        if (snapshot === null) return;
        read += snapshot.sizes.length;
        expect(new LatencyModel(snapshot).measured()).toHaveLength(snapshot.sizes.length);
      }),
      { numRuns: 1_000, seed: 5 },
    );
    expect(read).toBeGreaterThan(20);
  });
});
