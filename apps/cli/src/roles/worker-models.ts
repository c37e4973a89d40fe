/**
 * Keeps a worker with what the repository holds and with what operators ordered: a model that was ordered away is
 * not served, by workers that start later neither, until it is ordered back.
 */
import type { CarriedOut, ControlOrder } from '@inferry/contracts';
import { problemText, type Repository } from '@inferry/models';
import type { JobQueue } from '@inferry/queue';
import { type Clock, every, sleep } from '@inferry/runtime';
import type { Logger } from '@inferry/telemetry';
import type { ApplyReport, WantedModels, Worker } from '@inferry/worker';
import type { Config } from '../config.ts';
import type { RepositoryWatch } from './repository-watch.ts';

export interface WorkerModelsDeps {
  readonly watch: Pick<RepositoryWatch, 'current' | 'reread'>;
  readonly queue: Pick<JobQueue, 'orders'>;
  readonly clock: Clock;
  readonly logger: Logger;
  /** What else is ordered is no matter of this worker. */
  readonly only: Config['only'];
}

const lookMs = 500;
/** The wait for orders before the start: a queue that is away is no reason not to start. */
const firstLookMsMax = 1_000;

export class WorkerModels {
  readonly #deps: WorkerModelsDeps;
  /** The last order of each model that was seen. */
  #orders: ReadonlyMap<string, ControlOrder> = new Map();
  #carriedOut: ReadonlyMap<string, CarriedOut> = new Map();
  /** What the worker was given last. */
  #applied: Repository;

  private constructor(deps: WorkerModelsDeps) {
    this.#deps = deps;
    this.#applied = deps.watch.current();
  }

  static async open(deps: WorkerModelsDeps): Promise<WorkerModels> {
    const models = new WorkerModels(deps);
    const over = new AbortController();
    const late = sleep(deps.clock, firstLookMsMax, over.signal).then(() => null);
    const orders = await Promise.race([deps.queue.orders().catch(() => null), late]);
    over.abort();
    models.#orders = byModel(orders ?? []);
    return models;
  }

  /** What is to be served now. */
  wanted(): WantedModels {
    const { models, routing } = this.#applied;
    const isWanted = (name: string): boolean => this.#orders.get(name)?.want !== 'unloaded';
    return { manifests: models.filter(({ name }) => isWanted(name)), routing };
  }

  /** From its start on, which ended so, the worker is told of every change; the returned function stops that. */
  follow(
    worker: Pick<Worker, 'apply' | 'isReady' | 'tellCarriedOut'>,
    started: ApplyReport,
  ): () => void {
    // What it has started with carries them out.
    this.#note([...this.#orders.values()], started);
    this.#tell(worker);
    return every(this.#deps.clock, lookMs, () => this.#look(worker));
  }

  async #look(worker: Pick<Worker, 'apply' | 'isReady' | 'tellCarriedOut'>): Promise<void> {
    const { logger, queue, watch } = this.#deps;
    // While the queue is away what was ordered last still holds.
    const told = await queue.orders().catch(() => null);
    const known = this.#orders;
    const orders = told === null ? known : byModel(told);
    const fresh = [...orders.values()].filter(
      ({ model, number }) => known.get(model)?.number !== number,
    );
    if (fresh.length === 0 && watch.current() === this.#applied) return;
    for (const { model, number, want } of fresh) logger.info({ model, number, want }, 'ordered');
    const retry = fresh.flatMap(({ model, want }) => (want === 'loaded' ? [model] : []));
    try {
      if (retry.length > 0) await watch.reread();
      this.#applied = watch.current();
      // An order that is forgotten still stands for the models it left away.
      this.#orders = new Map([...known, ...orders]);
      const report = await worker.apply({ ...this.wanted(), retry });
      if (!worker.isReady) return;
      this.#note(fresh, report);
      this.#tell(worker, orders);
    } catch (cause) {
      logger.error({ err: cause }, 'the models of this worker could not be changed');
    }
  }

  #note(orders: readonly ControlOrder[], report: ApplyReport): void {
    const noted = orders.map(({ model, number, want }) => {
      const problem = want === 'loaded' ? this.#problemOf(model, report) : null;
      return [model, { number, problem }] as const;
    });
    this.#carriedOut = new Map([...this.#carriedOut, ...noted]);
  }

  /** Why a model is not served as its files say; null where it is, or is not to be served here. */
  #problemOf(name: string, report: ApplyReport): string | null {
    const { only } = this.#deps;
    if (only !== null && !only.includes(name)) return null;
    const { models, problems } = this.#applied;
    const unreadable = problems.filter(({ model }) => model === null || model === name);
    if (unreadable.length > 0) return unreadable.map(problemText).join('; ');
    if (!models.some((manifest) => manifest.name === name)) return 'is not in the repository';
    const failed = report.filter(({ model, result }) => model === name && result === 'failed');
    if (failed.length === 0) return null;
    return failed.map(({ reason = '', version }) => `version ${version}: ${reason}`).join('; ');
  }

  /** Of orders that the queue has forgotten nothing is told: their numbers may be given again. */
  #tell(worker: Pick<Worker, 'tellCarriedOut'>, orders = this.#orders): void {
    const told = [...this.#carriedOut].filter(([model]) => orders.has(model));
    this.#carriedOut = new Map(told);
    worker.tellCarriedOut(Object.fromEntries(told));
  }
}

function byModel(orders: readonly ControlOrder[]): ReadonlyMap<string, ControlOrder> {
  return new Map(orders.map((order) => [order.model, order]));
}
