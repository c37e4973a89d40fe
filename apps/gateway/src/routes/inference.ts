/** Open Inference Protocol v2: metadata, readiness of models, infer. */
import { type Failure, failure, type ModelManifest } from '@inferry/contracts';
import type { CatalogueModel } from '@inferry/models';
import { modelMetadata, modelConfiguration, serverMetadata } from '@inferry/protocols';
import type { Result } from '@inferry/runtime';

import type { GatewayParts } from '../deps.ts';
import { answerJson, type GatewayContext, problem } from '../http/exchange.ts';
import { inferOverHttp } from '../http/infer-http.ts';
import { pathParameter, type Route } from './routes.ts';

export function inferenceRoutes(parts: GatewayParts): readonly Route[] {
  const { catalogue, version } = parts;
  const list: readonly Route[] = [
    { method: 'GET', path: '/v2', answer: (c) => answerJson(c, serverMetadata(version)) },
    {
      method: 'GET',
      path: '/v2/models',
      answer: (c) => answerJson(c, { models: catalogue.list().map(({ name }) => name) }),
    },
  ];
  const ofModels = ['/v2/models/{model}', '/v2/models/{model}/versions/{version}'].flatMap(
    (path): readonly Route[] => [
      { method: 'GET', path, answer: (c) => metadata(c, parts) },
      { method: 'GET', path: `${path}/ready`, answer: (c) => ready(c, parts) },
      { method: 'GET', path: `${path}/config`, answer: (c) => configuration(c, parts) },
      {
        method: 'POST',
        path: `${path}/infer`,
        answer: (c) => inferOverHttp(c, modelOf(c), parts),
      },
    ],
  );
  return [...list, ...ofModels];
}

function metadata(c: GatewayContext, parts: GatewayParts): Response {
  const manifest = resolve(c, parts);
  if (!manifest.ok) return problem(c, manifest.error);
  const versions = entryOf(manifest.value, parts)?.versions ?? [];
  return answerJson(
    c,
    modelMetadata(
      manifest.value,
      versions.map(({ version }) => version),
    ),
  );
}

function ready(c: GatewayContext, parts: GatewayParts): Response {
  const manifest = resolve(c, parts);
  if (!manifest.ok) return problem(c, manifest.error);
  const { name, version } = manifest.value;
  const entry = entryOf(manifest.value, parts)?.versions.find((one) => one.version === version);
  if (entry?.state === 'ready') return answerJson(c, { name, ready: true });
  const detail = `No worker has model "${name}" version ${version} loaded.`;
  return problem(c, failure('model_unavailable', detail, { retryAfterMs: 1_000 }));
}

function resolve(c: GatewayContext, { catalogue }: GatewayParts): Result<ModelManifest, Failure> {
  const { name, version } = modelOf(c);
  return catalogue.resolve(name, version);
}

function entryOf(manifest: ModelManifest, { catalogue }: GatewayParts): CatalogueModel | undefined {
  return catalogue.list().find(({ name }) => name === manifest.name);
}

function configuration(c: GatewayContext, { catalogue }: GatewayParts): Response {
  const { name, version } = modelOf(c);
  const manifest = catalogue.resolve(name, version);
  return manifest.ok
    ? answerJson(c, modelConfiguration(manifest.value))
    : problem(c, manifest.error);
}

function modelOf(c: GatewayContext): { name: string; version: string | undefined } {
  return { name: pathParameter(c, 'model'), version: c.req.param('version') };
}
