import { joinBytes, type ModelManifest, type Tensor } from '@inferry/contracts';
import { testManifest } from '@inferry/testkit';
import { describe, expect, test } from 'vitest';
import { openPreparer } from './preparer.ts';

const preparer = await openPreparer({ jpegDecoder: 'auto' });
if (!preparer.ok) throw new Error(preparer.error);
const batch = preparer.value.openBatch();
const prepare = (...[manifest, input]: Parameters<typeof batch.prepare>) =>
  batch.prepare(manifest, input);

const manifestBase = testManifest({
  inputs: [{ name: 'x', datatype: 'FP32', shape: [-1, 3, 2, 2] }],
  outputs: [{ name: 'y', datatype: 'FP32', shape: [-1, 3] }],
});

describe('tabular pipeline', () => {
  const model: ModelManifest = {
    ...manifestBase,
    inputs: [{ name: 'x', datatype: 'FP32', shape: [-1, 2] }],
    preprocess: {
      kind: 'tabular',
      columns: [
        { kind: 'number', name: 'a', mean: 0, std: 1 },
        { kind: 'number', name: 'b', min: 0, max: 10, mean: 0, std: 1 },
      ],
    },
  };

  test('columns become a row in the order of the model', async () => {
    const item = await prepare(model, {
      form: 'pipeline',
      rows: [
        { b: 2, a: 1 },
        { a: 3, b: 4 },
      ],
    });
    if (!item.ok) throw new Error(item.error.detail);
    const [tensor] = item.value.tensors;
    expect(tensor).toMatchObject({ name: 'x', datatype: 'FP32', shape: [2, 2] });
    expect([...new Float32Array(tensor!.bytes.buffer)]).toEqual([1, 2, 3, 4]);
    expect(item.value).toMatchObject({ rows: 2, outputs: [] });
  });

  test('all problems of all rows are listed at once', async () => {
    const item = await prepare(model, {
      form: 'pipeline',
      rows: [
        { a: 'x', b: 11 },
        { a: 1e300, c: 1 },
      ],
    });
    expect(item).toMatchObject({
      ok: false,
      error: {
        code: 'input_rejected',
        extras: {
          errors: [
            'row 0: "a" must be a finite number',
            'row 0: "b" is 11; it must be at most 10',
            'row 1: "c" is not a column',
            'row 1: "a" is too large for FP32',
            'row 1: "b" is missing',
          ],
        },
      },
    });
  });

  test('FP64 models keep the full precision', async () => {
    const inputs = [{ name: 'x', datatype: 'FP64', shape: [-1, 2] }] as const;
    const item = await prepare(
      { ...model, inputs },
      { form: 'pipeline', rows: [{ a: 0.1, b: 1 }] },
    );
    if (!item.ok) throw new Error(item.error.detail);
    expect([...new Float64Array(item.value.tensors[0]!.bytes.buffer)]).toEqual([0.1, 1]);
  });
});

/** Two strings, of which the second is the one given. */
const text = (element: Uint8Array): Tensor => ({
  name: 's',
  datatype: 'BYTES',
  shape: [2],
  bytes: joinBytes([Buffer.from('ok'), element]),
});

describe('raw tensors', () => {
  const model: ModelManifest = {
    ...manifestBase,
    inputs: [
      { name: 'x', datatype: 'FP32', shape: [-1, 2] },
      { name: 's', datatype: 'BYTES', shape: [-1] },
    ],
  };
  const x: Tensor = { name: 'x', datatype: 'FP32', shape: [2, 2], bytes: new Uint8Array(16) };
  const s = text(Buffer.from('é'));

  test('fitting tensors pass through untouched, with their rows and wanted outputs', async () => {
    const tensors = [s, x];
    const item = await prepare(model, { form: 'tensors', tensors, outputs: ['y'] });
    expect(item).toEqual({
      ok: true,
      value: { tensors, rows: 2, outputs: ['y'], placements: [], paddedElements: 0 },
    });
  });

  test.each<[string, readonly Tensor[], string]>([
    ['a missing input', [x], 'input "s" is missing'],
    ['an unknown input', [x, s, { ...x, name: 'z' }], 'no input "z"'],
    ['a repeated input', [x, s, s], 'given twice'],
    ['a wrong datatype', [{ ...x, datatype: 'INT32' }, s], 'the model takes FP32'],
    ['a wrong dimension', [{ ...x, shape: [2, 3] }, s], 'expected [-1, 2]'],
    ['missing bytes', [{ ...x, bytes: new Uint8Array(15) }, s], 'its shape needs 16'],
    ['broken strings', [x, { ...s, bytes: new Uint8Array(3) }], 'length-prefixed'],
    ['a zero byte in a string', [x, text(Buffer.from('a\0b'))], 'without zero bytes'],
    ['a string that is not UTF-8', [x, text(Uint8Array.of(0xff))], 'is not UTF-8'],
    ['unequal rows', [{ ...x, shape: [1, 2], bytes: new Uint8Array(8) }, s], 'rows, the others'],
    [
      'no rows',
      [
        { ...x, shape: [0, 2], bytes: new Uint8Array() },
        { ...s, shape: [0], bytes: new Uint8Array() },
      ],
      'at least one row',
    ],
  ])('%s is rejected', async (_, tensors, detail) => {
    const item = await prepare(model, { form: 'tensors', tensors });
    expect(item).toMatchObject({ ok: false, error: { code: 'input_rejected' } });
    if (!item.ok) expect(item.error.detail).toContain(detail);
  });

  test('elements of any bytes, as of pictures, are for models that are composed of others', async () => {
    const picture = text(Uint8Array.of(0xff, 0xd8, 0));
    for (const backend of ['ensemble', 'processor'] as const) {
      const composed = { ...model, backend };
      const taken = await prepare(composed, { form: 'tensors', tensors: [x, picture] });
      expect(taken.ok && taken.value.tensors).toEqual([x, picture]);
      const broken = { ...picture, bytes: picture.bytes.subarray(1) };
      const refused = await prepare(composed, { form: 'tensors', tensors: [x, broken] });
      expect(refused).toMatchObject({ error: { code: 'input_rejected' } });
    }
  });

  test('an unknown output is rejected', async () => {
    const item = await prepare(model, { form: 'tensors', tensors: [x, s], outputs: ['z'] });
    expect(item).toMatchObject({ ok: false, error: { detail: 'the model has no output "z"' } });
  });
});
