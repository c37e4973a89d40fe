import {
  type Datatype,
  datatypeBytes,
  joinBytes,
  type ModelManifest,
  splitBytes,
  type Tensor,
  type TensorSpec,
} from '@inferry/contracts';
import { repositoryPath, testManifest } from '@inferry/testkit';
import fc from 'fast-check';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, test } from 'vitest';
import { describeBackend } from '../backend.contract.ts';
import type { Item, ModelInstance } from '../port.ts';
import { createOnnxBackend } from './onnx-backend.ts';
import { availableProviders } from './providers.ts';

const fixtures = repositoryPath('packages', 'testkit', 'fixtures');
const cpu = { kind: 'cpu', index: 0 } as const;
const backend = createOnnxBackend();

function spec(name: string, datatype: Datatype, shape: readonly number[]): TensorSpec {
  return { name, datatype, shape };
}

function manifest(model: string, inputs: TensorSpec[], outputs: TensorSpec[]): ModelManifest {
  const file = join(fixtures, 'models', model, '1', 'model.onnx');
  return testManifest({ name: model, file, inputs, outputs, warmupRows: [1, 4] });
}

function identity(kind: string, datatype: Datatype): ModelManifest {
  return manifest(
    `identity_${kind}`,
    [spec('x', datatype, [-1, 2])],
    [spec('y', datatype, [-1, 2])],
  );
}

const open: ModelInstance[] = [];
afterEach(async () => {
  for (const instance of open.splice(0)) await instance.close();
});

async function load(model: ModelManifest): Promise<ModelInstance> {
  const instance = await backend.load(model, cpu);
  if (!instance.ok) throw new Error(instance.error.detail);
  open.push(instance.value);
  return instance.value;
}

async function outputs(instance: ModelInstance, items: Item[], names: string[] = []) {
  const answer = await instance.run(items, names);
  if (!answer.ok) throw new Error(answer.error.detail);
  return answer.value.items;
}

function tensor(name: string, datatype: Datatype, shape: number[], data: ArrayBufferView): Tensor {
  const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  return { name, datatype, shape, bytes };
}

const floats = (name: string, shape: number[], ...values: number[]): Tensor =>
  tensor(name, 'FP32', shape, Float32Array.from(values));
const floatsOf = ({ bytes }: Tensor): number[] => [...new Float32Array(bytes.slice().buffer)];

const squared = (value: number): number => value * value;

describeBackend('onnxruntime', async () => {
  const model = manifest('picky', [spec('x', 'INT64', [-1, 1])], [spec('y', 'INT64', [-1, 1])]);
  const loaded = await backend.load(model, cpu);
  if (!loaded.ok) throw new Error(loaded.error.detail);
  return {
    instance: loaded.value,
    input: 'x',
    output: 'y',
    answer: squared,
    bad: 16,
    warmupRows: [1, 4],
  };
});

describe('datatypes', () => {
  const numeric = {
    fp32: 'FP32',
    fp64: 'FP64',
    fp16: 'FP16',
    int8: 'INT8',
    uint8: 'UINT8',
    int16: 'INT16',
    uint16: 'UINT16',
    int32: 'INT32',
    uint32: 'UINT32',
    int64: 'INT64',
    uint64: 'UINT64',
  } as const;

  test.each(Object.entries(numeric))('%s comes back bit by bit', async (kind, datatype) => {
    const instance = await load(identity(kind, datatype));
    const width = datatypeBytes[datatype];
    // 0x3c repeated is a number in every datatype; the low byte differs between elements.
    const bytesOf = (seed: number): Uint8Array =>
      Uint8Array.from({ length: 2 * width }, (_, i) => (i % width === 0 ? seed + i : 0x3c));
    const items = [1, 60, 100].map((seed) => ({
      rows: 1,
      tensors: [{ name: 'x', datatype, shape: [1, 2], bytes: bytesOf(seed) }],
    }));
    const answers = await outputs(instance, items);
    expect(answers.map((own) => [...own[0]!.bytes])).toEqual(
      [1, 60, 100].map((seed) => [...bytesOf(seed)]),
    );
    expect(answers[0]![0]).toMatchObject({ name: 'y', datatype, shape: [1, 2] });
  });

  test('booleans come back as zeros and ones', async () => {
    const instance = await load(identity('bool', 'BOOL'));
    const x = tensor('x', 'BOOL', [1, 2], Uint8Array.of(1, 0));
    const [own] = await outputs(instance, [{ rows: 1, tensors: [x] }]);
    expect([...own![0]!.bytes]).toEqual([1, 0]);
  });

  test('strings of several items come back as UTF-8, each to its item', async () => {
    const instance = await load(identity('string', 'BYTES'));
    const texts = [
      ['a', ''],
      ['日本', 'é'],
      ['x y', 'z'],
    ];
    const items = texts.map((own) => ({
      rows: 1,
      tensors: [
        {
          name: 'x',
          datatype: 'BYTES' as const,
          shape: [1, 2],
          bytes: joinBytes(own.map((text) => Buffer.from(text))),
        },
      ],
    }));
    const answers = await outputs(instance, items);
    const read = answers.map((own) =>
      splitBytes(own[0]!.bytes, 2)?.map((element) => Buffer.from(element).toString()),
    );
    expect(read).toEqual(texts);
  });
});

