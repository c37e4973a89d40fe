export { checkLimits, defaultLimits, type Limits } from './limits.ts';
export {
  type ErrorClass,
  type ErrorCode,
  errorRegistry,
  type ErrorSpec,
  type Failure,
  failure,
} from './errors.ts';
export { decodeFrame, encodeFrame, type Frame } from './frame.ts';
export { halfToNumber, numberToHalf } from './half.ts';
export {
  type ClassId,
  classOf,
  isJobId,
  isModelName,
  isModelVersion,
  type JobId,
  newId,
  newJobId,
  partsOf,
  reservedNames,
} from './ids.ts';
export {
  defaultTenant,
  isTerminal,
  type JobEnvelope,
  type JobError,
  type JobRecord,
  type JobStatus,
  type Outcome,
  priorities,
  type Priority,
  type StageTimings,
  type TerminalStatus,
} from './job.ts';
export type { JsonObject, JsonValue } from './json.ts';
export {
  type AdmissionSpec,
  hasPipeline,
  type InstanceGroup,
  type LingerSpec,
  type ModelManifest,
  type ProviderKind,
  type SimulatedSpec,
} from './manifest.ts';
export {
  decodeInput,
  encodeInput,
  type JobInput,
  type JobOutput,
  type OutputHeader,
  outputOf,
  outputParts,
  type PipelineRow,
} from './payload.ts';
export type {
  ClassifySpec,
  ImageSpec,
  PostprocessSpec,
  PreprocessSpec,
  TabularColumn,
  TabularSpec,
} from './pipeline-spec.ts';
export type { Estimate, LineView, ServerView, ServicePoint, ServiceProfile } from './service.ts';
export {
  type Datatype,
  datatypeBytes,
  elementCount,
  isDatatype,
  joinBytes,
  splitBytes,
  type Tensor,
  type TensorSpec,
} from './tensor.ts';
export type { ServedModel, WorkerAnnouncement } from './worker-announcement.ts';
