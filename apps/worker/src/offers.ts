/**
 * How fast this worker serves its classes, as the queue is told: with the renewals of leases, and at once
 * when the size of batches changes. Estimates for jobs that arrive rest on it.
 */
import type { ClassId, ServiceProfile } from '@inferry/contracts';
import type { JobQueue } from '@inferry/queue';
import { profileOf } from '@inferry/scheduling';
import type { LaneContext } from './deps.ts';

export type OfferedLane = Pick<
  LaneContext,
  'batchSize' | 'cls' | 'device' | 'manifest' | 'slots' | 'watch'
>;

export interface OffersDeps {
  readonly queue: Pick<JobQueue, 'offer'>;
  readonly workerId: string;
  readonly lanes: readonly OfferedLane[];
}

export class Offers {
  readonly #deps: OffersDeps;
  #isWithdrawn = false;

  constructor(deps: OffersDeps) {
    this.#deps = deps;
  }

  /** Offers every class whose run times are known; throws when the queue could not be reached. */
  async renew(): Promise<void> {
    await Promise.all(this.#deps.lanes.map((lane) => this.#offer(lane)));
  }

  /** The class is served in another way from now on. When the queue is away the next renewal says so. */
  changed(cls: ClassId): void {
    const lane = this.#deps.lanes.find((other) => other.cls === cls);
    if (lane !== undefined) this.#offer(lane).catch(() => undefined);
  }

  /** Nothing is offered from now on; throws when the queue could not be reached. */
  async withdraw(): Promise<void> {
    this.#isWithdrawn = true;
    const { lanes, queue, workerId } = this.#deps;
    await Promise.all(lanes.map(({ cls }) => queue.offer(workerId, cls, null)));
  }

  async #offer({ batchSize, cls, device, manifest, slots, watch }: OfferedLane): Promise<void> {
    if (this.#isWithdrawn) return;
    const { overheadMs, safety } = watch;
    const { latency, rowsMax } = batchSize;
    const stretch = device.stretch(cls);
    const runs = device.runsOf(slots.all.length);
    const profile = profileOf(latency, { rowsMax, overheadMs, runs, safety, stretch });
    if (profile === null) return;
    const { budgetMs } = manifest.admission;
    const offered = watch.isIdle && budgetMs !== null ? admittingOne(profile, budgetMs) : profile;
    await this.#deps.queue.offer(this.#deps.workerId, cls, offered);
  }
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