/** Two jobs of the model with two inputs. */
const pairs = (): Item[] => [
  { rows: 1, tensors: [floats('a', [1, 2], 1, 2), floats('b', [1, 2], 10, 20)] },
  { rows: 1, tensors: [floats('a', [1, 2], 5, 6), floats('b', [1, 2], 1, 1)] },
];

describe('runs', () => {
  test('several inputs and outputs keep their names, and single outputs can be asked for', async () => {
    const instance = await load(
      manifest(
        'two_inputs',
        [spec('a', 'FP32', [-1, 2]), spec('b', 'FP32', [-1, 2])],
        [spec('sum', 'FP32', [-1, 2]), spec('difference', 'FP32', [-1, 2])],
      ),
    );
    const all = await outputs(instance, pairs());
    expect(all.map((own) => own.map(floatsOf))).toEqual([
      [
        [11, 22],
        [-9, -18],
      ],
      [
        [6, 7],
        [4, 5],
      ],
    ]);
    const one = await outputs(instance, pairs(), ['difference']);
    expect(one.map((own) => own.map((output) => output.name))).toEqual([
      ['difference'],
      ['difference'],
    ]);
  });

  test('a model without a batch dimension runs one item', async () => {
    const model = manifest('matrix', [spec('x', 'FP32', [2, 3])], [spec('y', 'FP32', [3, 2])]);
    const instance = await load({ ...model, maxBatchSize: 0 });
    const x = floats('x', [2, 3], 1, 2, 3, 4, 5, 6);
    const [own] = await outputs(instance, [{ rows: 1, tensors: [x] }]);
    expect(own![0]).toMatchObject({ shape: [3, 2] });
    expect(floatsOf(own![0]!)).toEqual([1, 4, 2, 5, 3, 6]);
  });

  test('any split of rows into items is put together again in order', async () => {
    const instance = await load(identity('fp32', 'FP32'));
    const rowCounts = fc.array(fc.integer({ min: 1, max: 5 }), { minLength: 1, maxLength: 6 });
    await fc.assert(
      fc.asyncProperty(rowCounts, async (counts) => {
        let next = 0;
        const values = counts.map((rows) => Array.from({ length: 2 * rows }, () => (next += 1)));
        const items = counts.map((rows, i) => ({
          rows,
          tensors: [floats('x', [rows, 2], ...values[i]!)],
        }));
        const answers = await outputs(instance, items);
        expect(answers.map((own) => floatsOf(own[0]!))).toEqual(values);
      }),
      { numRuns: 40 },
    );
  });

  test('buffers are moved, not copied, both ways', async () => {
    const instance = await load(identity('fp32', 'FP32'));
    const x = floats('x', [1, 2], 1, 2);
    const [own] = await outputs(instance, [{ rows: 1, tensors: [x] }]);
    expect(x.bytes.buffer.byteLength).toBe(0);
    expect(floatsOf(own![0]!)).toEqual([1, 2]);
  });

  test('a run that throws says why without naming a path', async () => {
    const instance = await load(identity('fp32', 'FP32'));
    const answer = await instance.run([{ rows: 1, tensors: [floats('x', [1, 3], 1, 2, 3)] }], []);
    expect(answer).toMatchObject({ ok: false, error: { code: 'model_error' } });
    if (answer.ok) throw new Error('the run succeeded');
    expect(answer.error.detail).toContain('Got: 3 Expected: 2');
    expect(answer.error.detail).not.toContain('/onnxruntime_src');
  });

  test('the main thread goes on while a run computes', async () => {
    const model = manifest('count_to', [spec('x', 'FP32', [-1, 1])], [spec('y', 'FP32', [-1, 1])]);
    const instance = await load(model);
    let turns = 0;
    const counting = setInterval(() => (turns += 1), 1);
    const run = instance.run([{ rows: 1, tensors: [floats('x', [1, 1], 100_000)] }], []);
    await run.finally(() => clearInterval(counting));
    expect(turns).toBeGreaterThan(10);
    expect(await run).toMatchObject({ ok: true });
  });

  test('a thread that dies of a bug loses its run only: the next run has a new thread', async () => {
    const instance = await load(identity('fp32', 'FP32'));
    const mixed = [
      { rows: 1, tensors: [floats('x', [1, 2], 1, 2)] },
      { rows: 1, tensors: [floats('x', [1, 3], 1, 2, 3)] },
    ];
    const lost = await instance.run(mixed, []);
    expect(lost).toMatchObject({ ok: false, error: { code: 'model_error' } });
    const [own] = await outputs(instance, [{ rows: 1, tensors: [floats('x', [1, 2], 7, 8)] }]);
    expect(floatsOf(own![0]!)).toEqual([7, 8]);
  });
});

