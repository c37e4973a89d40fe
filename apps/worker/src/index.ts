/** The worker: claims batches, runs them, settles them. No HTTP of callers. */
export { overheadMs as batchOverheadMs } from './batch-size.ts';
export type { WorkerDeps, WorkerDevice } from './deps.ts';
export type { WorkerState } from './lifecycle.ts';
export { profileKey } from './stored-profiles.ts';
export type { ReloadResult, WorkerStage, WorkerTelemetry } from './telemetry.ts';
export { cosineOf, type Difference, joined } from './comparing/differences.ts';
export { ModelPair, type PairAnswer, type PairTiming, prepareAll } from './comparing/model-pair.ts';
export { type BatchSample, MeasuredModel } from './tuning/measured-model.ts';
export type { AppliedVersion, ApplyReport, FindInstead, WantedModels } from './wanted-models.ts';
export { createWorker, type Worker } from './wire.ts';
// What the command line needs of inference: it starts apps, and their parts meet inside them.
export {
  availableProviders,
  createBackend,
  cudaReadiness,
  loadRuntime,
  optimizeGraph,
  setupCuda,
} from '@inferry/inference';
export { openTurboJpeg } from '@inferry/pipelines';
