/**
 * The error registry: every code a caller, an operator or another process can meet. Codes are the
 * stable contract (RFC 9457 `code`), titles and details may change. A test holds ARCHITECTURE.md,
 * the OpenAPI document and this table to each other.
 */

/** Whose move is it? `expired` and `model` are outcomes of a job, `refused` is load, `bug` is ours. */
export type ErrorClass = 'invalid' | 'refused' | 'expired' | 'model' | 'dependency' | 'bug';

export interface ErrorSpec {
  readonly class: ErrorClass;
  /** HTTP status on /v1; on /v2 a 422 is answered as 400, as that protocol's clients expect. */
  readonly status: number;
  /** May the same request succeed later, unchanged? */
  readonly retryable: boolean;
  readonly title: string;
}

export const errorRegistry = {
  malformed_json: spec('invalid', 400, false, 'The body is not valid JSON'),
  malformed_multipart: spec('invalid', 400, false, 'The body is not valid multipart form data'),
  invalid_header: spec('invalid', 400, false, 'A request header cannot be understood'),
  invalid_query: spec('invalid', 400, false, 'A query parameter cannot be understood'),
  invalid_idempotency_key: spec('invalid', 400, false, 'The Idempotency-Key is not valid'),
  model_not_found: spec('invalid', 404, false, 'No such model'),
  model_version_not_found: spec('invalid', 404, false, 'No such version of the model'),
  job_not_found: spec('invalid', 404, false, 'No such job'),
  route_not_found: spec('invalid', 404, false, 'No such route'),
  method_not_allowed: spec('invalid', 405, false, 'The route does not take this method'),
  request_timeout: spec('invalid', 408, true, 'The request was not received in time'),
  idempotency_in_progress: spec(
    'refused',
    409,
    true,
    'The same request is being accepted right now',
  ),
  not_terminal: spec('invalid', 409, true, 'The job has not ended yet'),
  job_gone: spec('invalid', 410, false, 'The job has been removed'),
  payload_too_large: spec('invalid', 413, false, 'The request is too large'),
  unsupported_media_type: spec('invalid', 415, false, 'The media type is not supported here'),
  unsupported_content_encoding: spec(
    'invalid',
    415,
    false,
    'The content encoding is not supported',
  ),
  invalid_input: spec('invalid', 422, false, 'The input does not fit the model'),
  unknown_field: spec('invalid', 422, false, 'The body has a field that is not known'),
  invalid_deadline: spec('invalid', 422, false, 'The deadline is not valid'),
  metadata_too_large: spec('invalid', 422, false, 'The metadata is too large'),
  idempotency_key_reused: spec(
    'invalid',
    422,
    false,
    'The Idempotency-Key belongs to another request',
  ),
  headers_too_large: spec('invalid', 431, false, 'The request headers are too large'),
  not_implemented: spec('invalid', 501, false, 'This server does not do that'),
  model_control_off: spec('invalid', 503, false, 'Models cannot be loaded and unloaded here'),

  quota_exceeded: spec('refused', 429, true, 'Your own share of the queue is used up'),
  deadline_infeasible: spec('refused', 503, true, 'The answer would come too late'),
  queue_full: spec('refused', 503, true, 'The queue is full'),
  storage_exhausted: spec('refused', 503, true, 'The queue has no room for more bytes'),
  draining: spec('refused', 503, true, 'The server is shutting down'),
  model_unavailable: spec('refused', 503, true, 'The model cannot be served at present'),
  queue_unavailable: spec('dependency', 503, true, 'The queue cannot be reached'),

  input_rejected: spec('model', 422, false, 'The input could not be decoded for this model'),
  model_control_failed: spec('model', 400, false, 'The model could not be loaded or unloaded'),
  model_error: spec('model', 500, false, 'The model failed on this input'),
  output_too_large: spec('model', 500, false, 'The output is larger than the limit'),
  worker_lost: spec('dependency', 503, true, 'The workers that ran this job were lost'),
  execution_timeout: spec('expired', 504, true, 'The run took too long'),
  deadline_exceeded: spec('expired', 504, true, 'The job did not end before its deadline'),
  queue_timeout: spec('expired', 504, true, 'The job was not started in time'),
  canceled_by_user: spec('expired', 409, false, 'The job was canceled'),

  internal: spec('bug', 500, true, 'Something went wrong on our side'),
} as const satisfies Record<string, ErrorSpec>;

export type ErrorCode = keyof typeof errorRegistry;

/** An expected failure, as it travels inside a process and (without `cause`) between processes. */
export interface Failure {
  readonly code: ErrorCode;
  /** Safe for the caller to read: names the field and the limit, never a stack or a host. */
  readonly detail: string;
  /** When trying again makes sense, in milliseconds from now. */
  readonly retryAfterMs?: number;
  /** Extra members of the problem document, such as `errors` or `limit_bytes`. */
  readonly extras?: Readonly<Record<string, unknown>>;
}

export function failure(
  code: ErrorCode,
  detail: string,
  more: Pick<Failure, 'retryAfterMs' | 'extras'> = {},
): Failure {
  return { code, detail, ...more };
}

function spec(cls: ErrorClass, status: number, retryable: boolean, title: string): ErrorSpec {
  return { class: cls, status, retryable, title };
}