describe('loading', () => {
  test('a loaded instance says what it runs on and what loading took', async () => {
    const instance = await load(identity('fp32', 'FP32'));
    expect(instance.provider).toBe('cpu');
    expect(instance.loadMs.session).toBeGreaterThan(0);
    expect(instance.loadMs.warmup).toBeGreaterThan(0);
  });

  test.each(['broken/truncated', 'broken/identity_bf16'])('%s cannot be loaded', async (folder) => {
    const model = identity('fp32', 'FP32');
    const file = join(fixtures, folder, '1', 'model.onnx');
    const loaded = await backend.load({ ...model, file }, cpu);
    expect(loaded).toMatchObject({ ok: false, error: { code: 'model_unavailable' } });
    if (!loaded.ok) expect(loaded.error.detail).not.toContain(fixtures);
  });

  test('a warm-up that throws is a load that failed', async () => {
    const wrong = { ...identity('fp32', 'FP32'), inputs: [spec('x', 'FP32', [-1, 3])] };
    const loaded = await backend.load(wrong, cpu);
    expect(loaded).toMatchObject({ ok: false, error: { code: 'model_unavailable' } });
    if (!loaded.ok) expect(loaded.error.detail).toContain('Expected: 2');
  });

  test('an output that the file does not have is a load that failed', async () => {
    const wrong = { ...identity('fp32', 'FP32'), outputs: [spec('z', 'FP32', [-1, 2])] };
    const loaded = await backend.load(wrong, cpu);
    expect(loaded).toMatchObject({
      error: { detail: expect.stringContaining('no output "z"') as string },
    });
  });

  test('without the provider files, cuda is refused with the file and the command that fetches it', async () => {
    const libraryDirectory = await mkdtemp(join(tmpdir(), 'inferry-test-'));
    try {
      const bare = createOnnxBackend({ libraryDirectory });
      const loaded = await bare.load(identity('fp32', 'FP32'), { kind: 'cuda', index: 0 });
      expect(loaded).toEqual({
        ok: false,
        error: {
          code: 'model_unavailable',
          detail:
            'identity_fp32@1 cannot run on cuda: libonnxruntime_providers_shared.so is not installed; run: inferry setup cuda',
        },
      });
      await writeFile(join(libraryDirectory, 'libonnxruntime_providers_shared.so'), '');
      const next = await bare.load(identity('fp32', 'FP32'), { kind: 'cuda', index: 0 });
      expect(next).toMatchObject({
        error: { detail: expect.stringContaining('libonnxruntime_providers_cuda.so') as string },
      });
      expect(availableProviders(libraryDirectory).kinds).toEqual(['cpu']);
    } finally {
      await rm(libraryDirectory, { recursive: true });
    }
  });

  test('where the provider cannot start, cuda is an error and never the cpu', async () => {
    // The check of files is passed by a folder that has them; the library then looks in its own.
    const libraryDirectory = await mkdtemp(join(tmpdir(), 'inferry-test-'));
    try {
      for (const file of ['shared', 'cuda']) {
        await writeFile(join(libraryDirectory, `libonnxruntime_providers_${file}.so`), '');
      }
      const loaded = await createOnnxBackend({ libraryDirectory }).load(identity('fp32', 'FP32'), {
        kind: 'cuda',
        index: 1_000,
      });
      expect(loaded).toMatchObject({ ok: false, error: { code: 'model_unavailable' } });
    } finally {
      await rm(libraryDirectory, { recursive: true });
    }
  });
});

test('the version of ONNX Runtime is read without loading it', () => {
  expect(availableProviders().version).toMatch(/^\d+\.\d+\.\d+$/u);
});
