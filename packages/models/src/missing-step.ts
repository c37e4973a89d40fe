/** Whether a composed model can do its work: it is of no use while what it runs is loaded nowhere. */
import { type ModelManifest, modelsRunBy } from '@inferry/contracts';
import type { ModelCatalogue } from './catalogue.ts';

/** A model that `manifest` runs, at whatever depth, which no live worker has ready; undefined where all are. */
export function missingStep(
  manifest: ModelManifest,
  catalogue: Pick<ModelCatalogue, 'get' | 'resolve'>,
  looked = new Set<string>(),
): string | undefined {
  for (const { model, version } of modelsRunBy(manifest)) {
    const key = `${model}@${version ?? ''}`;
    if (looked.has(key)) continue;
    looked.add(key);
    const found = catalogue.resolve(model, version ?? undefined);
    const { versions = [] } = catalogue.get(model) ?? {};
    const isReady =
      found.ok &&
      versions.some((one) => one.version === found.value.version && one.state === 'ready');
    const missing = isReady ? missingStep(found.value, catalogue, looked) : model;
    if (missing !== undefined) return missing;
  }
  return undefined;
}
