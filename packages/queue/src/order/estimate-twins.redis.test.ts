/**
 * The estimate is written twice, in TypeScript and in Lua. On random workers and random lines both queues
 * expect the same, and refuse the same jobs; the memory queue is told the time of Redis, so that nothing
 * between them differs but the arithmetic.
 */
import { randomBytes } from 'node:crypto';
import { classOf, type Estimate, newJobId, type ServiceProfile } from '@inferry/contracts';
import { type Clock, type Result, seededRandom, sleep, systemClock } from '@inferry/runtime';
import { queueRules as rules } from '@inferry/scheduling';
import { type RedisServer, startRedisServer, waitFor } from '@inferry/testkit';
import fc from 'fast-check';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createBullmqQueue } from '../bullmq/bullmq-queue.ts';
import { type Scripts, scripts } from '../bullmq/script-runner.ts';
import { createMemoryQueue } from '../memory/memory-queue.ts';
import type {
  ClaimRequest,
  Enqueued,
  EnqueueRefusal,
  EnqueueTerms,
  JobOutline,
  JobQueue,
} from '../port.ts';
import { jobOf } from './recorder.fixture.ts';

const leaseMs = 600_000;

class RedisTime implements Clock {
  #nowMs = 0;
  set(nowMs: number): void {
    this.#nowMs = nowMs;
  }
  nowMs(): number {
    return this.#nowMs;
  }
  after(): () => void {
    return () => undefined;
  }
}

let redis: RedisServer;
beforeAll(async () => {
  redis = await startRedisServer();
});
afterAll(async () => {
  await redis[Symbol.asyncDispose]();
});

interface Worker {
  readonly profile: ServiceProfile;
  readonly freeInMs: readonly number[];
}
/** Of plain numbers: the smallest of all would only ask which of two equals comes first. */
const between = (min: number, max: number): fc.Arbitrary<number> =>
  fc.integer({ min: 16 * min, max: 16 * max }).map((n) => n / 16);
/** A further row costs little: the twins may differ by one in how many rows join a batch later. */
const worker: fc.Arbitrary<Worker> = fc
  .record({
    rowsMax: fc.integer({ min: 1, max: 32 }),
    baseMs: between(1, 400),
    stepsMs: fc.array(between(0, 2), { maxLength: 5 }),
    tailFactor: between(1, 2),
    freeInMs: fc.array(between(0, 3_000), {
      minLength: 1,
      maxLength: 3,
    }),
  })
  .map(({ rowsMax, baseMs, stepsMs, tailFactor, freeInMs }) => {
    const points = [{ rows: 1, ms: baseMs }];
    for (const stepMs of stepsMs) {
      const below = points.at(-1) ?? { rows: 1, ms: baseMs };
      const rows = Math.min(rowsMax, 2 * below.rows);
      if (rows > below.rows) points.push({ rows, ms: below.ms + stepMs * (rows - below.rows) });
    }
    return { profile: { rowsMax, points, tailFactor, rowWorkMs: 1 }, freeInMs };
  });

type Step =
  | {
      readonly do: 'enqueue' | 'quote';
      readonly rows: number;
      readonly tenant: string;
      readonly budgetMs: number | null;
      readonly isPlentiful: boolean;
    }
  | {
      readonly do: 'claim';
      readonly pick: number;
      readonly rowsMax: number;
      readonly rowsMin: number;
    }
  | { readonly do: 'pause'; readonly ms: number };
const steps: fc.Arbitrary<readonly Step[]> = fc.array(
  fc.oneof(
    {
      weight: 8,
      arbitrary: fc.record({
        do: fc.constantFrom('enqueue' as const, 'enqueue', 'enqueue', 'quote'),
        rows: fc.integer({ min: 1, max: 12 }),
        tenant: fc.constantFrom('a', 'a', 'a', 'b'),
        budgetMs: fc.option(between(1, 3_000)),
        isPlentiful: fc.boolean(),
      }),
    },
    {
      weight: 1,
      arbitrary: fc.record({
        do: fc.constant('claim' as const),
        pick: fc.nat(99),
        rowsMax: fc.integer({ min: 1, max: 16 }),
        rowsMin: fc.constantFrom(1, 1, 200),
      }),
    },
    {
      weight: 1,
      arbitrary: fc.record({ do: fc.constant('pause' as const), ms: fc.integer({ max: 12 }) }),
    },
  ),
  { maxLength: 60, size: 'max' },
);

interface Seen {
  estimates: number;
  readonly refusals: Set<string>;
  isFluid: boolean;
}

