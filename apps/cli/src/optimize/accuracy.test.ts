import type { JobOutput } from '@inferry/contracts';
import { expect, test } from 'vitest';
import { accuracyOf, type Judged, speedOf } from './accuracy.ts';

function judged(
  original: string | null,
  variant: string | null,
  label: string | null,
  dot = 1,
): Judged {
  const output = (answer: string | null): JobOutput => ({
    form: 'rows',
    rows: [answer === null ? { y: [1] } : { label: answer, score: 1 }],
  });
  const difference = {
    name: 'y',
    count: 2,
    maxAbs: 1 - dot,
    sumAbs: 2 * (1 - dot),
    dot,
    squaresA: 1,
    squaresB: 1,
  };
  const differences = [difference];
  return { label, answer: { differences, original: output(original), variant: output(variant) } };
}

test('a classifier agrees on labels; those that are known tell how often each is right', () => {
  const all = [
    judged('a', 'a', 'a'),
    judged('a', 'b', 'b'),
    judged('b', 'b', null),
    judged('b', 'b', 'a'),
  ];
  expect(accuracyOf(all)).toMatchObject({
    samples: 4,
    agreesOn: 'label',
    agreement: 3 / 4,
    correct: { samples: 3, original: 1 / 3, variant: 2 / 3 },
  });
});

test('any other model agrees where every output points the same way', () => {
  const all = [judged(null, null, 'a', 0.995), judged(null, null, null, 0.98)];
  expect(accuracyOf(all)).toMatchObject({ agreesOn: 'cosine', agreement: 1 / 2, correct: null });
});

test('few samples prove little', () => {
  const agreeing = (count: number): number =>
    accuracyOf(Array.from({ length: count }, () => judged('a', 'a', null))).agreementLeast;
  // Of n hits in n, Wilson's bound is n / (n + 1.645 squared).
  expect(agreeing(4)).toBeCloseTo(0.5966, 3);
  expect(agreeing(400)).toBeCloseTo(0.9933, 3);
});

test('differences are those of all samples together', () => {
  const { outputs } = accuracyOf([judged('a', 'a', null, 1), judged('a', 'a', null, 0.5)]);
  expect(outputs).toEqual([
    { name: 'y', maxAbs: 0.5, meanAbs: 1 / 4, cosine: expect.closeTo(0.75) },
  ]);
});

test('speed is compared round by round', () => {
  const timings = [
    { originalMs: 10, variantMs: 5 },
    { originalMs: 40, variantMs: 20 },
    { originalMs: 10, variantMs: 20 },
    { originalMs: 12, variantMs: 6 },
  ];
  expect(speedOf(8, timings)).toEqual({
    rows: 8,
    rounds: 4,
    originalMs: 10,
    variantMs: 6,
    ratio: 2,
    ratioLow: 0.5,
    ratioHigh: 2,
  });
});
