/** Against Pillow and numpy: golden/image.py writes the images and what they should become. */
import { readFileSync } from 'node:fs';
import { halfToNumber, type ImageSpec } from '@inferry/contracts';
import { describe, expect, test } from 'vitest';
import { imageModel, imagePreparer } from './prepare-image.fixture.ts';

interface Golden {
  readonly usual: Partial<ImageSpec>;
  readonly sources: { readonly [Name in string]?: string };
  readonly cases: readonly {
    readonly name: string;
    readonly source: string;
    readonly spec: Partial<ImageSpec>;
    readonly shape: readonly number[];
    readonly expected: string;
  }[];
}

const golden = JSON.parse(
  readFileSync(new URL('../../golden/image.json', import.meta.url), 'utf8'),
) as Golden;
const prepare = await imagePreparer('turbojpeg');

/** Levels of 255. PNG: weights have 16 bits. JPEG: decoders round colours their own way. */
const toleranceOfPng = 0.02;
const toleranceOfJpeg = 1;

function caseOf(name: string) {
  const found = golden.cases.find((each) => each.name === name);
  if (found === undefined) throw new Error(`no case ${name}`);
  const { source, expected } = found;
  const spec = { ...golden.usual, ...found.spec };
  return {
    spec,
    shape: found.shape,
    image: Uint8Array.from(Buffer.from(golden.sources[source] ?? '', 'base64')),
    tolerance: source.startsWith('turned') ? toleranceOfJpeg : toleranceOfPng,
    expected: new Float32Array(Uint8Array.from(Buffer.from(expected, 'base64')).buffer),
    /** Of a level, in values of the tensor. */
    unit: Math.max(...(spec.std ?? [1]).map((std) => (spec.scale ?? 1) / std)),
  };
}

describe('images become the tensors that Pillow and numpy make of them', () => {
  test.each(golden.cases.map(({ name }) => name))('%s', async (name) => {
    const { spec, shape, image, tolerance, expected, unit } = caseOf(name);
    const prepared = await prepare(imageModel(spec), image);
    if (!prepared.ok) throw new Error(prepared.error.detail);
    expect(prepared.value.shape).toEqual([1, ...shape]);
    const values = new Float32Array(prepared.value.bytes.buffer);
    let worst = 0;
    for (const [i, value] of expected.entries()) {
      worst = Math.max(worst, Math.abs(value - (values[i] ?? Number.NaN)));
    }
    expect(values.length).toBe(expected.length);
    expect(worst / unit).toBeLessThanOrEqual(tolerance);
  });
});

describe('datatypes', () => {
  const { spec, image, expected } = caseOf('cubic, letterboxed');

  test('FP16 is FP32 rounded to the nearest half', async () => {
    const prepared = await prepare(imageModel(spec, 'FP16'), image);
    if (!prepared.ok) throw new Error(prepared.error.detail);
    const halves = [...new Uint16Array(prepared.value.bytes.buffer)].map(halfToNumber);
    expect(halves.length).toBe(expected.length);
    // Values are below 4, where halves are 2^-9 apart; and the tolerance of the pixels.
    for (const [i, value] of halves.entries()) {
      expect(Math.abs(value - (expected[i] ?? 0))).toBeLessThanOrEqual(2 ** -10 + 0.001);
    }
  });

  test('UINT8 is FP32 rounded to whole levels and kept in 0 to 255', async () => {
    const levels = { ...spec, scale: 2, mean: [100, 0, 0], std: [1, 1, 1] };
    const floats = await prepare(imageModel(levels), image);
    const bytes = await prepare(imageModel(levels, 'UINT8'), image);
    if (!floats.ok || !bytes.ok) throw new Error('was refused');
    const rounded = Array.from(new Float32Array(floats.value.bytes.buffer), (value) =>
      Math.min(255, Math.max(0, Math.round(value))),
    );
    expect(Math.min(...rounded)).toBe(0);
    expect(Math.max(...rounded)).toBe(255);
    for (const [i, value] of bytes.value.bytes.entries()) {
      expect(Math.abs(value - (rounded[i] ?? 0))).toBeLessThanOrEqual(1);
    }
    const same = rounded.filter((value, i) => value === bytes.value.bytes[i]).length;
    expect(same).toBeGreaterThan(rounded.length * 0.99);
  });
});
