/**
 * The variants that Python makes, with the real packages: `npm run test:optimize`. Needs python3 and, the
 * first time, a package index; `npm test` does not.
 */
import { execFile } from 'node:child_process';
import { mkdir, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { loadRepository } from '@inferry/models';
import { systemClock } from '@inferry/runtime';
import { repositoryPath } from '@inferry/testkit';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { optimize } from './optimize.ts';
import type { OptimizeOptions, Variant } from './options.ts';

/** Where the command itself keeps it. */
const venv = join(homedir(), '.cache', 'inferry', 'optimize');
let models: string;
let heldout: string;

beforeAll(async () => {
  models = await mkdtemp(join(tmpdir(), 'inferry-variants-'));
  heldout = join(models, '.heldout');
  const text = await readFile(repositoryPath('models/digits/heldout/heldout.json'), 'utf8');
  const { images, labels } = JSON.parse(text) as {
    readonly images: readonly string[];
    readonly labels: readonly number[];
  };
  for (const [i, image] of images.entries()) {
    const folder = join(heldout, String(labels[i]));
    await mkdir(folder, { recursive: true });
    await writeFile(join(folder, `${i}.png`), Buffer.from(image, 'base64'));
  }
});
afterAll(() => rm(models, { recursive: true, force: true }));

async function run(
  changes: Partial<OptimizeOptions> & Pick<OptimizeOptions, 'samples' | 'variants'>,
): Promise<{ readonly code: number; readonly printed: string; readonly complaints: string }> {
  let [printed, complaints] = ['', ''];
  const options: OptimizeOptions = {
    modelsDir: repositoryPath('models'),
    model: 'digits',
    version: null,
    minAgreement: 0.99,
    level: 'extended',
    out: join(models, '.out'),
    install: true,
    venv,
    asJson: true,
    ...changes,
  };
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

test('digits in fp16, int8 and calibrated int8 is smaller and still right', async () => {
  const wanted: readonly Variant[] = ['fp16', 'int8', 'int8-static'];
  const { code, complaints, printed } = await run({ variants: wanted, samples: [heldout] });
  expect([code, complaints.replaceAll(/^inferry: (?:making|installing).*\n/gmu, '')]).toEqual([
    0,
    '',
  ]);
  const { bytes, variants } = JSON.parse(printed) as {
    readonly bytes: number;
    readonly variants: readonly {
      readonly variant: string;
      readonly bytes: number;
      readonly calibrated_on: number | null;
      readonly accuracy: {
        readonly samples: number;
        readonly outputs: readonly { readonly max_abs: number; readonly cosine: number }[];
        readonly correct: { readonly variant: number };
      };
    }[];
  };
  expect(variants.map(({ variant }) => variant)).toEqual(wanted);
  for (const { accuracy, bytes: own } of variants) {
    expect(own).toBeLessThan(bytes);
    expect(accuracy.correct.variant).toBeGreaterThanOrEqual(0.98);
    // Another precision, and not the same file again.
    expect(accuracy.outputs[0]?.max_abs).toBeGreaterThan(0);
    expect(accuracy.outputs[0]?.cosine).toBeGreaterThan(0.99);
  }
  // What calibrates does not judge.
  expect(variants.map(({ accuracy, calibrated_on: on }) => [on, accuracy.samples])).toEqual([
    [null, 360],
    [null, 360],
    [180, 180],
  ]);
  expect((await readdir(join(models, '.out'))).toSorted()).toEqual([
    '1-fp16',
    '1-int8',
    '1-int8-static',
  ]);
});

/** Scores x and 1.0001 x: in half precision they are the same. */
const closeScores = `
import onnx, numpy as np
from onnx import TensorProto as T, helper as h, numpy_helper as n
w = n.from_array(np.array([[1, 1.0001]], dtype=np.float32), "w")
v = lambda name, k: h.make_tensor_value_info(name, T.FLOAT, ["rows", k])
g = h.make_graph([h.make_node("MatMul", ["x", "w"], ["y"])], "g", [v("x", 1)], [v("y", 2)], [w])
m = h.make_model(g, opset_imports=[h.make_opsetid("", 17)], ir_version=8)
onnx.save(m, "model.onnx")
`;

test('a variant that decides otherwise is refused, and nothing of it is left', async () => {
  const folder = join(models, 'close');
  await mkdir(join(folder, '1'), { recursive: true });
  await promisify(execFile)(join(venv, 'bin', 'python'), ['-c', closeScores], {
    cwd: join(folder, '1'),
  });
  await writeFile(
    join(folder, 'model.yaml'),
    'preprocess: { tabular: { columns: [v] } }\npostprocess: { classify: { output: y, labels: [a, b] } }\n',
  );
  expect((await loadRepository(models)).problems).toEqual([]);
  const sample = join(models, '.rows.json');
  await writeFile(sample, JSON.stringify([{ v: 1 }, { v: 2 }]));
  const out = join(folder, '.optimized');
  const { code, complaints, printed } = await run({
    modelsDir: models,
    model: 'close',
    variants: ['fp16'],
    samples: [sample],
    out,
    asJson: false,
  });
  expect(complaints).toBe('');
  expect(printed).toContain('refused: it agrees on 0.00 % of the samples, 99.00 % are asked for');
  expect(code).toBe(1);
  expect(await readdir(out)).toEqual([]);
});
