/** The one backend a worker uses: each model is loaded by the implementation its manifest names. */
import type { InferenceBackend } from './port.ts';
import { createOnnxBackend } from './onnx/onnx-backend.ts';
import {
  createSimulatedBackend,
  type SimulatedBackendOptions,
} from './simulated/simulated-backend.ts';

/** `clock` times simulated runs; `abort` is how a simulated native crash ends the process. */
export function createBackend(options: SimulatedBackendOptions): InferenceBackend {
  const onnx = createOnnxBackend();
  const simulated = createSimulatedBackend(options);
  return {
    load: (manifest, device, preparation) =>
      (manifest.backend === 'simulated' ? simulated : onnx).load(manifest, device, preparation),
  };
}
