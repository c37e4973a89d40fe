import { expect, test } from 'vitest';
import { optimizeJson, optimizeText, type VariantReport } from './report.ts';

const report: VariantReport = {
  variant: 'int8-static',
  level: null,
  calibratedOn: 10,
  judgesCalibrated: false,
  bytes: 25_000,
  accuracy: {
    samples: 90,
    outputs: [{ name: 'logits', maxAbs: Infinity, meanAbs: 0.00123, cosine: 0.9987654321 }],
    agreesOn: 'label',
    agreement: 0.9,
    agreementLeast: 0.83,
    correct: { samples: 80, original: 0.95, variant: 0.875 },
  },
  speeds: [
    {
      rows: 8,
      rounds: 50,
      originalMs: 2,
      variantMs: 1,
      ratio: 2,
      ratioLow: 1.9,
      ratioHigh: 2.1,
    },
  ],
  folder: '/m/.optimized/1-int8-static',
};
const about = { model: 'm@1', bytes: 100_000, minAgreement: 0.99 };

test('size, speed, differences, agreement and accuracy, each beside the original', () => {
  const text = optimizeText({ ...about, reports: [report] });
  for (const line of [
    'm@1 as int8-static, against the original on 90 samples',
    '25.0 kB instead of 100 kB (25.0 %)',
    '8 rows     1.00 ms instead of 2.00 ms: 2.00x as fast (1.90 to 2.10 in half of 50 rounds)',
    'logits    apart   0.00123  0.998765',
    'agreement  90.00 % (the same label)\n             of all such inputs at least 83.00 %, with 95 % confidence',
    'accuracy   87.50 % instead of 95.00 % (80 labelled samples)',
    'calibrated on 10 samples, which did not judge it',
    'written to /m/.optimized/1-int8-static\n  not served: ',
  ]) {
    expect(text).toContain(line);
  }
  for (const line of text.split('\n')) expect(line.length).toBeLessThanOrEqual(90);
});

test('one that disagrees too often is refused in words', () => {
  const text = optimizeText({ ...about, reports: [{ ...report, folder: null }] });
  expect(text).toContain(
    'refused: it agrees on 90.00 % of the samples, 99.00 % are asked for\n  nothing was written',
  );
  expect(text).not.toContain('written to');
});

test('what a variant is good for is said with it', () => {
  const of = (changes: Partial<VariantReport>): string =>
    optimizeText({ ...about, reports: [{ ...report, calibratedOn: null, ...changes }] });
  expect(of({ variant: 'graph', level: 'all' })).toContain('for machines like this one only');
  expect(of({ variant: 'graph', level: 'extended' })).not.toContain('machines like this one');
  expect(of({ variant: 'fp16' })).toContain('the gain is on a GPU');
  expect(of({ calibratedOn: 3, judgesCalibrated: true })).toContain(
    'which judged it too, being few',
  );
});

test('as data names are in snake case, and what is apart is null', () => {
  const json = JSON.parse(JSON.stringify(optimizeJson({ ...about, reports: [report] })));
  expect(json.variants[0]).toMatchObject({
    calibrated_on: 10,
    accuracy: { agrees_on: 'label', outputs: [{ max_abs: null, mean_abs: 0.00123 }] },
    speeds: [{ original_ms: 2, ratio_low: 1.9 }],
  });
});
