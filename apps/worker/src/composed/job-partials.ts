/**
 * What the program of a job tells of its answer before the end: in order, each kept by the queue before the
 * next. While the queue is away or full the program waits, within the time of its job.
 */
import type { Failure, Tensor } from '@inferry/contracts';
import type { Claim, JobQueue } from '@inferry/queue';
import { type Clock, sleep } from '@inferry/runtime';

const retryMs = 250;

export class JobPartials {
  readonly #claim: Claim;
  readonly #signal: AbortSignal;
  readonly #deps: { readonly queue: Pick<JobQueue, 'partials'>; readonly clock: Clock };
  #told = 0;
  #tail: Promise<void> = Promise.resolve();
  #refusal: Failure | undefined;

  constructor(
    { claim, signal }: { readonly claim: Claim; readonly signal: AbortSignal },
    deps: { readonly queue: Pick<JobQueue, 'partials'>; readonly clock: Clock },
  ) {
    this.#claim = claim;
    this.#signal = signal;
    this.#deps = deps;
  }

  /** Why the job cannot go on: it told more than a job may. */
  get refusal(): Failure | undefined {
    return this.#refusal;
  }

  /** Resolves when the queue has it. Rejects where it was refused, or nobody wants the job any more. */
  tell(tensors: readonly Tensor[]): Promise<void> {
    const telling = this.#tail.then(() => this.#tell(tensors));
    this.#tail = telling.catch(() => undefined);
    return telling;
  }

  /** Resolves when nothing is on its way. */
  idle(): Promise<void> {
    return this.#tail;
  }

  async #tell(tensors: readonly Tensor[]): Promise<void> {
    const { clock, queue } = this.#deps;
    const { class: cls } = this.#claim.job;
    if (this.#refusal !== undefined) throw new Error(this.#refusal.detail);
    const number = this.#told + 1;
    while (!this.#signal.aborted) {
      const told = await queue.partials.emit(cls, this.#claim, number, {
        form: 'tensors',
        tensors,
      });
      if (told.ok) {
        if (told.value === 'lost') break;
        this.#told = number;
        return;
      }
      if (told.error.code === 'output_too_large') {
        this.#refusal = told.error;
        throw new Error(told.error.detail);
      }
      await sleep(clock, retryMs, this.#signal);
    }
    throw new Error('Nobody wants this job any more.');
  }
}
