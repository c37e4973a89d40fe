/** Loaded models that run batches, and the provider files they need. */
export { type CudaProof, proveCuda } from './cuda/prove.ts';
export { type CudaReadiness, cudaReadiness } from './cuda/readiness.ts';
export { type CudaSetup, type CudaSetupOptions, setupCuda } from './cuda/setup.ts';
export { createBackend } from './create-backend.ts';
export { type AvailableProviders, availableProviders } from './onnx/providers.ts';
export { loadRuntime } from './onnx/load-runtime.ts';
export { createOnnxBackend, type OnnxBackendOptions } from './onnx/onnx-backend.ts';
export { type GraphLevel, optimizeGraph } from './onnx/optimize-graph.ts';
export { sampledInputs } from './onnx/warmup-samples.ts';
export { zeros } from './onnx/zeros.ts';
export type {
  Device,
  HeldBatch,
  HeldPlace,
  InferenceBackend,
  Item,
  LoadFailure,
  ModelInstance,
  OpenThreadPreparation,
  PreparationModule,
  RunFailure,
  RunItem,
  RunOutput,
  ThreadPreparation,
  ThreadPreparer,
  WarmupRun,
} from './port.ts';
export {
  createSimulatedBackend,
  type SimulatedBackendOptions,
} from './simulated/simulated-backend.ts';
