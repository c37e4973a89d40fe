/**
 * The queue port: what the gateway and the worker need of a durable queue, and what every
 * implementation promises. `job-queue.contract.ts` states the promises as tests; `memory/` and
 * `bullmq/` keep them. All instants are on the queue's own clock (Redis TIME), epoch milliseconds.
 *
 * Order: `seq` is given at enqueue and defines arrival. A claim takes a prefix of the waiting jobs.
 * Jobs that come back (given back, or their worker died) re-enter at their old place, before all others.
 *
 * Ownership: a claim carries a fence. Only the holder of the current fence settles the job; a job
 * reaches exactly one terminal state, and whoever comes later is told `lost`.
 */
import type {
  ClassId,
  Failure,
  JobEnvelope,
  JobId,
  JobRecord,
  Outcome,
  WorkerAnnouncement,
} from '@inferry/contracts';
import type { Emitter, Result } from '@inferry/runtime';

/** Why an enqueue is refused for load; carries `retryAfterMs`. */
export type EnqueueRefusal = Failure & {
  readonly code: 'queue_full' | 'storage_exhausted' | 'queue_unavailable';
};

export type Unavailable = Failure & { readonly code: 'queue_unavailable' };

export interface Enqueued {
  readonly seq: number;
  readonly enqueuedAtMs: number;
  readonly deadlineAtMs: number;
  /** Jobs of the class ahead of this one when it was accepted. */
  readonly ahead: number;
  /** True when a job with this id existed already; nothing was added. */
  readonly isDuplicate: boolean;
}

export interface DepthLimits {
  /** Waiting jobs in the class. */
  readonly depthMax: number;
  /** Waiting payload bytes in the class. */
  readonly bytesMax: number;
}

export interface Claim {
  readonly job: JobEnvelope;
  readonly fence: string;
  /** The n-th start of this job, from 1. */
  readonly attempt: number;
  /** A worker was lost under this job before: it runs alone. */
  readonly isSuspect: boolean;
  readonly seq: number;
  readonly enqueuedAtMs: number;
  readonly claimedAtMs: number;
  readonly deadlineAtMs: number;
  readonly overtakenBy: number;
  /** The payload where it travelled with the job; otherwise {@link PayloadReader} has it. */
  readonly payload: Uint8Array | null;
}

export interface ClaimRequest {
  readonly workerId: string;
  /** Take jobs while the sum of their rows stays within this; the first job is taken whatever its rows. */
  readonly rowsMax: number;
  /**
   * Take nothing while fewer rows than this wait (jobs stay shared); 1 takes whatever is there. A job
   * that came back does not wait for company: with one among them, whatever is there is taken.
   */
  readonly rowsMin: number;
  /**
   * A suspect is claimed alone, and only when this is true: the caller then runs nothing else in
   * its process. When it is false the take stops before a suspect.
   */
  readonly takeSuspect: boolean;
}

export interface Claimed {
  readonly claims: readonly Claim[];
  /** Jobs still waiting after this call. */
  readonly waiting: number;
  /** Rows still waiting, when `rowsMin` kept the call from taking; otherwise 0. */
  readonly rowsWaiting: number;
  /** When the oldest waiting job was enqueued; null when none waits. */
  readonly oldestAtMs: number | null;
  /** The next job is a suspect and `takeSuspect` was false. */
  readonly suspectAhead: boolean;
  readonly nowMs: number;
}

export interface Settlement {
  readonly claim: Claim;
  readonly outcome: Outcome;
}

export interface Settled {
  /** `lost`: somebody else settled, canceled or took over the job; this outcome was dropped. */
  readonly result: 'settled' | 'lost';
  readonly settledAtMs: number;
}

export interface SweepReport {
  /** Jobs of dead workers, back at their old place. */
  readonly returned: readonly JobId[];
  /** Jobs settled as failed because their attempts are exhausted (`worker_lost`). */
  readonly failed: readonly JobId[];
  /** Jobs whose time ran out: `expired` when they never ran, else failed with `deadline_exceeded`. */
  readonly expired: readonly JobId[];
}

export interface ClassStats {
  readonly class: ClassId;
  readonly waiting: number;
  readonly active: number;
  readonly waitingBytes: number;
  readonly resultBytes: number;
  /** Age of the oldest waiting job in ms; 0 when none waits. */
  readonly oldestAgeMs: number;
}

/** What a process can tell about its queue connection; metrics and logs are attached from outside. */
export type QueueEvents = {
  connected: { readonly client: string };
  disconnected: { readonly client: string };
};

/** What has become of an id. `gone`: it existed and was removed. */
export type Lookup =
  | { readonly found: 'record'; readonly record: JobRecord }
  | { readonly found: 'gone'; readonly reason: 'expired' | 'deleted' }
  | { readonly found: 'never' };

