/** Fetches payloads, on a connection of its own: for threads that prepare batches. */
import type { ClassId, JobId } from '@inferry/contracts';
import { Emitter } from '@inferry/runtime';
import type { PayloadReader, QueueEvents } from '../port.ts';
import { BlobConnection } from './blob-connection.ts';
import type { ConnectionOptions } from './connection.ts';
import { keysOf } from './keys.ts';

/** Plain data, so that it can be handed to a thread. */
export type PayloadReaderOptions = ConnectionOptions;

/** `read` throws when Redis cannot be reached: the payload may still be there. */
export function openPayloadReader(options: PayloadReaderOptions): PayloadReader {
  const blobs = new BlobConnection(options, new Emitter<QueueEvents>());
  const names = keysOf(options.prefix);
  return {
    read: (cls: ClassId, ids: readonly JobId[]) =>
      blobs.get(ids.map((id) => names.payload(cls, id))),
    recycle: (payloads) => blobs.recycle(payloads),
    close() {
      blobs.close();
      return Promise.resolve();
    },
  };
}
