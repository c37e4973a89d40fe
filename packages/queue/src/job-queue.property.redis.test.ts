/**
 * The two queues held to each other: the same commands, in the same order, leave the memory queue and
 * the durable one in the same state, and both keep the promises of port.ts that need no clock.
 * tidy-allow: the model, the commands and the checks are one thing.
 */
import { randomBytes } from 'node:crypto';
import {
  classOf,
  type Estimate,
  isTerminal,
  type JobEnvelope,
  type JobId,
  type JobRecord,
  type JobStatus,
  newJobId,
  type Outcome,
  priorities,
  type Priority,
  type ServiceProfile,
} from '@inferry/contracts';
import { type Clock, type Result, systemClock, systemRandom } from '@inferry/runtime';
import { queueRules as rules } from '@inferry/scheduling';
import { type RedisServer, startRedisServer, waitFor } from '@inferry/testkit';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createBullmqQueue } from './bullmq/bullmq-queue.ts';
import { createMemoryQueue } from './memory/memory-queue.ts';
import type {
  Budget,
  Change,
  Claim,
  Claimed,
  Enqueued,
  EnqueueRefusal,
  EnqueueTerms,
  JobQueue,
} from './port.ts';
import type { ClassStats, FlowStats } from './reports.ts';

/** Far longer than the test: no lease, deadline or retention ends within it. */
const foreverMs = 600_000;
const roomy: EnqueueTerms = {
  depthMax: 1_000,
  bytesMax: 1_000_000,
  tenantDepthMax: null,
  weight: 1,
  budget: null,
};
/** Of runs, of what is left of them, and of budgets: next to it the time that a step takes is nothing. */
const unitMs = 1_000_000;
const toleranceMs = unitMs / 100;

/** The time of this machine, or that at which the durable queue took a job: rates of arrival are the same then. */
class TwinClock implements Clock {
  #atMs: number | null = null;
  nowMs(): number {
    return this.#atMs ?? systemClock.nowMs();
  }
  after(ms: number, fire: () => void): () => void {
    return systemClock.after(ms, fire);
  }
  async at<T>(atMs: number | null, act: () => Promise<T>): Promise<T> {
    this.#atMs = atMs;
    try {
      return await act();
    } finally {
      this.#atMs = null;
    }
  }
}

const clock = new TwinClock();
let redis: RedisServer;
let memory: JobQueue;
let durable: JobQueue;

beforeAll(async () => {
  redis = await startRedisServer();
  memory = createMemoryQueue({ clock, rules, leaseMs: foreverMs });
  durable = createBullmqQueue({
    url: redis.url,
    prefix: `t${randomBytes(4).toString('hex')}`,
    clock: systemClock,
    processId: 'p1',
    leaseMs: foreverMs,
    sweepMs: 1,
  });
  await waitFor(async () => (await durable.ping()) !== undefined, { timeoutMs: 5_000 });
});
afterAll(async () => {
  await memory.close();
  await durable.close();
  await redis[Symbol.asyncDispose]();
});

interface Flow {
  readonly tenant: string;
  readonly priority: Priority;
  readonly weight: number;
}
const flows: readonly Flow[] = [
  { tenant: 'a', priority: 'high', weight: 16 },
  { tenant: 'a', priority: 'low', weight: 2 },
  { tenant: 'b', priority: 'high', weight: 8 },
  { tenant: 'b', priority: 'low', weight: 1 },
];

/** `pick` and `subset` choose among what there is when the command is run. */
type Command =
  | {
      readonly do: 'enqueue';
      readonly flow: Flow;
      readonly rows: number;
      readonly bytes: number;
      readonly tenantDepthMax: number | null;
      readonly budget: Budget | null;
    }
  | { readonly do: 'enqueueAgain'; readonly pick: number }
  | {
      readonly do: 'claim';
      readonly workerId: string;
      readonly freeInMs: readonly number[];
      readonly agingMs: number;
      readonly rowsMax: number;
      readonly rowsMin: number;
      readonly takeSuspect: boolean;
    }
  | { readonly do: 'offer'; readonly workerId: string; readonly profile: ServiceProfile | null }
  | { readonly do: 'settle'; readonly subset: number; readonly succeeds: boolean }
  | { readonly do: 'giveBack'; readonly subset: number; readonly suspects: number }
  | { readonly do: 'cancel'; readonly pick: number }
  | { readonly do: 'erase'; readonly pick: number }
  | { readonly do: 'settleOld'; readonly pick: number }
  | { readonly do: 'giveBackOld'; readonly pick: number; readonly asSuspects: boolean }
  | { readonly do: 'renew' }
  | { readonly do: 'sweep' };

