/** A repository on disk: what is found, what is refused, and that one model never hides another. */
import { mkdir, mkdtemp, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, isAbsolute, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { problemText } from './file-problem.ts';
import { loadRepository } from './load-repository.ts';
import { writeOnnx, type WrittenModel, type WrittenTensor } from './onnx-writer.test.ts';

let folder = '';
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'inferry-models-'));
});
afterEach(() => rm(folder, { recursive: true }));

async function put(path: string, content: string | Uint8Array): Promise<void> {
  const file = join(folder, path);
  await mkdir(dirname(file), { recursive: true });
  await writeFile(file, content);
}

function fp32(name: string, ...shape: (number | null)[]): WrittenTensor {
  return { name, type: 1, shape };
}

const rows: WrittenModel = { inputs: [fp32('x', null, 4)], outputs: [fp32('y', null, 3)] };
const photo: WrittenModel = {
  inputs: [fp32('pixels', null, 3, 6, 8)],
  outputs: [fp32('scores', null, 2)],
};

/** The problems of a repository with one model `m`, without the folder in front. */
async function problemsOf(model: WrittenModel, yaml: string): Promise<string[]> {
  await put('m/1/model.onnx', writeOnnx(model));
  await put('m/model.yaml', yaml);
  return found();
}

async function found(): Promise<string[]> {
  const { problems } = await loadRepository(folder);
  return problems.map((problem) => problemText(problem).replace(`${folder}/`, ''));
}

async function digest(): Promise<string | undefined> {
  return (await loadRepository(folder)).models[0]?.digest;
}

describe('a repository', () => {
  test('needs nothing but ONNX files: the rest is read from them', async () => {
    await put('b/1/model.onnx', writeOnnx(rows));
    await put('a/10/model.onnx', writeOnnx({ ...rows, inputs: [fp32('x', 1, 4)] }));
    await put('a/9/model.onnx', writeOnnx(rows));
    await put('README.md', 'not a model');
    await put('scripts/train.py', 'not a model either');
    await put('.git/1/model.onnx', 'hidden');
    await put('lost+found/1/model.onnx', 'of the file system');
    const { models, problems } = await loadRepository(folder);
    expect(problems).toEqual([]);
    expect(models.map(({ name, version }) => `${name}@${version}`)).toEqual(['a@9', 'a@10', 'b@1']);
    expect(models[0]).toMatchObject({
      backend: 'onnxruntime',
      file: join(folder, 'a/9/model.onnx'),
      maxBatchSize: 8,
      inputs: [{ name: 'x', datatype: 'FP32', shape: [-1, 4] }],
      outputs: [{ name: 'y', datatype: 'FP32', shape: [-1, 3] }],
      preprocess: { kind: 'none' },
      postprocess: { kind: 'none' },
      simulated: null,
      latencyTargetMs: null,
      warmupRows: [1, 8],
    });
    expect(models[1]).toMatchObject({ maxBatchSize: 0, warmupRows: [1] });
    expect(models.every(({ file }) => file !== null && isAbsolute(file))).toBe(true);
  });

  test('says so when it is missing or holds no model', async () => {
    expect(await found()).toEqual([expect.stringMatching(/holds no model: expected <name>/u)]);
    const absent = await loadRepository(join(folder, 'absent'));
    expect(absent).toMatchObject({ models: [], problems: [{ message: 'does not exist' }] });
  });

  test('serves the sound models beside the broken ones', async () => {
    await put('sound/1/model.onnx', writeOnnx(rows));
    await put('cut/1/model.onnx', writeOnnx(rows).subarray(0, 40));
    await put('cut/2/model.onnx', writeOnnx(rows));
    await put('typo/1/model.onnx', writeOnnx(rows));
    await put('typo/model.yaml', 'max_batch_sise: 4\nbackend: triton\n');
    const { models, problems } = await loadRepository(folder);
    expect(models.map(({ name, version }) => `${name}@${version}`)).toEqual(['cut@2', 'sound@1']);
    expect(problems).toMatchObject([
      { model: 'cut', version: '1', file: join(folder, 'cut/1/model.onnx'), line: null },
      { model: 'typo', version: null, file: join(folder, 'typo/model.yaml'), line: 1 },
      { model: 'typo', version: null, line: 2 },
    ]);
  });

  test('follows links, as mounted volumes are full of them', async () => {
    await put('.data/m/1/model.onnx', writeOnnx(rows));
    await symlink(join(folder, '.data/m'), join(folder, 'm'));
    await symlink(join(folder, 'nowhere'), join(folder, 'dangling'));
    expect((await loadRepository(folder)).models).toHaveLength(1);
    expect(await found()).toEqual([]);
    // What cannot be looked at is not taken for a model that is gone.
    await symlink('loop', join(folder, 'loop'));
    expect(await found()).toEqual(['loop: cannot be read (ELOOP)']);
  });

  test('refuses names that routes cannot carry', async () => {
    await put('jobs/1/model.onnx', writeOnnx(rows));
    await put('my model/1/model.onnx', writeOnnx(rows));
    await put('ok/-1/model.onnx', writeOnnx(rows));
    expect(await found()).toEqual([
      'jobs: a model may not be called "jobs": it is a part of routes',
      expect.stringMatching(/^my model: a model is called by 1 to 128/u),
      expect.stringMatching(/^ok\/-1: a version is called by 1 to 64/u),
    ]);
  });

  test('says where a model file belongs that lies in the wrong place', async () => {
    await put('flat/model.onnx', writeOnnx(rows));
    await put('named/1/resnet.onnx', writeOnnx(rows));
    await put('empty/model.yaml', '');
    expect(await found()).toEqual([
      'empty/1/model.onnx: does not exist, nor any other version',
      `flat/model.onnx: a model file belongs into a version's folder: move it to ${folder}/flat/1/model.onnx`,
      'named/1/resnet.onnx: must be called model.onnx',
    ]);
  });

  test('has a digest for each model that changes with its file, its yaml and its labels', async () => {
    const yaml = `preprocess: {tabular: {columns: [a, b, c, d]}}
postprocess: {classify: {labels: names.txt}}
`;
    await put('m/1/model.onnx', writeOnnx(rows));
    await put('m/model.yaml', yaml);
    await put('m/names.txt', 'u\nv\nw\n');
    const first = await digest();
    expect(first).toMatch(/^[0-9a-f]{64}$/u);
    expect(await digest()).toBe(first);
    await put('m/names.txt', 'u\nv\nx\n');
    const second = await digest();
    await put('m/model.yaml', `${yaml}max_batch_size: 2\n`);
    const third = await digest();
    await put('m/1/model.onnx', writeOnnx({ ...rows, producer: 'another' }));
    expect(new Set([first, second, third, await digest()]).size).toBe(4);
  });
});

