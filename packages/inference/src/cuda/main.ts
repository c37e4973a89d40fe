/**
 * `npm run test:gpu`: where a GPU is, shows a run on it, its provider and its figure, or fails; where
 * none is, says that nothing was proved.
 */
import { fileURLToPath } from 'node:url';
import { proveCuda } from './prove.ts';

const models = [
  'models/digits/1/model.onnx',
  'packages/testkit/fixtures/models/heavy/1/model.onnx',
];

let hasFailed = false;
for (const model of models) {
  const proof = await proveCuda(fileURLToPath(new URL(`../../../../${model}`, import.meta.url)));
  if (proof.ok) {
    console.log(JSON.stringify({ model, ...proof.value }));
  } else if (proof.error.startsWith('no NVIDIA GPU here')) {
    console.log(`${proof.error}. Nothing was proved about CUDA on this machine.`);
    break;
  } else {
    console.error(`${model}: ${proof.error}`);
    hasFailed = true;
  }
}
process.exitCode = hasFailed ? 1 : 0;
