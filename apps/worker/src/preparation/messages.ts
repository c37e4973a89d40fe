/** What the main thread and a preparation thread say to each other. One chunk is under way at a time. */
import type { ClassId, ModelManifest } from '@inferry/contracts';
import type { PayloadReaderOptions } from '@inferry/queue';
import type { PreparationItem, PreparedChunk } from './preparation.ts';

export interface ThreadData {
  readonly manifests: ReadonlyMap<ClassId, ModelManifest>;
  readonly payloadReaderOptions: PayloadReaderOptions | null;
}

export type ToThread =
  | {
      readonly kind: 'prepare';
      readonly cls: ClassId;
      readonly items: readonly PreparationItem[];
    }
  /** Close connections and end. */
  | { readonly kind: 'close' };

export type FromThread =
  | { readonly kind: 'started' }
  | { readonly kind: 'prepared'; readonly chunk: PreparedChunk };
