/**
 * The main thread's end of a processor's thread: jobs go in, their steps come out. Notices a job that takes too long
 * over its own work, a thread that answers no more, and one that ended, and says what that means for each job in it.
 */
import type { Worker } from 'node:worker_threads';
import { type Failure, failure, type Tensor } from '@inferry/contracts';
import { err, invariant, ok, type Result } from '@inferry/runtime';
import type { ProgramContext, ProgramLost } from '../program.ts';
import type { FromThread, ToThread } from './messages.ts';
import { openThread, type ProcessorOptions } from './open-thread.ts';
import { foldersOf, reasonOf } from './reasons.ts';

export type ProcessorEnd = Result<readonly Tensor[], Failure | ProgramLost>;

/** Reading its files and running what stands outside of `generate`. */
const loadMsMax = 30_000;
/** With so many jobs in it that were given up and have not returned, a thread is used no longer. */
const givenUpMax = 16;

interface Job {
  readonly number: number;
  readonly inputs: ReadonlyMap<string, Tensor>;
  readonly context: ProgramContext;
  readonly end: (end: ProcessorEnd) => void;
  /** Steps and emissions that somebody else works on. */
  awaited: number;
  /** Rises with everything that it does. */
  moves: number;
  cancelLimit: () => void;
}

export class ProcessorThread {
  readonly #options: ProcessorOptions;
  readonly #worker: Worker;
  readonly #folders: readonly string[];
  readonly #running = new Int32Array(new SharedArrayBuffer(4));
  readonly #jobs = new Map<number, Job>();
  /** Their outcome was told; the thread has not said that they ended. */
  readonly #givenUp = new Set<number>();
  readonly #whenEmpty: (() => void)[] = [];
  #lastJob = 0;
  #isGone = false;
  #loaded: (loaded: Result<null, string>) => void = () => undefined;
  /** What waits for an answer to a ping. */
  #ponged: (() => void) | null = null;

