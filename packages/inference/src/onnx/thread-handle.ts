/** The main thread's end of a compute thread: start it, run on it, close it, notice when it is gone. */
import { err, invariant, ok, type Result, startThread } from '@inferry/runtime';
import type { Worker } from 'node:worker_threads';
import type { RunItem } from '../port.ts';
import { plainReason } from './reason.ts';
import type {
  FirstAnswer,
  FromThread,
  PreparedAnswer,
  RunAnswer,
  ThreadStart,
  ToThread,
} from './thread-messages.ts';
import { posted } from './transfer.ts';

type Ready = Extract<FirstAnswer, { kind: 'ready' }>;
export interface Gone {
  readonly kind: 'gone';
  readonly reason: string;
}

export class ThreadHandle {
  readonly #worker: Worker;
  #gone: Gone | null = null;
  readonly #dropped: number[] = [];
  /** The answer of a run that a preparation began. */
  #begun: Promise<FromThread | Gone> | null = null;
  /** Whoever waits for the thread's next message. */
  #settle: ((answer: FromThread | Gone) => void) | null = null;

  private constructor(worker: Worker) {
    this.#worker = worker;
    worker.on('message', (answer: FromThread) => this.#answer(answer));
    worker.on('error', (cause) => this.#end(plainReason(cause)));
    worker.on('exit', (code) => this.#end(`the compute thread ended with ${code}`));
  }

  /** Resolves when the session is warm; the error is the reason why it cannot be. */
  static async start(data: ThreadStart): Promise<Result<StartedThread, string>> {
    const worker = startThread(new URL('./compute-thread.ts', import.meta.url), {
      workerData: data,
    });
    const thread = new ThreadHandle(worker);
    const answer = await thread.#next();
    if (answer.kind === 'ready') return ok({ thread, ready: answer });
    invariant(answer.kind === 'unloadable' || answer.kind === 'gone', 'a first answer');
    return err(answer.reason);
  }

  get isGone(): boolean {
    return this.#gone !== null;
  }

  /** One run at a time. `gone`: the thread ended under the run, or had before. */
  async run(items: readonly RunItem[], outputs: readonly string[]): Promise<RunAnswer | Gone> {
    if (this.#gone !== null) return this.#gone;
    const moved = new Set<ArrayBuffer>();
    const message: ToThread = {
      kind: 'run',
      outputs,
      items: items.map((item) =>
        'held' in item
          ? item
          : { tensors: item.tensors.map((tensor) => posted(tensor, moved)), rows: item.rows },
      ),
    };
    return runAnswer(await this.#ask(message, [...moved]));
  }

  /** As {@link run}. */
  async prepare(batch: number, request: unknown): Promise<PreparedAnswer | Gone> {
    if (this.#gone !== null) return this.#gone;
    const drop = this.#dropped.splice(0);
    const answer = await this.#ask({ kind: 'prepare', batch, request, drop }, []);
    invariant(answer.kind === 'prepared' || answer.kind === 'gone', 'a preparation is answered');
    return answer;
  }

  /** The answer of the run that a preparation began, once; to be awaited before anything else is asked. */
  async begun(): Promise<RunAnswer | Gone> {
    const begun = this.#begun;
    this.#begun = null;
    invariant(begun !== null, 'a preparation has begun a run');
    return runAnswer(await begun);
  }

  /** Nothing of the batch is run any more. The thread hears of it when there is more to do. */
  drop(batch: number): void {
    this.#dropped.push(batch);
  }

  /** Releases the session, then lets the thread end by itself: terminating it could abort the process. */
  close(): Promise<void> {
    invariant(this.#settle === null, 'a compute thread is closed when no run is in flight');
    if (this.#gone !== null) return Promise.resolve();
    return new Promise((resolve) => {
      this.#worker.once('exit', () => resolve());
      this.#worker.postMessage({ kind: 'close' } satisfies ToThread);
    });
  }

  #ask(message: ToThread, moved: readonly ArrayBuffer[]): Promise<FromThread | Gone> {
    const next = this.#next();
    this.#worker.postMessage(message, [...moved]);
    return next;
  }

  #next(): Promise<FromThread | Gone> {
    invariant(this.#settle === null, 'a compute thread does one thing at a time');
    return new Promise((resolve) => {
      this.#settle = resolve;
    });
  }

  #answer(answer: FromThread | Gone): void {
    const settle = this.#settle;
    this.#settle = null;
    settle?.(answer);
    // The answer of its run may be the next message already.
    if (answer.kind === 'prepared' && answer.running !== null) this.#begun = this.#next();
  }

  #end(reason: string): void {
    this.#gone ??= { kind: 'gone', reason };
    this.#answer(this.#gone);
  }
}

function runAnswer(answer: FromThread | Gone): RunAnswer | Gone {
  invariant(
    answer.kind === 'ran' || answer.kind === 'threw' || answer.kind === 'gone',
    'a run is answered',
  );
  return answer;
}

export interface StartedThread {
  readonly thread: ThreadHandle;
  readonly ready: Ready;
}
