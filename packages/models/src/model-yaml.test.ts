/** What model.yaml may say, and how its problems are told. */
import { readFile } from 'node:fs/promises';
import { describe, expect, test } from 'vitest';
import { problemText } from './file-problem.ts';
import { modelYamlJsonSchema } from './model-yaml-schema.ts';
import { parseModelYaml } from './model-yaml.ts';

function problems(text: string): string[] {
  const parsed = parseModelYaml('m.yaml', text);
  return parsed.ok ? [] : parsed.error.map(problemText);
}

function config(text: string) {
  const parsed = parseModelYaml('m.yaml', text);
  if (!parsed.ok) throw new Error(parsed.error.map(problemText).join('\n'));
  return parsed.value.config;
}

describe('model.yaml', () => {
  test('may be empty: every key has a default', () => {
    expect(config('# nothing here\n')).toEqual({
      backend: 'onnxruntime',
      instances: [{ kind: 'cpu', count: 1 }],
      admission: { on_infeasible: 'refuse' },
      queue: {
        max_depth: 50_000,
        timeout_ms: 3_600_000,
        linger: 'auto',
        max_age_ms: 60_000,
        weight: 1,
      },
      execution_timeout_ms: 60_000,
      warmup: {},
      response_cache: false,
      session: { intra_op_threads: 1, graph_optimization: 'all' },
    });
  });

  test('fills in the defaults of a section that is there', () => {
    const { preprocess } = config('preprocess: {image: {size: [8, 6]}}');
    expect(preprocess?.image).toEqual({
      input: 'image',
      orient: true,
      background: [0, 0, 0],
      size: [8, 6],
      fit: 'cover',
      pad: 0,
      color: 'rgb',
      layout: 'nchw',
      interpolation: 'linear',
    });
  });

  test('tells every problem at once, each with its line, key and limit', () => {
    const text = `max_batchsize: 3
backend: foo
instances:
  - kind: gpu
    count: 100
    counts: 3
inputs: [{name: x, dtype: FP32, shape: [a]}, {dtype: FP32}]
preprocess:
  image: {size: [1], pad: 300, mean: []}
  tabular:
    columns: [a, 3, {nam: x}, {name: 3, min: x}]
postprocess:
  classify:
    labels: [1, a]
    top_k: 0
queue: null
"a.b": 1
`;
    expect(problems(text)).toEqual([
      'm.yaml:1: max_batchsize: is not known; did you mean "max_batch_size"?',
      'm.yaml:2: backend: expected one of "onnxruntime"|"simulated"|"ensemble"|"processor"',
      'm.yaml:4: instances.0.kind: expected one of "cpu"|"cuda"|"tensorrt"',
      'm.yaml:5: instances.0.count: expected number to be <=64',
      'm.yaml:6: instances.0.counts: is not known; did you mean "count"?',
      'm.yaml:7: inputs.0.shape.0: expected number, received string',
      'm.yaml:7: inputs.1.name: is required',
      'm.yaml:7: inputs.1.shape: is required',
      'm.yaml:8: preprocess: has image and tabular; a model takes one of them',
      'm.yaml:9: preprocess.image.size: expected array to have exactly 2 items',
      'm.yaml:9: preprocess.image.pad: expected number to be <=255',
      'm.yaml:9: preprocess.image.mean: expected array to have >=1 items',
      'm.yaml:11: preprocess.tabular.columns.1: must be one of: string, object',
      'm.yaml:11: preprocess.tabular.columns.2.name: is required',
      'm.yaml:11: preprocess.tabular.columns.2.nam: is not known; did you mean "name"?',
      'm.yaml:11: preprocess.tabular.columns.3.name: expected string, received number',
      'm.yaml:11: preprocess.tabular.columns.3.min: expected number, received string',
      'm.yaml:14: postprocess.classify.labels.0: must be text (put it in quotes)',
      'm.yaml:15: postprocess.classify.top_k: expected number to be >=1',
      'm.yaml:16: queue: expected object, received null',
      expect.stringMatching(
        /^m\.yaml:17: a\.b: is not known; known here: backend, max_batch_size/u,
      ),
    ]);
  });

  test('is refused with a line when it is not YAML, has a key twice or is no mapping', () => {
    expect(problems('backend: simulated\nqueue: {\n')[0]).toMatch(/^m\.yaml:[23]: /u);
    expect(problems('session: {}\nbackend: simulated\nbackend: simulated\n')).toEqual([
      'm.yaml:3: Map keys must be unique',
    ]);
    expect(problems('[]')).toEqual(['m.yaml:1: expected object, received array']);
  });

  test('cannot be blown up by aliases', () => {
    const levels = Array.from({ length: 12 }, (_, i) => {
      const inner = i === 0 ? 'x' : `*a${i - 1}`;
      return `k${i}: &a${i} [${Array(9).fill(inner).join(', ')}]`;
    });
    expect(problems(levels.join('\n'))).toEqual([expect.stringContaining('alias')]);
  });

  test('finds the line of a key behind an alias', () => {
    const text = 'inputs: &t\n  - {name: x, dtype: FP32, shape: [1]}\n  - {nme: y}\noutputs: *t\n';
    const lines = problems(text).filter((line) => line.includes('nme'));
    expect(lines.map((line) => line.split(' ')[0])).toEqual(['m.yaml:3:', 'm.yaml:3:']);
  });
});

describe('the published schema', () => {
  test('model.schema.json is what the code accepts', async () => {
    const file = new URL('../model.schema.json', import.meta.url);
    const write = `node --conditions=@inferry/source --import tsx --input-type=module -e "
      import { modelYamlJsonSchema } from '@inferry/models';
      import { writeFileSync } from 'node:fs';
      writeFileSync('packages/models/model.schema.json', JSON.stringify(modelYamlJsonSchema()));
      " && npx oxfmt packages/models/model.schema.json`;
    const committed: unknown = JSON.parse(await readFile(file, 'utf8'));
    expect(committed, `the schema has changed; write it anew with:\n${write}`).toEqual(
      modelYamlJsonSchema(),
    );
  });
});
