/** Every route of the gateway, described. A test in the gateway holds this list and its router together. */
import type { ErrorCode, ModelManifest } from '@inferry/contracts';

import { jsonLengthHeader } from './binary-parts.ts';
import { inferExamples, submitExamples } from './openapi-examples.ts';
import {
  acceptedHeaders,
  bodyCodes,
  getOperation as get,
  json,
  heldHeaders,
  lateAnswer,
  loadCodes,
  modelCodes,
  type OpenApiObject,
  parameter,
  problems,
  resultHeaders,
  runCodes,
  schema,
  success,
} from './openapi-parts.ts';
import { repositoryPaths } from './openapi-repository.ts';
import { eventsContent, eventsPath, generatePaths } from './openapi-streaming.ts';
import { servingPaths } from './openapi-serving.ts';
import { type Compat, inferenceSurface, readinessSurface, type Surface } from './surface.ts';

const readCodes: readonly ErrorCode[] = ['job_not_found', 'job_gone', 'queue_unavailable'];

export function openApiPaths(models: readonly ModelManifest[], compat: Compat): OpenApiObject {
  return {
    ...pagePaths(),
    ...healthPaths(compat),
    ...inferencePaths(models, compat),
    ...repositoryPaths(inferenceSurface(compat)),
    ...servingPaths(models),
    ...jobPaths(models),
  };
}

function pagePaths(): OpenApiObject {
  const html = { 'text/html': { type: 'string' } };
  const file = { name: 'file', in: 'path', required: true, schema: { type: 'string' } };
  return {
    '/': get('pages', 'Where to go from here', success('A page.', html)),
    '/docs': get('pages', 'This document, to read and to try', success('A page.', html)),
    '/docs/assets/{file}': get(
      'pages',
      'Scripts and styles of /docs',
      success('The file.', { '*/*': {} }),
      ['route_not_found'],
      [file],
    ),
    '/openapi.json': get(
      'pages',
      'This document',
      success('OpenAPI 3.1.', { [json]: { type: 'object' } }),
    ),
  };
}

function healthPaths(compat: Compat): OpenApiObject {
  const live = success('The process runs.', { [json]: schema('Live') });
  const ready = success('Requests are accepted.', { [json]: schema('Ready') });
  const notReady: readonly ErrorCode[] = ['draining', 'queue_unavailable'];
  return {
    '/livez': get('health', 'Does the process run?', live),
    '/readyz': get('health', 'Are requests accepted?', ready, notReady),
    '/healthz': get('health', 'The same as /readyz', ready, notReady),
    '/v2/health/live': get(
      'inference',
      'Does the process run?',
      live,
      [],
      [],
      inferenceSurface(compat),
    ),
    '/v2/health/ready': get(
      'inference',
      'Are requests accepted?',
      ready,
      notReady,
      [],
      readinessSurface(compat),
    ),
  };
}

function inferencePaths(models: readonly ModelManifest[], compat: Compat): OpenApiObject {
  const v2 = inferenceSurface(compat);
  const paths: Record<string, unknown> = {
    '/v2': get(
      'inference',
      'Server metadata',
      success('Name, version, extensions.', { [json]: schema('ServerMetadata') }),
      [],
      [],
      v2,
    ),
    '/v2/models': get(
      'inference',
      'Names of the models',
      success('The names.', { [json]: schema('ModelNames') }),
      [],
      [],
      v2,
    ),
  };
  const statistics = success('Since the model versions exist, of all workers and gateways.', {
    [json]: schema('ModelStatistics'),
  });
  const statisticsOf = (parameters: readonly OpenApiObject[], codes: readonly ErrorCode[]) =>
    get('inference', 'Statistics', statistics, [...codes, 'queue_unavailable'], parameters, v2);
  paths['/v2/models/stats'] = statisticsOf([], []);
  const metadata = success('Metadata.', { [json]: schema('ModelMetadata') });
  const ready = success('A worker has it loaded, and all that it runs.', {
    [json]: schema('ModelReady'),
  });
  for (const [base, parameters] of [
    ['/v2/models/{model}', [parameter('model')]],
    ['/v2/models/{model}/versions/{version}', [parameter('model'), parameter('version')]],
  ] as const) {
    paths[base] = get('inference', 'Model metadata', metadata, modelCodes, parameters, v2);
    paths[`${base}/ready`] = get(
      'inference',
      'Is the model loaded somewhere?',
      ready,
      [...modelCodes, 'queue_unavailable'],
      parameters,
      readinessSurface(compat),
    );
    paths[`${base}/config`] = get(
      'inference',
      'Model configuration',
      success("The configuration in Triton's words.", { [json]: schema('ModelConfig') }),
      modelCodes,
      parameters,
      v2,
    );
    paths[`${base}/stats`] = statisticsOf(parameters, modelCodes);
    paths[`${base}/infer`] = { post: inferOperation(models, parameters, v2) };
    Object.assign(paths, generatePaths(base, parameters, v2));
  }
  return paths;
}

