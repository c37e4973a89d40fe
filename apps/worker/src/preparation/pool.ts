/**
 * The preparation threads. A batch is divided among the threads that are idle, one message each, so that
 * the next batch is decoded while the current one runs. A thread that breaks is replaced.
 */
import type { Worker } from 'node:worker_threads';
import { type ClassId, failure, type ModelManifest } from '@inferry/contracts';
import { type Clock, invariant, sleep, startThread } from '@inferry/runtime';
import type { Logger } from '@inferry/telemetry';
import type { FromThread, ToThread } from './messages.ts';
import { type KeyedPreparation, openClass } from './open-classes.ts';
import type { ThreadData } from './prepare-chunk.ts';
import type {
  Preparation,
  PreparationItem,
  PreparedAt,
  PreparedChunk,
  SharedPreparation,
} from './preparation.ts';

export interface PoolOptions extends ThreadData {
  readonly threads: number;
  readonly clock: Clock;
  readonly logger: Logger;
  /** A chunk that is not prepared by then never will be. */
  readonly chunkMsMax: number;
  /** A thread is stuck: the process has to be replaced. */
  readonly onStuck: () => void;
}

/** How long a thread may take to close its connection and end by itself. */
const closeMsMax = 2_000;

interface Chunk {
  readonly cls: ClassId;
  readonly key: string;
  readonly items: readonly PreparationItem[];
  readonly done: (prepared: readonly PreparedAt[]) => void;
}

/** Resolves once every thread has started; rejects when one cannot. */
export async function startPreparationPool(options: PoolOptions): Promise<SharedPreparation> {
  invariant(options.threads >= 1, 'a pool has a thread');
  const pool = new Pool(options);
  await pool.start();
  return pool;
}

class Pool implements SharedPreparation, KeyedPreparation {
  readonly #options: PoolOptions;
  /** What a thread that starts is told. */
  readonly #manifests: Map<string, ModelManifest>;
  readonly #waiting: Chunk[] = [];
  #threads: Thread[] = [];
  #isClosed = false;

  constructor(options: PoolOptions) {
    this.#options = options;
    this.#manifests = new Map(options.manifests);
  }

