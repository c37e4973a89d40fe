/**
 * The claims this worker holds, and its heartbeat: every third of a lease all classes are renewed, with
 * or without claims. A claim somebody else has taken over is marked lost.
 */
import { type ClassId, partsOf } from '@inferry/contracts';
import type { Claim, JobQueue } from '@inferry/queue';
import { invariant } from '@inferry/runtime';
import type { ReleaseReason } from '@inferry/scheduling';
import { HeldJob } from './held-job.ts';
import { endSpan, spanOf, type SpanDeps } from './job-spans.ts';
import type { WorkerTelemetry } from './telemetry.ts';

export interface LeasesDeps extends SpanDeps {
  readonly queue: Pick<JobQueue, 'renew'>;
  readonly workerId: string;
  readonly telemetry: WorkerTelemetry;
}

export class Leases {
  readonly #deps: LeasesDeps;
  readonly #held = new Map<ClassId, Set<HeldJob>>();
  /** Jobs that had no lease at an earlier renewal. */
  readonly #missing = new WeakSet<HeldJob>();

  constructor(deps: LeasesDeps) {
    this.#deps = deps;
  }

  /** The class is served from now on: {@link renew} says so, also while nothing is held. */
  add(cls: ClassId): void {
    if (!this.#held.has(cls)) this.#held.set(cls, new Set());
  }

  /** The class is served no longer; only when nothing of it is held. */
  remove(cls: ClassId): void {
    invariant((this.#held.get(cls)?.size ?? 0) === 0, 'what is held is renewed');
    this.#held.delete(cls);
  }

  /** Takes up the claims of one call, in order. */
  hold(cls: ClassId, claims: readonly Claim[], reason: ReleaseReason): readonly HeldJob[] {
    this.add(cls);
    const held = this.#jobs(cls);
    const jobs = claims.map((claim) => new HeldJob(claim, spanOf(claim, reason, this.#deps)));
    for (const job of jobs) held.add(job);
    this.#report(cls);
    return jobs;
  }

  /** Settled, given back, or lost: not ours to renew any more. */
  release(cls: ClassId, jobs: readonly HeldJob[]): void {
    const held = this.#jobs(cls);
    for (const job of jobs) {
      held.delete(job);
      endSpan(job, this.#deps);
    }
    this.#report(cls);
  }

  /** All jobs held, by class. */
  held(): ReadonlyMap<ClassId, ReadonlySet<HeldJob>> {
    return this.#held;
  }

  /** Renews every class; throws when the queue could not be reached for one of them. */
  async renew(): Promise<void> {
    const renewals = [...this.#held].map(([cls, held]) => this.#renewClass(cls, held));
    const failed = (await Promise.allSettled(renewals)).find(
      (renewal) => renewal.status === 'rejected',
    );
    if (failed !== undefined) throw failed.reason;
  }

  async #renewClass(cls: ClassId, held: ReadonlySet<HeldJob>): Promise<void> {
    const { model } = partsOf(cls);
    const claims = [...held].map((job) => job.claim);
    try {
      const lost = await this.#deps.queue.renew(this.#deps.workerId, cls, claims);
      const fences = new Set(lost.map(identity));
      const missing = [...held].filter((job) => !job.isLost && fences.has(identity(job.claim)));
      // One that is being settled or given back may have no lease because that has just happened. It is lost
      // when it is still here the next time.
      const jobs = missing.filter((job) => job.isOpen || this.#missing.has(job));
      for (const job of missing) this.#missing.add(job);
      for (const job of jobs) job.isLost = true;
      if (jobs.length > 0) this.#deps.telemetry.leasesNotRenewed(model, jobs.length);
    } catch (cause) {
      this.#deps.telemetry.leasesNotRenewed(model, claims.length);
      throw cause;
    }
  }

  #jobs(cls: ClassId): Set<HeldJob> {
    return this.#held.get(cls) ?? new Set();
  }

  #report(cls: ClassId): void {
    const { model } = partsOf(cls);
    let jobs = 0;
    for (const [other, held] of this.#held) {
      if (partsOf(other).model === model) jobs += held.size;
    }
    this.#deps.telemetry.inFlight(model, jobs);
  }
}

/** A job may come to this worker twice; the fence tells the claims apart. */
function identity(claim: Claim): string {
  return `${claim.job.id} ${claim.fence}`;
}
