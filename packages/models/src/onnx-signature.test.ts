/** What the signature reader takes from an ONNX file, and what it refuses. */
import { execFileSync } from 'node:child_process';
import { mkdtemp, open, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { readOnnxSignature } from './onnx-signature.ts';
import { type WrittenModel, writeOnnx } from './onnx-writer.test.ts';

let folder = '';
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'inferry-onnx-'));
});
afterAll(() => rm(folder, { recursive: true }));

const simple: WrittenModel = {
  inputs: [{ name: 'x', type: 1, shape: ['batch', 4] }],
  outputs: [{ name: 'y', type: 7, shape: [null, 3] }],
};

async function read(bytes: Uint8Array) {
  const file = join(folder, 'model.onnx');
  await writeFile(file, bytes);
  return readOnnxSignature(file);
}

async function refusal(bytes: Uint8Array): Promise<string[]> {
  const result = await read(bytes);
  return result.ok ? [] : result.error.map((problem) => problem.message);
}

describe('the ONNX signature', () => {
  test('of a pipe is refused at once', async () => {
    const file = join(folder, 'pipe.onnx');
    execFileSync('mkfifo', [file]);
    const result = await readOnnxSignature(file);
    expect(result).toMatchObject({ ok: false, error: [{ message: 'is not a regular file' }] });
  });

  test('names inputs and outputs with their datatypes, and -1 for what varies', async () => {
    const result = await read(writeOnnx({ ...simple, producer: 'skl2onnx' }));
    expect(result).toMatchObject({
      ok: true,
      value: {
        inputs: [{ name: 'x', datatype: 'FP32', shape: [-1, 4] }],
        outputs: [{ name: 'y', datatype: 'INT64', shape: [-1, 3] }],
        opset: 17,
        producer: 'skl2onnx 1.0',
      },
    });
  });

  test('leaves out inputs that are weights, whatever their type', async () => {
    const result = await read(
      writeOnnx({
        ...simple,
        inputs: [
          { name: 'w', type: 16, shape: [4, 3] },
          ...simple.inputs,
          { name: 'b', type: 1, shape: [3] },
        ],
        initializers: { w: 100_000, b: 3 },
      }),
    );
    expect(result.ok && result.value.inputs.map((input) => input.name)).toEqual(['x']);
  });

  test('tells an unknown rank from a scalar', async () => {
    const result = await read(
      writeOnnx({
        inputs: [{ name: 'x', type: 8, shape: [] }],
        outputs: [{ name: 'y', type: 9, shape: undefined }],
      }),
    );
    expect(result).toMatchObject({
      value: {
        inputs: [{ datatype: 'BYTES', shape: [] }],
        outputs: [{ datatype: 'BOOL', shape: null }],
      },
    });
  });

  test('takes the version of the default operator set only', async () => {
    const opsets = [
      { domain: '', version: 21 },
      { domain: 'ai.onnx.ml', version: 3 },
    ];
    expect(await read(writeOnnx({ ...simple, opsets }))).toMatchObject({ value: { opset: 21 } });
    expect(await read(writeOnnx({ ...simple, opsets: opsets.slice(1) }))).toMatchObject({
      value: { opset: null },
    });
  });

  test('refuses every tensor that cannot be served, all of them at once, by name', async () => {
    const messages = await refusal(
      writeOnnx({
        inputs: [
          { name: 'half', type: 16, shape: [1] },
          { name: 'words', type: 8, kind: 'sequence' },
          { name: 'maybe', type: 1, kind: 'optional' },
        ],
        outputs: [
          { name: 'probabilities', type: 1, kind: 'map' },
          { name: 'spectrum', type: 14, shape: [1] },
        ],
      }),
    );
    expect(messages).toEqual([
      expect.stringMatching(/"half" is BF16, which ONNX Runtime for Node cannot load/u),
      expect.stringMatching(/"words" is a sequence/u),
      expect.stringMatching(/"maybe" is an optional/u),
      expect.stringMatching(/"probabilities" is a map/u),
      expect.stringMatching(/"spectrum" has the element type complex64/u),
    ]);
  });

  test('refuses a file cut at any byte', async () => {
    const whole = writeOnnx({ ...simple, initializers: { w: 40 } });
    for (let length = 0; length < whole.length; length += 1) {
      const messages = await refusal(whole.subarray(0, length));
      expect(messages, `cut at ${length}`).toHaveLength(1);
    }
  });

  test('refuses what is no ONNX model, naming the file', async () => {
    const texts = ['', 'hello world, this is text', '<!doctype html><html></html>', '\0\0\0\0'];
    for (const text of texts) {
      const result = await read(Buffer.from(text));
      expect(result, text).toMatchObject({
        ok: false,
        error: [{ file: join(folder, 'model.onnx'), line: null }],
      });
    }
  });

  test('says so when Git LFS left its pointer in the place of the model', async () => {
    const text = 'version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n';
    expect(await refusal(Buffer.from(text))).toEqual([expect.stringContaining('git lfs pull')]);
  });

  test('says that a file does not exist', async () => {
    const result = await readOnnxSignature(join(folder, 'absent.onnx'));
    expect(result).toMatchObject({ ok: false, error: [{ message: 'does not exist' }] });
  });

  test('passes over a gigabyte of weights without reading them', async () => {
    const weightBytes = 1024 * 1024 * 1024;
    const tail = writeOnnx(simple);
    // An unknown field 100 of one gigabyte, as a hole in the file, in front of the model.
    const head = Buffer.from([0xa2, 0x06, 0x80, 0x80, 0x80, 0x80, 0x04]);
    const file = join(folder, 'large.onnx');
    const handle = await open(file, 'w');
    await handle.write(head, 0, head.length, 0);
    await handle.write(tail, 0, tail.length, head.length + weightBytes);
    await handle.close();
    const before = process.memoryUsage().arrayBuffers;
    const result = await readOnnxSignature(file);
    expect(result).toMatchObject({ ok: true, value: { opset: 17 } });
    expect(process.memoryUsage().arrayBuffers - before).toBeLessThan(10 * 1024 * 1024);
  });
});