  private constructor(options: ProcessorOptions) {
    this.#options = options;
    this.#folders = foldersOf(options.manifest.processor?.file ?? '');
    this.#worker = openThread(options, { folders: this.#folders, running: this.#running });
    this.#worker.on('message', (message: FromThread) => this.#receive(message));
    this.#worker.once('error', (cause: unknown) => {
      this.#broke(reasonOf(cause, this.#folders), cause);
    });
    this.#worker.once('exit', (code) => this.#broke(`it ended with ${code}`));
  }

  /** Resolves when the file is loaded; the error is the reason why it cannot be, for the operator. */
  static async start(options: ProcessorOptions): Promise<Result<ProcessorThread, string>> {
    const thread = new ProcessorThread(options);
    const loaded = await new Promise<Result<null, string>>((resolve) => {
      const cancel = options.clock.after(loadMsMax, () => {
        resolve(err(`was not loaded within ${loadMsMax} ms: something outside of generate hangs`));
      });
      thread.#loaded = (answer) => {
        cancel();
        resolve(answer);
      };
    });
    if (loaded.ok) return ok(thread);
    await thread.close();
    return loaded;
  }

  /** Takes no more jobs: it is over, or too many in it never came back. */
  get isSpent(): boolean {
    return this.#isGone || this.#givenUp.size >= givenUpMax;
  }

  /** Ends within what the context and the limits of the model allow. Never rejects. */
  generate(inputs: readonly Tensor[], context: ProgramContext): Promise<ProcessorEnd> {
    if (this.#isGone) return Promise.resolve(err({ code: 'program_lost', asSuspect: false }));
    if (context.signal.aborted) return Promise.resolve(err(unwanted));
    this.#lastJob += 1;
    const number = this.#lastJob;
    const { signal } = context;
    return new Promise((resolve) => {
      const unwant = (): void => this.#giveUp(number, unwanted);
      signal.addEventListener('abort', unwant, { once: true });
      const job: Job = {
        number,
        inputs: new Map(inputs.map((tensor) => [tensor.name, tensor])),
        context,
        end: (end) => {
          signal.removeEventListener('abort', unwant);
          resolve(end);
        },
        awaited: 0,
        moves: 0,
        cancelLimit: () => undefined,
      };
      this.#jobs.set(number, job);
      const copies = inputs.map(ownCopy);
      this.#send({ kind: 'generate', job: number, inputs: copies }, copies);
      this.#limit(job);
    });
  }

  /** Resolves when no job is in it any more. */
  async idle(): Promise<void> {
    if (this.#jobs.size === 0) return;
    await new Promise<void>((resolve) => this.#whenEmpty.push(resolve));
  }

  /** Ends the thread, whatever it does: it runs nothing but JavaScript, which can be stopped anywhere. */
  async close(): Promise<void> {
    this.#isGone = true;
    await this.#worker.terminate();
  }

  #receive(message: FromThread): void {
    if (this.#isGone) return;
    switch (message.kind) {
      case 'loaded':
        this.#loaded(ok(null));
        break;
      case 'unloadable':
        this.#loaded(err(message.reason));
        break;
      case 'pong':
        this.#ponged?.();
        break;
      case 'log':
        this.#options.logger.info({ text: message.text }, 'the processor logs');
        break;
      case 'ended':
        this.#ended(message);
        break;
      case 'step':
        this.#step(message).catch((cause: unknown) => this.#failed(message.job, cause));
        break;
      case 'emit':
        this.#emit(message).catch((cause: unknown) => this.#failed(message.job, cause));
        break;
    }
  }

  /** A bug: of all else that goes wrong the thread is told. */
  #failed(job: number, cause: unknown): void {
    this.#options.logger.error({ err: cause }, 'what a processor asked for could not be done');
    this.#giveUp(job, failure('internal', 'The worker failed to serve this job.'));
  }

  async #step({
    job: number,
    request,
    step,
  }: Extract<FromThread, { kind: 'step' }>): Promise<void> {
    const job = this.#begunBy(number);
    if (job === undefined) return;
    const { model, outputs, version } = request;
    const tensors = request.tensors.map((tensor) => {
      if (!('input' in tensor)) return tensor;
      const input = job.inputs.get(tensor.input);
      invariant(input !== undefined, 'the thread names inputs that the job has');
      return { ...input, name: tensor.name };
    });
    const ran = await job.context.step({
      model,
      version,
      tensors,
      ...(outputs === undefined ? {} : { outputs }),
    });
    if (!this.#isLive(job)) return;
    const copies = ran.ok ? ran.value.map(ownCopy) : [];
    const answer = ran.ok ? { ok: true as const, value: copies } : ran;
    this.#send({ kind: 'stepped', job: number, step, answer }, copies);
    this.#answered(job);
  }

  async #emit({
    emission,
    job: number,
    tensors,
  }: Extract<FromThread, { kind: 'emit' }>): Promise<void> {
    const job = this.#begunBy(number);
    if (job === undefined) return;
    const answer = await job.context.emit(tensors).then(
      () => ({ ok: true as const, value: null }),
      (cause: unknown) => ({
        ok: false as const,
        error: failure('internal', cause instanceof Error ? cause.message : String(cause)),
      }),
    );
    if (!this.#isLive(job)) return;
    this.#send({ kind: 'emitted', job: number, emission, answer }, []);
    this.#answered(job);
  }

  /** Somebody else works for the job now: its own time stands still. */
  #begunBy(number: number): Job | undefined {
    const job = this.#jobs.get(number);
    if (job === undefined) return undefined;
    job.moves += 1;
    job.awaited += 1;
    job.cancelLimit();
    return job;
  }

  #answered(job: Job): void {
    job.awaited -= 1;
    if (job.awaited === 0) this.#limit(job);
  }

  #isLive(job: Job): boolean {
    return !this.#isGone && this.#jobs.get(job.number) === job;
  }

  /** What a job does between its steps has the limit that a run has. */
  #limit(job: Job): void {
    const { clock, manifest } = this.#options;
    job.cancelLimit();
    const { moves } = job;
    job.cancelLimit = clock.after(manifest.executionTimeoutMs, () => {
      void this.#overdue(job, moves);
    });
  }

  async #overdue(job: Job, moves: number): Promise<void> {
    if (!(await this.#answers())) {
      if (!this.#isGone) this.#hung();
      return;
    }
    // It may have been held up by another job of the thread, and be going on by now.
    if (!this.#isLive(job) || job.moves !== moves) return;
    this.#giveUp(job.number, this.#timeout());
  }

  /** Whether the thread gets round to answering. */
  #answers(): Promise<boolean> {
    const { clock, limits } = this.#options;
    return new Promise((resolve) => {
      const cancel = clock.after(limits.stuckRunGraceMs, () => resolve(false));
      const previous = this.#ponged;
      this.#ponged = () => {
        this.#ponged = null;
        cancel();
        resolve(true);
        previous?.();
      };
      this.#send({ kind: 'ping' }, []);
    });
  }

  #timeout(): Failure {
    const { executionTimeoutMs } = this.#options.manifest;
    const detail = `The processor did nothing but its own work for ${executionTimeoutMs} ms, its limit.`;
    return failure('execution_timeout', detail);
  }

  #hung(): void {
    this.#options.logger.error(this.#fields(), 'the thread of a processor hangs; it is replaced');
    this.#lose(this.#timeout());
  }

  #broke(reason: string, cause?: unknown): void {
    this.#loaded(err(reason));
    if (this.#isGone) return;
    const fields = { ...this.#fields(), reason, ...(cause === undefined ? {} : { err: cause }) };
    this.#options.logger.error(fields, 'the thread of a processor broke; it is replaced');
    this.#lose(failure('model_error', `The thread of the processor broke: ${reason}`));
  }

  #fields(): Readonly<Record<string, unknown>> {
    return { jobs: this.#jobs.size, cause_known: this.#culprit() !== undefined };
  }

  #culprit(): number | undefined {
    const running = Atomics.load(this.#running, 0);
    if (running !== 0) return running;
    return this.#jobs.size === 1 && this.#givenUp.size === 0
      ? this.#jobs.keys().next().value
      : undefined;
  }

  /**
   * The job whose code was running ends with the failure, and the others go back unharmed. Where that is not known,
   * all of them go back as suspects, and each runs in a thread of its own the next time.
   */
  #lose(failed: Failure): void {
    const culprit = this.#culprit();
    this.#isGone = true;
    void this.#worker.terminate();
    for (const job of this.#jobs.values()) {
      job.cancelLimit();
      if (job.number === culprit) job.end(err(failed));
      else job.end(err({ code: 'program_lost', asSuspect: culprit === undefined }));
    }
    this.#jobs.clear();
    this.#changed();
  }

  /** The job has its outcome; its code may go on for a while, to no effect. */
  #giveUp(number: number, failed: Failure): void {
    const job = this.#jobs.get(number);
    if (job === undefined) return;
    this.#givenUp.add(number);
    this.#send({ kind: 'abort', job: number, reason: failed.detail }, []);
    this.#end(job, err(failed));
  }

  #ended({ answer, job: number, stack }: Extract<FromThread, { kind: 'ended' }>): void {
    this.#givenUp.delete(number);
    const job = this.#jobs.get(number);
    if (job === undefined) return;
    if (stack !== undefined) this.#options.logger.warn({ stack }, 'a processor threw');
    this.#end(job, answer.ok ? ok(answer.value) : err(answer.error));
  }

  #end(job: Job, end: ProcessorEnd): void {
    job.cancelLimit();
    this.#jobs.delete(job.number);
    job.end(end);
    this.#changed();
  }

  #changed(): void {
    if (this.#jobs.size > 0) return;
    for (const resolve of this.#whenEmpty.splice(0)) resolve();
  }

  #send(message: ToThread, tensors: readonly Tensor[]): void {
    if (this.#isGone) return;
    this.#worker.postMessage(
      message,
      tensors.map(({ bytes }) => bytes.buffer as ArrayBuffer),
    );
  }
}

export const unwanted = failure('canceled_by_user', 'Nobody waits for this job any more.');

/** For the thread, which gets memory of its own: what a queue answered, or a caller sent, may be a view into more. */
function ownCopy(tensor: Tensor): Tensor {
  return { ...tensor, bytes: Uint8Array.from(tensor.bytes) };
}
