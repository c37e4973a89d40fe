/** The partial outputs of a job as they come, from any place, until the job has ended. */
import type { JobEnvelope } from '@inferry/contracts';
import type { JobQueue, PartialMark, PartialOutput, PartialsRead } from '@inferry/queue';

export type Told =
  /** What was told before is void. */
  | { readonly what: 'reset' }
  | { readonly what: 'partial'; readonly partial: PartialOutput }
  /** There is nothing else to read now; told again about once a second. The last of them is `ended` or `gone`. */
  | {
      readonly what: 'state';
      readonly state: PartialsRead['state'];
      readonly attempt: number;
    };

/** Where a reader begins who has read nothing. */
export const fromTheStart: PartialMark = { epoch: 0, number: 0 };

/** Ends with the job, or when `signal` aborts. While the queue is away nothing is told. */
export async function* followPartials(
  job: Pick<JobEnvelope, 'id' | 'class'>,
  from: PartialMark,
  signal: AbortSignal,
  { queue }: { readonly queue: JobQueue },
): AsyncGenerator<Told, void> {
  const news = new News(signal);
  const follower = queue.partials.follow(job, news.arrived);
  try {
    let mark = from;
    while (!signal.aborted) {
      const read = await follower.read(mark);
      if (read.ok) {
        const { attempt, hasMore, isReset, partials, state } = read.value;
        if (isReset) {
          mark = fromTheStart;
          yield { what: 'reset' };
        }
        for (const partial of partials) {
          ({ mark } = partial);
          yield { what: 'partial', partial };
        }
        if (hasMore) continue;
        yield { what: 'state', state, attempt };
        if (state === 'ended' || state === 'gone') return;
      }
      await news.next();
    }
  } finally {
    follower.stop();
    news.close();
  }
}

/** Whether something happened since it was last waited for. */
class News {
  readonly #signal: AbortSignal;
  #isThere = false;
  #resolve: (() => void) | undefined;

  constructor(signal: AbortSignal) {
    this.#signal = signal;
    signal.addEventListener('abort', this.arrived);
  }

  readonly arrived = (): void => {
    this.#isThere = true;
    this.#resolve?.();
  };

  /** Resolves when there was news since the last call, or the signal has aborted. */
  async next(): Promise<void> {
    if (!this.#isThere && !this.#signal.aborted) {
      await new Promise<void>((resolve) => {
        this.#resolve = resolve;
      });
    }
    this.#resolve = undefined;
    this.#isThere = false;
  }

  close(): void {
    this.#signal.removeEventListener('abort', this.arrived);
  }
}
