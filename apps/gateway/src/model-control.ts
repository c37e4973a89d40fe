/**
 * Loading and unloading of models on all workers, as operators ask for it over HTTP and gRPC: gives the order
 * to the queue, and waits until every worker has told what became of it. The wait is bounded and costs the
 * queue nothing: it looks at what the rounds of the gateway learn.
 */
import {
  type CarriedOut,
  type ControlOrder,
  type Failure,
  failure,
  isModelName,
  type WorkerAnnouncement,
} from '@inferry/contracts';
import type { ModelCatalogue } from '@inferry/models';
import type { JobQueue } from '@inferry/queue';
import { type Clock, err, ok, type Result } from '@inferry/runtime';
import type { Logger } from '@inferry/telemetry';

import type { HeldRequests } from './results/held-requests.ts';

export interface ControlSettings {
  readonly isAllowed: boolean;
  /** Longest wait for the workers. */
  readonly waitMs: number;
}

export interface ControlCall extends Pick<ControlOrder, 'model' | 'want'> {
  readonly requestId: string;
  /** Address of the caller, for the log; undefined where it is not known. */
  readonly peer: string | undefined;
  /** Aborts when the caller is gone. The order stands all the same. */
  readonly signal: AbortSignal;
}

interface Wait {
  readonly order: ControlOrder;
  /** This gateway knows what the workers were to load. */
  isRead: boolean;
  readonly end: (end: Result<void, Failure>) => void;
}

/** Reasons that are told of one failure; the log has all. */
const reasonsMax = 5;

interface ControlDeps {
  readonly queue: JobQueue;
  readonly catalogue: ModelCatalogue;
  readonly clock: Clock;
  readonly log: Logger;
  readonly held: HeldRequests;
  /** Reads the local repository again; undefined where it never changes. */
  readonly rereadModels?: () => Promise<unknown>;
}

export class ModelControl {
  readonly #deps: ControlDeps;
  readonly #settings: ControlSettings;
  readonly #waits = new Set<Wait>();
  #isDraining = false;
  #workers: readonly WorkerAnnouncement[] = [];
  /** Of the orders that were seen, the highest; undefined before the first look. */
  #seen: number | undefined;
  /** Orders given here that were not seen yet. */
  readonly #own = new Set<number>();

  constructor(deps: ControlDeps, settings: ControlSettings) {
    this.#deps = deps;
    this.#settings = settings;
  }

  /**
   * Resolves when every live worker has carried the order out. Errors: `model_control_off`, `invalid_input` (a
   * name that no model has), `model_not_found` (of what is to be unloaded), `queue_full` (too many requests are
   * held), `queue_unavailable`, `model_control_failed` (a later order undid it, or with the reasons of the
   * workers), `draining`, and `model_unavailable` where no worker lives or one has not told in time. After the
   * last two, and with reasons of workers, the order stands.
   */
  async carryOut(call: ControlCall): Promise<Result<void, Failure>> {
    const { held, log, queue } = this.#deps;
    const refused = this.#refusal(call);
    if (refused !== undefined) return err(refused);
    const place = held.reserve();
    if (place === undefined) return err(held.refusal());
    try {
      const { model, requestId: request_id, peer, want } = call;
      const ordered = await queue.order({ model, want });
      if (!ordered.ok) return ordered;
      this.#own.add(ordered.value.number);
      const told = { request_id, peer, model, want, order: ordered.value.number };
      log.info(told, 'a model was ordered');
      const startedAtMs = this.#deps.clock.nowMs();
      const end = await this.#wait(ordered.value, call.signal);
      const seconds = (this.#deps.clock.nowMs() - startedAtMs) / 1000;
      if (end.ok) log.info({ ...told, seconds }, 'an order was carried out');
      else log.warn({ ...told, seconds, reason: end.error.detail }, 'an order was not carried out');
      return end;
    } finally {
      place.release();
    }
  }

  /** What the workers told last, and what is ordered; to be called with each round. */
  look(workers: readonly WorkerAnnouncement[], orders: readonly ControlOrder[]): void {
    this.#workers = workers;
    this.#follow(orders);
    this.#endWaits(orders);
  }

  /** What other gateways had loaded may be in the repository of this one too. */
  #follow(orders: readonly ControlOrder[]): void {
    // What was ordered before this gateway began, it has read.
    const last = this.#seen ?? Infinity;
    const fresh = orders.filter(
      ({ number, want }) => number > last && want === 'loaded' && !this.#own.has(number),
    );
    const seen = Math.max(this.#seen ?? 0, ...orders.map(({ number }) => number));
    this.#seen = seen;
    for (const number of this.#own) if (number <= seen) this.#own.delete(number);
    if (fresh.length > 0) void this.#reread();
  }

  #endWaits(orders: readonly ControlOrder[]): void {
    const last = new Map(orders.map((order) => [order.model, order]));
    for (const { end, isRead, order } of this.#waits) {
      const { number = 0, want } = last.get(order.model) ?? {};
      const isOpposed = number > order.number && want !== order.want;
      const standing = isRead ? standingOf(order, this.#workers) : undefined;
      if (isOpposed) end(err(opposed(order)));
      else if (standing !== undefined) end(standing);
    }
  }

  async #readFor(wait: Wait): Promise<void> {
    await this.#reread();
    wait.isRead = true;
  }

  /** Never rejects: what cannot be read stays as it was. */
  async #reread(): Promise<void> {
    const { log, rereadModels } = this.#deps;
    await rereadModels?.().catch((cause: unknown) => {
      log.error({ err: cause }, 'the model repository cannot be read');
    });
  }

