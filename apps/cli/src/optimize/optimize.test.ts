/** The optimised graph of a copy of digits, judged by its two sample pictures. */
import { cp, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { loadRepository } from '@inferry/models';
import { systemClock } from '@inferry/runtime';
import { repositoryPath } from '@inferry/testkit';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { optimize } from './optimize.ts';
import type { OptimizeOptions } from './options.ts';

let models: string;
beforeEach(async () => {
  models = await mkdtemp(join(tmpdir(), 'inferry-optimize-'));
  await cp(repositoryPath('models/digits'), join(models, 'digits'), { recursive: true });
});
afterEach(() => rm(models, { recursive: true, force: true }));

async function run(
  changes: Partial<OptimizeOptions> = {},
): Promise<{ readonly code: number; readonly printed: string; readonly complaints: string }> {
  const options: OptimizeOptions = {
    modelsDir: models,
    model: 'digits',
    version: null,
    variants: ['graph'],
    samples: [join(models, 'digits/samples')],
    minAgreement: 1,
    level: 'extended',
    out: join(models, 'digits/.optimized'),
    install: false,
    venv: join(models, 'no-venv'),
    asJson: false,
    ...changes,
  };
  let [printed, complaints] = ['', ''];
  const code = await optimize(options, {
    clock: systemClock,
    print: (text) => {
      printed += text;
    },
    complain: (text) => {
      complaints += text;
    },
    progress: () => undefined,
  });
  return { code, printed, complaints };
}

const file = (...parts: readonly string[]): string => join(models, 'digits', ...parts);

test('the graph is written beside the model with its report, answers the same, and is not served', async () => {
  const original = await readFile(file('1/model.onnx'));
  const { code, printed, complaints } = await run();
  expect(complaints).toBe('');
  expect(printed).toContain('digits@1 as graph (extended), against the original on 2 samples');
  expect(printed).toMatch(/logits +\d\S* +\d\S* +1\.000000/u);
  expect(printed).toContain('agreement  100.00 % (the same label)');
  expect(printed).toContain(`written to ${file('.optimized/1-graph')}\n  not served`);
  expect(code).toBe(0);

  expect(await readFile(file('1/model.onnx'))).toEqual(original);
  expect(await readdir(file('.optimized'))).toEqual(['1-graph']);
  const report = JSON.parse(await readFile(file('.optimized/1-graph/report.json'), 'utf8'));
  expect(report).toMatchObject({
    variant: 'graph',
    accuracy: { agreement: 1, agrees_on: 'label' },
  });
  const served = await loadRepository(models);
  expect(served.problems).toEqual([]);
  expect(served.models.map(({ version }) => version)).toEqual(['1']);

  // Moved beside the others it is a version like them.
  await cp(file('.optimized/1-graph'), file('2'), { recursive: true });
  const moved = await loadRepository(models);
  expect(moved.problems).toEqual([]);
  expect(moved.models.map(({ version }) => version)).toEqual(['1', '2']);
});

test('as JSON it is one document', async () => {
  const { printed } = await run({ asJson: true });
  expect(JSON.parse(printed)).toMatchObject({
    model: 'digits@1',
    min_agreement: 1,
    variants: [{ variant: 'graph', speeds: [{ rows: 1 }, { rows: 8 }], calibrated_on: null }],
  });
});

test('what is there already is not written over', async () => {
  await run();
  const { code, complaints, printed } = await run();
  expect(complaints).toContain('1-graph is there already');
  expect(printed).toBe('');
  expect(code).toBe(1);
});

test('a sample that the pipeline refuses is named, and nothing is left behind', async () => {
  await writeFile(file('samples/broken.png'), 'no picture');
  const { code, complaints } = await run();
  expect(complaints).toMatch(/^inferry: graph: \S+broken\.png: /u);
  expect(code).toBe(1);
  expect(await readdir(file('.optimized'))).toEqual([]);
});

test('without the Python packages the other variants say what would help', async () => {
  const { code, complaints } = await run({ variants: ['fp16'] });
  expect(complaints).toMatch(/fp16: fp16 and int8 need Python packages.*--install makes it/u);
  expect(code).toBe(1);
});

test('a virtual environment that cannot be made is told, with what is needed', async () => {
  const venv = join(models, 'digits/labels.txt/venv');
  const { code, complaints } = await run({ variants: ['int8'], install: true, venv });
  expect(complaints).toMatch(/int8: python3 cannot make a virtual environment: .*venv and pip/u);
  expect(code).toBe(1);
});

test.each([
  [{ model: 'nosuch' }, 'no model is called "nosuch"'],
  [{ samples: ['/nonexistent'] }, '--samples /nonexistent: does not exist'],
])('%j is wrong usage', async (changes, reason) => {
  const { code, complaints } = await run(changes);
  expect(complaints).toContain(reason);
  expect(code).toBe(2);
});
