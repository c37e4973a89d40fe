/** Problem documents (RFC 9457): the one form of every answer that is not a success. */
import { type ErrorCode, errorRegistry, type Failure, type JobRecord } from '@inferry/contracts';
import { z } from 'zod';

import { toldText } from './refusals.ts';
import { statusOn, type Surface } from './surface.ts';

interface ProblemAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Readonly<Record<string, unknown>>;
}

/** When a caller may come back after a 503 that names no time. */
const unavailableMs = 1_000;

const codes = Object.keys(errorRegistry) as [ErrorCode, ...ErrorCode[]];

export const problemSchema = z
  .looseObject({
    type: z.string().describe('https://inferry.dev/problems/<code>'),
    title: z.string(),
    status: z.int(),
    code: z.enum(codes).describe('The stable contract; more codes may be added.'),
    detail: z.string(),
    instance: z.string(),
    request_id: z.string(),
    retryable: z.boolean().describe('The same request may succeed later, unchanged.'),
    retry_after_ms: z.int().optional(),
    limit_bytes: z.int().optional(),
    estimate_ms: z
      .number()
      .optional()
      .describe('Expected time to the answer, of a request that is refused because of it.'),
    budget_ms: z.number().optional().describe('Within which it would have had to be there.'),
    errors: z
      .array(z.object({ pointer: z.string(), code: z.string(), detail: z.string() }))
      .optional(),
    error: z
      .string()
      .optional()
      .describe(
        'On /v2 and on the routes of TensorFlow Serving: the detail, where clients look for it.',
      ),
  })
  .meta({ description: 'RFC 9457 problem document.' });

export const jobErrorSchema = z.strictObject({
  type: z.string(),
  code: z.enum(codes),
  title: z.string(),
  detail: z.string(),
  http_status: z.int(),
  retryable: z.boolean(),
  attempt: z.int(),
});

/**
 * The answer to a failure. On every `surface` but v1 the member `error` repeats the detail, as
 * clients of these protocols expect. `Retry-After` is in whole seconds, rounded up; `Retry-After-Ms`
 * is what it was made of.
 */
export function problemDocument(
  failure: Failure,
  context: {
    readonly requestId: string;
    readonly instance: string;
    readonly surface: Surface;
  },
): ProblemAnswer {
  const spec = errorRegistry[failure.code];
  const isOurs = context.surface === 'v1';
  const detail = toldText(failure.detail);
  const status = statusOn(context.surface, failure.code);
  // What a 503 is for passes, unless it is a setting; a caller that is told no time would guess one.
  const isPassing = status === 503 && spec.retryable;
  const retryAfterMs = failure.retryAfterMs ?? (isPassing ? unavailableMs : undefined);
  return {
    status,
    headers: {
      'Content-Type': 'application/problem+json',
      ...(retryAfterMs === undefined
        ? {}
        : {
            'Retry-After': String(Math.max(1, Math.ceil(retryAfterMs / 1000))),
            'Retry-After-Ms': String(Math.ceil(retryAfterMs)),
          }),
    },
    body: {
      ...failure.extras,
      type: problemType(failure.code),
      title: spec.title,
      status,
      code: failure.code,
      detail,
      instance: context.instance,
      request_id: context.requestId,
      retryable: spec.retryable,
      ...(retryAfterMs === undefined ? {} : { retry_after_ms: Math.ceil(retryAfterMs) }),
      ...(isOurs ? {} : { error: detail }),
    },
  };
}

/** The `error` member of a job that did not succeed; null while there is none. */
export function jobError(record: JobRecord): z.infer<typeof jobErrorSchema> | null {
  const error = record.outcome?.error ?? null;
  if (error === null) return null;
  const spec = errorRegistry[error.code];
  return {
    type: problemType(error.code),
    code: error.code,
    title: spec.title,
    detail: error.detail,
    http_status: spec.status,
    retryable: spec.retryable,
    attempt: record.attempt,
  };
}

function problemType(code: ErrorCode): string {
  return `https://inferry.dev/problems/${code}`;
}