/** What is found where the durable queue has these scripts in place of its own; undefined for nothing. */
async function difference(wrong: Partial<Scripts>, seen: Seen): Promise<string | undefined> {
  const time = new RedisTime();
  const memory = createMemoryQueue({ clock: time, rules, leaseMs });
  const durable = createBullmqQueue({
    url: redis.url,
    prefix: `t${randomBytes(4).toString('hex')}`,
    clock: systemClock,
    processId: 'p1',
    leaseMs,
    scripts: wrong,
  });
  await waitFor(async () => (await durable.ping()) !== undefined, { timeoutMs: 5_000 });
  const result = await fc.check(
    // Beyond 32 slots the line is taken as a fluid.
    fc.asyncProperty(fc.array(worker, { maxLength: 20, size: 'max' }), steps, async (all, plan) => {
      await new Twins({ durable, memory, time }, all, seen).play(plan);
    }),
    { numRuns: 60, seed: 11, endOnFailure: true },
  );
  await memory.close();
  await durable.close();
  const { errorInstance } = result;
  if (!result.failed) return undefined;
  return errorInstance instanceof Error ? errorInstance.message : 'it failed';
}

/** One class on both queues. */
class Twins {
  readonly #cls = classOf(`m${randomBytes(4).toString('hex')}`, '1');
  readonly #durable: JobQueue;
  readonly #memory: JobQueue;
  readonly #time: RedisTime;
  readonly #workers: readonly Worker[];
  readonly #seen: Seen;
  readonly #random = seededRandom(3);

  constructor(
    queues: { readonly durable: JobQueue; readonly memory: JobQueue; readonly time: RedisTime },
    workers: readonly Worker[],
    seen: Seen,
  ) {
    this.#durable = queues.durable;
    this.#memory = queues.memory;
    this.#time = queues.time;
    this.#workers = workers;
    this.#seen = seen;
  }

