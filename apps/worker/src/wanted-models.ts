/** What a worker is told to serve, and what it tells of that. */
import type { ModelManifest, ModelRouting } from '@inferry/contracts';

/** What a worker is to serve. */
export interface WantedModels {
  readonly manifests: readonly ModelManifest[];
  readonly routing: Readonly<Record<string, ModelRouting>>;
  /** Models whose versions are tried again where they could not be loaded, though they have not changed. */
  readonly retry?: readonly string[];
}

/**
 * Of a model of which these versions cannot be loaded, another one that may be served in their place; null where
 * there is none.
 */
export type FindInstead = (
  model: string,
  failed: readonly string[],
) => Promise<ModelManifest | null>;

export interface AppliedVersion {
  readonly model: string;
  readonly version: string;
  /** retiring: it is wanted no longer; of those that are, failed ones have a reason. */
  readonly result: 'loaded' | 'kept' | 'replaced' | 'retiring' | 'failed';
  readonly reason?: string;
}

/** What became of each version that is wanted, or was served before. */
export type ApplyReport = readonly AppliedVersion[];
