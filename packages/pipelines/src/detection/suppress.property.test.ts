/** Suppression and choice of candidates against the plainest code that does the same. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { Candidates } from './candidates.ts';
import { suppress } from './suppress.ts';

interface Box {
  readonly corners: readonly [number, number, number, number];
  readonly group: number;
}

// Whole numbers in a small square: equal boxes, shared sides and empty boxes come up often.
const side = fc.integer({ min: 0, max: 6 });
const box: fc.Arbitrary<Box> = fc.record({
  corners: fc.tuple(side, side, side, side),
  group: fc.integer({ min: 0, max: 2 }),
});
const threshold = fc.constantFrom(0, 0.125, 0.25, 0.5, 0.75, 1);

function overlap([al, at, ar, ab]: Box['corners'], [bl, bt, br, bb]: Box['corners']): number {
  const size = (width: number, height: number) => Math.max(0, width) * Math.max(0, height);
  const one = size(ar - al, ab - at);
  const other = size(br - bl, bb - bt);
  const shared = size(Math.min(ar, br) - Math.max(al, bl), Math.min(ab, bb) - Math.max(at, bt));
  return one === 0 || other === 0 ? 0 : shared / (one + other - shared);
}

function naive(boxes: readonly Box[], iouThreshold: number): number[] {
  const kept: number[] = [];
  for (const [index, candidate] of boxes.entries()) {
    const rivals = kept.map((at) => boxes[at]!).filter(({ group }) => group === candidate.group);
    const isCovered = rivals.some(
      (rival) => overlap(rival.corners, candidate.corners) > iouThreshold,
    );
    if (!isCovered) kept.push(index);
  }
  return kept;
}

test('the same boxes stay as with the plain algorithm, and of them the first', () => {
  fc.assert(
    fc.property(
      fc.array(box, { maxLength: 40 }),
      threshold,
      fc.integer({ min: 1, max: 50 }),
      (boxes, iouThreshold, max) => {
        const ranked = {
          count: boxes.length,
          corners: Float64Array.from(boxes.flatMap(({ corners }) => corners)),
          groups: Int32Array.from(boxes, ({ group }) => group),
        };
        expect(suppress(ranked, iouThreshold, max)).toEqual(
          naive(boxes, iouThreshold).slice(0, max),
        );
      },
    ),
    { numRuns: 500 },
  );
});

test('what stays is apart: no two of a group overlap above the threshold', () => {
  fc.assert(
    fc.property(fc.array(box, { maxLength: 40 }), threshold, (boxes, iouThreshold) => {
      const corners = Float64Array.from(boxes.flatMap(({ corners: own }) => own));
      const groups = Int32Array.from(boxes, ({ group }) => group);
      const kept = suppress({ count: boxes.length, corners, groups }, iouThreshold, 40);
      for (const [rank, index] of kept.entries()) {
        for (const better of kept.slice(0, rank)) {
          if (boxes[better]!.group !== boxes[index]!.group) continue;
          expect(overlap(boxes[better]!.corners, boxes[index]!.corners)).toBeLessThanOrEqual(
            iouThreshold,
          );
        }
      }
    }),
  );
});

test('the best candidates are the first of all, sorted by score, in the order of adding where equal', () => {
  // Few different scores, so that the cut goes through equal ones.
  const scores = fc.array(fc.integer({ min: 0, max: 9 }), { maxLength: 600, size: 'max' });
  fc.assert(
    fc.property(scores, fc.integer({ min: 1, max: 400 }), (values, max) => {
      const candidates = new Candidates();
      for (const [index, value] of values.entries()) candidates.add(index, value % 3, value / 10);
      const best = [...candidates.best(max)].map((at) => candidates.box(at));
      const expected = values
        .map((value, index) => ({ value, index }))
        .toSorted((a, b) => b.value - a.value)
        .slice(0, max);
      expect(best).toEqual(expected.map(({ index }) => index));
    }),
  );
});
