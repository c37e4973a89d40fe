/** What the catalogue knows of a model at this moment, as both ends of v2 tell it. */
import { basename } from 'node:path';
import { type Failure, failure, type ModelManifest } from '@inferry/contracts';
import {
  type CatalogueVersion,
  mayBeRequested,
  missingStep,
  type ModelCatalogue,
  type ServingState,
} from '@inferry/models';
import { modelMetadata } from '@inferry/protocols';
import { err, ok, type Result } from '@inferry/runtime';

/** Errors: `model_not_found`, `model_version_not_found`. */
export function metadataOf(
  model: { readonly name: string; readonly version: string | undefined },
  catalogue: ModelCatalogue,
): Result<ReturnType<typeof modelMetadata>, Failure> {
  const manifest = catalogue.resolve(model.name, model.version);
  if (!manifest.ok) return manifest;
  const versions = catalogue.get(manifest.value.name)?.versions ?? [];
  return ok(
    modelMetadata(
      manifest.value,
      versions.filter(mayBeRequested).map(({ version }) => version),
    ),
  );
}

/** The manifest of a model that a worker has loaded, as all that it runs. Errors: those above, `model_unavailable`. */
export function readyModel(
  model: { readonly name: string; readonly version: string | undefined },
  catalogue: ModelCatalogue,
): Result<ModelManifest, Failure> {
  const manifest = catalogue.resolve(model.name, model.version);
  if (!manifest.ok) return manifest;
  const { name, version } = manifest.value;
  const entry = catalogue.get(name)?.versions.find((one) => one.version === version);
  const missing = missingStep(manifest.value, catalogue);
  if (entry?.state === 'ready' && missing === undefined) return manifest;
  const why = typeof entry?.failure === 'string' ? ` It failed: ${entry.failure}` : '';
  const detail =
    entry?.state === 'ready'
      ? `Model "${name}" version ${version} runs "${missing}", which no worker has loaded.`
      : `No worker has model "${name}" version ${version} loaded.${why}`;
  return err(failure('model_unavailable', detail, { retryAfterMs: 1_000 }));
}

interface IndexEntry {
  readonly name: string;
  readonly version: string;
  readonly state: (typeof states)[ServingState];
  /** Empty where there is nothing to explain. */
  readonly reason: string;
}

const states = {
  ready: 'READY',
  loading: 'LOADING',
  failed: 'UNAVAILABLE',
  unavailable: 'UNAVAILABLE',
  retiring: 'UNLOADING',
  unloaded: 'UNAVAILABLE',
} as const;

/** One entry for each version of each model, and for each that cannot be read; the version is empty where all are meant. */
export function repositoryIndex(
  catalogue: ModelCatalogue,
  { onlyReady }: { readonly onlyReady: boolean },
): readonly IndexEntry[] {
  const unread = new Map<string, IndexEntry>();
  for (const { file, line, message, model, version } of catalogue.problems()) {
    if (model === null) continue;
    const where = `${basename(file)}${line === null ? '' : `:${line}`}`;
    const entry = { name: model, version: version ?? '', state: states.failed };
    const key = keyOf(entry);
    const others = unread.get(key)?.reason ?? '';
    const reason = `${others}${others === '' ? '' : '; '}${where}: ${message}`;
    unread.set(key, { ...entry, reason });
  }
  const known = catalogue.list().flatMap(({ name, versions }) =>
    versions.map((one): IndexEntry => {
      const { manifest, state, version } = one;
      const missing = state === 'ready' ? missingStep(manifest, catalogue) : undefined;
      const told =
        missing === undefined
          ? { state: states[state], reason: reasonOf(one) }
          : { state: states.unavailable, reason: `runs "${missing}", which no worker has loaded` };
      const entry = { name, version, ...told };
      const problem = unread.get(keyOf(entry));
      unread.delete(keyOf(entry));
      // It is served as it was.
      return entry.reason === '' ? { ...entry, reason: problem?.reason ?? '' } : entry;
    }),
  );
  return [...known, ...unread.values()]
    .filter(({ state }) => state === states.ready || !onlyReady)
    .toSorted((a, b) => (a.name < b.name ? -1 : a.name > b.name ? 1 : 0));
}

function keyOf({ name, version }: Pick<IndexEntry, 'name' | 'version'>): string {
  return `${name}@${version}`;
}

function reasonOf({ failure: why, state }: CatalogueVersion): string {
  if (state === 'failed') return why ?? '';
  if (state === 'unloaded') return 'unloaded';
  return state === 'unavailable' ? 'no worker has it loaded' : '';
}
