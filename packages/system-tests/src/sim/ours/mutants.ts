/**
 * The scheduler with one slip each, of the kind that other systems shipped with. The audit has to notice
 * every one of them, or it would not notice ours.
 */
import type { Outcome } from '@inferry/contracts';
import type { Claim } from '@inferry/queue';
import type { Policy, World } from '../world.ts';
import { queueRules } from '@inferry/scheduling';
import { cls, Ours, type OursOptions, plain } from './ours.ts';
import type { SimWorker } from './sim-worker.ts';

/** How long a worker that fills a batch of its own waits for more. */
const fillMs = 100;

const canceled: Outcome = {
  status: 'canceled',
  output: null,
  error: null,
  batchRows: null,
  timings: null,
  readyAtMs: null,
  overtakenBy: 0,
};

/** The newest job first: a stack where a queue was meant. */
export function newestFirst(options: Partial<OursOptions> = {}): (world: World) => Policy {
  return (world) => {
    let tag = 2 ** 52;
    const startTag = (): number => {
      tag -= 1;
      return tag;
    };
    return new Ours(world, { ...plain, ...options }, { ...queueRules, startTag });
  };
}

/** The whole line as one batch on one worker: `n` where `min(n, b)` was meant. */
export function estimateOfAll(options: Partial<OursOptions> = {}): (world: World) => Policy {
  return (world) =>
    new Ours(
      world,
      { ...plain, ...options },
      {
        ...queueRules,
        estimate: (line) => {
          const [first] = line.servers;
          if (first === undefined) return null;
          const profile = { ...first.profile, rowsMax: Number.MAX_SAFE_INTEGER };
          return queueRules.estimate({ ...line, servers: [{ ...first, profile }] });
        },
      },
    );
}

/** What comes back goes to the end of the line. */
export function retryToTail(options: Partial<OursOptions> = {}): (world: World) => Policy {
  return (world) => new RetryToTail(world, { ...plain, ...options });
}

class RetryToTail extends Ours {
  protected override async giveBack(claims: readonly Claim[]): Promise<void> {
    const requests = this.requestsOf(claims);
    await this.queue.settle(
      cls,
      claims.map((claim) => ({ claim, outcome: canceled })),
    );
    for (const request of requests) await this.add(request, null);
  }
}

/** Each worker claims job by job, and holds what it has until its batch is full or a time is over. */
export function workerFill(options: Partial<OursOptions> = {}): (world: World) => Policy {
  return (world) => new WorkerFill(world, { ...plain, ...options });
}

class WorkerFill extends Ours {
  readonly #held = new Map<SimWorker, Claim[]>();

  protected override async serve(worker: SimWorker): Promise<boolean> {
    const look = await worker.look(1);
    if (look.found !== 'batch') {
      this.free.push(worker);
      return false;
    }
    const held = this.#held.get(worker) ?? this.#begin(worker);
    held.push(...look.claims);
    if (held.length >= this.world.options.rowsMax) this.#depart(worker, held);
    else this.free.push(worker);
    return true;
  }

  #begin(worker: SimWorker): Claim[] {
    const held: Claim[] = [];
    this.#held.set(worker, held);
    this.world.engine.after(fillMs, () => this.#depart(worker, held));
    return held;
  }

  #depart(worker: SimWorker, held: readonly Claim[]): void {
    if (this.#held.get(worker) !== held) return;
    this.#held.delete(worker);
    const at = this.free.indexOf(worker);
    if (at >= 0) this.free.splice(at, 1);
    this.run(worker, held);
  }
}
