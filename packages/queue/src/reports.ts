/** What a queue reports: what a sweep found, how a class stands, and whether what holds it is fit for it. */
import type { ClassId, JobEnvelope, JobId, Priority } from '@inferry/contracts';

export interface SweepReport {
  /** Jobs of dead workers, back at their old place. */
  readonly returned: readonly JobId[];
  /** Jobs settled as failed because their attempts are exhausted (`worker_lost`). */
  readonly failed: readonly SweptJob[];
  /** Jobs whose time ran out: `expired` when they never ran, else failed with `deadline_exceeded`. */
  readonly expired: readonly SweptJob[];
}

/** A job that was ended by whoever looked after the class. */
export interface SweptJob extends Pick<JobEnvelope, 'id' | 'priority'> {
  /** What it ended as. */
  readonly status: 'expired' | 'failed';
}

export interface ClassStats {
  readonly class: ClassId;
  readonly waiting: number;
  readonly waitingRows: number;
  readonly active: number;
  readonly waitingBytes: number;
  readonly resultBytes: number;
  /** Rows that were accepted since the class exists; falls only when the queue's memory is lost. */
  readonly arrivedRows: number;
  /** Age of the oldest waiting job in ms; 0 when none waits. */
  readonly oldestAgeMs: number;
  /** The same among the jobs of each priority. */
  readonly oldestAgeMsByPriority: Readonly<Record<Priority, number>>;
  /** Workers that serve the class now, as they told by `JobQueue.offer`. */
  readonly workers: number;
  /**
   * Time of one worker that a row takes (`ServiceProfile.rowWorkMs`), as the mean worker does it of those
   * that lived when one told last; null before any did. It stays known when no worker is left.
   */
  readonly rowWorkMs: number | null;
  /** Tenants with jobs waiting. */
  readonly tenantsWaiting: number;
  /** Claims that workers gave back unfinished, not as suspects; falls only when the queue's memory is lost. */
  readonly givenBackJobs: number;
}

/** The jobs of one tenant and priority in a class. */
export interface FlowStats extends Pick<JobEnvelope, 'tenant' | 'priority'> {
  readonly waiting: number;
  /** Rows of its jobs that were claimed, each job once; falls only when the queue's memory is lost. */
  readonly takenRows: number;
}

/** One respect in which what holds the queue is fit for it, or not. */
export interface QueueCheck {
  readonly name:
    | 'version'
    | 'role'
    | 'maxmemory_policy'
    | 'persistence'
    | 'headroom'
    | 'clients'
    | 'write_probe'
    | 'clock'
    | 'round_trip';
  /** `bad`: jobs are or will be lost or refused. `doubtful`: it works, until something else goes wrong. */
  readonly verdict: 'fine' | 'doubtful' | 'bad';
  /** What was found, for an operator. */
  readonly detail: string;
  /** What to do about it; null when it is fine. */
  readonly remedy: string | null;
}
