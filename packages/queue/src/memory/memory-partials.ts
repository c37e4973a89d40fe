/** Partial outputs in memory. */
import {
  type ClassId,
  decodeOutput,
  encodeOutput,
  isTerminal,
  type JobEnvelope,
  type JobId,
  type JobOutput,
  type JobRecord,
} from '@inferry/contracts';
import { type Clock, err, every, ok, type Result } from '@inferry/runtime';
import {
  type Follower,
  type PartialLimits,
  type PartialMark,
  type PartialRefusal,
  type PartialsRead,
  partialBytesPerRead,
  partialsPerRead,
  type PartialStore,
  tooManyPartials,
} from '../partials.ts';
import type { Claim } from '../port.ts';

interface Told {
  /** Of the claim that told them. */
  readonly fence: string;
  readonly epoch: number;
  readonly bodies: Uint8Array[];
  bytes: number;
}

export interface MemoryPartialsDeps {
  readonly clock: Clock;
  readonly limits: PartialLimits;
  readonly holds: (cls: ClassId, claim: Claim) => boolean;
  readonly find: (cls: ClassId, id: JobId) => JobRecord | undefined;
}

/** Who follows a job looks once a second, as where messages can be lost: it hears of places in the line. */
const lookMs = 1_000;

export class MemoryPartials implements PartialStore {
  readonly #deps: MemoryPartialsDeps;
  readonly #told = new Map<JobId, Told>();
  readonly #followers = new Map<JobId, Set<() => void>>();
  #stopLooks: (() => void) | undefined;

  constructor(deps: MemoryPartialsDeps) {
    this.#deps = deps;
  }

  emit(
    cls: ClassId,
    claim: Claim,
    number: number,
    output: JobOutput,
  ): Promise<Result<'told' | 'lost', PartialRefusal>> {
    return Promise.resolve(this.#emit(cls, claim, number, encodeOutput(output)));
  }

  #emit(
    cls: ClassId,
    claim: Claim,
    number: number,
    body: Uint8Array,
  ): Result<'told' | 'lost', PartialRefusal> {
    const { holds, limits } = this.#deps;
    if (!holds(cls, claim)) return ok('lost');
    const { fence, job } = claim;
    const before = this.#told.get(job.id);
    const told =
      before?.fence === fence
        ? before
        : { fence, epoch: (before?.epoch ?? 0) + 1, bodies: [], bytes: 0 };
    if (number <= told.bodies.length) return ok('told');
    if (number > limits.partialsPerJobMax) return err(tooManyPartials('number', limits));
    if (told.bytes + body.length > limits.partialBytesPerJobMax) {
      return err(tooManyPartials('bytes', limits));
    }
    told.bodies.push(body);
    told.bytes += body.length;
    this.#told.set(job.id, told);
    this.wake(job.id);
    return ok('told');
  }

  follow({ class: cls, id }: Pick<JobEnvelope, 'id' | 'class'>, wake: () => void): Follower {
    const wakes = this.#followers.get(id) ?? new Set();
    this.#followers.set(id, wakes.add(wake));
    this.#stopLooks ??= every(this.#deps.clock, lookMs, () => this.#wakeAll());
    return {
      read: (mark) => Promise.resolve(ok(this.#read(cls, id, mark))),
      stop: () => {
        wakes.delete(wake);
        if (wakes.size === 0 && this.#followers.get(id) === wakes) this.#followers.delete(id);
        if (this.#followers.size === 0) this.close();
      },
    };
  }

  #read(cls: ClassId, id: JobId, mark: PartialMark): PartialsRead {
    const record = this.#deps.find(cls, id);
    const { bodies = [], epoch = 0 } = this.#told.get(id) ?? {};
    const isHere = mark.epoch === epoch && mark.number <= bodies.length;
    const from = isHere ? mark.number : 0;
    let until = from;
    let bytes = 0;
    while (until < bodies.length && until < from + partialsPerRead && bytes < partialBytesPerRead) {
      bytes += bodies[until]?.length ?? 0;
      until += 1;
    }
    return {
      ...stateOf(record),
      isReset: !isHere && mark.number > 0,
      partials: bodies.slice(from, until).map((body, i) => ({
        mark: { epoch, number: from + i + 1 },
        output: decodeOutput(body),
      })),
      hasMore: until < bodies.length,
    };
  }

  /** The job has ended, by the claim with this fence if any. What another claim told goes; bytes of what stays. */
  ended(id: JobId, fence: string | undefined): number {
    const told = this.#told.get(id);
    if (told?.fence === fence) return told?.bytes ?? 0;
    this.#told.delete(id);
    return 0;
  }

  forget(id: JobId): void {
    this.#told.delete(id);
  }

  wake(id: JobId): void {
    for (const wake of this.#followers.get(id) ?? []) wake();
  }

  #wakeAll(): Promise<void> {
    for (const id of this.#followers.keys()) this.wake(id);
    return Promise.resolve();
  }

  close(): void {
    this.#stopLooks?.();
    this.#stopLooks = undefined;
  }
}

function stateOf(record: JobRecord | undefined): Pick<PartialsRead, 'state' | 'attempt'> {
  if (record === undefined) return { state: 'gone', attempt: 0 };
  const { attempt, status } = record;
  return isTerminal(status) ? { state: 'ended', attempt: 0 } : { state: status, attempt };
}