export interface JobQueue {
  readonly kind: 'memory' | 'bullmq';
  readonly events: Emitter<QueueEvents>;

  /**
   * Stores the job and its payload, at the end of its class. Refused when a bound is reached; nothing
   * is stored then. Enqueueing an id that exists already changes nothing.
   */
  enqueue(
    job: JobEnvelope,
    payload: Uint8Array,
    limits: DepthLimits,
  ): Promise<Result<Enqueued, EnqueueRefusal>>;

  /** The job as it is now; a job whose time has run out is settled first. */
  find(id: JobId): Promise<Result<Lookup, Unavailable>>;

  /**
   * Resolves with the record once the job is terminal, or with undefined when `signal` aborts first.
   * No wake-up is lost: the wait is registered before the state is read, and a lost message (a broken
   * connection) is repaired within about a second.
   */
  outcome(id: JobId, signal: AbortSignal): Promise<JobRecord | undefined>;

  /** Ends a live job as canceled; returns the record as it is then (unchanged when already terminal). */
  cancel(id: JobId, detail: string): Promise<Result<Lookup, Unavailable>>;

  /** Removes a terminal job and all its data; `live` when it has not ended yet. */
  erase(id: JobId): Promise<Result<'erased' | 'live' | 'gone' | 'never', Unavailable>>;

  /**
   * Takes the longest allowed prefix of the waiting jobs of a class. Jobs whose time has run out are
   * settled on the way and cost nothing.
   */
  claim(cls: ClassId, request: ClaimRequest): Promise<Claimed>;

  /**
   * Waits until one of the classes may have work, `signal` aborts, or about five seconds pass.
   * May wake without cause; the caller claims and finds out.
   */
  awaitWork(workerId: string, classes: readonly ClassId[], signal: AbortSignal): Promise<void>;

  /**
   * Says that this worker lives (call it every third of a lease, with or without claims) and extends
   * its leases. Returns the claims it no longer owns. A lease that ran out during an outage is made
   * again while nobody else has taken the job.
   */
  renew(workerId: string, cls: ClassId, claims: readonly Claim[]): Promise<readonly Claim[]>;

  /** Settles claims of one class in one step, each on its own fence. */
  settle(cls: ClassId, settlements: readonly Settlement[]): Promise<readonly Settled[]>;

  /**
   * Returns unfinished claims to their old places, in their old order.
   * `asSuspects` counts the start and marks the jobs: they were part of a run that did not end.
   */
  giveBack(cls: ClassId, claims: readonly Claim[], asSuspects: boolean): Promise<void>;

  /**
   * Housekeeping of one class, safe to run from any number of processes: returns the jobs of dead
   * workers, fails those with no attempts left, ends those whose time ran out.
   */
  sweep(cls: ClassId): Promise<SweepReport>;

  stats(classes: readonly ClassId[]): Promise<readonly ClassStats[]>;

  /** Tells the others about this worker for one lease; call it again to renew. */
  announce(worker: WorkerAnnouncement): Promise<void>;
  retract(workerId: string): Promise<void>;
  /** Workers that live now. */
  workers(): Promise<readonly WorkerAnnouncement[]>;

  /**
   * Idempotent acceptance. `reserve` binds a key to a job id for a while unless it is bound already;
   * `confirm` says that the job was accepted; `release` forgets the key of a refused submit.
   */
  readonly keys: IdempotencyKeys;

  /** Round trip of a trivial command in ms, or undefined when the queue cannot be reached. */
  ping(): Promise<number | undefined>;

  /** Stops waiting calls, closes connections. Claims are not given back: do that first. */
  close(): Promise<void>;
}

export interface KeyBinding {
  readonly id: JobId;
  readonly fingerprint: string;
  readonly isConfirmed: boolean;
  readonly reservedAtMs: number;
}

export interface IdempotencyKeys {
  /** The binding in force: the new one (`isNew`) or the one that was there. */
  reserve(
    key: string,
    fingerprint: string,
    id: JobId,
    ttlMs: number,
  ): Promise<Result<{ readonly isNew: boolean; readonly binding: KeyBinding }, Unavailable>>;
  confirm(key: string): Promise<Result<void, Unavailable>>;
  release(key: string): Promise<Result<void, Unavailable>>;
}

/** Where a thread fetches payloads that did not travel with their jobs. */
export interface PayloadReader {
  /** In the order of the claims; null where the payload is gone. */
  read(cls: ClassId, ids: readonly JobId[]): Promise<readonly (Uint8Array | null)[]>;
  close(): Promise<void>;
}