  async start(): Promise<void> {
    this.#threads = Array.from({ length: this.#options.threads }, () => this.#spawn());
    await Promise.all(this.#threads.map((thread) => thread.started));
  }

  open(cls: ClassId, manifest: ModelManifest): Preparation {
    return openClass(this, cls, manifest);
  }

  learn(key: string, manifest: ModelManifest): void {
    this.#manifests.set(key, manifest);
    for (const thread of this.#threads) thread.tell({ kind: 'learn', key, manifest });
  }

  forget(key: string): void {
    this.#manifests.delete(key);
    for (const thread of this.#threads) thread.tell({ kind: 'forget', key });
  }

  async prepare(
    cls: ClassId,
    items: readonly PreparationItem[],
    key: string = cls,
  ): Promise<readonly PreparedAt[]> {
    invariant(!this.#isClosed, 'nothing is prepared after the end');
    const idle = this.#threads.filter((thread) => thread.isIdle).length;
    const parts = Math.max(1, Math.min(idle, items.length));
    const size = Math.ceil(items.length / parts);
    const chunks: Promise<readonly PreparedAt[]>[] = [];
    for (let from = 0; from < items.length; from += size) {
      const part = items.slice(from, from + size);
      chunks.push(
        new Promise((resolve) => this.#waiting.push({ cls, key, items: part, done: resolve })),
      );
    }
    this.#dispatch();
    return (await Promise.all(chunks)).flat();
  }

  async close(): Promise<void> {
    this.#isClosed = true;
    await Promise.all(this.#threads.map((thread) => thread.close()));
  }

  #dispatch(): void {
    // Threads that broke are replaced when there is work for them, so that each new one answers a chunk.
    const missing = this.#options.threads - this.#threads.length;
    for (let i = 0; i < Math.min(missing, this.#waiting.length); i += 1) {
      this.#threads.push(this.#spawn());
    }
    for (const thread of this.#threads) {
      if (!thread.isIdle) continue;
      const chunk = this.#waiting.shift();
      if (chunk === undefined) return;
      void this.#send(thread, chunk);
    }
  }

  async #send(thread: Thread, chunk: Chunk): Promise<void> {
    const { chunkMsMax, clock, onStuck } = this.#options;
    const sentAtMs = clock.nowMs();
    const cancelLimit = clock.after(chunkMsMax, onStuck);
    const { items, fetchMs } = await thread.prepare(chunk);
    cancelLimit();
    const preparedAtMs = clock.nowMs();
    const fetchedAtMs = Math.min(sentAtMs + fetchMs, preparedAtMs);
    chunk.done(items.map((prepared) => ({ prepared, fetchedAtMs, preparedAtMs })));
    this.#dispatch();
  }

  #spawn(): Thread {
    const options = { ...this.#options, manifests: this.#manifests };
    const thread = new Thread(options, (cause) => {
      this.#options.logger.error({ err: cause }, 'a preparation thread failed');
      this.#threads = this.#threads.filter((other) => other !== thread);
      this.#dispatch();
    });
    return thread;
  }
}

/** One thread and the chunk it works on. */
class Thread {
  readonly #worker: Worker;
  readonly #clock: Clock;
  readonly #ended: Promise<void>;
  readonly started: Promise<void>;
  /** Undefined: the thread broke. */
  #answer: ((chunk: PreparedChunk | undefined) => void) | null = null;

  constructor(options: PoolOptions, onBroken: (cause: unknown) => void) {
    const { clock, jpegDecoder, manifests, payloadReaderOptions } = options;
    const workerData: ThreadData = { manifests, payloadReaderOptions, jpegDecoder };
    this.#clock = clock;
    this.#worker = startThread(new URL('./thread.ts', import.meta.url), { workerData });
    this.#ended = new Promise((resolve) => this.#worker.once('exit', () => resolve()));
    this.started = new Promise((resolve, reject) => {
      this.#worker.on('message', (message: FromThread) => {
        if (message.kind === 'started') resolve();
        else this.#answered(message.chunk);
      });
      this.#worker.once('error', (cause) => {
        reject(cause);
        onBroken(cause);
        this.#answered(undefined);
      });
    });
    // Whoever starts the pool hears of it; for a replacement the log says it.
    this.started.catch(() => undefined);
  }

  get isIdle(): boolean {
    return this.#answer === null;
  }

  /** Payloads are copied: the originals are needed again when a batch has to be divided. */
  prepare({ cls, items, key }: Omit<Chunk, 'done'>): Promise<PreparedChunk> {
    return new Promise((resolve) => {
      this.#answer = (chunk) =>
        resolve(chunk ?? { items: items.map(() => brokenThread), fetchMs: 0 });
      const copies = items.map(({ id, payload, rows }) => ({
        id,
        rows,
        payload: payload === null ? null : new Uint8Array(payload),
      }));
      const message: ToThread = { kind: 'prepare', cls, key, items: copies };
      const transfer = copies.flatMap(({ payload }) => (payload === null ? [] : [payload.buffer]));
      this.#worker.postMessage(message, transfer);
    });
  }

  /** In order with what it is given to prepare. */
  tell(message: ToThread): void {
    this.#worker.postMessage(message);
  }

  /** Lets the thread end by itself, within a bound. */
  async close(): Promise<void> {
    this.tell({ kind: 'close' });
    const waited = new AbortController();
    await Promise.race([this.#ended, sleep(this.#clock, closeMsMax, waited.signal)]);
    waited.abort();
    await this.#worker.terminate();
  }

  #answered(chunk: PreparedChunk | undefined): void {
    const answer = this.#answer;
    this.#answer = null;
    answer?.(chunk);
  }
}

const brokenThread = {
  kind: 'refused',
  failure: failure('internal', 'The thread that prepared this input failed.'),
} as const;
