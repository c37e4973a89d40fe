/** Fields of JSON become the inputs of a model, and its outputs the fields of an answer. */
import {
  halfToNumber,
  type ModelManifest,
  type Normalization,
  type Tensor,
} from '@inferry/contracts';
import { describe, expect, test } from 'vitest';
import { tensorRows } from './tensor-answer.ts';
import { fieldTensors } from './tensor-fields.ts';

const model = {
  maxBatchSize: 8,
  inputs: [
    { name: 'x', datatype: 'FP32', shape: [-1, 2, 2] },
    { name: 'ids', datatype: 'INT64', shape: [-1, -1] },
    { name: 'word', datatype: 'BYTES', shape: [-1] },
  ],
} as unknown as ModelManifest;
const plain = { kind: 'tensor', normalize: {} } as const;
const row = {
  x: [
    [1, 2],
    [3, 4],
  ],
  ids: [7, '9007199254740993'],
  word: 'a',
};

describe('fields', () => {
  test('of several rows become one tensor for each input', () => {
    const other = {
      x: [
        [5, 6],
        [7, 8],
      ],
      ids: [-1, 0],
      word: 'é',
    };
    const tensors = fieldTensors(plain, model, [row, other]);
    if (!tensors.ok) throw new Error(tensors.error.detail);
    const [x, ids, word] = tensors.value;
    expect(tensors.value.map(({ shape }) => shape)).toEqual([[2, 2, 2], [2, 2], [2]]);
    expect([...new Float32Array(x?.bytes.buffer ?? new ArrayBuffer())]).toEqual([
      1, 2, 3, 4, 5, 6, 7, 8,
    ]);
    expect([...new BigInt64Array(ids?.bytes.buffer ?? new ArrayBuffer())]).toEqual([
      7n,
      9007199254740993n,
      -1n,
      0n,
    ]);
    expect(Buffer.from(word?.bytes ?? []).toString('latin1')).toBe('\x01\0\0\0a\x02\0\0\0Ã©');
  });

  test('have the whole shape where the model has no batch dimension', () => {
    const inputs = [{ name: 'm', datatype: 'UINT8', shape: [1, 2] }] as const;
    const tensors = fieldTensors(plain, { ...model, maxBatchSize: 0, inputs }, [{ m: [[1, 2]] }]);
    expect(tensors).toMatchObject({
      ok: true,
      value: [{ shape: [1, 2], bytes: Uint8Array.of(1, 2) }],
    });
  });

  test('that are missing, unknown or of another shape are all named, with their row', () => {
    const bad = { x: [[1, 2]], ids: [1, 2, 3], words: 'a' };
    expect(fieldTensors(plain, model, [row, bad])).toMatchObject({
      ok: false,
      error: {
        code: 'input_rejected',
        extras: {
          errors: [
            'row 1: "words" is not an input of this model',
            'row 1: "x" is FP32 [2, 2]: it has 1 entries, not 2',
            'row 1: "ids" is INT64 [2]: it has 3 entries, not 2',
            'row 1: "word" is missing',
          ],
        },
      },
    });
  });

  test.each<['FP32' | 'FP64' | 'FP16']>([['FP32'], ['FP64'], ['FP16']])(
    'of %s are normalised along the last dimension',
    (datatype) => {
      const inputs = [{ name: 'x', datatype, shape: [-1, 2, 2] }];
      const normalize: Record<string, Normalization> = {
        x: { scale: 2, mean: [1, 3], std: [0.5] },
      };
      const spec = { kind: 'tensor', normalize } as const;
      const tensors = fieldTensors(spec, { ...model, inputs }, [{ x: row.x }]);
      if (!tensors.ok) throw new Error(tensors.error.detail);
      expect(floats(tensors.value[0])).toEqual([2, 2, 10, 10]);
    },
  );
});

function floats(tensor: Tensor | undefined): readonly number[] {
  const buffer = tensor?.bytes.buffer ?? new ArrayBuffer();
  if (tensor?.datatype === 'FP64') return [...new Float64Array(buffer)];
  if (tensor?.datatype === 'FP16') return Array.from(new Uint16Array(buffer), halfToNumber);
  return [...new Float32Array(buffer)];
}

describe('an answer', () => {
  const bytes = new Uint8Array(Float32Array.of(1, 2, 3, NaN).buffer);
  const y: Tensor = { name: 'y', datatype: 'FP32', shape: [2, 1, 2], bytes };
  const n: Tensor = {
    name: 'n',
    datatype: 'INT64',
    shape: [2],
    bytes: new Uint8Array(BigInt64Array.of(5n, 2n ** 60n).buffer),
  };

  test('holds the outputs that are wanted, each in its shape without the rows', () => {
    expect(tensorRows({ kind: 'tensor', outputs: ['n', 'y'] }, [y, n], 2, true)).toEqual({
      ok: true,
      value: {
        form: 'rows',
        rows: [
          { n: 5, y: [[1, 2]] },
          { n: '1152921504606846976', y: [[3, 'NaN']] },
        ],
      },
    });
  });

  test('of a model without a batch dimension is the whole tensor', () => {
    const answer = tensorRows({ kind: 'tensor', outputs: ['y'] }, [y], 1, false);
    expect(answer).toMatchObject({ value: { rows: [{ y: [[[1, 2]], [[3, 'NaN']]] }] } });
  });

  test.each([
    ['an output is missing', ['z'], 2, 'gave no output "z"'],
    ['there is not one entry a row', ['y'], 3, 'has not one entry for each of 3 rows'],
  ])('fails where %s', (_, outputs, rows, detail) => {
    const answer = tensorRows({ kind: 'tensor', outputs }, [y], rows, true);
    expect(answer).toMatchObject({ ok: false, error: { code: 'model_error' } });
    expect(answer.ok ? '' : answer.error.detail).toContain(detail);
  });
});
