/** Building blocks of the OpenAPI document: parameters, headers, bodies and responses by reference. */
import { type ErrorCode, errorRegistry } from '@inferry/contracts';

import { jsonLengthHeader } from './binary-parts.ts';
import { statusOn, type Surface } from './surface.ts';

/** In whose words problems are told. */

export type OpenApiObject = { readonly [key: string]: unknown };

export const json = 'application/json';

/** model_unavailable: it was unloaded. */
export const modelCodes: readonly ErrorCode[] = [
  'model_not_found',
  'model_version_not_found',
  'model_unavailable',
];
export const bodyCodes: readonly ErrorCode[] = [
  'malformed_json',
  'invalid_header',
  'payload_too_large',
  'unsupported_media_type',
  'unsupported_content_encoding',
  'unknown_field',
  'invalid_input',
  'invalid_deadline',
];
/** Who is not let in. */
export const loadCodes: readonly ErrorCode[] = [
  'queue_full',
  'quota_exceeded',
  'deadline_infeasible',
  'model_unavailable',
  'storage_exhausted',
  'queue_unavailable',
  'draining',
];
/** How a job that somebody waits for can end. */
export const runCodes: readonly ErrorCode[] = [
  'input_rejected',
  'model_error',
  'output_too_large',
  'worker_lost',
  'execution_timeout',
  'deadline_exceeded',
  'queue_timeout',
  'canceled_by_user',
  'job_gone',
];

/** Headers a response can carry, by the name they are referred to. */
export const headerComponents: OpenApiObject = {
  'Request-Id': header('The id in logs; a valid `Request-Id` or `X-Request-Id` is echoed.'),
  'Server-Timing': header('`total`, and the stages of a job where its result is in the answer.'),
  'Job-Id': header('Id of the job.'),
  Location: header('Path of the job.'),
  'Preference-Applied': header('Which preference was honoured: `wait=n` or `respond-async`.'),
  'Idempotency-Replayed': header('`true` when an earlier submit with this key is answered.'),
  'Retry-After': header('Seconds until the next try, or look at the job, makes sense.'),
  'Retry-After-Ms': header('The same in milliseconds.'),
  'X-Queue-Wait-Ms': header('Milliseconds the job waited in the queue.'),
  'X-Batch-Size': header('Rows that ran together.'),
  'X-Overtaken-By': header(
    'Later jobs of its tenant and priority that started before this one: 0 unless a worker was lost.',
  ),
  'Cache-Status': header(
    '`inferry; hit` where the answer was kept from an earlier request; there is no job then.',
  ),
  [jsonLengthHeader]: header('Bytes of the JSON, where data of tensors follows it.'),
  Allow: header('The methods the route takes.'),
  'Accept-Post': header('The media types the route takes.'),
};

export const parameterComponents: OpenApiObject = {
  model: path(
    'model',
    'Name of the model; under /v1 and /bento also `name@version` or `name@label`.',
  ),
  version: path('version', 'Version of the model, or a label.'),
  label: path('label', 'Label of a version, such as `stable`.'),
  repository: path('repository', 'Any name: there is one repository.'),
  id: path('id', 'Id of the job.'),
  wait: {
    name: 'wait',
    in: 'query',
    description: 'Hold the request until the job has ended, for so many seconds at most.',
    schema: { type: 'integer', minimum: 0 },
  },
  prefer: {
    name: 'Prefer',
    in: 'header',
    description:
      '`wait=<seconds>`, `wait`, `respond-async` (RFC 7240). With `respond-async` a request that would be late becomes a job to come back for, instead of being refused.',
    schema: { type: 'string' },
    example: 'wait=10',
  },
  cancelAfter: {
    name: 'Cancel-After',
    in: 'header',
    description: 'Another way to give `deadline_ms`: `30`, `90s`, `5m`, `1h30m`.',
    schema: { type: 'string', pattern: '^(?:[0-9]+|(?=.)(?:[0-9]+h)?(?:[0-9]+m)?(?:[0-9]+s)?)$' },
  },
  tenant: {
    name: 'Inferry-Tenant',
    in: 'header',
    description:
      'Whose request it is, `default` when absent. Ignored where the server has no tenants. It proves nothing: a proxy that knows its callers sets it.',
    schema: { type: 'string' },
    example: 'default',
  },
  jsonLength: {
    name: jsonLengthHeader,
    in: 'header',
    description: 'Bytes of the JSON, where data of tensors follows it; 0 for a raw body.',
    schema: { type: 'integer', minimum: 0 },
  },
  idempotencyKey: {
    name: 'Idempotency-Key',
    in: 'header',
    description: 'Makes the submit repeatable: 1 to 255 visible ASCII characters, quoted or not.',
    schema: { type: 'string', pattern: '^[!-~]{1,257}$' },
  },
};

