import type { Datatype, JobInput, ModelManifest, Tensor } from '@inferry/contracts';
import { joinBytes, numberToHalf } from '@inferry/contracts';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { postprocess } from './postprocess.ts';

const pipeline: JobInput = { form: 'pipeline', rows: [] };

function classifier(softmax: boolean, topK = 2): ModelManifest {
  return {
    outputs: [{ name: 'p', datatype: 'FP32', shape: [-1, 3] }],
    postprocess: {
      kind: 'classify',
      output: 'p',
      labels: ['a', 'b', 'c'],
      topK,
      activation: softmax ? 'softmax' : 'none',
      threshold: null,
    },
  } as unknown as ModelManifest;
}
const plain = {
  outputs: [{ name: 'p' }, { name: 'q' }],
  postprocess: { kind: 'none' },
} as unknown as ModelManifest;

function tensor(name: string, datatype: Datatype, shape: number[], data: ArrayBufferView): Tensor {
  return {
    name,
    datatype,
    shape,
    bytes: new Uint8Array(data.buffer, data.byteOffset, data.byteLength),
  };
}
const scores = (...values: number[]): Tensor =>
  tensor('p', 'FP32', [values.length / 3, 3], Float32Array.from(values));

describe('classify', () => {
  test('each row gets its label, score and best answers', () => {
    const answer = postprocess(
      classifier(false),
      pipeline,
      [scores(0.25, 0.75, 0, 1, 0, 0)],
      2,
      [],
    );
    expect(answer).toEqual({
      ok: true,
      value: {
        form: 'rows',
        rows: [
          {
            label: 'b',
            score: 0.75,
            top_k: [
              { label: 'b', score: 0.75 },
              { label: 'a', score: 0.25 },
            ],
          },
          {
            label: 'a',
            score: 1,
            top_k: [
              { label: 'a', score: 1 },
              { label: 'b', score: 0 },
            ],
          },
        ],
      },
    });
  });

  test('equal scores come in the order of the labels', () => {
    const answer = postprocess(classifier(false, 3), pipeline, [scores(1, 1, 1)], 1, []);
    expect(answer).toMatchObject({
      value: { rows: [{ top_k: [{ label: 'a' }, { label: 'b' }, { label: 'c' }] }] },
    });
  });

  test('softmax of large logits does not overflow', () => {
    const answer = postprocess(classifier(true), pipeline, [scores(1000, 1000, -1000)], 1, []);
    expect(answer).toMatchObject({ value: { rows: [{ label: 'a', score: 0.5 }] } });
  });

  test('softmax scores sum to one and keep the order of the logits', () => {
    fc.assert(
      fc.property(
        fc.array(fc.float({ min: -80, max: 80, noNaN: true }), { minLength: 3, maxLength: 3 }),
        (logits) => {
          const answer = postprocess(classifier(true, 3), pipeline, [scores(...logits)], 1, []);
          if (!answer.ok || answer.value.form !== 'rows') throw new Error('no rows');
          const [row] = answer.value.rows as unknown as { top_k: { score: number }[] }[];
          const sum = row!.top_k.reduce((total, entry) => total + entry.score, 0);
          expect(sum).toBeCloseTo(1, 10);
        },
      ),
    );
  });

  test('FP16 and FP64 scores are read', () => {
    const half = tensor('p', 'FP16', [1, 3], Uint16Array.from([0, 0.5, 0.25], numberToHalf));
    expect(postprocess(classifier(false), pipeline, [half], 1, [])).toMatchObject({
      value: { rows: [{ label: 'b', score: 0.5 }] },
    });
    const double = tensor('p', 'FP64', [1, 3], Float64Array.of(0.1, 0, 0));
    expect(postprocess(classifier(false), pipeline, [double], 1, [])).toMatchObject({
      value: { rows: [{ label: 'a', score: 0.1 }] },
    });
  });

  test.each<[string, Tensor[], string]>([
    ['a score that is no number', [scores(Number.NaN, 0, 0)], 'not a finite number'],
    [
      'as many scores as there are not labels',
      [tensor('p', 'FP32', [1, 2], new Float32Array(2))],
      '3 labels',
    ],
    ['no such output', [], 'gave no output "p"'],
    ['integer scores', [tensor('p', 'INT32', [1, 3], new Int32Array(3))], 'must be floats'],
  ])('%s is an error of the model', (_, tensors, detail) => {
    const answer = postprocess(classifier(false), pipeline, tensors, 1, []);
    expect(answer).toMatchObject({ ok: false, error: { code: 'model_error' } });
    if (!answer.ok) expect(answer.error.detail).toContain(detail);
  });
});

describe('without a postprocessor', () => {
  test('each row holds its share of every output, flat', () => {
    const p = tensor('p', 'FP32', [2, 1, 2], Float32Array.of(1, 2, 3, Number.POSITIVE_INFINITY));
    const q = tensor('q', 'INT64', [2], BigInt64Array.of(5n, 2n ** 60n));
    expect(postprocess(plain, pipeline, [p, q], 2, [])).toEqual({
      ok: true,
      value: {
        form: 'rows',
        rows: [
          { p: [1, 2], q: [5] },
          { p: [3, 'Infinity'], q: ['1152921504606846976'] },
        ],
      },
    });
  });

  test('booleans and text keep their kind', () => {
    const p = tensor('p', 'BOOL', [1, 2], Uint8Array.of(1, 0));
    const q = tensor('q', 'BYTES', [1, 1], joinBytes([Buffer.from('é')]));
    expect(postprocess(plain, pipeline, [p, q], 1, [])).toMatchObject({
      value: { rows: [{ p: [true, false], q: ['é'] }] },
    });
  });

  test('an output that has not one entry a row is an error of the model', () => {
    const p = tensor('p', 'FP32', [3], new Float32Array(3));
    expect(postprocess(plain, pipeline, [p], 2, [])).toMatchObject({
      error: { code: 'model_error' },
    });
  });
});

describe('raw tensors', () => {
  const p = tensor('p', 'FP32', [1], new Float32Array(1));
  const q = tensor('q', 'FP32', [1], new Float32Array(1));

  test('all outputs are answered unless some are named', () => {
    const all = postprocess(plain, { form: 'tensors', tensors: [] }, [q, p], 1, []);
    expect(all).toEqual({ ok: true, value: { form: 'tensors', tensors: [p, q] } });
    const one = postprocess(plain, { form: 'tensors', tensors: [], outputs: ['q'] }, [p, q], 1, []);
    expect(one).toEqual({ ok: true, value: { form: 'tensors', tensors: [q] } });
  });
});
