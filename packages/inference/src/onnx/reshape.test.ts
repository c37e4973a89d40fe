import { type Tensor, type TensorSpec } from '@inferry/contracts';
import { expect, test } from 'vitest';
import { asCalled, asRun } from './reshape.ts';

const spec: TensorSpec = {
  name: 'x',
  datatype: 'UINT8',
  shape: [-1, -1, 2, 2],
  runShape: [-1, -1, 4],
};

function tensor(shape: readonly number[]): Tensor {
  return { name: 'x', datatype: 'UINT8', shape, bytes: new Uint8Array(24) };
}

test('an item goes in with the dimensions of the model and comes out with those of the caller', () => {
  const run = asRun({ tensors: [tensor([2, 3, 2, 2])], rows: 2 }, [spec]);
  expect(run.tensors[0]?.shape).toEqual([2, 3, 4]);
  expect(asCalled(run.tensors, [spec])).toEqual({ ok: true, value: [tensor([2, 3, 2, 2])] });
});

test('a row may be a scalar to the model', () => {
  const scalar: TensorSpec = { name: 'x', datatype: 'UINT8', shape: [-1, 1], runShape: [-1] };
  expect(asRun({ tensors: [tensor([24, 1])], rows: 24 }, [scalar]).tensors[0]?.shape).toEqual([24]);
  expect(asCalled([tensor([24])], [scalar])).toMatchObject({ value: [{ shape: [24, 1] }] });
});

test('an output of other dimensions than declared is told, not bent', () => {
  expect(asCalled([tensor([2, 3, 2, 2])], [spec])).toEqual({
    ok: false,
    error: 'output "x" has shape [2, 3, 2, 2]; it was declared as [-1, -1, 4]',
  });
  expect(asCalled([tensor([8, 3, 1])], [spec])).toMatchObject({ ok: false });
});

test('an item of a model that calls everything as its callers do is the same item', () => {
  const item = { tensors: [tensor([2, 12])], rows: 2 };
  expect(asRun(item, [{ name: 'x', datatype: 'UINT8', shape: [-1, 12] }])).toBe(item);
});
