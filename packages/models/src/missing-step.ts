/** Whether a composed model can do its work: it is of no use while what it runs is loaded nowhere. */
import { type ModelManifest, modelsRunBy } from '@inferry/contracts';
import type { ModelCatalogue } from './catalogue.ts';

/** A model that `manifest` runs, at whatever depth, which no live worker serves; undefined where all are served. */
export function missingStep(
  manifest: ModelManifest,
  catalogue: Pick<ModelCatalogue, 'get' | 'resolve' | 'retiring'>,
  looked = new Set<string>(),
): string | undefined {
  for (const { model, version } of modelsRunBy(manifest)) {
    const key = `${model}@${version ?? ''}`;
    if (looked.has(key)) continue;
    looked.add(key);
    const found = served(catalogue, model, version ?? undefined);
    const missing = found === undefined ? model : missingStep(found, catalogue, looked);
    if (missing !== undefined) return missing;
  }
  return undefined;
}

function served(
  catalogue: Pick<ModelCatalogue, 'get' | 'resolve' | 'retiring'>,
  name: string,
  version: string | undefined,
): ModelManifest | undefined {
  const found = catalogue.resolve(name, version);
  if (!found.ok) return catalogue.retiring(name, version);
  const { versions = [] } = catalogue.get(name) ?? {};
  const isReady = versions.some(
    (one) => one.version === found.value.version && one.state === 'ready',
  );
  return isReady ? found.value : undefined;
}
