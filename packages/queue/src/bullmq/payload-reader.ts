/** Fetches payloads, on a connection of its own: for threads that prepare batches. */
import type { ClassId, JobId } from '@inferry/contracts';
import { Emitter } from '@inferry/runtime';
import type { PayloadReader, QueueEvents } from '../port.ts';
import { blobConnection, type ConnectionOptions } from './connection.ts';
import { keysOf } from './keys.ts';

/** Plain data, so that it can be handed to a thread. */
export type PayloadReaderOptions = ConnectionOptions;

/** `read` throws when Redis cannot be reached: the payload may still be there. */
export function openPayloadReader(options: PayloadReaderOptions): PayloadReader {
  const redis = blobConnection(options, new Emitter<QueueEvents>());
  const names = keysOf(options.prefix);
  return {
    async read(cls: ClassId, ids: readonly JobId[]) {
      if (ids.length === 0) return [];
      if (redis.status !== 'ready') await untilReady(redis);
      return redis.mgetBuffer(ids.map((id) => names.payload(cls, id)));
    },
    close() {
      redis.disconnect();
      return Promise.resolve();
    },
  };
}

/** The first read of a thread may come before its connection stands; it fails by itself if that never happens. */
function untilReady(redis: ReturnType<typeof blobConnection>): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      redis.off('ready', done);
      redis.off('close', done);
      resolve();
    };
    redis.once('ready', done);
    redis.once('close', done);
  });
}
