/** Ensembles in a repository: what is read of them, and what is refused, with file and line. */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { problemText } from './file-problem.ts';
import { loadRepository } from './load-repository.ts';

let folder = '';
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'inferry-ensembles-'));
  await put('resize/model.yaml', simulated('pixels: FP32[-1, 4]', 'small: FP32[-1, 4]'));
  await put('label/model.yaml', simulated('picture: FP32[-1, 4]', 'scores: FP32[-1, 4]'));
});
afterEach(() => rm(folder, { recursive: true }));

async function put(path: string, content: string): Promise<void> {
  const file = join(folder, path);
  await mkdir(dirname(file), { recursive: true });
  await writeFile(file, content);
}

/** `x: FP32[-1, 4]` for each tensor, with a semicolon between them. */
function tensors(side: 'inputs' | 'outputs', text: string): string {
  const items = text.split(';').map((one) => {
    const [, name, dtype, shape] = /^\s*(\w+): (\w+)(\[.*\])$/u.exec(one) ?? [];
    return `{name: ${name}, dtype: ${dtype}, shape: ${shape}}`;
  });
  return `${side}: [${items.join(', ')}]\n`;
}

function simulated(inputs: string, outputs: string, more = ''): string {
  return `backend: simulated\n${tensors('inputs', inputs)}${tensors('outputs', outputs)}${more}`;
}

/** Eleven lines; the steps begin in line 5. */
const photo = `backend: ensemble
${tensors('inputs', 'image: FP32[-1, 4]')}${tensors('outputs', 'answer: FP32[-1, 4]')}ensemble:
  steps:
    - model: label
      inputs: {picture: small}
      outputs: {scores: answer}
    - model: resize
      inputs: {pixels: image}
      outputs: {small: small}
`;

async function found(): Promise<{ readonly served: string[]; readonly problems: string[] }> {
  const { models, problems } = await loadRepository(folder);
  return {
    served: models.map(({ name, version }) => `${name}@${version}`),
    problems: problems.map((problem) => problemText(problem).replaceAll(`${folder}/`, '')),
  };
}

async function problemsOf(yaml: string): Promise<readonly string[]> {
  await put('photo/model.yaml', yaml);
  const { problems, served } = await found();
  expect(served).toContain('resize@1');
  expect(served.includes('photo@1')).toBe(problems.length === 0);
  return problems;
}

describe('an ensemble', () => {
  test('is a model of steps, without a file and without instances', async () => {
    expect(await problemsOf(photo)).toEqual([]);
    const { models } = await loadRepository(folder);
    const manifest = models.find(({ name }) => name === 'photo');
    expect(manifest).toMatchObject({
      backend: 'ensemble',
      file: null,
      instances: [],
      warmupRows: [],
      maxBatchSize: 8,
      concurrentMax: 64,
      ensemble: {
        steps: [
          { model: 'label', version: null, inputs: { picture: 'small' } },
          { model: 'resize', version: null, outputs: { small: 'small' } },
        ],
      },
    });
    expect(manifest?.digest).toMatch(/^[0-9a-f]{64}$/u);
  });

  test('may name versions and labels of its models, and how many of its jobs a worker may have', async () => {
    await put('resize/1/keep', '');
    await put('resize/2/keep', '');
    await put('resize/versions.yaml', 'labels: {canary: "2"}\n');
    const named = photo
      .replace('model: resize', 'model: resize\n      version: 2')
      .replace('  steps:', '  concurrent: 3\n  steps:');
    expect(await problemsOf(named)).toEqual([]);
    const { models } = await loadRepository(folder);
    const manifest = models.find(({ name }) => name === 'photo');
    expect(manifest).toMatchObject({
      concurrentMax: 3,
      ensemble: { steps: [{}, { version: '2' }] },
    });
    expect(await problemsOf(named.replace('version: 2', 'version: canary'))).toEqual([]);
    expect(await problemsOf(named.replace('version: 2', 'version: 3'))).toEqual([
      'photo/model.yaml:10: ensemble.steps.1.model: model "resize" has no version "3"; it has: 1, 2, canary',
    ]);
  });
});

