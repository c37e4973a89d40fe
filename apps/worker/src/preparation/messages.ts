/** What the main thread and a preparation thread say to each other. One chunk is under way at a time. */
import type { ClassId, ModelManifest } from '@inferry/contracts';
import type { PreparationItem, PreparedChunk } from './preparation.ts';

export type ToThread =
  | {
      readonly kind: 'prepare';
      readonly cls: ClassId;
      /** Of the manifest. */
      readonly key: string;
      readonly items: readonly PreparationItem[];
    }
  | { readonly kind: 'learn'; readonly key: string; readonly manifest: ModelManifest }
  | { readonly kind: 'forget'; readonly key: string }
  /** Close connections and end. */
  | { readonly kind: 'close' };

export type FromThread =
  | { readonly kind: 'started' }
  | { readonly kind: 'prepared'; readonly chunk: PreparedChunk };
