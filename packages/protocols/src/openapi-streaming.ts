/** The routes that answer with events, or with a part of an answer at a time, described. */
import { eventStreamType } from './event-stream.ts';
import {
  bodyCodes,
  heldHeaders,
  json,
  loadCodes,
  modelCodes,
  type OpenApiObject,
  parameter,
  problems,
  resultHeaders,
  runCodes,
  success,
} from './openapi-parts.ts';
import type { Surface } from './surface.ts';

const generateBody: OpenApiObject = {
  type: 'object',
  description:
    'By the names of inputs: a value, or a list of values. Members that are no inputs are parameters.',
  properties: { id: { type: 'string' }, parameters: { type: 'object' } },
  additionalProperties: true,
};
const generateAnswer: OpenApiObject = {
  type: 'object',
  description: 'By the names of outputs: a value, or a flat list of values.',
  required: ['model_name', 'model_version'],
  properties: {
    id: { type: 'string' },
    model_name: { type: 'string' },
    model_version: { type: 'string' },
  },
  additionalProperties: true,
};

/** What each event of a stream is. */
function event(description: string): OpenApiObject {
  return {
    type: 'object',
    description,
    required: ['data'],
    properties: {
      id: { type: 'string' },
      event: { type: 'string' },
      data: { type: 'string', description: 'A JSON document.' },
      retry: { type: 'integer' },
    },
  };
}

/** The events of a job. */
export const eventsContent: Readonly<Record<string, OpenApiObject>> = {
  [eventStreamType]: event(
    'Server-sent events. `state`, `queue`, `reset` and `done` hold the job as GET answers it; `output` holds `index` and `output`, a part of the answer; `error` holds a problem, and ends the stream. After `reset` all parts that were told are void. More events may be added.',
  ),
};

const placeParameters = (
  [
    ['after', 'query', 'Id of the last event that was read: what follows it is told.'],
    ['Last-Event-ID', 'header', 'The same, as event sources send it by themselves.'],
  ] as const
).map(([name, place, description]) => ({
  name,
  in: place,
  description,
  schema: { type: 'string', pattern: '^(?:done|[0-9]{1,9}-[0-9]{1,9})?$' },
}));

export const eventsPath: OpenApiObject = {
  get: {
    tags: ['jobs'],
    summary: 'What becomes of the job, as it happens',
    description:
      'The state and the place in the line, what a running job tells of its answer, and the end. The stream is closed after `done`, and after 15 minutes; who comes back with the id of the last event goes on from there.',
    parameters: [parameter('id'), ...placeParameters],
    responses: {
      '200': success('The events.', eventsContent, ['Job-Id']),
      '204': success('The event `done` was read before: nothing follows it.', {}),
      ...problems('v1', [
        'job_not_found',
        'job_gone',
        'queue_unavailable',
        'queue_full',
        'invalid_query',
        'invalid_header',
      ]),
    },
  },
};

/** `.../generate` and `.../generate_stream`, with the parameters of `base`. */
export function generatePaths(
  base: string,
  parameters: readonly OpenApiObject[],
  surface: Surface,
): OpenApiObject {
  const operation = (
    summary: string,
    description: string,
    content: Readonly<Record<string, OpenApiObject>>,
  ): OpenApiObject => ({
    post: {
      tags: ['inference'],
      summary,
      description,
      parameters: [...parameters, parameter('tenant')],
      requestBody: { required: true, content: { [json]: { schema: generateBody } } },
      responses: {
        '200': success('The outputs.', content, [...heldHeaders, ...resultHeaders]),
        ...problems(surface, [...modelCodes, ...bodyCodes, ...loadCodes, ...runCodes]),
      },
    },
  });
  return {
    [`${base}/generate`]: operation(
      'Infer by the names of inputs, and wait for the answer',
      "Triton's generate extension. The job is canceled when the caller goes away.",
      { [json]: generateAnswer },
    ),
    [`${base}/generate_stream`]: operation(
      'The same, with what the job tells before its end',
      'Each event has an answer as that of generate: the parts that a model tells, then the whole. Where the job fails after that, the last event has the member `error`. A job that was started anew tells its parts anew.',
      { [eventStreamType]: event('The answer is in `data`.') },
    ),
  };
}
