/**
 * A processor as a program of a composed lane. Its jobs share one thread; a job that was lost before has one of its
 * own. A thread that hung or broke is replaced when the next job comes.
 */
import { failure, type Tensor } from '@inferry/contracts';
import { err, ok, type Result } from '@inferry/runtime';
import type { Program, ProgramContext } from '../program.ts';
import type { ProcessorOptions } from './open-thread.ts';
import { type ProcessorEnd, ProcessorThread, unwanted } from './processor-thread.ts';

export type { ProcessorOptions } from './open-thread.ts';

/** Loads `manifest.processor.file`; the error is the reason why that cannot be done, with file and line. */
export async function startProcessor(options: ProcessorOptions): Promise<Result<Program, string>> {
  const started = await ProcessorThread.start(options);
  return started.ok ? ok(new Processor(options, started.value)) : started;
}

/** What is lost with a worker comes back as suspects, and may be many jobs; a thread of its own costs memory. */
const suspectsAtATime = 4;

class Processor implements Program {
  readonly #options: ProcessorOptions;
  #thread: Promise<Result<ProcessorThread, string>>;
  /** Threads that take no more jobs, and what ends them. */
  readonly #leaving = new Set<Promise<void>>();
  /** Each resolves when the suspects that were given it have ended. */
  readonly #suspects = Array.from({ length: suspectsAtATime }, () =>
    Promise.resolve<unknown>(null),
  );
  #suspectsBegun = 0;

  constructor(options: ProcessorOptions, thread: ProcessorThread) {
    this.#options = options;
    this.#thread = Promise.resolve(ok(thread));
  }

  async run(inputs: readonly Tensor[], context: ProgramContext): Promise<ProcessorEnd> {
    if (context.isSuspect) return this.#runAlone(inputs, context);
    const thread = await this.#living();
    return thread.ok ? thread.value.generate(inputs, context) : cannotLoad(thread.error);
  }

  async close(): Promise<void> {
    const thread = await this.#thread;
    const closing = thread.ok ? [thread.value.close()] : [];
    await Promise.all([...this.#leaving, ...closing, ...this.#suspects]);
  }

  /** A few suspects at a time have threads beside the one that all others share. */
  #runAlone(inputs: readonly Tensor[], context: ProgramContext): Promise<ProcessorEnd> {
    const place = this.#suspectsBegun % suspectsAtATime;
    this.#suspectsBegun += 1;
    const before = this.#suspects[place] ?? Promise.resolve();
    const run = before.then(async () => {
      // Whoever waited for it has been answered.
      if (context.signal.aborted) return err(unwanted);
      const thread = await ProcessorThread.start(this.#options);
      if (!thread.ok) return cannotLoad(thread.error);
      const end = await thread.value.generate(inputs, context);
      await thread.value.close();
      return end;
    });
    this.#suspects[place] = run.catch(() => undefined);
    return run;
  }

  /** The thread, replaced where it is spent, or could not be started the last time. */
  async #living(): Promise<Result<ProcessorThread, string>> {
    const before = this.#thread;
    const thread = await before;
    if (thread.ok && !thread.value.isSpent) return thread;
    // Whoever came first has begun to replace it.
    if (this.#thread === before) {
      if (thread.ok) this.#leave(thread.value);
      this.#thread = ProcessorThread.start(this.#options);
    }
    return this.#thread;
  }

  #leave(thread: ProcessorThread): void {
    const left = thread
      .idle()
      .then(() => thread.close())
      .finally(() => this.#leaving.delete(left));
    this.#leaving.add(left);
  }
}

function cannotLoad(reason: string): ProcessorEnd {
  return err(failure('model_error', `The processor could not be loaded again: ${reason}`));
}
