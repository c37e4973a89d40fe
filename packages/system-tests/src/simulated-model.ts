/** Model repositories made for a test: a stand-in model that costs, and breaks, as the test needs. */
import { cp, mkdir, mkdtemp, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export interface SimulatedCosts {
  readonly run_ms?: number;
  readonly row_ms?: number;
  readonly fail_on?: number;
  readonly hang_on?: number;
  readonly crash_on?: number;
}

/** A repository in a temporary folder with one simulated model: input `x`, output `y`, FP32 [N,1]. */
export async function writeSimulatedModel(
  name: string,
  costs: SimulatedCosts,
  settings: Readonly<Record<string, number | string>> = {},
): Promise<string> {
  const repository = await mkdtemp(join(tmpdir(), 'inferry-models-'));
  const folder = join(repository, name);
  await mkdir(join(folder, '1'), { recursive: true });
  const lines = [
    'backend: simulated',
    ...Object.entries({ max_batch_size: 8, ...settings }).map(([key, value]) => `${key}: ${value}`),
    'inputs: [{name: x, dtype: FP32, shape: [-1, 1]}]',
    'outputs: [{name: y, dtype: FP32, shape: [-1, 1]}]',
    'simulated:',
    ...Object.entries({ run_ms: 0, ...costs }).map(([key, value]) => `  ${key}: ${value}`),
  ];
  await writeFile(join(folder, 'model.yaml'), `${lines.join('\n')}\n`);
  return repository;
}

/** One repository in a temporary folder with the models of all the given ones. */
export async function joinRepositories(repositories: readonly string[]): Promise<string> {
  const joined = await mkdtemp(join(tmpdir(), 'inferry-models-'));
  for (const repository of repositories) await cp(repository, joined, { recursive: true });
  return joined;
}
