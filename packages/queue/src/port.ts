/**
 * The queue port: what the gateway and the worker need of a durable queue, and what every
 * implementation promises. `job-queue.contract.ts` states the promises as tests; `memory/` and
 * `bullmq/` keep them. All instants are on the queue's own clock (Redis TIME), epoch milliseconds.
 *
 * Order: `seq` is given at enqueue and defines arrival. Jobs of one tenant and priority are a flow, and a
 * claim takes each flow in order of arrival; between flows the smallest start tag goes first (fair queueing,
 * see rules.ts). A flow is charged for its jobs that were taken or wait, and not for those that ended before.
 * With one flow a claim is a prefix of the waiting jobs. Jobs that come back (given back, or
 * their worker died) re-enter at their old place, before all others.
 *
 * Ownership: a claim carries a fence. Only the holder of the current fence settles the job; a job
 * reaches exactly one terminal state, and whoever comes later is told `lost`.
 */
import type {
  ClassId,
  Estimate,
  Failure,
  JobEnvelope,
  JobId,
  JobRecord,
  Outcome,
  ServiceProfile,
  WorkerAnnouncement,
} from '@inferry/contracts';
import type { Emitter, Result } from '@inferry/runtime';
import type { OrderStore } from './orders.ts';
import type { PartialStore } from './partials.ts';
import type { ClassStats, FlowStats, QueueCheck, SweepReport, SweptJob } from './reports.ts';
import type { StatisticsStore } from './statistics.ts';

/**
 * The bytes of a job's input, whole or in pieces that follow each other. They must not change before the call
 * they are given to has ended; after `queue_unavailable` never, because a connection may still hold them.
 */
export type Payload = Uint8Array | readonly Uint8Array[];

/** Why an enqueue is refused for load; carries `retryAfterMs`. */
export type EnqueueRefusal = Failure & {
  readonly code:
    | 'queue_full'
    | 'quota_exceeded'
    | 'deadline_infeasible'
    | 'model_unavailable'
    | 'storage_exhausted'
    | 'queue_unavailable';
};

export type Unavailable = Failure & { readonly code: 'queue_unavailable' };

export interface Enqueued {
  readonly seq: number;
  readonly enqueuedAtMs: number;
  readonly deadlineAtMs: number;
  /** Jobs of the class that would start before this one if nobody else came, when it was accepted. */
  readonly ahead: number;
  /** Jobs of other flows wait too. */
  readonly isAheadApproximate: boolean;
  /** Expected from acceptance; null while no worker has told what runs take. */
  readonly estimate: Estimate | null;
  /** True when a job with this id existed already; nothing was added. */
  readonly isDuplicate: boolean;
}

/** On what terms a class takes a job. */
export interface EnqueueTerms {
  /** Waiting jobs in the class. */
  readonly depthMax: number;
  /** Waiting payload bytes in the class. */
  readonly bytesMax: number;
  /** Waiting jobs of the tenant in the class; null where tenants are not told apart. */
  readonly tenantDepthMax: number | null;
  /** Weight of the job's flow, at least 1. */
  readonly weight: number;
  /** Only what is expected to end in time is taken; null takes what fits. */
  readonly budget: Budget | null;
}

export interface Budget {
  /** Spent before the enqueue, ms. */
  readonly usedMs: number;
  /** In which the answer has to be there, `usedMs` included. */
  readonly budgetMs: number;
  /** Refuse when no worker lives (`model_unavailable`); otherwise the job is taken then. */
  readonly needsWorker: boolean;
}

/** What a job that is asked about would be. */
export type JobOutline = Pick<
  JobEnvelope,
  'class' | 'rows' | 'tenant' | 'priority' | 'payloadBytes'
>;

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
  /** Later jobs of its flow that were claimed before it. */
  readonly overtakenBy: number;
  /** The estimate it was accepted with, as instants; null where there was none. */
  readonly promise: ClaimPromise | null;
  /** The payload where it travelled with the job; otherwise {@link PayloadReader} has it. */
  readonly payload: Uint8Array | null;
}

interface ClaimPromise {
  readonly readyAtMs: number;
  /** The latest start that the guarantee allows. */
  readonly startByMs: number;
  /** The end of its budget; null when it was accepted without one. */
  readonly dueAtMs: number | null;
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
  /** One entry a slot: expected time until it is free of what was claimed for it before, ms. */
  readonly freeInMs: readonly number[];
  /** Where several flows wait, jobs older than this come before younger ones, in a quarter of the rows. */
  readonly agingMs: number;
}

