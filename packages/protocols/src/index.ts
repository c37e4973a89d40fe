export type { Allocate } from './base64.ts';
export { callResponse, type CallRequest, parseCall } from './bento.ts';
export { jsonLengthHeader } from './binary-parts.ts';
export { parseCancel } from './cancel.ts';
export {
  bindWireRequest,
  takeFinalFlag,
  writeInferResponse,
  writeStreamAnswer,
  writeStreamError,
} from './grpc/infer.ts';
export { readInferRequest, type WireInferRequest } from './grpc/infer-request.ts';
export { wireMethods, type WireMethod, type WireObject } from './grpc/service.ts';
export { grpcStatusOf } from './grpc/status.ts';
export {
  doneEvent,
  errorEvent,
  type EventPlace,
  eventStreamType,
  eventText,
  outputEvent,
  parseEventId,
  pingText,
  resetEvent,
  retryText,
  stateEvent,
} from './event-stream.ts';
export { generateResponse, parseGenerate } from './generate.ts';
export { writeJson } from './json.ts';
export { jobDocument, remainingMs } from './job-document.ts';
export { modelConfiguration } from './model-config.ts';
export { modelDocument } from './model-document.ts';
export {
  type InferAnswer,
  inferResponse,
  type InferRequest,
  modelMetadata,
  parseInferRequest,
  serverMetadata,
} from './open-inference.ts';
export { openApiDocument } from './openapi.ts';
export { problemDocument } from './problem.ts';
export { checkControl, parseControl } from './repository-control.ts';
export { parseIndexRequest } from './repository-index.ts';
export { type Compat, inferenceSurface, readinessSurface, type Surface } from './surface.ts';
export type { ModelStatistics, StatisticDuration } from './statistics.ts';
export {
  parseCancelAfter,
  parseIdempotencyKey,
  parsePrefer,
  parseWait,
  type Preference,
} from './request-headers.ts';
export { parseSubmit, type SubmitBody } from './submit.ts';
export { classifyResponse, parseClassify } from './tf-serving/classify.ts';
export { servingMetadata } from './tf-serving/metadata.ts';
export { parsePredict, predictResponse, type PredictRequest } from './tf-serving/predict.ts';
