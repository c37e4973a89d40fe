/**
 * A queue whose changes are written down, each with the call that made it and what the call was told, so
 * that what many processes did can be put in order afterwards and played again (replay.fixture.ts).
 */
import { type ClassId, defaultTenant, type JobEnvelope, type JobId } from '@inferry/contracts';
import type {
  Change,
  Claim,
  Claimed,
  ClaimRequest,
  Enqueued,
  EnqueueTerms,
  JobQueue,
  Settled,
} from '../port.ts';
import type { SweepReport } from '../reports.ts';

export type Call =
  | {
      readonly do: 'enqueue';
      readonly job: JobEnvelope;
      readonly terms: EnqueueTerms;
      readonly answer: Enqueued;
    }
  | { readonly do: 'claim'; readonly request: ClaimRequest; readonly answer: Claimed }
  | {
      readonly do: 'settle';
      readonly claims: readonly Claim[];
      readonly answer: readonly Settled[];
    }
  | { readonly do: 'giveBack'; readonly claims: readonly Claim[]; readonly asSuspects: boolean }
  | { readonly do: 'sweep'; readonly answer: SweepReport }
  | { readonly do: 'cancel'; readonly id: JobId };

export interface Entry {
  readonly change: Change;
  readonly call: Call;
}

/** One process's side of a class. Its calls come one at a time, so that each change has its call. */
export class Recorder {
  readonly queue: JobQueue;
  readonly cls: ClassId;
  /** What was wrong with an answer on its own, whatever the others did. */
  readonly problems: string[] = [];
  readonly #write: (entry: Entry) => void;
  #changes: Change[] = [];
  readonly #stop: () => void;

  constructor(queue: JobQueue, cls: ClassId, write: (entry: Entry) => void) {
    this.queue = queue;
    this.cls = cls;
    this.#write = write;
    this.#stop = queue.events.on('changed', (change) => {
      if (change.class === cls) this.#changes.push(change);
    });
  }

  async enqueue(job: JobEnvelope, terms: EnqueueTerms): Promise<void> {
    const payload = new Uint8Array(job.payloadBytes);
    const answer = await this.queue.enqueue(job, payload, terms);
    if (!answer.ok) throw new Error(`${job.id} was refused: ${answer.error.code}`);
    this.#record({ do: 'enqueue', job, terms, answer: answer.value }, true);
  }

  async claim(request: ClaimRequest): Promise<readonly Claim[]> {
    const answer = await this.queue.claim(this.cls, request);
    const { claims, suspectAhead, waiting } = answer;
    if (claims.length === 0 && waiting > 0 && request.rowsMin === 1 && !suspectAhead) {
      this.problems.push(`${request.workerId} was given none of ${waiting} waiting jobs`);
    }
    this.#record({ do: 'claim', request, answer }, claims.length > 0);
    return claims;
  }

  /** The claims that were not this worker's any more. */
  async settle(claims: readonly Claim[], succeeds: boolean): Promise<readonly Claim[]> {
    const settlements = claims.map((claim) => ({ claim, outcome: outcomeOf(claim, succeeds) }));
    const answer = await this.queue.settle(this.cls, settlements);
    const lost = claims.filter((_, i) => answer[i]?.result !== 'settled');
    this.#record({ do: 'settle', claims, answer }, lost.length < claims.length);
    return lost;
  }

  async giveBack(claims: readonly Claim[], asSuspects: boolean): Promise<void> {
    await this.queue.giveBack(this.cls, claims, asSuspects);
    this.#record({ do: 'giveBack', claims, asSuspects }, false);
  }

  async sweep(): Promise<SweepReport> {
    const answer = await this.queue.sweep(this.cls);
    const { returned, failed, expired } = answer;
    this.#record({ do: 'sweep', answer }, returned.length + failed.length + expired.length > 0);
    return answer;
  }

  async cancel(id: JobId): Promise<void> {
    await this.queue.cancel(id, 'no longer needed');
    this.#record({ do: 'cancel', id }, false);
  }

  close(): void {
    this.#stop();
  }

  #record(call: Call, isChange: boolean): void {
    if (isChange && this.#changes.length === 0) {
      this.problems.push(`a ${call.do} that changed the class told of no change`);
    }
    for (const change of this.#changes) this.#write({ change, call });
    this.#changes = [];
  }
}

export interface JobShape {
  readonly rows: number;
  readonly tenant?: string;
  readonly priority?: JobEnvelope['priority'];
  readonly queueTimeoutMs?: number;
  readonly deadlineMs?: number;
}

/** Longer than any test. */
export const foreverMs = 3_600_000;

export function jobOf(cls: ClassId, id: JobId, shape: JobShape): JobEnvelope {
  return {
    v: 1,
    id,
    class: cls,
    tenant: defaultTenant,
    priority: 'normal',
    payloadBytes: 1,
    mode: 'async',
    gateway: null,
    requestId: 'req_1',
    admissionMs: 0,
    queueTimeoutMs: foreverMs,
    executionTimeoutMs: foreverMs,
    attemptsMax: 3,
    retentionMs: foreverMs,
    metadata: {},
    deadlineMs: foreverMs,
    ...shape,
  };
}

function outcomeOf(
  claim: Claim,
  succeeds: boolean,
): Parameters<JobQueue['settle']>[1][0]['outcome'] {
  return {
    status: succeeds ? 'succeeded' : 'failed',
    output: succeeds ? { form: 'rows', rows: [{ n: 1 }] } : null,
    error: succeeds ? null : { code: 'model_error', detail: 'no' },
    batchRows: claim.job.rows,
    timings: null,
    readyAtMs: null,
    overtakenBy: claim.overtakenBy,
  };
}
