/** `preprocess.tensor`, `postprocess.tensor` and the columns of a table: defaults, and contradictions with their line. */
import { describe, expect, test } from 'vitest';
import { buildManifest } from './build-manifest.ts';
import { problemText } from './file-problem.ts';
import { parseModelYaml } from './model-yaml.ts';

const head = `backend: simulated
inputs: [{name: x, dtype: FP32, shape: [-1, 3]}, {name: n, dtype: INT64, shape: [-1, -1]}]
outputs: [{name: y, dtype: FP32, shape: [-1, 3]}, {name: m, dtype: INT64, shape: [-1, -1]}]
`;

function build(lines: string, top = head) {
  const yaml = parseModelYaml('m.yaml', top + lines);
  if (!yaml.ok) return yaml;
  const model = { name: 'm', version: '1', digest: 'd', onnx: null, tokenizer: null };
  return buildManifest({ ...model, labels: ['a', 'b', 'c'], yaml: yaml.value });
}

function problemsOf(lines: string, top?: string): readonly string[] {
  const built = build(lines, top);
  return built.ok ? [] : built.error.map(problemText);
}

describe('tensors', () => {
  test('are fields as they are, and all outputs are answered', () => {
    expect(build('preprocess: {tensor: {}}\npostprocess: {tensor: {}}')).toMatchObject({
      ok: true,
      value: {
        preprocess: { kind: 'tensor', normalize: {} },
        postprocess: { kind: 'tensor', outputs: ['y', 'm'] },
      },
    });
  });

  test('may be normalised, by one number or one for each place', () => {
    const lines = 'preprocess: {tensor: {normalize: {x: {scale: 2, mean: [1, 2, 3]}}}}';
    expect(build(lines)).toMatchObject({
      value: { preprocess: { normalize: { x: { scale: 2, mean: [1, 2, 3], std: [1] } } } },
    });
  });

  test.each([
    ['{normalize: {z: {}}}', 'normalize.z: the model has no such input; it has: x, n'],
    ['{normalize: {n: {}}}', 'normalize.n: is for floats; input "n" is INT64'],
    ['{normalize: {x: {mean: [1]}}}', 'normalize.x.mean: has 1 entries; the last dimension is 3'],
    ['{normalize: {x: {std: 0}}}', 'normalize.x.std: must not be 0: values are divided by it'],
  ])('are refused as %s', (section, problem) => {
    expect(problemsOf(`preprocess: {tensor: ${section}}`)).toEqual([
      `m.yaml:4: preprocess.tensor.${problem}`,
    ]);
  });

  test('are not answered where they are not there, twice, or without a pipeline', () => {
    const lines = 'preprocess: {tensor: {}}\npostprocess: {tensor: {outputs: [y, z, y]}}';
    expect(problemsOf(lines)).toEqual([
      'm.yaml:5: postprocess.tensor.outputs.1: the model has no output "z"; it has: y, m',
      'm.yaml:5: postprocess.tensor.outputs.2: "y" is there twice',
    ]);
    expect(problemsOf('postprocess: {tensor: {}}')).toEqual([
      'm.yaml:4: postprocess.tensor: needs a preprocess section: raw tensors are answered with raw tensors',
    ]);
  });

  test('are no fields where an input has the name that says raw tensors follow', () => {
    const top = head.replaceAll('name: x', 'name: inputs');
    expect(problemsOf('preprocess: {tensor: {}}', top)).toEqual([
      'm.yaml:4: preprocess.tensor: no field may be called "inputs", as an input of the model is',
    ]);
  });
});

const table = `backend: simulated
inputs: [{name: x, dtype: FP32, shape: [-1, 6]}]
outputs: [{name: y, dtype: FP32, shape: [-1, 6]}]
preprocess:
  tabular:
    columns:
`;

describe('columns', () => {
  test('are numbers, truth values and categories, as wide as they are encoded', () => {
    const lines = `      - {name: a, min: 0, mean: 2, std: 4, default: nan}
      - {name: b, type: boolean, default: false}
      - {name: c, values: [x, y, 3], encoding: one_hot, default: 3}
      - {name: d, values: [x, y]}`;
    expect(build(lines, table)).toMatchObject({
      ok: true,
      value: {
        preprocess: {
          columns: [
            { kind: 'number', name: 'a', min: 0, mean: 2, std: 4, default: 'nan' },
            { kind: 'boolean', name: 'b', default: false },
            { kind: 'category', name: 'c', values: ['x', 'y', 3], encoding: 'one_hot', default: 3 },
            { kind: 'category', name: 'd', encoding: 'ordinal' },
          ],
        },
      },
    });
  });

  test('that contradict themselves are named with their line', () => {
    const lines = `      - {name: a, values: [x, x], min: 1}
      - {name: b, type: boolean, std: 2, default: 1}
      - {name: c, encoding: one_hot, std: 0}
      - {name: d, min: 1, max: 2, default: 3}
      - {name: e, values: [x], default: z}
      - {name: f, default: none}`;
    expect(problemsOf(lines, table)).toEqual([
      'm.yaml:7: preprocess.tabular.columns.0.min: does not go with a category column; it has: name, default, values, encoding',
      'm.yaml:7: preprocess.tabular.columns.0.values: "x" is there twice',
      'm.yaml:8: preprocess.tabular.columns.1.std: does not go with a boolean column; it has: name, type, default',
      'm.yaml:8: preprocess.tabular.columns.1.default: must be true or false',
      'm.yaml:9: preprocess.tabular.columns.2.encoding: does not go with a number column; it has: name, type, default, min, max, mean, std',
      'm.yaml:9: preprocess.tabular.columns.2.std: must not be 0: values are divided by it',
      'm.yaml:10: preprocess.tabular.columns.3.default: 3 is outside min and max',
      'm.yaml:11: preprocess.tabular.columns.4.default: "z" is none of the values',
      'm.yaml:12: preprocess.tabular.columns.5.default: must be a number or nan',
    ]);
  });
});

describe('a classifier', () => {
  const tensor = 'preprocess: {tensor: {}}\n';

  test('may have several labels at once, above a threshold', () => {
    const classify = 'postprocess: {classify: {labels: [a, b, c], sigmoid: true, threshold: 0.4}}';
    expect(build(tensor + classify)).toMatchObject({
      value: { postprocess: { activation: 'sigmoid', threshold: 0.4, topK: 3 } },
    });
  });

  test('has logits of one label or of several', () => {
    const classify = 'postprocess: {classify: {labels: [a, b, c], sigmoid: true, softmax: true}}';
    expect(problemsOf(tensor + classify)).toEqual([
      'm.yaml:5: postprocess.classify.sigmoid: does not go with softmax: scores are logits of one label or of several',
    ]);
  });
});
