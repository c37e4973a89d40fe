/** A small manifest for the tests of this package that need one but not its files. */
import type { ModelManifest } from '@inferry/contracts';
import { expect, test } from 'vitest';
import { buildManifest } from './build-manifest.ts';
import { parseModelYaml } from './model-yaml.ts';

const text = `backend: simulated
inputs: [{name: x, dtype: FP32, shape: [-1, 2]}]
outputs: [{name: y, dtype: FP32, shape: [-1, 2]}]
`;

export function manifestOf(name: string, version: string, digest = 'd'): ModelManifest {
  const yaml = parseModelYaml('model.yaml', text);
  if (!yaml.ok) throw new Error('the fixture is valid');
  const built = buildManifest({
    name,
    version,
    digest,
    yaml: yaml.value,
    onnx: null,
    labels: [],
    tokenizer: null,
  });
  if (!built.ok) throw new Error('the fixture is valid');
  return built.value;
}

test('a simulated model has a batch dimension when its tensors have one', () => {
  expect(manifestOf('m', '1')).toMatchObject({ name: 'm', maxBatchSize: 8, warmupRows: [1, 8] });
});