const pick = fc.nat(999);
const subset = fc.nat(255);
const workerId = fc.constantFrom('w1', 'w2', 'w3');
const units = (min: number, max: number): fc.Arbitrary<number> =>
  fc.integer({ min, max }).map((n) => n * unitMs);
const profile: fc.Arbitrary<ServiceProfile> = fc.record({
  rowsMax: fc.integer({ min: 1, max: 6 }),
  points: fc
    .tuple(units(1, 3), fc.array(units(0, 2), { maxLength: 2 }))
    .map(([first, more]) =>
      [1, 2, 4]
        .slice(0, 1 + more.length)
        .map((rows, i) => ({ rows, ms: more.slice(0, i).reduce((sum, ms) => sum + ms, first) })),
    ),
  tailFactor: fc.constantFrom(1, 1.5),
  rowWorkMs: fc.constantFrom(0.001, 1 / 3, 40, 2_000),
});
const budget: fc.Arbitrary<Budget> = fc.record({
  usedMs: units(0, 2),
  // Not a simple fraction of a unit, as most estimates are: no decision hangs on a millisecond.
  budgetMs: units(1, 20).map((ms) => ms + 0.2937 * unitMs),
  needsWorker: fc.constantFrom(false, false, true),
});
const commands: fc.Arbitrary<readonly Command[]> = fc.array(
  fc.oneof(
    {
      weight: 6,
      arbitrary: fc.record({
        do: fc.constant('enqueue'),
        flow: fc.constantFrom(...flows),
        rows: fc.integer({ min: 1, max: 3 }),
        bytes: fc.nat(9),
        tenantDepthMax: fc.constantFrom(null, 4, 100, 100),
        budget: fc.oneof(fc.constant(null), budget),
      }),
    },
    {
      weight: 6,
      arbitrary: fc.record({
        do: fc.constant('claim'),
        workerId,
        freeInMs: fc.array(units(0, 5), { minLength: 1, maxLength: 2 }),
        agingMs: fc.constantFrom(foreverMs, foreverMs, 0),
        rowsMax: fc.integer({ min: 1, max: 9 }),
        rowsMin: fc.constantFrom(1, 1, 1, 2, 4),
        takeSuspect: fc.boolean(),
      }),
    },
    {
      weight: 2,
      arbitrary: fc.record({ do: fc.constant('offer'), workerId, profile: fc.option(profile) }),
    },
    {
      weight: 3,
      arbitrary: fc.record({ do: fc.constant('settle'), subset, succeeds: fc.boolean() }),
    },
    {
      weight: 3,
      arbitrary: fc.record({ do: fc.constant('giveBack'), subset, suspects: subset }),
    },
    { weight: 2, arbitrary: fc.record({ do: fc.constant('cancel'), pick }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant('erase'), pick }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant('enqueueAgain'), pick }) },
    { weight: 2, arbitrary: fc.record({ do: fc.constant('settleOld'), pick }) },
    {
      weight: 1,
      arbitrary: fc.record({ do: fc.constant('giveBackOld'), pick, asSuspects: fc.boolean() }),
    },
    { weight: 1, arbitrary: fc.record({ do: fc.constant('renew') }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant('sweep') }) },
  ),
  { minLength: 1, maxLength: 80, size: 'max' },
);

/** A claim of one job as each of the two queues gave it. */
interface Pair {
  readonly memory: Claim;
  readonly durable: Claim;
}

