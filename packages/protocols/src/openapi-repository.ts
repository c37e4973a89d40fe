/** The routes of the model repository extension, described. */
import type { ErrorCode } from '@inferry/contracts';

import {
  bodyCodes,
  json,
  type OpenApiObject,
  parameter,
  problems,
  schema,
  success,
} from './openapi-parts.ts';
import type { Surface } from './surface.ts';

/** An order stands whatever is answered, unless it was refused. */
const controlCodes: readonly ErrorCode[] = [
  ...bodyCodes,
  'model_control_off',
  'model_control_failed',
  'model_unavailable',
  'queue_full',
  'queue_unavailable',
  'draining',
];

export function repositoryPaths(v2: Surface): OpenApiObject {
  const index = indexOperation(v2, []);
  return {
    '/v2/repository/index': { post: index },
    '/v2/repository/{repository}/index': { post: indexOperation(v2, [parameter('repository')]) },
    ...controlPaths(
      'load',
      {
        summary: 'Load a model, or load it again',
        description:
          'Reads the folder of the model anew, and answers when every worker has loaded what it has there. What was served before is served until the new is ready, and stays where it cannot be loaded.',
        body: 'RepositoryLoadRequest',
        codes: controlCodes,
      },
      v2,
    ),
    ...controlPaths(
      'unload',
      {
        summary: 'Unload a model',
        description:
          'Answers when no worker takes new requests for it; those that wait are still served. It stays unloaded, also in workers that start later, until it is loaded.',
        body: 'RepositoryUnloadRequest',
        codes: [...controlCodes, 'model_not_found'],
      },
      v2,
    ),
  };
}

function indexOperation(v2: Surface, parameters: readonly OpenApiObject[]): OpenApiObject {
  return {
    tags: ['inference'],
    summary: 'Every version of every model, and its state',
    parameters,
    requestBody: {
      required: false,
      content: { [json]: { schema: schema('RepositoryIndexRequest') } },
    },
    responses: {
      '200': success('The versions.', { [json]: schema('RepositoryIndex') }),
      ...problems(v2, bodyCodes),
    },
  };
}

function controlPaths(
  verb: string,
  {
    body,
    codes,
    description,
    summary,
  }: {
    readonly summary: string;
    readonly description: string;
    readonly body: string;
    readonly codes: readonly ErrorCode[];
  },
  v2: Surface,
): OpenApiObject {
  return {
    [`/v2/repository/models/{model}/${verb}`]: {
      post: {
        tags: ['inference'],
        summary,
        description,
        parameters: [parameter('model')],
        requestBody: { required: false, content: { [json]: { schema: schema(body) } } },
        responses: { '200': success('Done, by every worker.', {}), ...problems(v2, codes) },
      },
    },
    [`/v2/repository/{repository}/models/{model}/${verb}`]: {
      post: {
        tags: ['inference'],
        summary: 'Not served: repositories have no names',
        parameters: [parameter('repository'), parameter('model')],
        responses: problems(v2, ['not_implemented']),
      },
    },
  };
}