describe('declared inputs and outputs', () => {
  test('may fix a dimension that varies in the file', async () => {
    const yaml = `inputs: [{name: x, dtype: FP32, shape: [1, 4]}]`;
    expect(await problemsOf(rows, yaml)).toEqual([]);
    const { models } = await loadRepository(folder);
    expect(models[0]).toMatchObject({ maxBatchSize: 0, inputs: [{ shape: [1, 4] }] });
  });

  test('are refused where they differ from the file, all at once', async () => {
    const yaml = `inputs:
  - {name: x, dtype: FP64, shape: [-1, 5]}
  - {name: z, dtype: FP32, shape: [-1]}
outputs:
  - {name: z, dtype: FP32, shape: [-1]}
`;
    expect(await problemsOf(rows, yaml)).toEqual([
      'm/model.yaml:3: inputs.1.name: the model has no such input; it has: x',
      'm/model.yaml:2: inputs.0.dtype: is FP64 here and FP32 in the model',
      'm/model.yaml:2: inputs.0.shape: is [-1, 5] here and [-1, 4] in the model',
      'm/model.yaml:5: outputs.0.name: the model has no such output; it has: y',
      'm/model.yaml:4: outputs: lacks "y", which the model has (declare all or none)',
    ]);
  });

  test('are needed where the file does not give the rank', async () => {
    const model = { ...rows, outputs: [{ name: 'y', type: 1 }] };
    expect(await problemsOf(model, '')).toEqual([
      'm/1/model.onnx: output "y" has no shape in the file; declare it under outputs in model.yaml',
    ]);
    expect(await problemsOf(model, 'outputs: [{name: y, dtype: FP32, shape: [-1, 3]}]')).toEqual(
      [],
    );
  });

  test('make a batch only when the first dimension of all of them varies', async () => {
    const model = { inputs: [fp32('x', null, 4), fp32('w', 4)], outputs: [fp32('y', null)] };
    expect(await problemsOf(model, '\nmax_batch_size: 4')).toEqual([
      'm/model.yaml:2: max_batch_size: must be 0: the first dimension of "w" [4] does not vary',
    ]);
    expect(await problemsOf(rows, 'max_batch_size: 4\nwarmup: {rows: [1, 5]}')).toEqual([
      'm/model.yaml:2: warmup.rows.1: is above the batch size, 4',
    ]);
  });
});