/** One class, driven on both queues; every step compares what they answer. */
class Twins {
  readonly #cls = classOf(`m${randomBytes(4).toString('hex')}`, '1');
  readonly #jobs: JobEnvelope[] = [];
  readonly #indexOf = new Map<JobId, number>();
  /** How each job ended, as it was first seen. */
  readonly #ends = new Map<number, JobRecord>();
  /** Jobs whose current state is that they were claimed, or that they ended after a claim. */
  readonly #taken = new Set<number>();
  /** Jobs that were claimed at any time. */
  readonly #everTaken = new Set<number>();
  #statuses: (JobStatus | 'gone')[] = [];
  /** Waiting jobs in the order of their places. */
  #line: readonly number[] = [];
  #open: Pair[] = [];
  readonly #closed: Pair[] = [];
  #outcomes = 0;
  readonly #changes = [memory, durable].map((queue) => {
    const changes: Change[] = [];
    queue.events.on('changed', (change) => {
      if (change.class === this.#cls) changes.push(change);
    });
    return changes;
  });

  async run(command: Command): Promise<void> {
    switch (command.do) {
      case 'enqueue':
        await this.#enqueue(command);
        break;
      case 'enqueueAgain':
        if (this.#jobs.length > 0) await this.#enqueueAgain(this.#jobAt(command.pick));
        break;
      case 'offer':
        for (const queue of [memory, durable]) {
          await queue.offer(command.workerId, this.#cls, command.profile);
        }
        break;
      case 'claim':
        await this.#claim(command);
        break;
      case 'settle':
        await this.#settle(this.#choose(command.subset), command.succeeds);
        break;
      case 'giveBack':
        // Suspects first: the choice is made among what is open.
        await this.#giveBack(this.#choose(command.subset & command.suspects), true);
        await this.#giveBack(this.#choose(command.subset), false);
        break;
      case 'cancel':
        if (this.#jobs.length > 0) await this.#cancel(this.#jobAt(command.pick).id);
        break;
      case 'erase':
        if (this.#jobs.length > 0) await this.#erase(this.#jobAt(command.pick).id);
        break;
      case 'settleOld':
        await this.#settle(this.#old(command.pick), true);
        break;
      case 'giveBackOld':
        await this.#giveBack(this.#old(command.pick), command.asSuspects);
        break;
      case 'renew':
        await this.#renew();
        break;
      case 'sweep':
        for (const queue of [memory, durable]) {
          expect(await queue.sweep(this.#cls)).toEqual({ returned: [], failed: [], expired: [] });
        }
        break;
    }
    await this.#compareStates();
  }

  #newJob({ bytes, flow, rows }: Command & { do: 'enqueue' }): JobEnvelope {
    return {
      v: 1,
      id: newJobId(0, systemRandom),
      class: this.#cls,
      tenant: flow.tenant,
      priority: flow.priority,
      rows,
      payloadBytes: bytes,
      mode: 'async',
      gateway: null,
      requestId: 'req_1',
      admissionMs: 0,
      deadlineMs: foreverMs,
      queueTimeoutMs: foreverMs,
      executionTimeoutMs: foreverMs,
      attemptsMax: 3,
      retentionMs: foreverMs,
      metadata: {},
    };
  }

  #jobAt(pick: number): JobEnvelope {
    const job = this.#jobs[pick % this.#jobs.length];
    if (job === undefined) throw new Error('no job to pick');
    return job;
  }

  #choose(subset: number): readonly Pair[] {
    return this.#open.filter((_, i) => ((subset >> (i % 8)) & 1) === 1);
  }

  /** A claim that was settled or given back before: nobody's any more, unlike its job perhaps. */
  #old(pick: number): readonly Pair[] {
    const old = this.#closed[pick % Math.max(1, this.#closed.length)];
    return old === undefined ? [] : [old];
  }

  async #enqueue(command: Command & { do: 'enqueue' }): Promise<void> {
    const { budget, flow, tenantDepthMax } = command;
    const terms = { ...roomy, weight: flow.weight, tenantDepthMax, budget };
    const job = this.#newJob(command);
    const index = this.#jobs.length;
    const payload = new Uint8Array(job.payloadBytes).fill(index);
    const [quoteA, quoteB] = await Promise.all([
      memory.quote(job, terms),
      durable.quote(job, terms),
    ]);
    const b = await durable.enqueue(job, payload, terms);
    const takenAtMs = b.ok ? b.value.enqueuedAtMs : null;
    const a = await clock.at(takenAtMs, () => memory.enqueue(job, payload, terms));
    if (!a.ok || !b.ok) {
      const codes = [a, b, quoteA, quoteB].map((result) =>
        result.ok ? 'taken' : result.error.code,
      );
      expect(new Set(codes).size, codes.join(' ')).toBe(1);
      for (const result of [b, quoteA, quoteB]) expectSameRefusal(result, a);
      return;
    }
    this.#indexOf.set(job.id, this.#jobs.push(job) - 1);
    expect(placeOf(b.value)).toEqual(placeOf(a.value));
    expect(a.value.isDuplicate).toBe(false);
    for (const quote of [quoteA, quoteB]) {
      expectSameEstimate(quote.ok ? quote.value : null, a.value.estimate);
    }
    expectSameEstimate(b.value.estimate, a.value.estimate);
  }

  async #enqueueAgain(job: JobEnvelope): Promise<void> {
    const index = this.#indexOf.get(job.id) ?? -1;
    // An erased id is free again; what becomes of it then is not said by the port.
    if (this.#statuses[index] === 'gone') return;
    const [a, b] = await Promise.all([
      memory.enqueue(job, new Uint8Array(job.payloadBytes), roomy),
      durable.enqueue(job, new Uint8Array(job.payloadBytes), roomy),
    ]);
    if (!a.ok || !b.ok) throw new Error('a known job is refused');
    expect(placeOf(b.value)).toEqual(placeOf(a.value));
    expect(a.value).toMatchObject({ isDuplicate: true, estimate: null });
  }

  async #claim(command: Command & { do: 'claim' }): Promise<void> {
    const { do: _, ...request } = command;
    const [a, b] = await Promise.all([
      memory.claim(this.#cls, request),
      durable.claim(this.#cls, request),
    ]);
    expect(this.#sightOf(b)).toEqual(this.#sightOf(a));
    // Only a claim that holds back looks at the others.
    if (a.rowsWaiting > 0) expectSameMs(b.othersFreeInMs, a.othersFreeInMs);
    const claimed = a.claims.map(({ job }) => this.#indexOf.get(job.id) ?? -1);
    if (request.agingMs === foreverMs) expect(claimed).toEqual(this.#line.slice(0, claimed.length));
    for (const [i, claim] of a.claims.entries()) {
      const twin = b.claims[i];
      if (twin === undefined) throw new Error('the queues took different numbers of jobs');
      const index = claimed[i] ?? -1;
      // Within a flow the oldest goes first, and is overtaken by those only that were taken while it was.
      expect(this.#waitingOf(claim.job)[0]).toBe(index);
      this.#statuses[index] = 'running';
      const later = [...this.#taken].filter(
        (other) => other > index && this.#isSameFlow(other, claim.job),
      );
      expect(claim.overtakenBy).toBe(later.length);
      this.#taken.add(index);
      this.#everTaken.add(index);
      this.#open.push({ memory: claim, durable: twin });
      expectSameMs(startInMs(twin), startInMs(claim));
    }
  }

  /** What a claim tells, but for instants. */
  #sightOf(claimed: Claimed): unknown {
    const { claims, suspectAhead, waiting, rowsWaiting, oldestAtMs, rowEveryMs } = claimed;
    return {
      claims: claims.map((claim) => this.#facts(claim)),
      waiting,
      rowsWaiting,
      suspectAhead,
      isEmpty: oldestAtMs === null,
      hasRate: rowEveryMs !== null,
      hasArrivals: claimed.lastArrivalAtMs !== null,
    };
  }

  #waitingOf(flow: JobEnvelope): readonly number[] {
    return this.#jobs.flatMap((_, i) =>
      this.#statuses[i] === 'queued' && this.#isSameFlow(i, flow) ? [i] : [],
    );
  }

  #isSameFlow(index: number, { priority, tenant }: JobEnvelope): boolean {
    const job = this.#jobs[index];
    return job?.tenant === tenant && job.priority === priority;
  }

  #facts(claim: Claim): unknown {
    return {
      index: this.#indexOf.get(claim.job.id),
      job: claim.job,
      seq: claim.seq,
      attempt: claim.attempt,
      isSuspect: claim.isSuspect,
      overtakenBy: claim.overtakenBy,
      hasPromise: claim.promise !== null,
      payload: claim.payload === null ? null : [...claim.payload],
    };
  }

  async #settle(pairs: readonly Pair[], succeeds: boolean): Promise<void> {
    const outcomes = pairs.map((pair) => this.#outcome(pair, succeeds));
    const settlements = (side: keyof Pair) =>
      pairs.flatMap((pair, i) => {
        const outcome = outcomes[i];
        return outcome === undefined ? [] : [{ claim: pair[side], outcome }];
      });
    const [a, b] = await Promise.all([
      memory.settle(this.#cls, settlements('memory')),
      durable.settle(this.#cls, settlements('durable')),
    ]);
    const results = a.map(({ result }) => result);
    expect(b.map(({ result }) => result)).toEqual(results);
    expect(results).toEqual(pairs.map((pair) => (this.#isOwned(pair) ? 'settled' : 'lost')));
    this.#close(pairs);
  }

  #outcome(pair: Pair, succeeds: boolean): Outcome {
    const label = `outcome ${(this.#outcomes += 1)}`;
    return {
      status: succeeds ? 'succeeded' : 'failed',
      output: succeeds ? { form: 'rows', rows: [{ label }] } : null,
      error: succeeds ? null : { code: 'model_error', detail: label },
      batchRows: pair.memory.job.rows,
      timings: null,
      readyAtMs: null,
      overtakenBy: pair.memory.overtakenBy,
    };
  }

  async #giveBack(pairs: readonly Pair[], asSuspects: boolean): Promise<void> {
    for (const pair of pairs) {
      const index = this.#indexOf.get(pair.memory.job.id) ?? -1;
      if (this.#isOwned(pair)) this.#taken.delete(index);
    }
    const claims = (side: keyof Pair): readonly Claim[] => pairs.map((pair) => pair[side]);
    await Promise.all([
      memory.giveBack(this.#cls, claims('memory'), asSuspects),
      durable.giveBack(this.#cls, claims('durable'), asSuspects),
    ]);
    this.#close(pairs);
  }

  async #cancel(id: JobId): Promise<void> {
    const before = this.#statuses[this.#indexOf.get(id) ?? -1];
    const [a, b] = await Promise.all([memory.cancel(id, 'no'), durable.cancel(id, 'no')]);
    const [status, twin] = [a, b].map(statusOf);
    expect(twin).toBe(status);
    expect(status).toBe(before === 'queued' || before === 'running' ? 'canceled' : before);
  }

  async #erase(id: JobId): Promise<void> {
    const [a, b] = await Promise.all([memory.erase(id), durable.erase(id)]);
    expect(b).toEqual(a);
  }

  async #renew(): Promise<void> {
    const pairs = [...this.#open, ...this.#closed];
    const [a, b] = await Promise.all([
      memory.renew(
        'w1',
        this.#cls,
        pairs.map((pair) => pair.memory),
      ),
      durable.renew(
        'w1',
        this.#cls,
        pairs.map((pair) => pair.durable),
      ),
    ]);
    const lost = pairs.filter((pair) => !this.#isOwned(pair));
    expect(a).toEqual(lost.map((pair) => pair.memory));
    expect(b).toEqual(lost.map((pair) => pair.durable));
  }

  /** The claim is the last one of its job, and the job was not canceled since. */
  #isOwned(pair: Pair): boolean {
    return this.#open.includes(pair) && this.#statusOf(pair) === 'running';
  }

  #close(pairs: readonly Pair[]): void {
    this.#open = this.#open.filter((pair) => !pairs.includes(pair));
    this.#closed.push(...pairs.filter((pair) => !this.#closed.includes(pair)));
  }

  #statusOf(pair: Pair): JobStatus | 'gone' | undefined {
    return this.#statuses[this.#indexOf.get(pair.memory.job.id) ?? -1];
  }

  /** Every job and the sums, on both queues and against each other. */
  async #compareStates(): Promise<void> {
    const find = (queue: JobQueue) => Promise.all(this.#jobs.map(({ id }) => queue.find(id)));
    const [a, b, statsA, statsB, flowsA, flowsB] = await Promise.all([
      find(memory),
      find(durable),
      memory.stats([this.#cls]),
      durable.stats([this.#cls]),
      memory.flows([this.#cls]),
      durable.flows([this.#cls]),
    ]);
    expect(b.map(stateOf)).toEqual(a.map(stateOf));
    this.#statuses = a.map(statusOf);
    const [waiting, running] = ['queued', 'running'].map((status) =>
      this.#jobs.filter((_, i) => this.#statuses[i] === status),
    );
    const sums = {
      waiting: waiting?.length,
      waitingRows: waiting?.reduce((sum, job) => sum + job.rows, 0),
      active: running?.length,
      waitingBytes: waiting?.reduce((sum, job) => sum + job.payloadBytes, 0),
      arrivedRows: this.#jobs.reduce((sum, job) => sum + job.rows, 0),
    };
    expect([statsA[0], statsB[0]]).toMatchObject([sums, sums]);
    this.#compareStats(statsA[0], statsB[0], waiting ?? []);
    this.#compareFlows(flowsA[0] ?? [], flowsB[0] ?? [], waiting ?? []);
    const places = this.#jobs.map((_, i) => aheadOf(a[i]) ?? Infinity);
    this.#line = this.#jobs
      .flatMap((_, i) => (this.#statuses[i] === 'queued' ? [i] : []))
      .toSorted((x, y) => (places[x] ?? 0) - (places[y] ?? 0));
    expect(this.#line.map((i) => places[i])).toEqual(this.#line.map((_, place) => place));
    for (const [i, lookup] of b.entries()) expectSameMs(etaOf(lookup), etaOf(a[i]));
    const [changes, twins] = this.#changes.map((all) =>
      all.map(({ number, what, ids }) => ({ number, what, ids })),
    );
    expect(twins).toEqual(changes);
    expect(changes?.map(({ number }) => number)).toEqual(changes?.map((_, i) => i + 1));
    for (const [i, lookup] of b.entries()) this.#holdToFirstEnd(i, lookup);
  }

  #compareFlows(
    a: readonly FlowStats[],
    b: readonly FlowStats[],
    waiting: readonly JobEnvelope[],
  ): void {
    const byName = (flows: readonly FlowStats[]): unknown =>
      new Map(flows.map(({ priority, tenant, ...rest }) => [`${tenant}/${priority}`, rest]));
    expect(byName(b)).toEqual(byName(a));
    for (const { priority, takenRows, tenant, ...flow } of a) {
      const ofFlow = (job: JobEnvelope): boolean =>
        job.tenant === tenant && job.priority === priority;
      expect(flow.waiting).toBe(waiting.filter(ofFlow).length);
      const everTaken = this.#jobs.filter((job, i) => ofFlow(job) && this.#everTaken.has(i));
      expect(takenRows).toBe(everTaken.reduce((sum, job) => sum + job.rows, 0));
    }
  }

  /** Ages, tenants and workers; the sums are compared already. */
  #compareStats(
    a: ClassStats | undefined,
    b: ClassStats | undefined,
    waiting: readonly JobEnvelope[],
  ): void {
    if (a === undefined || b === undefined) throw new Error('a queue has no statistics');
    const tenantsWaiting = new Set(waiting.map(({ tenant }) => tenant)).size;
    expect([a.tenantsWaiting, b.tenantsWaiting]).toEqual([tenantsWaiting, tenantsWaiting]);
    expect(b.workers).toBe(a.workers);
    expect(b.rowWorkMs === null).toBe(a.rowWorkMs === null);
    expect((b.rowWorkMs ?? 1) / (a.rowWorkMs ?? 1)).toBeCloseTo(1, 9);
    for (const priority of priorities) {
      const ageMs = b.oldestAgeMsByPriority[priority];
      expectSameMs(ageMs, a.oldestAgeMsByPriority[priority]);
      expect(ageMs > 0).toBe(waiting.some((job) => job.priority === priority));
    }
    expect(b.oldestAgeMs).toBe(Math.max(...Object.values(b.oldestAgeMsByPriority)));
  }

  /** An ended job never ends again, and never changes. */
  #holdToFirstEnd(index: number, lookup: Lookups[number] | undefined): void {
    const record = recordOf(lookup);
    const first = this.#ends.get(index);
    if (first !== undefined && this.#statuses[index] !== 'gone') expect(record).toEqual(first);
    if (first === undefined && record !== undefined && isTerminal(record.status)) {
      this.#ends.set(index, record);
    }
  }
}

type Lookups = Awaited<ReturnType<JobQueue['find']>>[];

function recordOf(lookup: Lookups[number] | undefined): JobRecord | undefined {
  return lookup?.ok === true && lookup.value.found === 'record' ? lookup.value.record : undefined;
}

function aheadOf(lookup: Lookups[number] | undefined): number | null | undefined {
  return recordOf(lookup)?.ahead;
}

function etaOf(lookup: Lookups[number] | undefined): number | null | undefined {
  return recordOf(lookup)?.etaAtMs;
}

function placeOf({ ahead, isAheadApproximate, isDuplicate, seq }: Enqueued): unknown {
  return { ahead, isAheadApproximate, isDuplicate, seq };
}

function startInMs({ enqueuedAtMs, promise }: Claim): number | null {
  return promise === null ? null : promise.startByMs - enqueuedAtMs;
}

/** Instants and durations, which pass a little between the two queues. */
function expectSameMs(
  actual: number | null | undefined,
  expected: number | null | undefined,
): void {
  if (typeof actual !== 'number' || typeof expected !== 'number') expect(actual).toBe(expected);
  else expect(Math.abs(actual - expected), `${actual} and ${expected}`).toBeLessThan(toleranceMs);
}

function expectSameEstimate(actual: Estimate | null, expected: Estimate | null): void {
  expectSameMs(actual?.readyInMs, expected?.readyInMs);
  expectSameMs(actual?.startBoundMs, expected?.startBoundMs);
}

function expectSameRefusal(
  actual: Result<unknown, EnqueueRefusal>,
  expected: Result<unknown, EnqueueRefusal>,
): void {
  const [a, b] = [actual, expected].map((result) => (result.ok ? undefined : result.error));
  expectSameMs(estimatedMs(a), estimatedMs(b));
  expect(a?.extras?.['budget_ms']).toBe(b?.extras?.['budget_ms']);
  // Where nothing is estimated the words are the same too.
  if (estimatedMs(b) === undefined) expect(a).toEqual(b);
}

function estimatedMs(refusal: EnqueueRefusal | undefined): number | undefined {
  return refusal?.extras?.['estimate_ms'] as number | undefined;
}

function statusOf(lookup: Lookups[number]): JobStatus | 'gone' {
  const record = recordOf(lookup);
  if (record !== undefined) return record.status;
  expect(lookup).toEqual({ ok: true, value: { found: 'gone', reason: 'deleted' } });
  return 'gone';
}

/** What of a job must be the same on both queues: all but the instants. */
function stateOf(lookup: Lookups[number]): unknown {
  const record = recordOf(lookup);
  if (record === undefined) return lookup;
  const { job, status, attempt, ahead, isAheadApproximate, outcome } = record;
  return {
    job,
    status,
    attempt,
    ahead,
    isAheadApproximate,
    outcome,
    hasStarted: record.startedAtMs !== null,
    hasSettled: record.settledAtMs !== null,
    hasExpiry: record.expiresAtMs !== null,
  };
}

test('both queues answer every sequence of commands alike, in order and with one end a job', async () => {
  await fc.assert(
    fc.asyncProperty(commands, async (sequence) => {
      const twins = new Twins();
      for (const command of sequence) await twins.run(command);
    }),
    {
      numRuns: 120,
      seed: 20_251_113,
      // Also bounds how long a failure is made smaller.
      interruptAfterTimeLimit: 60_000,
      markInterruptAsFailure: true,
    },
  );
}, 70_000);
