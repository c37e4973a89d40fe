/**
 * Our scheduler: the memory queue with the rules of @inferry/scheduling, in virtual time, behind a gateway
 * that enqueues on terms and in front of simulated workers. Only the network and the runs are made up.
 */
import {
  type ClassId,
  classOf,
  defaultLimits,
  defaultTenant,
  type JobEnvelope,
  type JobId,
  type LingerSpec,
} from '@inferry/contracts';
import {
  type Claim,
  createMemoryQueue,
  type EnqueueTerms,
  type JobQueue,
  type QueueRules,
} from '@inferry/queue';
import { invariant } from '@inferry/runtime';
import { flowWeight, queueRules } from '@inferry/scheduling';
import type { Policy, Request, World } from '../world.ts';
import { Audit } from './audit.ts';
import { SimWorker } from './sim-worker.ts';

export interface OursOptions {
  /** In which held requests have their answer, from the client's side, ms; null: no budget. */
  readonly budgetMs: number | null;
  readonly onInfeasible: 'refuse' | 'accept';
  readonly latencyTargetMs: number | null;
  readonly linger: LingerSpec;
  /** By tenant; null where tenants are not told apart. */
  readonly weights: Readonly<Record<string, number>> | null;
  /** Each so many runs one comes to nothing, and its jobs are given back; null: never. */
  readonly givesBackEvery: number | null;
}

export const plain: OursOptions = {
  budgetMs: null,
  onInfeasible: 'refuse',
  latencyTargetMs: null,
  linger: { mode: 'none', maxMs: 0 },
  weights: null,
  givesBackEvery: null,
};

/** All jobs are of one class. */
export const cls: ClassId = classOf('detector', '1');
const noPayload = new Uint8Array(0);
const sweepMs = 5_000;

/** Our scheduler in an experiment. */
export function ours(options: Partial<OursOptions> = {}): (world: World) => Ours {
  return (world) => new Ours(world, { ...plain, ...options });
}

export class Ours implements Policy {
  protected readonly world: World;
  protected readonly queue: JobQueue;
  protected readonly audit: Audit;
  readonly #options: OursOptions;
  readonly #requests = new Map<JobId, Request>();
  readonly #workers: readonly SimWorker[];
  /** Workers without work, the one that waits longest first. */
  protected readonly free: SimWorker[] = [];
  #jobs = 0;
  #runs = 0;

