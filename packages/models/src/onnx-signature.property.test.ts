/** Any signature that can be written is read back as it was written. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Datatype } from '@inferry/contracts';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { readOnnxSignature } from './onnx-signature.ts';
import { writeOnnx, type WrittenTensor } from './onnx-writer.test.ts';

let folder = '';
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'inferry-onnx-'));
});
afterAll(() => rm(folder, { recursive: true }));

const datatypes: Record<number, Datatype> = {
  1: 'FP32',
  2: 'UINT8',
  3: 'INT8',
  4: 'UINT16',
  5: 'INT16',
  6: 'INT32',
  7: 'INT64',
  8: 'BYTES',
  9: 'BOOL',
  10: 'FP16',
  11: 'FP64',
  12: 'UINT32',
  13: 'UINT64',
};

const tensor: fc.Arbitrary<WrittenTensor> = fc.record({
  name: fc.string({ minLength: 1, maxLength: 40, unit: 'grapheme' }),
  type: fc.integer({ min: 1, max: 13 }),
  shape: fc.option(
    fc.array(fc.oneof(fc.integer({ min: 0, max: 2 ** 31 - 1 }), fc.string(), fc.constant(null)), {
      maxLength: 6,
    }),
    { nil: undefined },
  ),
});

function expected(written: WrittenTensor) {
  const shape = written.shape?.map((size) => (typeof size === 'number' ? size : -1)) ?? null;
  return { name: written.name, datatype: datatypes[written.type], shape };
}

test('a written signature is read back, weights and all', async () => {
  const model = fc.record({
    tensors: fc.uniqueArray(tensor, { minLength: 1, maxLength: 9, selector: (t) => t.name }),
    inputCount: fc.nat(8),
    weightBytes: fc.nat(40_000),
    opset: fc.integer({ min: 1, max: 40 }),
  });
  await fc.assert(
    fc.asyncProperty(model, async ({ tensors, inputCount, weightBytes, opset }) => {
      const inputs = tensors.slice(0, Math.min(inputCount, tensors.length - 1));
      const outputs = tensors.slice(inputs.length);
      const weight = {
        name: 'a weight no tensor is called, as it is far too long for one',
        type: 1,
      };
      const file = join(folder, 'model.onnx');
      const bytes = writeOnnx({
        inputs: [weight, ...inputs],
        outputs,
        initializers: { [weight.name]: weightBytes },
        opsets: [{ domain: '', version: opset }],
      });
      await writeFile(file, bytes);
      expect(await readOnnxSignature(file)).toEqual({
        ok: true,
        value: {
          inputs: inputs.map(expected),
          outputs: outputs.map(expected),
          opset,
          producer: 'writer 1.0',
          fileBytes: bytes.length,
          dataFiles: [],
        },
      });
    }),
    { numRuns: 200 },
  );
});

test('a damaged file is read or refused, and never breaks the reader', async () => {
  const whole = writeOnnx({
    inputs: [{ name: 'x', type: 1, shape: ['n', 4] }],
    outputs: [{ name: 'y', type: 7, shape: [null, 3] }],
    initializers: { w: 12 },
  });
  const damage = fc.array(fc.tuple(fc.nat(whole.length - 1), fc.nat(255)), {
    minLength: 1,
    maxLength: 4,
  });
  await fc.assert(
    fc.asyncProperty(damage, async (changes) => {
      const bytes = Uint8Array.from(whole);
      for (const [at, value] of changes) bytes[at] = value;
      const file = join(folder, 'damaged.onnx');
      await writeFile(file, bytes);
      const result = await readOnnxSignature(file);
      expect(result.ok || result.error.every((problem) => problem.file === file)).toBe(true);
    }),
    { numRuns: 1_000 },
  );
});
