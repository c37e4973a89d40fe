/** A preparation thread: fetches payloads on a connection of its own and turns them into tensors. */
import { parentPort, workerData } from 'node:worker_threads';
import { invariant, systemClock } from '@inferry/runtime';
import type { FromThread, ToThread } from './messages.ts';
import {
  closeChunkDeps,
  detached,
  forgetManifest,
  openChunkDeps,
  prepareChunk,
  type ThreadData,
} from './prepare-chunk.ts';
import type { PreparedChunk } from './preparation.ts';

invariant(parentPort !== null, 'this file runs as a thread');
const port = parentPort;
const deps = await openChunkDeps(workerData as ThreadData, systemClock);

port.on('message', (message: ToThread) => {
  switch (message.kind) {
    case 'prepare':
      return void answer(message);
    case 'learn':
      return void deps.manifests.set(message.key, message.manifest);
    case 'forget':
      return forgetManifest(deps, message.key);
    case 'close':
      return void close();
  }
});
send({ kind: 'started' }, []);

async function answer(message: Extract<ToThread, { kind: 'prepare' }>): Promise<void> {
  const chunk = detached(await prepareChunk(message.cls, message.items, deps, message.key));
  send({ kind: 'prepared', chunk }, buffersOf(chunk));
}

async function close(): Promise<void> {
  await closeChunkDeps(deps);
  port.close();
}

function send(message: FromThread, transfer: readonly ArrayBuffer[]): void {
  port.postMessage(message, transfer);
}

/** Every tensor has a buffer of its own, so that each appears once. */
function buffersOf(chunk: PreparedChunk): ArrayBuffer[] {
  return chunk.items.flatMap((item) =>
    item.kind === 'ready' && 'tensors' in item.run
      ? item.run.tensors.map(({ bytes }) => bytes.buffer as ArrayBuffer)
      : [],
  );
}
