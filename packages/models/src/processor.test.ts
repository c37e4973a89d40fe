/** Processors in a repository: what is read of them, and what is refused, with file and line. */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { problemText } from './file-problem.ts';
import { loadRepository } from './load-repository.ts';

let folder = '';
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'inferry-processors-'));
  await put('echo/model.yaml', `backend: simulated\n${tensors}`);
});
afterEach(() => rm(folder, { recursive: true }));

const tensors = `inputs: [{name: x, dtype: FP32, shape: [-1, 2]}]
outputs: [{name: x, dtype: FP32, shape: [-1, 2]}]
`;

async function put(path: string, content: string): Promise<void> {
  const file = join(folder, path);
  await mkdir(dirname(file), { recursive: true });
  await writeFile(file, content);
}

function yamlOf(runs: string, more = ''): string {
  return `backend: processor
processor:
  runs: ${runs}
${tensors}${more}`;
}

async function found(): Promise<{ readonly served: string[]; readonly problems: string[] }> {
  const { models, problems } = await loadRepository(folder);
  return {
    served: models.map(({ name, version }) => `${name}@${version}`),
    problems: problems.map((problem) => problemText(problem).replaceAll(`${folder}/`, '')),
  };
}

async function digest(): Promise<string | undefined> {
  return (await loadRepository(folder)).models.find(({ name }) => name === 'loop')?.digest;
}

describe('a processor', () => {
  test('is a model without a session, whose code only workers open', async () => {
    await put('loop/model.yaml', yamlOf('[echo]', 'execution_timeout_ms: 500\n'));
    await put('loop/processor.ts', 'not even = code');
    expect(await found()).toEqual({ served: ['echo@1', 'loop@1'], problems: [] });
    const { models } = await loadRepository(folder);
    expect(models[1]).toMatchObject({
      backend: 'processor',
      file: null,
      maxBatchSize: 0,
      processor: {
        file: join(folder, 'loop/processor.ts'),
        runs: ['echo'],
        stepsMax: 10_000,
      },
      concurrentMax: 64,
      executionTimeoutMs: 500,
      warmupRows: [],
      inputs: [{ name: 'x', datatype: 'FP32', shape: [-1, 2] }],
    });
  });

  test('has bounds of its own where it says so', async () => {
    const yaml = yamlOf('[echo]').replace('[echo]', '[echo]\n  concurrent: 3\n  max_steps: 20');
    await put('loop/model.yaml', yaml);
    await put('loop/processor.mjs', '');
    const { models } = await loadRepository(folder);
    expect(models[1]).toMatchObject({ concurrentMax: 3, processor: { stepsMax: 20 } });
  });

  test('is another model when any file changes that it may import', async () => {
    await put('loop/model.yaml', yamlOf('[echo]'));
    await put('loop/processor.ts', 'a');
    const digests = [await digest()];
    for (const [file, text] of [
      ['processor.ts', 'bb'],
      ['lib/words.json', '{}'],
      ['lib/step.ts', 'b'],
    ] as const) {
      await put(`loop/${file}`, text);
      digests.push(await digest());
    }
    expect(new Set(digests).size).toBe(4);
    await put('loop/README.md', 'words');
    await put('loop/node_modules/left/index.js', 'words');
    await put('loop/.cache/x.js', 'words');
    expect(await digest()).toBe(digests[3]);
  });

  test('needs exactly one file to run', async () => {
    await put('none/model.yaml', yamlOf('[echo]'));
    await put('two/model.yaml', yamlOf('[echo]'));
    await put('two/processor.ts', '');
    await put('two/processor.js', '');
    expect(await found()).toEqual({
      served: ['echo@1'],
      problems: [
        'none/model.yaml:1: backend: needs a file processor.ts, processor.js, processor.mjs beside model.yaml',
        'two/model.yaml:1: backend: processor.ts and processor.js are both there: keep one of them',
      ],
    });
  });

  test('is told what it does not have', async () => {
    await put(
      'loop/model.yaml',
      `backend: processor
max_batch_size: 4
instances: [{kind: cuda}]
warmup: {rows: [1]}
queue: {weight: 2, max_linger_ms: 5, timeout_ms: 9000}
session: {intra_op_threads: 2}
response_cache: true
`,
    );
    await put('loop/processor.ts', '');
    await put('plain/model.yaml', `backend: simulated\nprocessor: {runs: [echo]}\n${tensors}`);
    const unused = 'is for models with a session, not a processor';
    expect((await found()).problems).toEqual([
      'loop/model.yaml:1: inputs: is required with backend: processor',
      'loop/model.yaml:1: outputs: is required with backend: processor',
      'loop/model.yaml:1: processor: is required with backend: processor',
      `loop/model.yaml:2: max_batch_size: ${unused}`,
      `loop/model.yaml:5: queue.max_linger_ms: ${unused}`,
      `loop/model.yaml:5: queue.weight: ${unused}`,
      `loop/model.yaml:4: warmup: ${unused}`,
      `loop/model.yaml:3: instances: ${unused}`,
      `loop/model.yaml:6: session: ${unused}`,
      'loop/model.yaml:7: response_cache: must be false: what it answers may change with the models that it runs',
      'plain/model.yaml:2: processor: is for backend: processor only',
    ]);
  });
});

describe('what a processor runs', () => {
  async function processor(name: string, runs: string): Promise<void> {
    await put(`${name}/model.yaml`, yamlOf(runs));
    await put(`${name}/processor.ts`, '');
  }

  test('may be another processor', async () => {
    await processor('outer', '[inner, echo]');
    await processor('inner', '[echo]');
    expect(await found()).toEqual({ served: ['echo@1', 'inner@1', 'outer@1'], problems: [] });
  });

  test('must be in the repository, and be served itself', async () => {
    await processor('a', '[echo, ehco]');
    await processor('b', '[echo, a]');
    await processor('c', '[b]');
    expect(await found()).toEqual({
      served: ['echo@1'],
      problems: [
        'a/model.yaml:3: processor.runs.1: the repository serves no model "ehco"',
        'b/model.yaml:3: processor.runs.1: "a" is not served itself',
        'c/model.yaml:3: processor.runs.0: "b" is not served itself',
      ],
    });
  });

  test('may not lead back to it', async () => {
    await processor('a', '[b]');
    await processor('b', '[echo, c]');
    await processor('c', '[a]');
    await processor('self', '[self]');
    await processor('user', '[c]');
    expect(await found()).toEqual({
      served: ['echo@1'],
      problems: [
        'a/model.yaml:3: processor.runs.0: "b" runs it again: a -> b -> c -> a',
        'b/model.yaml:3: processor.runs.1: "c" runs it again: b -> c -> a -> b',
        'c/model.yaml:3: processor.runs.0: "a" runs it again: c -> a -> b -> c',
        'self/model.yaml:3: processor.runs.0: "self" runs it again: self -> self',
        'user/model.yaml:3: processor.runs.0: "c" is not served itself',
      ],
    });
  });
});
