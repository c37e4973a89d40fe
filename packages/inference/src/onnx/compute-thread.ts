/**
 * The thread that owns one session. ONNX Runtime for Node runs a model inside the calling thread, so this
 * thread is blocked while it computes and nothing else is.
 *
 * A run that throws is answered as such. Any other error is a bug of ours: it is not caught, ends the
 * thread, and the main thread starts another one.
 */
import type { Tensor } from '@inferry/contracts';
import { invariant } from '@inferry/runtime';
import type { InferenceSession, Tensor as OrtTensor } from 'onnxruntime-node';
import { parentPort, workerData } from 'node:worker_threads';
import type { HeldBatch, Item, OpenThreadPreparation, RunItem } from '../port.ts';
import { split, Stacker } from './batch.ts';
import { tensorOf } from './ort-tensor.ts';
import { plainReason } from './reason.ts';
import { asCalled, asRun } from './reshape.ts';
import { openSession } from './session.ts';
import type { FromThread, ThreadStart, ToThread } from './thread-messages.ts';

const port = parentPort;
invariant(port !== null, 'compute-thread.ts runs as a worker thread');
type Prepare = Extract<ToThread, { kind: 'prepare' }>;

const start = workerData as ThreadStart;
const stacker = new Stacker();
const allOutputs = start.outputs.map((output) => output.name);
/** What was prepared here and waits for its run. */
const held = new Map<number, HeldBatch>();

function answer(message: FromThread, moved: readonly ArrayBuffer[] = []): void {
  port?.postMessage(message, [...moved]);
}

async function run(
  session: InferenceSession,
  given: readonly RunItem[],
  names: readonly string[],
): Promise<void> {
  const items = given.map(withTensors).map((item) => asRun(item, start.inputs));
  invariant(start.isBatched || items.length === 1, 'without a batch dimension, one item a run');
  const feeds = stacker.stack(items);
  const wanted = names.length === 0 ? allOutputs : names;
  const startedMs = performance.now();
  let results: InferenceSession.OnnxValueMapType;
  try {
    results = await session.run(feeds, [...wanted]);
  } catch (cause) {
    answer({ kind: 'threw', reason: plainReason(cause) });
    return;
  }
  const computeMs = performance.now() - startedMs;
  const outputs = asCalled(
    wanted.map((name) => tensorOf(name, results[name] as OrtTensor)),
    start.outputs,
  );
  const rows = items.map((item) => item.rows);
  const shares = outputs.ok ? split(outputs.value, rows) : outputs;
  if (shares.ok) answer({ kind: 'ran', items: shares.value, computeMs }, buffersOf(shares.value));
  else answer({ kind: 'threw', reason: shares.error });
}

function withTensors(item: RunItem): Item {
  if ('tensors' in item) return item;
  const { batch, position } = item.held;
  const tensors = held.get(batch)?.tensors(position);
  invariant(tensors !== undefined, 'a batch is dropped when its runs are over');
  return { tensors, rows: item.rows };
}

async function openPreparation() {
  if (start.preparation === null) return null;
  const { url, data } = start.preparation;
  const module = (await import(url)) as { readonly openThreadPreparation: OpenThreadPreparation };
  return module.openThreadPreparation(data);
}

/** Every buffer behind the shares, once: views of one output share its buffer on the other side too. */
function buffersOf(shares: readonly (readonly Tensor[])[]): ArrayBuffer[] {
  return [
    ...new Set(shares.flatMap((own) => own.map((tensor) => tensor.bytes.buffer as ArrayBuffer))),
  ];
}

const opened = await openSession(start);
if (opened.ok) {
  const { session, ...ready } = opened.value;
  const preparation = await openPreparation();
  const prepare = async ({ batch, drop, request }: Prepare): Promise<void> => {
    invariant(preparation !== null, 'the thread was told how to prepare');
    for (const old of drop) {
      held.get(old)?.close();
      held.delete(old);
    }
    const prepared = await preparation.prepare(request);
    held.set(batch, prepared);
    const { expected } = prepared;
    const running =
      expected === null ? null : { items: expected.rows.length, outputs: expected.outputs };
    answer({ kind: 'prepared', answer: prepared.answer, running });
    if (expected === null) return;
    const items = expected.rows.map((rows, position) => ({ held: { batch, position }, rows }));
    await run(session, items, expected.outputs);
  };
  const close = async (): Promise<void> => {
    await preparation?.close();
    await session.release();
    port.close();
  };
  port.on('message', (message: ToThread) => {
    switch (message.kind) {
      case 'run':
        void run(session, message.items, message.outputs);
        break;
      case 'prepare':
        void prepare(message);
        break;
      case 'close':
        void close();
        break;
    }
  });
  answer({ kind: 'ready', ...ready });
} else {
  answer({ kind: 'unloadable', reason: opened.error });
}
