/**
 * In which order classes stop to claim, so that a job that has begun can end: what runs others before what it
 * runs. A step of it may wait for this very process.
 */
import { isComposed, type ModelManifest, modelsRunBy } from '@inferry/contracts';

/** 0 for a model of its own; for a composed one, more than all the models that it runs. */
export function heightsOf(manifests: readonly ModelManifest[]): ReadonlyMap<string, number> {
  const below = new Map<string, Set<string>>();
  for (const manifest of manifests) {
    if (!isComposed(manifest)) continue;
    const names = below.get(manifest.name) ?? new Set();
    below.set(manifest.name, names);
    for (const { model } of modelsRunBy(manifest)) names.add(model);
  }
  const heights = new Map<string, number>();
  const heightOf = (name: string): number => {
    const known = heights.get(name);
    if (known !== undefined) return known;
    const names = below.get(name);
    // A circle, which no repository has, ends where it began.
    heights.set(name, 0);
    const height = names === undefined ? 0 : 1 + Math.max(0, ...[...names].map(heightOf));
    heights.set(name, height);
    return height;
  };
  for (const { name } of manifests) heightOf(name);
  return heights;
}
