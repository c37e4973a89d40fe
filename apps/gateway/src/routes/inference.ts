/** Open Inference Protocol v2: metadata, readiness of models, infer. */
import { modelConfiguration, readinessSurface, serverMetadata } from '@inferry/protocols';

import type { GatewayParts } from '../deps.ts';
import { answerJson, type GatewayContext, problem } from '../http/exchange.ts';
import { inferOverHttp, openInference } from '../http/infer-http.ts';
import { generateCodec, generateStream } from '../streaming/generate-stream.ts';
import { metadataOf, readyModel } from '../model-state.ts';
import { statisticsOf } from '../statistics.ts';
import { pathParameter, type Route } from './routes.ts';

export function inferenceRoutes(parts: GatewayParts): readonly Route[] {
  const { catalogue, compat = 'none', version } = parts;
  const surface = readinessSurface(compat);
  const list: readonly Route[] = [
    { method: 'GET', path: '/v2', answer: (c) => answerJson(c, serverMetadata(version)) },
    {
      method: 'GET',
      path: '/v2/models',
      answer: (c) => answerJson(c, { models: catalogue.list().map(({ name }) => name) }),
    },
    // Before the routes of models: none is called so.
    { method: 'GET', path: '/v2/models/stats', answer: (c) => statistics(c, {}, parts) },
  ];
  const ofModels = ['/v2/models/{model}', '/v2/models/{model}/versions/{version}'].flatMap(
    (path): readonly Route[] => [
      { method: 'GET', path, answer: (c) => metadata(c, parts) },
      { method: 'GET', path: `${path}/ready`, surface, answer: (c) => ready(c, parts) },
      { method: 'GET', path: `${path}/stats`, answer: (c) => statistics(c, modelOf(c), parts) },
      { method: 'GET', path: `${path}/config`, answer: (c) => configuration(c, parts) },
      {
        method: 'POST',
        path: `${path}/infer`,
        answer: (c) => inferOverHttp(c, modelOf(c), openInference, parts),
      },
      {
        method: 'POST',
        path: `${path}/generate`,
        answer: (c) => inferOverHttp(c, modelOf(c), generateCodec, parts),
      },
      {
        method: 'POST',
        path: `${path}/generate_stream`,
        answer: (c) => generateStream(c, modelOf(c), parts),
      },
    ],
  );
  return [...list, ...ofModels];
}

function metadata(c: GatewayContext, { catalogue }: GatewayParts): Response {
  const document = metadataOf(modelOf(c), catalogue);
  return document.ok ? answerJson(c, document.value) : problem(c, document.error);
}

function ready(c: GatewayContext, { catalogue }: GatewayParts): Response {
  const model = readyModel(modelOf(c), catalogue);
  return model.ok
    ? answerJson(c, { name: model.value.name, ready: true })
    : problem(c, model.error);
}

function configuration(c: GatewayContext, { catalogue }: GatewayParts): Response {
  const { name, version } = modelOf(c);
  const manifest = catalogue.resolve(name, version);
  return manifest.ok
    ? answerJson(c, modelConfiguration(manifest.value))
    : problem(c, manifest.error);
}

async function statistics(
  c: GatewayContext,
  of: Parameters<typeof statisticsOf>[0],
  parts: GatewayParts,
): Promise<Response> {
  const told = await statisticsOf(of, parts);
  return told.ok ? answerJson(c, told.value) : problem(c, told.error);
}

function modelOf(c: GatewayContext): { name: string; version: string | undefined } {
  return { name: pathParameter(c, 'model'), version: c.req.param('version') };
}