const image = 'preprocess: {image: {size: [8, 6]}}\n';

function classify(text: string): string {
  return `${image}postprocess: {classify: {${text}}}`;
}

describe('preprocess and postprocess', () => {
  test('take their defaults from the color and the labels', async () => {
    const yaml = `${image}postprocess: {classify: {labels: [cat, dog]}}`;
    expect(await problemsOf(photo, yaml)).toEqual([]);
    expect((await loadRepository(folder)).models[0]).toMatchObject({
      preprocess: { kind: 'image', width: 8, height: 6, mean: [0, 0, 0], std: [1, 1, 1] },
      postprocess: { kind: 'classify', output: 'scores', labels: ['cat', 'dog'], topK: 2 },
    });
  });

  test('pixels are divided by 255, but not where the model takes them as bytes', async () => {
    const scaleOf = async (type: number) => {
      const inputs = [{ name: 'pixels', type, shape: [null, 3, 6, 8] }];
      expect(await problemsOf({ ...photo, inputs }, image)).toEqual([]);
      return (await loadRepository(folder)).models[0]?.preprocess;
    };
    // FLOAT and UINT8 of TensorProto.
    expect(await scaleOf(1)).toMatchObject({ scale: 1 / 255 });
    expect(await scaleOf(2)).toMatchObject({ scale: 1 });
  });

  test('an image must fit the one input of the model', async () => {
    expect(await problemsOf(photo, 'preprocess: {image: {size: [6, 8]}}')).toEqual([
      'm/model.yaml:1: preprocess.image: makes a tensor of shape [-1, 3, 8, 6]; input "pixels" is [-1, 3, 6, 8]',
    ]);
    expect(await problemsOf(photo, 'preprocess: {image: {size: [8, 6], layout: nhwc}}')).toEqual([
      expect.stringContaining('makes a tensor of shape [-1, 6, 8, 3]'),
    ]);
    const text = { ...photo, inputs: [{ name: 't', type: 8, shape: [null, 3, 6, 8] }] };
    expect(await problemsOf(text, image)).toEqual([
      'm/model.yaml:1: preprocess.image: makes FP32 or UINT8 or FP16; input "t" is BYTES',
    ]);
    expect(await problemsOf({ ...photo, inputs: [...photo.inputs, fp32('z')] }, image)).toEqual([
      expect.stringContaining('exactly one input; this one has 2: pixels, z'),
    ]);
    const gray = 'preprocess: {image: {size: [8, 6], color: gray, mean: [1, 2], std: [0]}}';
    expect(await problemsOf(photo, gray)).toEqual([
      'm/model.yaml:1: preprocess.image.mean: has 2 entries; color gray has 1 channels',
      'm/model.yaml:1: preprocess.image.std: must not be 0: values are divided by it',
      expect.stringContaining('makes a tensor of shape [-1, 1, 6, 8]'),
    ]);
  });

  test('what is cut out of a larger resize goes with fit cover', async () => {
    const cut = (fit: string) => `preprocess: {image: {size: [8, 6], fit: ${fit}, crop_pct: 0.8}}`;
    expect(await problemsOf(photo, cut('contain'))).toEqual([
      'm/model.yaml:1: preprocess.image.crop_pct: goes with fit cover; fit is contain',
    ]);
    expect(await problemsOf(photo, cut('cover'))).toEqual([]);
    expect((await loadRepository(folder)).models[0]).toMatchObject({
      preprocess: { cropPct: 0.8, orient: true, background: [0, 0, 0] },
    });
    const wrong = 'preprocess: {image: {size: [8, 6], crop_pct: 1.5, background: [0, 0, 256]}}';
    expect(await problemsOf(photo, wrong)).toEqual([
      expect.stringContaining('preprocess.image.crop_pct: expected number to be <=1'),
      expect.stringContaining('preprocess.image.background.2: expected number to be <=255'),
    ]);
  });

  test('columns must be the row of the model, each of them once', async () => {
    const yaml = `preprocess:
  tabular:
    columns:
      - a
      - {name: b, min: 2, max: 1}
      - a
`;
    expect(await problemsOf(rows, yaml)).toEqual([
      'm/model.yaml:5: preprocess.tabular.columns.1.min: 2 is above max, 1',
      'm/model.yaml:6: preprocess.tabular.columns.2: "a" is there twice',
      'm/model.yaml:2: preprocess.tabular: makes a tensor of shape [-1, 3]; input "x" is [-1, 4]',
    ]);
  });

  test('scores must exist and have a class for every label', async () => {
    expect(await problemsOf(photo, classify('labels: [a, b, c]'))).toEqual([
      'm/model.yaml:2: postprocess.classify.labels: there are 3; output "scores" has 2 classes',
    ]);
    expect(await problemsOf(photo, classify('labels: [a, b], output: score'))).toEqual([
      'm/model.yaml:2: postprocess.classify.output: the model has no output "score"; it has: scores',
    ]);
    const two = { ...photo, outputs: [...photo.outputs, fp32('more', null, 2)] };
    expect(await problemsOf(two, classify('labels: [a, b]'))).toEqual([
      expect.stringContaining('output: must be given: 2 outputs are FP32 of rank 2'),
    ]);
    expect(await problemsOf(photo, 'postprocess: {classify: {labels: [a, b]}}')).toEqual([
      expect.stringContaining('needs a preprocess section'),
    ]);
  });

  test('labels come from a file beside model.yaml, one a line', async () => {
    const yaml = `${image}postprocess: {classify: {labels: l.txt}}`;
    const at = 'm/model.yaml:2: postprocess.classify.labels:';
    const file = `${folder}/m/l.txt`;
    expect(await problemsOf(photo, yaml)).toEqual([`${at} ${file} does not exist`]);
    await put('m/l.txt', '\n\n');
    expect(await found()).toEqual([`${at} ${file} holds no label`]);
    await put('m/l.txt', 'a\n\nb\n');
    expect(await found()).toEqual([`${at} ${file} line 2 is empty; one label a line`]);
    await put('m/l.txt', Uint8Array.of(255, 254));
    expect(await found()).toEqual([`${at} ${file} is not valid UTF-8`]);
    await put('m/l.txt', 'a\r\nb c\r\n\n');
    expect((await loadRepository(folder)).models[0]).toMatchObject({
      postprocess: { labels: ['a', 'b c'] },
    });
    expect(await problemsOf(photo, yaml.replace('l.txt', '../l.txt'))).toEqual([
      `${at} "../l.txt" must be the path of a file below the folder of the model`,
    ]);
  });
});