export interface Claimed {
  readonly claims: readonly Claim[];
  /** Jobs that were next in turn, and ended because their time had run out: no sweep will find them. */
  readonly expired: readonly SweptJob[];
  /** Jobs still waiting after this call. */
  readonly waiting: number;
  /** Rows still waiting, when `rowsMin` kept the call from taking; otherwise 0. */
  readonly rowsWaiting: number;
  /** When the next job in turn was enqueued; null when none waits. */
  readonly oldestAtMs: number | null;
  /** Mean time between the arrivals of two rows of the class, ms; null while nothing is known. */
  readonly rowEveryMs: number | null;
  /** The last arrival; null before the first. */
  readonly lastArrivalAtMs: number | null;
  /**
   * Expected time until a slot of another worker is free, ms; null when there is no other worker. Told only
   * when `rowsMin` kept the call from taking.
   */
  readonly othersFreeInMs: number | null;
  /** Workers that serve the class, as they told by {@link JobQueue.offer}. */
  readonly workers: number;
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

/** What a process can tell about its queue connection; metrics and logs are attached from outside. */
export type QueueEvents = {
  connected: { readonly client: string };
  disconnected: { readonly client: string };
  /** This process changed a class. For tests and tools that replay what happened. */
  changed: Change;
};

/** One atomic change of a class. Numbers rise by one with each change of the class, whoever makes it. */
export interface Change {
  readonly class: ClassId;
  readonly number: number;
  readonly what: 'enqueue' | 'claim' | 'settle' | 'giveBack' | 'sweep' | 'cancel';
  readonly atMs: number;
  /** In the order in which they were added, taken, ended or returned. */
  readonly ids: readonly JobId[];
}

/** What has become of an id. `gone`: it existed and was removed. */
export type Lookup =
  | {
      readonly found: 'record';
      readonly record: JobRecord;
      /** This call ended it: its time had run out, or it was canceled. No other call says so of the job. */
      readonly endedNow?: true;
    }
  | { readonly found: 'gone'; readonly reason: 'expired' | 'deleted' }
  | { readonly found: 'never' };

export interface JobQueue extends StatisticsStore, OrderStore {
  readonly kind: 'memory' | 'bullmq';
  readonly events: Emitter<QueueEvents>;

  /**
   * Stores the job and its payload, at the end of its flow. Refused when a bound is reached or the budget
   * would not be kept; nothing is stored then. Enqueueing an id that exists already changes nothing.
   */
  enqueue(
    job: JobEnvelope,
    payload: Payload,
    terms: EnqueueTerms,
  ): Promise<Result<Enqueued, EnqueueRefusal>>;

  /** What {@link enqueue} would answer to such a job now; writes nothing. */
  quote(job: JobOutline, terms: EnqueueTerms): Promise<Result<Estimate | null, EnqueueRefusal>>;

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
   * Tells how fast this worker serves the class, for one lease; call it again to renew (a claim renews it
   * too). Null: it serves no longer. Estimates rest on the workers that told; until its first claim one
   * counts as one free slot.
   */
  offer(workerId: string, cls: ClassId, profile: ServiceProfile | null): Promise<void>;

  /**
   * Housekeeping of one class, safe to run from any number of processes: returns the jobs of dead
   * workers, fails those with no attempts left, ends those whose time ran out.
   */
  sweep(cls: ClassId): Promise<SweepReport>;

  /**
   * How the classes stand, in the order asked for. One call a class, whose work grows a little with its live
   * workers and with the flows that wait (at most three a tenant), and never with its jobs.
   */
  stats(classes: readonly ClassId[]): Promise<readonly ClassStats[]>;

  /**
   * Flows of each class of which jobs wait, or were claimed since the class exists, in no order. Costs more
   * than {@link stats} where there are many tenants: 3 us of the queue's time for each flow.
   */
  flows(classes: readonly ClassId[]): Promise<readonly (readonly FlowStats[])[]>;

  /** Tells the others about this worker for one lease; call it again to renew. */
  announce(worker: WorkerAnnouncement): Promise<void>;
  retract(workerId: string): Promise<void>;
  /** Workers that live now. */
  workers(): Promise<readonly WorkerAnnouncement[]>;

  /** What was learned of a model on a device, kept for the next worker; null when nothing is kept. */
  loadProfile(key: string): Promise<string | null>;
  /** Kept for 30 days after it was last saved. */
  saveProfile(key: string, text: string): Promise<void>;

  /**
   * Idempotent acceptance. `reserve` binds a key to a job id for a while unless it is bound already;
   * `confirm` says that the job was accepted; `release` forgets the key of a refused submit.
   */
  readonly keys: IdempotencyKeys;

  readonly partials: PartialStore;

  /** Is what holds the queue fit for it? A queue in memory has nothing to check. Throws when it is away. */
  inspect(): Promise<readonly QueueCheck[]>;

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
  /** Payloads that nobody reads any more: their memory holds others from now on. */
  recycle(payloads: readonly Uint8Array[]): void;
  close(): Promise<void>;
}
