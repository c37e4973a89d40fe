/** A processor that tells parts of its answer, for tests: it counts, with a step of another model for each of the first three. */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { writeSimulatedModel } from './simulated-model.ts';

const modelYaml = `backend: processor
processor: { runs: [step] }
inputs: [{ name: until, dtype: INT64, shape: [1] }]
outputs: [{ name: numbers, dtype: INT64, shape: [-1] }]
`;

const processor = `export async function generate({ emit, inputs, run }) {
  const numbers = [];
  for (let n = 1n; n <= inputs.until.data[0]; n += 1n) {
    if (n <= 3n) await run({ x: { data: Float32Array.of(Number(n)), shape: [1, 1] } });
    numbers.push(n);
    await emit({ numbers: { data: BigInt64Array.of(n) } });
  }
  return { numbers: { data: BigInt64Array.from(numbers) } };
}
`;

/** A repository in a temporary folder with the models `counter` and `step`; a step takes `stepMs`. */
export async function writeTalkingModel(stepMs: number): Promise<string> {
  const repository = await writeSimulatedModel('step', { run_ms: stepMs });
  const folder = join(repository, 'counter');
  await mkdir(folder);
  await writeFile(join(folder, 'model.yaml'), modelYaml);
  await writeFile(join(folder, 'processor.js'), processor);
  return repository;
}