  /** Ends all waits, now and from now on. */
  drain(): void {
    this.#isDraining = true;
    for (const { end } of this.#waits) end(err(draining()));
  }

  #refusal({ model, want }: ControlCall): Failure | undefined {
    if (!this.#settings.isAllowed) {
      const detail =
        'This server does not load and unload models on request: INFERRY_MODEL_CONTROL=on allows it.';
      return failure('model_control_off', detail);
    }
    if (this.#isDraining) return draining();
    if (!isModelName(model)) {
      return failure('invalid_input', `"${model.slice(0, 128)}" is not the name of a model.`);
    }
    // What nobody knows may lie in the repository by now, but nobody can have it loaded.
    const known = this.#deps.catalogue.resolve(model);
    const isKnown = known.ok || known.error.code !== 'model_not_found';
    return want === 'loaded' || isKnown ? undefined : known.error;
  }

  #wait(order: ControlOrder, signal: AbortSignal): Promise<Result<void, Failure>> {
    const { waitMs } = this.#settings;
    return new Promise((resolve) => {
      const end = (ended: Result<void, Failure>): void => {
        cancelTimer();
        signal.removeEventListener('abort', onGone);
        this.#waits.delete(wait);
        resolve(ended);
      };
      const cancelTimer = this.#deps.clock.after(waitMs, () => {
        const { live, silent } = reportsOf(order, this.#workers);
        const detail = `${silent} of ${live.length} workers had not carried it out within ${waitMs} ms; the order stands.`;
        end(err(failure('model_unavailable', detail)));
      });
      // Nobody reads this answer.
      const onGone = (): void => end(err(failure('request_timeout', 'The caller is gone.')));
      const wait: Wait = { order, end, isRead: order.want === 'unloaded' };
      this.#waits.add(wait);
      if (!wait.isRead) void this.#readFor(wait);
      signal.addEventListener('abort', onGone, { once: true });
      if (signal.aborted) onGone();
      else if (this.#isDraining) end(err(draining()));
    });
  }
}

/**
 * What became of an order; undefined while a worker that lives has not told. Of a model that is loaded somewhere,
 * workers that do not have it in their repository have no say: workers need not all serve the same.
 */
function standingOf(
  order: ControlOrder,
  workers: readonly WorkerAnnouncement[],
): Result<void, Failure> | undefined {
  const { model, want } = order;
  const { live, silent } = reportsOf(order, workers);
  if (live.length === 0) {
    const detail =
      'No worker lives that could carry it out; the order stands, so that the next one does.';
    return err(failure('model_unavailable', detail));
  }
  if (silent > 0) return undefined;
  const isLoadedSomewhere = want === 'loaded' && live.some(({ end }) => end?.problem === null);
  const problems = live.flatMap(({ worker, end }) => {
    const hasIt = worker.models.some(({ manifest }) => manifest.name === model);
    const counts = hasIt || !isLoadedSomewhere;
    return counts && typeof end?.problem === 'string' ? [end.problem] : [];
  });
  if (problems.length === 0) return ok(undefined);
  // Workers of one repository mostly say the same.
  const reasons = [...new Set(problems)].slice(0, reasonsMax).join('; ');
  const what = want === 'loaded' ? 'load' : 'unload';
  const detail = `${problems.length} of ${live.length} workers could not ${what} "${model}": ${reasons}`;
  return err(failure('model_control_failed', detail));
}

/** Workers that live and stay, and how many of them have told nothing of this order or a later one. */
function reportsOf(
  { model, number }: ControlOrder,
  workers: readonly WorkerAnnouncement[],
): {
  readonly live: readonly { worker: WorkerAnnouncement; end: CarriedOut | undefined }[];
  readonly silent: number;
} {
  const live = workers
    .filter(({ state }) => state !== 'draining')
    .map((worker) => ({ worker, end: worker.carriedOut?.[model] }));
  const silent = live.filter(({ end }) => end === undefined || end.number < number).length;
  return { live, silent };
}

/** What workers tell of the later order says nothing of this one. */
function opposed({ model, want }: ControlOrder): Failure {
  const later = want === 'loaded' ? 'unload' : 'load';
  const detail = `A later order to ${later} "${model}" took the place of this one.`;
  return failure('model_control_failed', detail);
}

function draining(): Failure {
  return failure('draining', 'The server is shutting down. An order that was given stands.');
}
