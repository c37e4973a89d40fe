export { checkLimits, defaultLimits, type Limits } from './limits.ts';
export {
  type BoxesHead,
  type BoxFormat,
  type BoxUnits,
  type ClassScores,
  type DetectHead,
  detectOutputs,
  type DetectSpec,
  type EndToEndHead,
  type PriorLevel,
  type ScoreActivation,
  type SsdHead,
  type YoloAnchorHead,
  type YoloAnchorOutput,
  type Yolov5Head,
  type Yolov8Head,
  type YoloxHead,
} from './detect-spec.ts';
export {
  type ErrorClass,
  type ErrorCode,
  errorRegistry,
  type ErrorSpec,
  type Failure,
  failure,
} from './errors.ts';
export { exampleRow } from './example-row.ts';
export { decodeFrame, encodeFrame, type Frame, joinPieces } from './frame.ts';
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
  type TraceContext,
} from './job.ts';
export type { JsonObject, JsonValue } from './json.ts';
export {
  type AdmissionSpec,
  attemptsMaxOf,
  concurrentMaxDefault,
  emitsPartials,
  type EnsembleSpec,
  type EnsembleStep,
  fullInputs,
  hasPipeline,
  type InstanceGroup,
  isComposed,
  modelsRunBy,
  type LingerSpec,
  type ModelManifest,
  nestedStepsMax,
  queueTimeoutOf,
  type ProcessorSpec,
  type ProviderKind,
  type SimulatedSpec,
  type WarmupInput,
  type WarmupSample,
} from './manifest.ts';
export type { CarriedOut, ControlOrder } from './model-control.ts';
export { defaultLabel, type ModelRouting, type TrafficShare } from './model-routing.ts';
export {
  decodeInput,
  decodeOutput,
  encodeInput,
  encodeOutput,
  inputPieces,
  type JobInput,
  type JobOutput,
  type OutputHeader,
  outputOf,
  outputParts,
  type PipelineRow,
} from './payload.ts';
export type { ClassifySpec, ImageSpec, PostprocessSpec, PreprocessSpec } from './pipeline-spec.ts';
export {
  nestedLeaves,
  type NestedDatatype,
  type NestedTensor,
  positionOf,
  readNested,
  writeNested,
} from './nested-elements.ts';
export {
  categoryCode,
  columnProblem,
  columnWidth,
  type NumberColumn,
  type TabularColumn,
  type TabularSpec,
} from './tabular-spec.ts';
export type { Normalization, TensorAnswerSpec, TensorFieldsSpec } from './tensor-pipeline-spec.ts';
export { textProblem, type TextSpec } from './text-spec.ts';
export type {
  AddedTokenJson,
  NormalizerJson,
  PatternJson,
  PostProcessorJson,
  PreTokenizerJson,
  TokenizerJson,
  TokenizerModelJson,
} from './tokenizer-json.ts';
export type { Estimate, LineView, ServerView, ServicePoint, ServiceProfile } from './service.ts';
export {
  type Datatype,
  datatypeBytes,
  elementCount,
  fieldShape,
  holdsElements,
  isDatatype,
  joinBytes,
  splitBytes,
  type Tensor,
  type TensorSpec,
} from './tensor.ts';
export type { ServedModel, WorkerAnnouncement } from './worker-announcement.ts';
