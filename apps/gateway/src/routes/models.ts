/** `GET /v1/models`: what is served, what it takes and gives, and how it is doing. */
import { classOf, type ModelManifest } from '@inferry/contracts';
import { type CatalogueModel, missingStep } from '@inferry/models';
import { modelDocument } from '@inferry/protocols';
import type { ClassStats } from '@inferry/queue';
import { ok, type Result } from '@inferry/runtime';

import type { GatewayParts } from '../deps.ts';
import { answerJson, type GatewayContext, problem } from '../http/exchange.ts';
import { splitReference } from '../model-reference.ts';
import { pathParameter, type Route } from './routes.ts';

export function modelRoutes(parts: GatewayParts): readonly Route[] {
  return [
    { method: 'GET', path: '/v1/models', answer: (c) => listModels(c, parts) },
    {
      method: 'GET',
      path: '/v1/models/{model}',
      surface: 'serving',
      answer: (c) => readVersion(c, splitReference(pathParameter(c, 'model')), parts),
    },
  ];
}

async function listModels(c: GatewayContext, parts: GatewayParts): Promise<Response> {
  const models = parts.catalogue.list();
  const defaults = models.flatMap(({ versions, defaultVersion }) =>
    versions.filter(({ version }) => version === defaultVersion).map(({ manifest }) => manifest),
  );
  const stats = await statsOf(defaults, parts);
  const data = defaults.map((manifest) =>
    documentOf(manifest, parts.catalogue.get(manifest.name), stats, parts),
  );
  return answerJson(c, { object: 'list', data, models: models.map(({ name }) => name) });
}

/** The model; where it is a version that is asked for, with the status of that version alone. */
export async function readVersion(
  c: GatewayContext,
  { name, version }: { readonly name: string; readonly version: string | undefined },
  parts: GatewayParts,
): Promise<Response> {
  const model = parts.catalogue.get(name);
  const manifest = shownManifest(model, version) ?? parts.catalogue.resolve(name, version);
  if (!manifest.ok) return problem(c, manifest.error);
  const stats = await statsOf([manifest.value], parts);
  const document = documentOf(manifest.value, model, stats, parts);
  const statuses = document.model_version_status.filter(
    (one) => version === undefined || one.version === manifest.value.version,
  );
  return answerJson(c, { ...document, model_version_status: statuses });
}

/** Of a version that takes no more requests: how it is doing is told all the same. */
function shownManifest(
  model: CatalogueModel | undefined,
  version: string | undefined,
): Result<ModelManifest, never> | undefined {
  const wanted = version ?? model?.defaultVersion;
  const found = model?.versions.find((one) => one.version === wanted);
  return found === undefined ? undefined : ok(found.manifest);
}

/** By class; empty when the queue cannot be reached, which is no reason to hide the models. */
async function statsOf(
  manifests: readonly ModelManifest[],
  { queue, log }: GatewayParts,
): Promise<ReadonlyMap<string, ClassStats>> {
  try {
    const stats = await queue.stats(manifests.map(({ name, version }) => classOf(name, version)));
    return new Map(stats.map((one) => [one.class, one]));
  } catch (cause) {
    log.warn({ err: cause }, 'the queue gave no statistics');
    return new Map();
  }
}

function documentOf(
  manifest: ModelManifest,
  model: CatalogueModel | undefined,
  stats: ReadonlyMap<string, ClassStats>,
  { catalogue, limits }: GatewayParts,
) {
  const { name, version } = manifest;
  const serving = model?.versions.find((one) => one.version === version);
  const waiting = stats.get(classOf(name, version));
  return modelDocument(
    manifest,
    {
      versions: model?.versions ?? [],
      defaultVersion: model?.defaultVersion ?? version,
      labels: model?.labels ?? {},
      shares: model?.shares ?? [],
      status: serving?.state ?? 'unavailable',
      isReady: serving?.state === 'ready' && missingStep(manifest, catalogue) === undefined,
      queue:
        waiting === undefined
          ? null
          : { queued: waiting.waiting, running: waiting.active, oldestMs: waiting.oldestAgeMs },
      workers: { ready: serving?.readyWorkers ?? 0 },
    },
    limits,
  );
}