/** What is changed in the ensemble, and what is said of it. */
const refusals: readonly (readonly [what: string, from: string, to: string, problem: string])[] = [
  [
    'no steps',
    photo.slice(photo.indexOf('ensemble:')),
    '',
    ':1: ensemble: is required with backend: ensemble',
  ],
  [
    'an input that no step takes',
    'inputs: [{name: image,',
    'inputs: [{name: more, dtype: FP32, shape: [-1]}, {name: image,',
    ':2: inputs.0.name: "more" is taken by no step',
  ],
  [
    'an output that no step gives',
    'outputs: [{name: answer,',
    'outputs: [{name: more, dtype: FP32, shape: [-1]}, {name: answer,',
    ':3: outputs.0.name: "more" is given by no step',
  ],
  [
    'a tensor that two steps give',
    '{small: small}\n',
    '{small: answer}\n',
    ':11: ensemble.steps.1.outputs.small: "answer" is given by step 1 too',
  ],
  [
    'a step that gives an input of the ensemble',
    '{small: small}\n',
    '{small: image}\n',
    ':11: ensemble.steps.1.outputs.small: "image" is an input of the ensemble',
  ],
  [
    'a tensor that nothing gives',
    '{picture: small}',
    '{picture: smal}',
    ':7: ensemble.steps.0.inputs.picture: "smal" is no input of the ensemble, and no step gives it',
  ],
  [
    'steps that wait for each other',
    '{pixels: image}',
    '{pixels: answer}',
    ':6: ensemble.steps.0: waits for itself: steps 1, 2 need tensors of each other',
  ],
  [
    'a step of which nothing is used',
    '{small: small}',
    '{}',
    ':11: ensemble.steps.1.outputs: is empty: nothing of the step would be used',
  ],
  [
    'a model that is not there',
    'model: resize',
    'model: rezise',
    ':9: ensemble.steps.1.model: the repository serves no model "rezise"',
  ],
  [
    'itself',
    'model: resize',
    'model: photo',
    ':9: ensemble.steps.1.model: "photo" runs it again: photo -> photo',
  ],
  [
    'an input that its model does not have',
    '{pixels: image}',
    '{pixel: image}',
    ':10: ensemble.steps.1.inputs.pixel: "resize" has no input "pixel"; it has: pixels',
  ],
  [
    'an input that is given nothing',
    '{pixels: image}',
    '{pixel: image}',
    ':10: ensemble.steps.1.inputs: input "pixels" of "resize" is given nothing',
  ],
  [
    'an output that its model does not have',
    '{small: small}\n',
    '{large: small}\n',
    ':11: ensemble.steps.1.outputs.large: "resize" has no output "large"; it has: small',
  ],
  [
    'another datatype',
    'image, dtype: FP32',
    'image, dtype: INT64',
    ':10: ensemble.steps.1.inputs.pixels: "image" is INT64 as input "image" of the ensemble, and FP32 as input "pixels" of "resize"',
  ],
  [
    'other dimensions',
    'answer, dtype: FP32, shape: [-1, 4]',
    'answer, dtype: FP32, shape: [-1, 5]',
    ':3: outputs.0.name: "answer" is [-1, 4] as output "scores" of "label", and [-1, 5] as output "answer" of the ensemble',
  ],
  [
    'more rows than a model takes',
    'backend: ensemble',
    'max_batch_size: 9\nbackend: ensemble',
    ':7: ensemble.steps.0.model: "label" takes 8 rows at most, and the ensemble 9',
  ],
  [
    'what batches are made by',
    'backend: ensemble',
    'queue: {weight: 2, max_depth: 5}\nbackend: ensemble',
    ':1: queue.weight: is for the models of the steps, not for an ensemble',
  ],
  [
    'a pipeline',
    'backend: ensemble',
    'preprocess: {tensor: {}}\nbackend: ensemble',
    ':1: preprocess: is for the models of the steps, not for an ensemble',
  ],
];

test.each(refusals)('is refused with %s', async (_, from, to, problem) => {
  expect(photo).toContain(from);
  expect(await problemsOf(photo.replace(from, to))).toContain(`photo/model.yaml${problem}`);
});

describe('ensembles of ensembles', () => {
  const around = (name: string, steps: string) =>
    put(
      `${name}/model.yaml`,
      `backend: ensemble
${tensors('inputs', 'image: FP32[-1, 4]')}${tensors('outputs', 'answer: FP32[-1, 4]')}ensemble:
  steps: [{model: ${steps}, inputs: {image: image}, outputs: {answer: answer}}]
`,
    );

  test('are served, and not where one of them is not', async () => {
    await put('photo/model.yaml', photo);
    await around('album', 'photo');
    await around('shelf', 'album');
    expect(await found()).toMatchObject({
      problems: [],
      served: ['album@1', 'label@1', 'photo@1', 'resize@1', 'shelf@1'],
    });
    await put('photo/model.yaml', photo.replace('{pixels: image}', '{pixel: image}'));
    const { problems, served } = await found();
    expect(served).toEqual(['label@1', 'resize@1']);
    expect(problems).toContain(
      'album/model.yaml:5: ensemble.steps.0.model: "photo" is not served itself',
    );
    expect(problems).toContain(
      'shelf/model.yaml:5: ensemble.steps.0.model: "album" is not served itself',
    );
  });

  test('are refused where they lead back to themselves', async () => {
    await around('a', 'b');
    await around('b', 'c');
    await around('c', 'a');
    expect((await found()).problems).toEqual([
      'a/model.yaml:5: ensemble.steps.0.model: "b" runs it again: a -> b -> c -> a',
      'b/model.yaml:5: ensemble.steps.0.model: "c" runs it again: b -> c -> a -> b',
      'c/model.yaml:5: ensemble.steps.0.model: "a" runs it again: c -> a -> b -> c',
    ]);
  });

  test('are in each other 16 levels deep at most', async () => {
    await put('e00/model.yaml', photo);
    for (let i = 1; i <= 16; i += 1) {
      const name = (level: number) => `e${String(level).padStart(2, '0')}`;
      await around(name(i), name(i - 1));
    }
    const problem =
      'e16/model.yaml:5: ensemble.steps: models are composed of each other 17 levels deep; at most 16 are allowed';
    expect((await found()).problems).toEqual([problem]);
    // Processors between them count as well.
    const sides = `${tensors('inputs', 'image: FP32[-1, 4]')}${tensors('outputs', 'answer: FP32[-1, 4]')}`;
    await put('e08/model.yaml', `backend: processor\nprocessor: {runs: [e07]}\n${sides}`);
    await put('e08/processor.ts', '');
    expect((await found()).problems).toEqual([problem]);
  });
});

test('rows may meet a model without them, where the dimensions of one or of all agree', async () => {
  await put(
    'mean/model.yaml',
    simulated('x: FP32[-1, 4]', 'y: FP32[-1, 4]', 'max_batch_size: 0\n'),
  );
  await put('one/model.yaml', simulated('x: FP32[4]', 'y: FP32[4]', 'max_batch_size: 0\n'));
  for (const model of ['mean', 'one']) {
    const yaml = photo.replace('model: resize', `model: ${model}`);
    expect(
      await problemsOf(
        yaml.replace('{pixels: image}', '{x: image}').replace('{small: small}', '{y: small}'),
      ),
    ).toEqual([]);
  }
});
