/** The thread of a processor: loads its file once, and runs `generate` for each job, many at a time. */
import { realpathSync } from 'node:fs';
import { register } from 'node:module';
import { dirname } from 'node:path';
import { pathToFileURL } from 'node:url';
import { parentPort, workerData } from 'node:worker_threads';
import { invariant, loadableUrl } from '@inferry/runtime';
import type { Generate } from './author.ts';
import { Generation, isOfCall, type Send } from './generation.ts';
import type { ProcessorThreadData, ToThread } from './messages.ts';
import { reasonOf } from './reasons.ts';

invariant(parentPort !== null, 'this file runs as a thread');
const port = parentPort;
const data = workerData as ProcessorThreadData;
/** Later ones are not told of. */
const unawaitedMax = 100;
const generations = new Map<number, Generation>();
const send: Send = (message, moved) => port.postMessage(message, moved);

// Of every other rejection that nobody awaits the thread breaks, as Node has it.
let unawaited = 0;
process.on('unhandledRejection', (cause) => {
  if (!isOfCall(cause)) throw cause;
  unawaited += 1;
  if (unawaited > unawaitedMax) return;
  const text = `nobody awaited what was rejected: ${reasonOf(cause, data.folders)}`;
  send({ kind: 'log', job: 0, text }, []);
});

try {
  const generate = await loadGenerate();
  port.on('message', (message: ToThread) => receive(message, generate));
  send({ kind: 'loaded' }, []);
} catch (cause) {
  send({ kind: 'unloadable', reason: reasonOf(cause, data.folders) }, []);
}

async function loadGenerate(): Promise<Generate> {
  // Modules are named by where they really lie, behind all links.
  const file = realpathSync(data.file);
  register(loadableUrl(new URL('./strip-types.ts', import.meta.url)), {
    data: { folder: realpathSync(dirname(data.file)) },
  });
  const module = (await import(pathToFileURL(file).href)) as { readonly generate?: unknown };
  if (typeof module.generate === 'function') return module.generate as Generate;
  throw new TypeError(`${data.file} must export a function: export async function generate(ctx)`);
}

function receive(message: ToThread, generate: Generate): void {
  if (message.kind === 'ping') {
    send({ kind: 'pong' }, []);
    return;
  }
  // Whatever the message sets going runs before the next message or timer: until then it is known whose it is.
  Atomics.store(data.running, 0, message.job);
  setImmediate(() => Atomics.store(data.running, 0, 0));
  switch (message.kind) {
    case 'generate':
      void begin(message, generate);
      break;
    case 'stepped':
      generations.get(message.job)?.stepped(message.step, message.answer);
      break;
    case 'emitted':
      generations.get(message.job)?.emitted(message.emission, message.answer);
      break;
    case 'abort':
      generations.get(message.job)?.abort(message.reason);
      break;
  }
}

async function begin(
  { inputs, job }: Extract<ToThread, { kind: 'generate' }>,
  generate: Generate,
): Promise<void> {
  const generation = new Generation(job, inputs, data, send);
  generations.set(job, generation);
  await generation.run(generate);
  generations.delete(job);
}