describe('a simulated model', () => {
  const yaml = `backend: simulated
inputs: [{name: x, dtype: FP32, shape: [-1, 1]}]
outputs: [{name: y, dtype: FP32, shape: [-1, 1]}]
simulated: {run_ms: 5, row_ms: 0.5, crash_on: -3}
`;

  test('needs no file, and is version 1 unless folders say otherwise', async () => {
    await put('m/model.yaml', yaml);
    const first = await loadRepository(folder);
    expect(first.models).toMatchObject([
      {
        version: '1',
        file: null,
        fileBytes: 0,
        maxBatchSize: 8,
        simulated: { runMs: 5, rowMs: 0.5, failOn: null, hangOn: null, crashOn: -3 },
      },
    ]);
    await mkdir(join(folder, 'm/3'));
    await mkdir(join(folder, 'm/notes'));
    const second = await loadRepository(folder);
    expect(second.models.map(({ version }) => version)).toEqual(['3']);
  });

  test('must declare what it takes, and gives that back', async () => {
    await put('m/model.yaml', 'backend: simulated\n');
    expect(await found()).toEqual([
      'm/model.yaml:1: inputs: is required with backend: simulated',
      'm/model.yaml:1: outputs: is required with backend: simulated',
    ]);
    await put('m/model.yaml', yaml.replace('y, dtype: FP32', 'y, dtype: INT8'));
    expect(await found()).toEqual([expect.stringContaining('m/model.yaml:3: outputs.0: a simul')]);
    expect(await problemsOf(rows, 'simulated: {run_ms: 1}')).toEqual([
      'm/model.yaml:1: simulated: is for backend: simulated only',
    ]);
  });
});
