import { expect, test } from 'vitest';
import { fullInputs, type ModelManifest } from './manifest.ts';

const inputs = [
  { name: 'ids', datatype: 'INT64', shape: [-1, -1] },
  { name: 'mask', datatype: 'INT64', shape: [1, -1] },
] as const;

test('texts have their full length in runs that show what a model costs, other inputs vary still', () => {
  const text = { inputs, preprocess: { kind: 'text', lengthMax: 128 } } as unknown as ModelManifest;
  expect(fullInputs(text).map(({ shape }) => shape)).toEqual([
    [-1, 128],
    [1, 128],
  ]);
  const plain = { inputs, preprocess: { kind: 'none' } } as unknown as ModelManifest;
  expect(fullInputs(plain)).toEqual(inputs);
});