export const acceptedHeaders = ['Job-Id', 'Location', 'Preference-Applied', 'Retry-After'];
/** Of an answer to a held request. */
export const heldHeaders = ['Job-Id', 'Cache-Status'];
export const resultHeaders = ['X-Queue-Wait-Ms', 'X-Batch-Size', 'X-Overtaken-By'];

export function parameter(name: string): OpenApiObject {
  return { $ref: `#/components/parameters/${name}` };
}

export function schema(name: string): OpenApiObject {
  return { $ref: `#/components/schemas/${name}` };
}

/** A successful response; `content` maps media types to schemas and is empty where there is no body. */
export function success(
  description: string,
  content: Readonly<Record<string, OpenApiObject>>,
  headers: readonly string[] = [],
): OpenApiObject {
  const media = Object.entries(content).map(([type, value]) => [type, { schema: value }]);
  return {
    description,
    headers: headerRefs(headers),
    ...(media.length === 0 ? {} : { content: Object.fromEntries(media) }),
  };
}

/** To a held request. */
export const lateAnswer = success(
  'With `Prefer: respond-async`, where the answer would be late: the job to come back for.',
  { [json]: schema('Job') },
  acceptedHeaders,
);

/** A route that is read. */
export function getOperation(
  tag: string,
  summary: string,
  response: OpenApiObject,
  codes: readonly ErrorCode[] = [],
  parameters: readonly OpenApiObject[] = [],
  surface: Surface = 'v1',
): OpenApiObject {
  return {
    get: {
      tags: [tag],
      summary,
      parameters,
      responses: { '200': response, ...problems(surface, codes) },
    },
  };
}

/** The responses for these codes, one for each status they have on the surface. */
export function problems(surface: Surface, codes: readonly ErrorCode[]): OpenApiObject {
  const byStatus = new Map<number, ErrorCode[]>();
  for (const code of new Set<ErrorCode>([...codes, ...everywhere])) {
    const shown = statusOn(surface, code);
    byStatus.set(shown, [...(byStatus.get(shown) ?? []), code]);
  }
  const responses = [...byStatus].map(([status, members]) => [
    String(status),
    {
      description: members.map((code) => `\`${code}\`: ${errorRegistry[code].title}.`).join(' '),
      headers: headerRefs(['Retry-After', 'Retry-After-Ms', 'Allow', 'Accept-Post']),
      content: { 'application/problem+json': { schema: schema('Problem') } },
    },
  ]);
  return Object.fromEntries(responses) as OpenApiObject;
}

/** What any route can answer. */
const everywhere: readonly ErrorCode[] = [
  'method_not_allowed',
  'request_timeout',
  'headers_too_large',
  'internal',
];

function headerRefs(names: readonly string[]): OpenApiObject {
  const all = ['Request-Id', 'Server-Timing', ...names];
  return Object.fromEntries(all.map((name) => [name, { $ref: `#/components/headers/${name}` }]));
}

function header(description: string): OpenApiObject {
  return { description, schema: { type: 'string' } };
}

function path(name: string, description: string): OpenApiObject {
  return { name, in: 'path', required: true, description, schema: { type: 'string' } };
}
