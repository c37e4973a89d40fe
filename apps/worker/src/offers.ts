/**
 * How fast this worker serves its classes, as the queue is told: with the renewals of leases, and at once
 * when the size of batches changes. Estimates for jobs that arrive rest on it.
 */
import type { ClassId, ServiceProfile } from '@inferry/contracts';
import type { JobQueue } from '@inferry/queue';
import { profileOf } from '@inferry/scheduling';
import type { LaneContext } from './deps.ts';

/** A class as it is offered. */
export interface Offered {
  readonly cls: ClassId;
  /** Null while nobody knows what its runs take. */
  readonly profile: () => ServiceProfile | null;
}

export interface OffersDeps {
  readonly queue: Pick<JobQueue, 'offer'>;
  readonly workerId: string;
}

export class Offers {
  readonly #deps: OffersDeps;
  readonly #offered = new Map<ClassId, Offered>();
  #isWithdrawn = false;

  constructor(deps: OffersDeps) {
    this.#deps = deps;
  }

  /** The class is offered so with the next renewal, whatever was offered of it before. */
  add(offered: Offered): void {
    this.#offered.set(offered.cls, offered);
  }

  /** The class is served no longer; throws when the queue could not be reached. */
  async remove(cls: ClassId): Promise<void> {
    const { queue, workerId } = this.#deps;
    if (this.#offered.delete(cls)) await queue.offer(workerId, cls, null);
  }

  /** Offers every class whose run times are known; throws when the queue could not be reached. */
  async renew(): Promise<void> {
    await Promise.all([...this.#offered.values()].map((offered) => this.#offer(offered)));
  }

  /** The class is served in another way from now on. When the queue is away the next renewal says so. */
  changed(cls: ClassId): void {
    const offered = this.#offered.get(cls);
    if (offered !== undefined) this.#offer(offered).catch(() => undefined);
  }

  /** Nothing is offered from now on; throws when the queue could not be reached. */
  async withdraw(): Promise<void> {
    this.#isWithdrawn = true;
    const { queue, workerId } = this.#deps;
    await Promise.all([...this.#offered.keys()].map((cls) => queue.offer(workerId, cls, null)));
  }

  async #offer({ cls, profile }: Offered): Promise<void> {
    const offered = this.#isWithdrawn ? null : profile();
    if (offered !== null) await this.#deps.queue.offer(this.#deps.workerId, cls, offered);
  }
}

/** How fast the runs of a class are, as the device is shared now. */
export function profileOfRuns({
  batchSize,
  cls,
  device,
  manifest,
  slots,
  watch,
}: LaneContext): ServiceProfile | null {
  const { overheadMs, safety } = watch;
  const { latency, rowsMax } = batchSize;
  const stretch = device.stretch(cls);
  const runs = device.runsOf(slots.all.length);
  const profile = profileOf(latency, { rowsMax, overheadMs, runs, safety, stretch });
  if (profile === null) return null;
  const { budgetMs } = manifest.admission;
  return watch.isIdle && budgetMs !== null ? admittingOne(profile, budgetMs) : profile;
}

/** Of the budget, what is left for the way to and from the worker. */
const budgetShare = 0.8;

/**
 * Runs that were slow once would close a class with a budget for good: what is not admitted does not run, and
 * what does not run is not learned from. So an idle class is offered as fast enough for one row at least.
 */
function admittingOne(profile: ServiceProfile, budgetMs: number): ServiceProfile {
  const [one] = profile.points;
  const oneMs = (one?.ms ?? 0) * profile.tailFactor;
  const share = (budgetShare * budgetMs) / oneMs;
  if (share >= 1) return profile;
  return { ...profile, points: profile.points.map(({ ms, rows }) => ({ rows, ms: ms * share })) };
}
