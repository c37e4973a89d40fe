export { parseCancel } from './cancel.ts';
export { jobDocument } from './job-document.ts';
export { modelDocument, type ModelState, type ModelStatus } from './model-document.ts';
export {
  inferResponse,
  type InferRequest,
  modelMetadata,
  parseInferRequest,
  serverMetadata,
} from './open-inference.ts';
export { openApiDocument } from './openapi.ts';
export { type ProblemAnswer, problemDocument } from './problem.ts';
export {
  parseCancelAfter,
  parseIdempotencyKey,
  parsePrefer,
  parseWait,
  type Preference,
} from './request-headers.ts';
export {
  bindSubmit,
  readSubmit,
  type Submission,
  type SubmitBody,
  type SubmitDocument,
} from './submit.ts';
