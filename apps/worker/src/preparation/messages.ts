/** What the main thread and a preparation thread say to each other. One chunk is under way at a time. */
import type { ClassId } from '@inferry/contracts';
import type { PreparationItem, PreparedChunk } from './preparation.ts';

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