function inferOperation(
  models: readonly ModelManifest[],
  parameters: readonly OpenApiObject[],
  v2: Surface,
): OpenApiObject {
  return {
    tags: ['inference'],
    summary: 'Infer and wait for the answer',
    description:
      'Open Inference Protocol v2. The job is canceled when the caller goes away. `parameters.timeout` is in microseconds; `parameters.priority` is 1 (high), 2 (normal) or 3 (low), where the server has tenants. Data of tensors may follow the JSON, in the request (`parameters.binary_data_size`) and in the answer (`binary_data`, `binary_data_output`); the header then holds the length of the JSON. With the length 0 the body is the one input of the model and nothing else. `parameters.classification` of an output answers its largest values. Requests may be compressed with gzip or deflate, and answers are where that is accepted.',
    parameters: [...parameters, parameter('prefer'), parameter('tenant'), parameter('jsonLength')],
    requestBody: {
      required: true,
      content: {
        [json]: { schema: schema('InferRequest'), examples: inferExamples(models) },
        'application/octet-stream': {},
      },
    },
    responses: {
      '200': success(
        'The outputs.',
        { [json]: schema('InferResponse'), 'application/octet-stream': {} },
        [...heldHeaders, jsonLengthHeader, ...resultHeaders],
      ),
      '202': lateAnswer,
      ...problems(v2, [...modelCodes, ...bodyCodes, ...loadCodes, ...runCodes]),
    },
  };
}

function jobPaths(models: readonly ModelManifest[]): OpenApiObject {
  const job = { [json]: schema('Job') };
  const id = parameter('id');
  return {
    '/v1/models': get(
      'models',
      'The served models',
      success('A list.', { [json]: schema('ModelList') }),
    ),
    '/v1/models/{model}': get(
      'models',
      'One model: what it takes, what it gives, how it is doing',
      success('The model.', { [json]: schema('Model') }),
      modelCodes,
      [parameter('model')],
      'serving',
    ),
    '/v1/models/{model}/jobs': {
      post: submitOperation([parameter('model')], 'Submit', {
        [json]: { schema: schema('Submit'), examples: submitExamples(models, false) },
        'multipart/form-data': { schema: multipart },
        'image/*': { schema: {} },
        'application/octet-stream': { schema: {} },
      }),
    },
    '/v1/jobs': {
      post: submitOperation([], 'Submit, with the model in the body', {
        [json]: { schema: schema('SubmitWithModel'), examples: submitExamples(models, true) },
        'multipart/form-data': { schema: multipart },
      }),
    },
    '/v1/jobs/{id}': {
      ...get(
        'jobs',
        'The job as it is now, or once it has ended',
        success('The job.', job, ['Job-Id', 'Preference-Applied', 'Retry-After', ...resultHeaders]),
        [...readCodes, 'invalid_query'],
        [id, parameter('wait'), parameter('prefer')],
      ),
      delete: {
        tags: ['jobs'],
        summary: 'Remove a job that has ended, with its result',
        parameters: [id],
        responses: {
          '204': success('Removed.', {}),
          ...problems('v1', [...readCodes, 'not_terminal']),
        },
      },
    },
    '/v1/jobs/{id}/events': eventsPath,
    '/v1/jobs/{id}/cancel': {
      post: {
        tags: ['jobs'],
        summary: 'End a job; one that has ended stays as it is',
        parameters: [id],
        requestBody: { required: false, content: { [json]: { schema: schema('Cancel') } } },
        responses: {
          '200': success('The job.', job, ['Job-Id']),
          ...problems('v1', [...readCodes, ...bodyCodes]),
        },
      },
    },
  };
}

const multipart = {
  type: 'object',
  description:
    'A part `request` with the JSON and file parts it refers to as {"$part": "name"}; or only file parts, named as the fields of the input.',
  properties: { request: { type: 'string' } },
  additionalProperties: { type: 'string', contentMediaType: 'application/octet-stream' },
};

function submitOperation(
  parameters: readonly OpenApiObject[],
  summary: string,
  content: OpenApiObject,
): OpenApiObject {
  const job = { [json]: schema('Job') };
  const headers = [...acceptedHeaders, 'Idempotency-Replayed'];
  return {
    tags: ['jobs'],
    summary,
    description:
      'With `Accept: text/event-stream` the answer is the events of the job, as `/v1/jobs/{id}/events` has them; the job goes on when the caller goes away.',
    parameters: [
      ...parameters,
      parameter('prefer'),
      parameter('tenant'),
      parameter('cancelAfter'),
      parameter('idempotencyKey'),
    ],
    requestBody: { required: true, content },
    responses: {
      '200': success(
        'The job has ended; look at `status`. Or its events.',
        { ...job, ...eventsContent },
        [...headers, ...resultHeaders],
      ),
      '202': success('The job is accepted, with its place in line.', job, headers),
      ...problems('v1', [
        ...modelCodes,
        ...bodyCodes,
        ...loadCodes,
        'malformed_multipart',
        'metadata_too_large',
        'invalid_idempotency_key',
        'idempotency_in_progress',
        'idempotency_key_reused',
        'job_gone',
      ]),
    },
  };
}