  async play(plan: readonly Step[]): Promise<void> {
    for (const [i, { profile, freeInMs }] of this.#workers.entries()) {
      await this.#durable.offer(`w${i}`, this.#cls, profile);
      await this.#memory.offer(`w${i}`, this.#cls, profile);
      await this.#claim(`w${i}`, { freeInMs, rowsMax: 1, rowsMin: 1 });
    }
    if (this.#workers.flatMap(({ freeInMs }) => freeInMs).length > 32) this.#seen.isFluid = true;
    for (const step of plan) {
      if (step.do === 'pause') await sleep(systemClock, step.ms);
      else if (step.do === 'claim') {
        const i = step.pick % Math.max(1, this.#workers.length);
        const freeInMs = this.#workers[i]?.freeInMs ?? [0];
        await this.#claim(`w${i}`, { ...step, freeInMs });
      } else await this.#ask(step);
    }
  }

  async #claim(
    workerId: string,
    asked: Pick<ClaimRequest, 'freeInMs' | 'rowsMax' | 'rowsMin'>,
  ): Promise<void> {
    const { freeInMs, rowsMax, rowsMin } = asked;
    const request = { workerId, freeInMs, rowsMax, rowsMin, takeSuspect: true, agingMs: leaseMs };
    const theirs = await this.#durable.claim(this.#cls, request);
    this.#time.set(theirs.nowMs);
    const ours = await this.#memory.claim(this.#cls, request);
    const isHeldBack = theirs.rowsWaiting > 0;
    expect(theirs.claims.map(({ seq }) => seq)).toEqual(ours.claims.map(({ seq }) => seq));
    expect(theirs.lastArrivalAtMs).toBe(ours.lastArrivalAtMs);
    // Whole microseconds there; the mean moves by a 32nd of what is new.
    expectClose(theirs.rowEveryMs, ours.rowEveryMs, 0.02);
    if (isHeldBack) expectClose(theirs.othersFreeInMs, ours.othersFreeInMs, 0.01);
    for (const [i, { promise }] of theirs.claims.entries()) {
      const other = ours.claims[i]?.promise ?? null;
      expectClose(promise?.readyAtMs, other?.readyAtMs, 5);
      expectClose(promise?.startByMs, other?.startByMs, 5);
    }
  }

  async #ask(step: Step & { do: 'enqueue' | 'quote' }): Promise<void> {
    const { rows, tenant, budgetMs, isPlentiful } = step;
    const job = jobOf(this.#cls, newJobId(0, this.#random), { rows, tenant });
    const terms: EnqueueTerms = {
      depthMax: 1_000,
      bytesMax: 1_000_000,
      tenantDepthMax: isPlentiful ? 1_000 : null,
      weight: 4,
      budget: budgetMs === null ? null : { usedMs: 0.5, budgetMs, needsWorker: isPlentiful },
    };
    // An answer that stores nothing tells no time: it was between these two.
    const fromMs = await this.#redisMs();
    if (step.do === 'quote') {
      const theirs = await this.#durable.quote(job, terms);
      await this.#expectQuoted(theirs, [fromMs, await this.#redisMs()], job, terms);
      return;
    }
    const payload = new Uint8Array(1);
    const theirs = await this.#durable.enqueue(job, payload, terms);
    if (!theirs.ok) {
      this.#seen.refusals.add(theirs.error.code);
      await this.#expectQuoted(theirs, [fromMs, await this.#redisMs()], job, terms);
      return;
    }
    this.#time.set(theirs.value.enqueuedAtMs);
    const ours = await this.#memory.enqueue(job, payload, terms);
    if (!ours.ok) throw new Error(`only the memory queue refused: ${ours.error.detail}`);
    expect(placeOf(theirs.value)).toEqual(placeOf(ours.value));
    const [a, b] = [theirs.value.estimate, ours.value.estimate];
    if (a !== null) this.#seen.estimates += 1;
    expectClose(a?.readyInMs, b?.readyInMs, 5);
    expectClose(a?.startBoundMs, b?.startBoundMs, 5);
  }

  /** A claim that takes nothing. */
  async #redisMs(): Promise<number> {
    const nothing = { workerId: 'nobody', rowsMax: 1, rowsMin: 1e6, takeSuspect: false };
    return (await this.#durable.claim(this.#cls, { ...nothing, agingMs: leaseMs, freeInMs: [] }))
      .nowMs;
  }

  /** The memory queue would say the same at one of the instants between which the other one said it. */
  async #expectQuoted(
    theirs: Result<unknown, EnqueueRefusal>,
    instants: readonly number[],
    job: JobOutline,
    terms: EnqueueTerms,
  ): Promise<void> {
    const said = (result: Result<unknown, EnqueueRefusal>): string =>
      result.ok ? 'taken' : result.error.code;
    const ours: Result<Estimate | null, EnqueueRefusal>[] = [];
    for (const atMs of instants) {
      this.#time.set(atMs);
      ours.push(await this.#memory.quote(job, terms));
    }
    expect(ours.map(said)).toContain(said(theirs));
    const expected = expectedMs(theirs);
    if (expected === null) return;
    const bounds = ours.map((quoted) => expectedMs(quoted) ?? NaN);
    expect(expected).toBeGreaterThanOrEqual(0.999 * Math.min(...bounds) - 5);
    expect(expected).toBeLessThanOrEqual(1.001 * Math.max(...bounds) + 5);
  }
}

function expectedMs(quoted: Result<unknown, EnqueueRefusal>): number | null {
  if (!quoted.ok) return Number(quoted.error.extras?.['estimate_ms'] ?? NaN) || null;
  return (quoted.value as Estimate | null)?.readyInMs ?? null;
}

function placeOf({ seq, ahead, isAheadApproximate }: Enqueued): Partial<Enqueued> {
  return { seq, ahead, isAheadApproximate };
}

/** Within so much, or 0.1 %. */
function expectClose(a: number | null | undefined, b: number | null | undefined, ms: number): void {
  if (typeof a !== 'number' || typeof b !== 'number') {
    expect(a ?? null).toBe(b ?? null);
    return;
  }
  const isInstant = a > 1e12;
  expect(Math.abs(a - b)).toBeLessThanOrEqual(isInstant ? ms : Math.max(ms, 0.001 * b));
}

const unseen = (): Seen => ({ estimates: 0, refusals: new Set(), isFluid: false });

test('both queues expect the same of every job, and refuse the same jobs', async () => {
  const seen = unseen();
  expect(await difference({}, seen)).toBeUndefined();
  // The histories had in them what they were made for.
  expect(seen.estimates).toBeGreaterThan(100);
  expect(seen.isFluid).toBe(true);
  expect([...seen.refusals].toSorted()).toEqual([
    'deadline_infeasible',
    'model_unavailable',
    'quota_exceeded',
  ]);
});

test.each([
  ['the line as one batch', 'math.min(ahead, p.rows)', 'ahead'],
  ['no phase in a long line', '0.5 * run', '0 * run'],
  ['the mean for the tail', 'run, q.tail * serviceMs', 'run, serviceMs'],
  ['nobody else who joins', 'math.ceil(own + start / everyMs)', 'own'],
  ['nobody else who is first', 'free[i] <= start + close', 'i == k'],
  [
    'only equals that may be first',
    'or 0\n        if free[i]',
    'or 0\n        close = 0\n        if free[i]',
  ],
  ['nobody who comes first', 'if toCome > 0', 'if false'],
  ['as many who come first as arrive', 'math.min(ownRows, arriving', '(arriving'],
  ['no chance in who comes first', '1.65 * math.sqrt', '0 * math.sqrt'],
  ['rates of all flows as its own', 'ownEvery <= every', 'true'],
  ['runs that take no time', 'free[k] = start + serviceMs(p, taken)', 'free[k] = start'],
])('an estimate of %s is found', async (_, right, wrong) => {
  expect(scripts.enqueue).toContain(right);
  const enqueue = scripts.enqueue.replace(right, () => wrong);
  expect(await difference({ enqueue }, unseen())).toMatch(/^expected|only the memory queue/u);
});