  constructor(world: World, options: OursOptions, rules: QueueRules = queueRules) {
    const { engine } = world;
    this.world = world;
    this.#options = options;
    this.queue = createMemoryQueue({
      clock: engine,
      rules,
      tombstoneMs: 1,
    });
    const { latencyTargetMs, linger, weights } = options;
    const lingerMaxMs = linger.mode === 'none' ? 0 : linger.maxMs;
    this.audit = new Audit(world, { weights, lingerMaxMs, agingMs: defaultLimits.agingMs });
    this.#workers = world.options.slowness.map(
      (_, index) =>
        new SimWorker(index, {
          world,
          queue: this.queue,
          cls,
          linger,
          latencyTargetMs,
          onClaimed: (...claim) => this.audit.claimed(...claim),
        }),
    );
    engine.every(sweepMs, async () => {
      await this.queue.sweep(cls);
    });
    engine.at(0, async () => {
      for (const worker of this.#workers) {
        await worker.offer();
        await this.serve(worker);
      }
    });
  }

  async arrive(request: Request): Promise<void> {
    const held = await this.#admit(request, this.#budgetOf(request));
    if (!held.ok) {
      const { code, retryAfterMs } = held.error;
      if (code !== 'deadline_infeasible' || this.#options.onInfeasible === 'refuse') {
        this.world.refuse(request, retryAfterMs ?? null);
        return;
      }
      request.isJob = true;
      const job = await this.#admit(request, null);
      invariant(job.ok, 'a job without a budget is taken while the queue is not full');
    }
    let worker = this.free.shift();
    while (worker !== undefined) {
      const isBusy = await this.serve(worker);
      worker = isBusy ? this.free.shift() : undefined;
    }
    this.audit.settled(this.free.length);
  }

  async broken(): Promise<readonly string[]> {
    const [stats] = await this.queue.stats([cls]);
    const left = (stats?.waiting ?? 0) + (stats?.active ?? 0);
    const stuck = left === 0 ? [] : [`conservation: ${left} jobs are left in the queue`];
    return [...stuck, ...this.audit.report()];
  }

  async #admit(request: Request, budget: EnqueueTerms['budget']): ReturnType<JobQueue['enqueue']> {
    const enqueued = await this.add(request, budget);
    if (!enqueued.ok) return enqueued;
    this.world.accept(request);
    this.audit.accepted(request, enqueued.value);
    return enqueued;
  }

  /** Adds the request as a job, at the end of its flow. */
  protected async add(
    request: Request,
    budget: EnqueueTerms['budget'],
  ): ReturnType<JobQueue['enqueue']> {
    const job = this.#jobOf(request);
    const { weights } = this.#options;
    const enqueued = await this.queue.enqueue(job, noPayload, {
      depthMax: defaultLimits.queueDepthPerClassMax,
      bytesMax: defaultLimits.queueBytesPerClassMax,
      tenantDepthMax: weights === null ? null : defaultLimits.queueDepthPerTenantMax,
      weight: flowWeight(weights?.[request.tenant] ?? 1, job.priority),
      budget,
    });
    if (enqueued.ok) this.#requests.set(job.id, request);
    return enqueued;
  }

  /** Looks for work for a free worker; false when there was none to take, and it waits. */
  protected async serve(worker: SimWorker): Promise<boolean> {
    const look = await worker.look();
    if (look.found === 'batch') {
      this.run(worker, look.claims);
      return true;
    }
    if (look.found === 'company') {
      this.world.engine.after(look.againInMs, async () => {
        await this.serve(worker);
      });
    } else this.free.push(worker);
    return false;
  }

  protected run(worker: SimWorker, claims: readonly Claim[]): void {
    const requests = this.requestsOf(claims);
    const { idleMs } = worker;
    const { givesBackEvery } = this.#options;
    this.#runs += 1;
    const comesToNothing = givesBackEvery !== null && this.#runs % givesBackEvery === 0;
    this.audit.started(requests);
    this.world.run(worker.index, requests, async (ms) => {
      if (comesToNothing) {
        this.audit.returned(requests);
        await this.giveBack(claims);
      } else {
        await worker.ran(claims, ms, idleMs);
        this.#answer(claims, requests);
      }
      await this.serve(worker);
      this.audit.settled(this.free.length);
    });
  }

  protected async giveBack(claims: readonly Claim[]): Promise<void> {
    await this.queue.giveBack(cls, claims, false);
  }

  protected requestsOf(claims: readonly Claim[]): readonly Request[] {
    return claims.map(({ job }) => {
      const request = this.#requests.get(job.id);
      invariant(request !== undefined, 'what is claimed was enqueued');
      return request;
    });
  }

  #answer(claims: readonly Claim[], requests: readonly Request[]): void {
    const nowMs = this.world.engine.nowMs();
    for (const { job } of claims) this.#requests.delete(job.id);
    for (const request of requests) this.audit.answered(request, nowMs - request.arrivedAtMs);
    this.world.answer(requests);
  }

  #budgetOf({ arrivedAtMs, sentAtMs }: Request): EnqueueTerms['budget'] {
    const { budgetMs } = this.#options;
    if (budgetMs === null) return null;
    // The gateway sees its own part of the time; whoever sets the budget knows of the network.
    const { networkMs } = this.world.options;
    const usedMs = arrivedAtMs - sentAtMs - networkMs;
    return { usedMs, budgetMs: budgetMs - 2 * networkMs, needsWorker: true };
  }

  #jobOf(request: Request): JobEnvelope {
    this.#jobs += 1;
    return {
      v: 1,
      id: `job_${String(this.#jobs).padStart(26, '0')}` as JobId,
      class: cls,
      tenant: this.#options.weights === null ? defaultTenant : request.tenant,
      priority: 'normal',
      rows: 1,
      payloadBytes: 0,
      mode: 'held',
      gateway: null,
      requestId: 'simulated',
      admissionMs: 0,
      deadlineMs: defaultLimits.deadlineMsMax,
      queueTimeoutMs: defaultLimits.deadlineMsMax,
      executionTimeoutMs: defaultLimits.executionTimeoutMsDefault,
      attemptsMax: defaultLimits.attemptsMax,
      retentionMs: 1,
      metadata: {},
    };
  }
}
