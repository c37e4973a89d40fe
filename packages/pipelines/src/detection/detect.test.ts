/** Detection against golden results of a plain numpy reference (golden/detect.py), and its refusals. */
import { readFileSync } from 'node:fs';
import { type DetectSpec, numberToHalf, type Tensor } from '@inferry/contracts';
import { describe, expect, test } from 'vitest';
import type { ImagePlacement } from '../image/fit.ts';
import { detect } from './detect.ts';

interface Detection {
  readonly label: string;
  readonly score: number;
  readonly box: Readonly<Record<'x' | 'y' | 'width' | 'height', number>>;
}

interface GoldenCase {
  readonly name: string;
  readonly spec: DetectSpec;
  readonly placements: readonly ImagePlacement[];
  readonly tensors: readonly { name: string; shape: number[]; base64: string }[];
  /** Of each row. */
  readonly expected: readonly (readonly Detection[])[];
}

const golden = JSON.parse(
  readFileSync(new URL('../../golden/detect.json', import.meta.url), 'utf8'),
) as readonly GoldenCase[];

function tensorsOf({ tensors }: GoldenCase): Tensor[] {
  return tensors.map(({ name, shape, base64 }) => ({
    name,
    shape,
    datatype: 'FP32',
    bytes: Buffer.from(base64, 'base64'),
  }));
}

function found(of: GoldenCase, tensors = tensorsOf(of)): Detection[][] {
  const answer = detect(of.spec, tensors, of.placements.length, of.placements);
  if (!answer.ok) throw new Error(answer.error.detail);
  if (answer.value.form !== 'rows') throw new Error('not rows');
  return answer.value.rows.map(
    (row) => (row as unknown as { readonly detections: Detection[] }).detections,
  );
}

/** Rounding to a hundredth of a pixel may go either way. */
function expectSame(actual: readonly Detection[], expected: readonly Detection[], scoreTo = 9) {
  expect(actual.map(({ label }) => label)).toEqual(expected.map(({ label }) => label));
  for (const [index, { score, box }] of expected.entries()) {
    expect(actual[index]?.score).toBeCloseTo(score, scoreTo);
    for (const side of ['x', 'y', 'width', 'height'] as const) {
      expect(Math.abs((actual[index]?.box[side] ?? NaN) - box[side])).toBeLessThan(0.025);
    }
  }
}

function caseNamed(name: string): GoldenCase {
  const one = golden.find((candidate) => candidate.name === name);
  if (one === undefined) throw new Error(`no golden case "${name}"`);
  return one;
}

describe('the golden results', () => {
  test('cover every family', () => {
    const families = new Set(golden.map(({ spec }) => spec.head.family));
    expect([...families].toSorted()).toEqual(
      'boxes end_to_end ssd yolov3 yolov4 yolov5 yolov8 yolox'.split(' '),
    );
  });

  test.each(golden.map((of) => [of.name, of] as const))('%s', (_, of) => {
    const rows = found(of);
    expect(rows).toHaveLength(of.expected.length);
    for (const [row, expected] of of.expected.entries()) expectSame(rows[row] ?? [], expected);
  });

  test('a row is answered as if it were alone', () => {
    const both = caseNamed('yolov4, nchw, raw, two rows');
    const rows = found(both);
    const tensors = tensorsOf(both).map((tensor) => ({
      ...tensor,
      shape: [1, ...tensor.shape.slice(1)],
      bytes: tensor.bytes.subarray(tensor.bytes.length / 2),
    }));
    const second = { ...both, placements: both.placements.slice(1) };
    expect(found(second, tensors)).toEqual([rows[1]]);
  });
});

describe('the outputs', () => {
  const of = caseNamed('yolov5, two rows');
  const [plain] = tensorsOf(of);
  const values = new Float32Array(Uint8Array.from(plain!.bytes).buffer);

  test('may be FP16, FP64 or lie at any byte', () => {
    const half = Uint16Array.from(values, numberToHalf);
    const double = Float64Array.from(values);
    const shifted = new Uint8Array(plain!.bytes.length + 1);
    shifted.set(plain!.bytes, 1);
    const forms: Tensor[] = [
      { ...plain!, datatype: 'FP64', bytes: new Uint8Array(double.buffer) },
      { ...plain!, bytes: shifted.subarray(1) },
    ];
    for (const form of forms) expect(found(of, [form])).toEqual(found(of));
    const coarse = found(of, [{ ...plain!, datatype: 'FP16', bytes: new Uint8Array(half.buffer) }]);
    expect(coarse[0]?.[0]?.label).toBe(of.expected[0]?.[0]?.label);
    expect(coarse[0]?.[0]?.score).toBeCloseTo(of.expected[0]?.[0]?.score ?? NaN, 2);
  });

  function refusal(tensors: readonly Tensor[]): unknown {
    const answer = detect(of.spec, tensors, of.placements.length, of.placements);
    return answer.ok ? answer.value : answer.error;
  }

  test.each<[string, number]>([
    ['NaN', NaN],
    ['Infinity', Infinity],
    ['-Infinity', -Infinity],
  ])('with %s anywhere are an error of the model', (_, value) => {
    for (const at of [0, 5, values.length - 1]) {
      const broken = values.with(at, value);
      expect(refusal([{ ...plain!, bytes: new Uint8Array(broken.buffer) }])).toMatchObject({
        code: 'model_error',
        detail: 'The model gave a value that is not a finite number in output "out"',
      });
    }
  });

  test('that are missing, no floats or of another shape are an error of the model', () => {
    expect(refusal([])).toMatchObject({ code: 'model_error', detail: /no output "out"/u });
    expect(refusal([{ ...plain!, datatype: 'INT32' }])).toMatchObject({
      detail: 'The model gave no complete floats in output "out"',
    });
    expect(refusal([{ ...plain!, bytes: plain!.bytes.subarray(4) }])).toMatchObject({
      detail: 'The model gave no complete floats in output "out"',
    });
    const shape = [2, 25, 9];
    const bytes = new Uint8Array(2 * 25 * 9 * 4);
    expect(refusal([{ ...plain!, shape, bytes }])).toMatchObject({
      code: 'model_error',
      detail:
        'The model gave "out" [2, 25, 9], which is not what yolov5 gives for 2 rows and 3 labels',
    });
  });

  test('with sizes beyond all bounds are boxes as large as the image', () => {
    const huge = caseNamed('yolox, two rows');
    const raw = new Float32Array(8 * 42 * 2);
    // Cell 0: logarithms of sizes that overflow, certain, of class 0.
    raw.set([0.5, 0.5, 1e30, 1e30, 1, 1, 0, 0]);
    const [first] = found(huge, [
      { name: 'out', datatype: 'FP32', shape: [2, 42, 8], bytes: new Uint8Array(raw.buffer) },
    ]);
    expect(first).toEqual([
      { label: 'cat', score: 1, box: { x: 0, y: 0, width: 200, height: 150 } },
    ]);
  });
});
