/** TensorFlow Serving's REST API, as far as the routes of models do not speak it already; KServe V1 uses a part of it. */
import {
  classifyResponse,
  parseClassify,
  parsePredict,
  predictResponse,
  type PredictRequest,
  servingMetadata,
} from '@inferry/protocols';
import { ok } from '@inferry/runtime';

import type { GatewayParts } from '../deps.ts';
import { answerJson, type GatewayContext, problem } from '../http/exchange.ts';
import { type InferCodec, inferOverHttp } from '../http/infer-http.ts';
import { splitReference } from '../model-reference.ts';
import { readVersion } from './models.ts';
import { pathParameter, type Route } from './routes.ts';

const headers = { 'Content-Type': 'application/json' };

/** By the verb behind the model. */
const codecs: Readonly<Record<string, InferCodec<PredictRequest>>> = {
  ':predict': {
    parse: parsePredict,
    write(manifest, output, request) {
      const json = predictResponse(manifest, output, request);
      return json.ok ? ok({ body: json.value, headers }) : json;
    },
  },
  ':classify': {
    parse: parseClassify,
    write: (_, output) => ok({ body: classifyResponse(output), headers }),
  },
};

/** Below a model: what is said of the version that the parameter names. A label is one, also under `versions`. */
const selectors = [
  ['versions', 'version'],
  ['labels', 'label'],
] as const;

export function servingRoutes(parts: GatewayParts): readonly Route[] {
  const surface = 'serving';
  const base = '/v1/models/{model}';
  const verbs = Object.entries(codecs).flatMap(([verb, codec]): readonly Route[] => [
    {
      method: 'POST',
      path: `${base}${verb}`,
      surface,
      answer(c) {
        const model = splitReference(pathParameter(c, 'model', verb));
        return inferOverHttp(c, model, codec, parts);
      },
    },
    ...selectors.map(([folder, parameter]): Route => ({
      method: 'POST',
      path: `${base}/${folder}/{${parameter}}${verb}`,
      surface,
      answer(c) {
        const name = pathParameter(c, 'model');
        const version = pathParameter(c, parameter, verb);
        return inferOverHttp(c, { name, version }, codec, parts);
      },
    })),
  ]);
  const metadataAt = (path: string): Route => ({
    method: 'GET',
    path: `${path}/metadata`,
    surface,
    answer: (c) => metadata(c, parts),
  });
  return [
    ...verbs,
    metadataAt(base),
    ...selectors.flatMap(([folder, parameter]): readonly Route[] => {
      const path = `${base}/${folder}/{${parameter}}`;
      const answer: Route['answer'] = (c) => readVersion(c, versionOf(c), parts);
      return [{ method: 'GET', path, surface, answer }, metadataAt(path)];
    }),
  ];
}

function metadata(c: GatewayContext, { catalogue }: GatewayParts): Response {
  const { name, version } = versionOf(c);
  const manifest = catalogue.resolve(name, version);
  return manifest.ok ? answerJson(c, servingMetadata(manifest.value)) : problem(c, manifest.error);
}

/** By the path, or by a name that has the version behind an `@`. */
function versionOf(c: GatewayContext): {
  readonly name: string;
  readonly version: string | undefined;
} {
  const version = c.req.param('version') ?? c.req.param('label');
  const name = pathParameter(c, 'model');
  return version === undefined ? splitReference(name) : { name, version };
}
