/**
 * What every JobQueue promises, as tests. Run by memory-queue.test.ts and bullmq-queue.redis.test.ts.
 * tidy-allow: one list of promises, read top to bottom.
 */
import { getEventListeners } from 'node:events';
import {
  type ClassId,
  classOf,
  defaultTenant,
  type JobEnvelope,
  type JobId,
  newJobId,
  type Outcome,
  type Priority,
  type ServiceProfile,
} from '@inferry/contracts';
import { systemRandom } from '@inferry/runtime';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { testOrders } from './orders.contract.ts';
import { testPartials } from './partials.contract.ts';
import type { Change, Claim, ClaimRequest, Enqueued, EnqueueTerms, JobQueue } from './port.ts';
import type { ClassStats, SweepReport } from './reports.ts';

export interface Subject {
  readonly queue: JobQueue;
  /** A second process on the same queue; the same object where there is only one process. */
  readonly other: JobQueue;
  /** Lets every lease run out, and sweeps until the queue has noticed. */
  readonly lapse: (cls: ClassId) => Promise<Pick<SweepReport, 'returned' | 'failed'>>;
  /** Lets `ms` pass on the queue's clock. */
  readonly pass: (ms: number) => Promise<void>;
  readonly close: () => Promise<void>;
}

/** Takes every job of these tests. */
export const roomy: EnqueueTerms = {
  depthMax: 1_000,
  bytesMax: 1_000_000,
  tenantDepthMax: null,
  weight: 4,
  budget: null,
};
/** Far longer than a test. */
const foreverMs = 3_600_000;
const payload = new Uint8Array([1, 2, 3]);

/** A job of the class with everything else filled in. */
export function aJob(cls: ClassId, over: Partial<JobEnvelope> = {}): JobEnvelope {
  return {
    v: 1,
    id: newJobId(1_763_000_000_000, systemRandom),
    class: cls,
    tenant: defaultTenant,
    priority: 'normal',
    rows: 1,
    payloadBytes: 3,
    mode: 'async',
    gateway: null,
    requestId: 'req_1',
    admissionMs: 0.5,
    deadlineMs: 60_000,
    queueTimeoutMs: 60_000,
    executionTimeoutMs: 5_000,
    attemptsMax: 3,
    retentionMs: 60_000,
    metadata: {},
    ...over,
  };
}

function success(label = 'cat'): Outcome {
  return {
    status: 'succeeded',
    output: { form: 'rows', rows: [{ label }] },
    error: null,
    batchRows: 1,
    timings: {
      queueWaitMs: 1,
      fetchMs: 0,
      preprocessMs: 0,
      batchWaitMs: 0,
      computeMs: 1,
      postprocessMs: 0,
    },
    readyAtMs: 1_763_000_000_000,
    overtakenBy: 0,
  };
}

/** Takes whatever waits. */
export const anyRows: ClaimRequest = {
  workerId: 'w1',
  rowsMax: 100,
  rowsMin: 1,
  takeSuspect: false,
  freeInMs: [0],
  agingMs: foreverMs,
};
/** One row a run, a second each. */
const oneASecond: ServiceProfile = {
  rowsMax: 1,
  points: [{ rows: 1, ms: 1_000 }],
  tailFactor: 1,
  rowWorkMs: 1_000,
};
const never = new AbortController().signal;
const idsOf = (claims: readonly Claim[]): readonly JobId[] => claims.map(({ job }) => job.id);

export function describeJobQueue(name: string, open: () => Promise<Subject>): void {
  describe(`JobQueue contract: ${name}`, () => {
    let subject: Subject;
    let queue: JobQueue;
    let cls: ClassId;
    let classes = 0;

    beforeEach(async () => {
      subject = await open();
      queue = subject.queue;
      cls = classOf(`m${(classes += 1)}`, '1');
    });
    afterEach(async () => {
      await subject.close();
    });

    async function add(
      over: Partial<JobEnvelope> = {},
      terms: Partial<EnqueueTerms> = {},
    ): Promise<JobEnvelope> {
      const job = aJob(cls, over);
      const enqueued = await queue.enqueue(job, payload, { ...roomy, ...terms });
      expect(enqueued.ok).toBe(true);
      return job;
    }
    /** So many jobs of a tenant, one row each; their ids. */
    async function addOf(tenant: string, jobs: number, weight = 1): Promise<readonly JobId[]> {
      const ids: JobId[] = [];
      for (let i = 0; i < jobs; i += 1) ids.push((await add({ tenant }, { weight })).id);
      return ids;
    }
    /** The answer to a job that need not be taken. */
    async function ask(
      over: Partial<JobEnvelope>,
      terms: Partial<EnqueueTerms>,
    ): Promise<Awaited<ReturnType<JobQueue['enqueue']>>> {
      return queue.enqueue(aJob(cls, over), payload, { ...roomy, ...terms });
    }
    async function accepted(
      over: Partial<JobEnvelope> = {},
      terms: Partial<EnqueueTerms> = {},
    ): Promise<Enqueued> {
      const answer = await ask(over, terms);
      if (!answer.ok) throw new Error(answer.error.detail);
      return answer.value;
    }
    async function readyInMs(over: Partial<JobEnvelope> = {}): Promise<number | undefined> {
      const quote = await queue.quote(aJob(cls, over), roomy);
      return quote.ok ? quote.value?.readyInMs : undefined;
    }
    async function statistics(): Promise<ClassStats> {
      const [stats] = await queue.stats([cls]);
      if (stats === undefined) throw new Error('the class has no statistics');
      return stats;
    }
    async function waiting(): Promise<number> {
      return (await statistics()).waiting;
    }
    async function take(over: Partial<ClaimRequest> = {}): Promise<readonly Claim[]> {
      return (await queue.claim(cls, { ...anyRows, ...over })).claims;
    }
    async function statusOf(id: JobId): Promise<string> {
      const lookup = await queue.find(id);
      if (!lookup.ok) return lookup.error.code;
      return lookup.value.found === 'record' ? lookup.value.record.status : lookup.value.found;
    }

    test('jobs are claimed in order of arrival, as a prefix within the row bound', async () => {
      const jobs = [];
      for (const rows of [1, 2, 1, 4, 1]) jobs.push(await add({ rows }));
      const first = await take({ rowsMax: 4 });
      expect(idsOf(first)).toEqual(jobs.slice(0, 3).map(({ id }) => id));
      const second = await take({ rowsMax: 4 });
      expect(idsOf(second)).toEqual([jobs[3]?.id]);
      expect(idsOf(await take())).toEqual([jobs[4]?.id]);
      expect(await take()).toEqual([]);
    });

    test('a first job larger than the bound is taken alone', async () => {
      const big = await add({ rows: 9 });
      await add();
      expect(idsOf(await take({ rowsMax: 4 }))).toEqual([big.id]);
    });

    test('a claim carries the job, its payload, its place and its instants', async () => {
      const job = await add({ metadata: { a: 'ü"1' } });
      const [claim] = await take();
      expect(claim?.job).toEqual(job);
      expect([...(claim?.payload ?? [])]).toEqual([1, 2, 3]);
      expect(claim).toMatchObject({ attempt: 1, isSuspect: false, seq: 1, overtakenBy: 0 });
      expect(claim!.claimedAtMs).toBeGreaterThanOrEqual(claim!.enqueuedAtMs);
      expect(claim!.deadlineAtMs - claim!.enqueuedAtMs).toBeCloseTo(60_000, -1);
    });

    test('a payload in pieces is one payload, and its memory may be used again once it is stored', async () => {
      const pieces = [Uint8Array.of(1), new Uint8Array(), Uint8Array.of(2, 3)];
      const whole = Uint8Array.of(4, 5, 6);
      for (const given of [pieces, whole]) {
        expect((await queue.enqueue(aJob(cls), given, roomy)).ok).toBe(true);
      }
      for (const piece of [...pieces, whole]) piece.fill(9);
      const payloads = (await take()).map((claim) => [...(claim.payload ?? [])]);
      expect(payloads).toEqual([
        [1, 2, 3],
        [4, 5, 6],
      ]);
    });

    test('with rowsMin nothing is taken until so many rows wait', async () => {
      await add({ rows: 2 });
      const held = await queue.claim(cls, { ...anyRows, rowsMin: 3 });
      expect(held).toMatchObject({ claims: [], rowsWaiting: 2, waiting: 1 });
      expect(held.oldestAtMs).not.toBeNull();
      await add();
      expect(await take({ rowsMin: 3 })).toHaveLength(2);
    });

    test('a job that came back is taken without waiting for company', async () => {
      await add();
      await queue.giveBack(cls, await take(), false);
      await add();
      const claims = await take({ rowsMin: 5, workerId: 'w2' });
      expect(claims.map(({ seq, attempt }) => [seq, attempt])).toEqual([
        [1, 1],
        [2, 1],
      ]);
    });

    test('enqueue reports the place and refuses beyond depth and bytes, storing nothing', async () => {
      const limits = { ...roomy, depthMax: 2 };
      const places = [];
      for (let i = 0; i < 2; i += 1) {
        const added = await queue.enqueue(aJob(cls), payload, limits);
        places.push(added.ok && added.value.ahead);
      }
      expect(places).toEqual([0, 1]);
      const refused = aJob(cls);
      expect(await queue.enqueue(refused, payload, limits)).toMatchObject({
        ok: false,
        error: { code: 'queue_full' },
      });
      expect(await statusOf(refused.id)).not.toBe('queued');
      const bytes = await queue.enqueue(aJob(classOf('bytes', '1')), payload, {
        ...roomy,
        bytesMax: 2,
      });
      expect(bytes).toMatchObject({ ok: false, error: { code: 'queue_full' } });
      expect(await take()).toHaveLength(2);
    });

    test('enqueueing an id again changes nothing, waiting, claimed or ended', async () => {
      const job = await add();
      const again = async (): Promise<unknown> => {
        const result = await queue.enqueue(job, payload, roomy);
        return result.ok && result.value.isDuplicate;
      };
      expect(await again()).toBe(true);
      const [claim] = await take();
      expect(await again()).toBe(true);
      await queue.settle(cls, [{ claim: claim!, outcome: success() }]);
      expect(await again()).toBe(true);
      expect(await take()).toEqual([]);
    });

    test('a job is queued, running, then ended, and keeps its outcome', async () => {
      await add();
      const job = await add();
      const queued = await queue.find(job.id);
      expect(queued).toMatchObject({
        value: { record: { status: 'queued', ahead: 1, attempt: 0 } },
      });
      const claims = await take();
      expect(await queue.find(job.id)).toMatchObject({
        value: { record: { status: 'running', ahead: null, attempt: 1 } },
      });
      const settled = await queue.settle(cls, [{ claim: claims[1]!, outcome: success('dog') }]);
      expect(settled.map(({ result }) => result)).toEqual(['settled']);
      const ended = await queue.find(job.id);
      expect(ended).toMatchObject({
        value: {
          record: {
            job,
            status: 'succeeded',
            attempt: 1,
            outcome: { output: { form: 'rows', rows: [{ label: 'dog' }] }, error: null },
          },
        },
      });
      const record = ended.ok && ended.value.found === 'record' ? ended.value.record : undefined;
      expect(record!.settledAtMs).toBeGreaterThanOrEqual(record!.startedAtMs!);
      expect(record!.expiresAtMs! - record!.settledAtMs!).toBeCloseTo(60_000, -1);
    });

    test('tensor outputs come back byte for byte', async () => {
      const job = await add();
      const [claim] = await take();
      const bytes = Uint8Array.from({ length: 256 }, (_, i) => i);
      const output = {
        form: 'tensors',
        tensors: [{ name: 'y', datatype: 'UINT8', shape: [1, 256], bytes }],
      } as const;
      await queue.settle(cls, [{ claim: claim!, outcome: { ...success(), output } }]);
      const lookup = await queue.find(job.id);
      const found =
        lookup.ok && lookup.value.found === 'record' ? lookup.value.record.outcome?.output : null;
      const tensor = found?.form === 'tensors' ? found.tensors[0] : undefined;
      expect(tensor?.shape).toEqual([1, 256]);
      expect([...(tensor?.bytes ?? [])]).toEqual([...bytes]);
    });

    test('a job reaches one terminal state: the second settle is told that it lost', async () => {
      await add();
      const [claim] = await take();
      await queue.settle(cls, [{ claim: claim!, outcome: success('first') }]);
      const late = await queue.settle(cls, [{ claim: claim!, outcome: success('late') }]);
      expect(late.map(({ result }) => result)).toEqual(['lost']);
      expect(await queue.find(claim!.job.id)).toMatchObject({
        value: { record: { outcome: { output: { rows: [{ label: 'first' }] } } } },
      });
    });

    test('the waiter learns of the outcome, also when it ended before the wait began', async () => {
      const job = await add();
      const waiting = queue.outcome(job.id, never);
      const [claim] = await take();
      await queue.settle(cls, [{ claim: claim!, outcome: success() }]);
      expect(await waiting).toMatchObject({ status: 'succeeded' });
      expect(await queue.outcome(job.id, never)).toMatchObject({ status: 'succeeded' });
    });

    test('a waiter in another process learns of the outcome', async () => {
      const job = await add();
      const waiting = subject.other.outcome(job.id, never);
      await expect(subject.other.find(job.id)).resolves.toMatchObject({ ok: true });
      const [claim] = await take();
      await queue.settle(cls, [{ claim: claim!, outcome: success() }]);
      expect(await waiting).toMatchObject({ status: 'succeeded', job: { id: job.id } });
    });

    test('many waits for one job all end with its record', async () => {
      const job = await add();
      const waits = (): Promise<unknown>[] =>
        [1, 2, 3].map(() => subject.other.outcome(job.id, never));
      const early = waits();
      const [claim] = await take();
      await queue.settle(cls, [{ claim: claim!, outcome: success() }]);
      const ended = { status: 'succeeded' };
      expect(await Promise.all(early)).toMatchObject([ended, ended, ended]);
      expect(await Promise.all(waits())).toMatchObject([ended, ended, ended]);
    });

    test('a wait ends without a record when it is aborted or the job is unknown', async () => {
      const job = await add();
      const stop = new AbortController();
      const waiting = queue.outcome(job.id, stop.signal);
      stop.abort();
      expect(await waiting).toBeUndefined();
      expect(await queue.outcome(aJob(cls).id, never)).toBeUndefined();
    });

    test('a held job whose wait was given up can still be canceled where it was taken', async () => {
      const job = await add({ mode: 'held', gateway: 'gw' });
      const stop = new AbortController();
      const waiting = queue.outcome(job.id, stop.signal);
      stop.abort();
      expect(await waiting).toBeUndefined();
      expect(await queue.cancel(job.id, 'gone')).toMatchObject({
        value: { found: 'record', record: { status: 'canceled' } },
      });
      expect(await take()).toEqual([]);
    });

    test('a lapsed lease returns the jobs to the head, in order, as suspects', async () => {
      const jobs = [];
      for (let i = 0; i < 12; i += 1) jobs.push((await add()).id);
      const lost = await take({ rowsMax: 10 });
      const report = await subject.lapse(cls);
      expect([...report.returned].toSorted()).toEqual(idsOf(lost).toSorted());
      expect(await queue.claim(cls, anyRows)).toMatchObject({ claims: [], suspectAhead: true });
      const served: JobId[] = [];
      for (let i = 0; i < 10; i += 1) {
        const claims = await take({ takeSuspect: true });
        expect(claims).toHaveLength(1);
        expect(claims[0]).toMatchObject({ attempt: 2, isSuspect: true });
        served.push(...idsOf(claims));
      }
      expect(served).toEqual(jobs.slice(0, 10));
      expect(idsOf(await take())).toEqual(jobs.slice(10));
    });

    test('the holder of a lapsed lease can no longer settle the job once it has been returned', async () => {
      await add();
      const [first] = await take();
      await subject.lapse(cls);
      const [second] = await take({ workerId: 'w2', takeSuspect: true });
      expect(await queue.renew('w1', cls, [first!])).toEqual([first]);
      const late = await queue.settle(cls, [{ claim: first!, outcome: success('late') }]);
      expect(late[0]?.result).toBe('lost');
      const good = await queue.settle(cls, [{ claim: second!, outcome: success() }]);
      expect(good[0]?.result).toBe('settled');
    });

    test('a job whose workers are lost too often fails as worker_lost', async () => {
      const job = await add({ attemptsMax: 2, priority: 'low' });
      const waiting = queue.outcome(job.id, never);
      await take();
      expect((await subject.lapse(cls)).returned).toEqual([job.id]);
      await take({ takeSuspect: true });
      expect((await subject.lapse(cls)).failed).toEqual([
        { id: job.id, priority: 'low', status: 'failed' },
      ]);
      expect(await waiting).toMatchObject({
        status: 'failed',
        outcome: { error: { code: 'worker_lost' } },
      });
    });

    test('claims given back return to their places and do not count as starts', async () => {
      const ids = [];
      for (let i = 0; i < 6; i += 1) ids.push((await add()).id);
      const a = await take({ rowsMax: 2 });
      const b = await take({ rowsMax: 2 });
      await queue.giveBack(cls, a, false);
      await queue.giveBack(cls, b, false);
      const again = await take();
      expect(idsOf(again)).toEqual(ids);
      expect(again.map(({ attempt }) => attempt)).toEqual([1, 1, 1, 1, 1, 1]);
      expect(again.map(({ overtakenBy }) => overtakenBy)).toEqual([0, 0, 0, 0, 0, 0]);
    });

    test('claims given back unfinished are counted, those of a run that hung are not', async () => {
      for (let i = 0; i < 3; i += 1) await add();
      await queue.giveBack(cls, await take({ rowsMax: 2 }), false);
      const claims = await take({ rowsMax: 2 });
      await queue.giveBack(cls, claims, true);
      // Nobody's any more.
      await queue.giveBack(cls, claims, false);
      expect(await statistics()).toMatchObject({ givenBackJobs: 2 });
    });

    test('claims given back as suspects run alone the next time', async () => {
      await add();
      await add();
      await queue.giveBack(cls, await take(), true);
      const claims = await take({ takeSuspect: true });
      expect(claims).toMatchObject([{ isSuspect: true, attempt: 2 }]);
    });

    test('a job that was passed while its worker was lost counts who overtook it', async () => {
      await add();
      const [first] = await take();
      await add();
      await add();
      expect(await take()).toHaveLength(2);
      await queue.giveBack(cls, [first!], false);
      const [again] = await take();
      expect(again).toMatchObject({ seq: 1, overtakenBy: 2 });
    });

    test('a later job that ended while it waited has overtaken nobody', async () => {
      await add();
      const [first] = await take();
      await add();
      const later = await add();
      await queue.cancel(later.id, 'not needed');
      await queue.sweep(cls);
      await queue.giveBack(cls, [first!], false);
      const again = await take();
      expect(again.map(({ overtakenBy }) => overtakenBy)).toEqual([0, 0]);
    });

    test('a queued job can be canceled: it is never run', async () => {
      const job = await add();
      const waiting = queue.outcome(job.id, never);
      expect(await queue.cancel(job.id, 'not needed')).toMatchObject({
        value: { record: { status: 'canceled', outcome: { error: { detail: 'not needed' } } } },
      });
      expect(await waiting).toMatchObject({ status: 'canceled' });
      expect(await take()).toEqual([]);
    });

    test('of two that cancel a job at once, one is told that it did', async () => {
      const job = await add();
      const both = await Promise.all([queue.cancel(job.id, 'a'), queue.cancel(job.id, 'b')]);
      expect(both).toMatchObject(
        both.map(() => ({ ok: true, value: { record: { status: 'canceled' } } })),
      );
      expect(both.filter((answer) => answer.ok && 'endedNow' in answer.value)).toHaveLength(1);
    });

    test('a running job can be canceled: its late result is dropped', async () => {
      const job = await add();
      const [claim] = await take();
      await queue.cancel(job.id, 'not needed');
      expect(await queue.renew('w1', cls, [claim!])).toEqual([claim]);
      const late = await queue.settle(cls, [{ claim: claim!, outcome: success() }]);
      expect(late[0]?.result).toBe('lost');
      expect(await statusOf(job.id)).toBe('canceled');
    });

    test('canceling an ended job changes nothing', async () => {
      const job = await add();
      const [claim] = await take();
      await queue.settle(cls, [{ claim: claim!, outcome: success() }]);
      expect(await queue.cancel(job.id, 'late')).toMatchObject({
        value: { record: { status: 'succeeded' } },
      });
    });

    test('a job whose queue time runs out expires without running, and costs no slot', async () => {
      const late = await add({ queueTimeoutMs: 50 });
      const fine = await add();
      const waiting = queue.outcome(late.id, never);
      await subject.pass(80);
      expect(idsOf(await take())).toEqual([fine.id]);
      expect(await waiting).toMatchObject({
        status: 'expired',
        attempt: 0,
        outcome: { error: { code: 'queue_timeout' } },
      });
    });

    test('a look at a job whose time is over ends it, and says so once', async () => {
      const late = await add({ queueTimeoutMs: 50, priority: 'low' });
      const first = await queue.find(late.id);
      expect(first.ok && 'endedNow' in first.value).toBe(false);
      await subject.pass(80);
      expect(await queue.find(late.id)).toMatchObject({
        value: { endedNow: true, record: { status: 'expired', job: { priority: 'low' } } },
      });
      const again = await queue.find(late.id);
      expect(again).toMatchObject({ value: { record: { status: 'expired' } } });
      expect(again.ok && 'endedNow' in again.value).toBe(false);
      expect((await queue.sweep(cls)).expired).toEqual([]);
    });

    test('whoever waits for a job whose time is over leaves its end to the sweep, which counts it', async () => {
      const late = await add({ queueTimeoutMs: 50 });
      await subject.pass(80);
      const waiting = queue.outcome(late.id, never);
      // An answer of the queue, so that the wait has begun.
      await queue.stats([cls]);
      const { expired } = await queue.sweep(cls);
      expect(expired).toEqual([{ id: late.id, priority: 'normal', status: 'expired' }]);
      expect(await waiting).toMatchObject({ status: 'expired' });
    });

    test('however many jobs ran out of time, none of them is claimed, and all of them are told', async () => {
      const late = await Promise.all(
        Array.from({ length: 150 }, (_, i) =>
          add({ queueTimeoutMs: 500, priority: i % 2 === 0 ? 'high' : 'low' }),
        ),
      );
      const fine = await add();
      await subject.pass(520);
      const taken: Claim[] = [];
      const expired = new Map<JobId, Priority>();
      for (let waiting = Infinity; waiting > 0;) {
        const claimed = await queue.claim(cls, { ...anyRows, rowsMax: 500 });
        waiting = claimed.waiting;
        taken.push(...claimed.claims);
        for (const { id, priority } of claimed.expired) expired.set(id, priority);
      }
      expect(idsOf(taken)).toEqual([fine.id]);
      expect(expired).toEqual(new Map(late.map(({ id, priority }) => [id, priority])));
    });

    test('a running job whose deadline passes fails, and the sweep finds it without any worker', async () => {
      const running = await add({ deadlineMs: 50, queueTimeoutMs: 50 });
      await take();
      const queued = await add({ deadlineMs: 50, queueTimeoutMs: 50, priority: 'high' });
      await subject.pass(80);
      const report = await queue.sweep(cls);
      expect(new Set(report.expired)).toEqual(
        new Set([
          { id: running.id, priority: 'normal', status: 'failed' },
          { id: queued.id, priority: 'high', status: 'expired' },
        ]),
      );
      expect(await queue.find(running.id)).toMatchObject({
        value: { record: { status: 'failed', outcome: { error: { code: 'deadline_exceeded' } } } },
      });
      expect(await statusOf(queued.id)).toBe('expired');
    });

    test('a job that came back and whose deadline passed is told as failed by the claim that ends it', async () => {
      const job = await add({ deadlineMs: 50, queueTimeoutMs: 50 });
      await queue.giveBack(cls, await take(), true);
      await subject.pass(80);
      const { claims, expired } = await queue.claim(cls, anyRows);
      expect(claims).toEqual([]);
      expect(expired).toEqual([{ id: job.id, priority: 'normal', status: 'failed' }]);
    });

    test('an ended job can be erased and is known to have existed; a live one cannot', async () => {
      const job = await add();
      expect(await queue.erase(job.id)).toEqual({ ok: true, value: 'live' });
      const [claim] = await take();
      await queue.settle(cls, [{ claim: claim!, outcome: success() }]);
      expect(await queue.erase(job.id)).toEqual({ ok: true, value: 'erased' });
      expect(await queue.find(job.id)).toEqual({
        ok: true,
        value: { found: 'gone', reason: 'deleted' },
      });
      expect(await queue.erase(job.id)).toEqual({ ok: true, value: 'gone' });
      expect(await queue.erase(aJob(cls).id)).toEqual({ ok: true, value: 'never' });
    });

    test('an outcome is kept for its retention and then known to be gone', async () => {
      const job = await add({ retentionMs: 60 });
      const [claim] = await take();
      await queue.settle(cls, [{ claim: claim!, outcome: success() }]);
      expect(await statusOf(job.id)).toBe('succeeded');
      await subject.pass(100);
      expect(await queue.find(job.id)).toEqual({
        ok: true,
        value: { found: 'gone', reason: 'expired' },
      });
    });

    test('the sweep lets go of outcomes that nobody asks for any more', async () => {
      await add({ retentionMs: 60 });
      const [claim] = await take();
      await queue.settle(cls, [{ claim: claim!, outcome: success() }]);
      expect((await queue.stats([cls]))[0]!.resultBytes).toBeGreaterThan(0);
      await subject.pass(100);
      await queue.sweep(cls);
      expect((await queue.stats([cls]))[0]!.resultBytes).toBe(0);
    });

    test('outcomes beyond the byte bound push out the oldest', async () => {
      const job = await add();
      const [first] = await take();
      await queue.settle(cls, [{ claim: first!, outcome: success() }]);
      const bytes = new Uint8Array(60_000);
      const output = {
        form: 'tensors',
        tensors: [{ name: 'y', datatype: 'UINT8', shape: [1, 60_000], bytes }],
      } as const;
      await add();
      const [second] = await take();
      await queue.settle(cls, [{ claim: second!, outcome: { ...success(), output } }]);
      expect(await statusOf(job.id)).toBe('gone');
      expect(await statusOf(second!.job.id)).toBe('succeeded');
    });

    test('waiting for work ends when a job arrives, and when it is aborted', async () => {
      const stop = new AbortController();
      const waiting = queue.awaitWork('w1', [cls, classOf('elsewhere', '1')], stop.signal);
      await add();
      await waiting;
      expect(getEventListeners(stop.signal, 'abort')).toEqual([]);
      expect(await take()).toHaveLength(1);
      const idle = queue.awaitWork('w1', [classOf('elsewhere', '1')], stop.signal);
      stop.abort();
      await idle;
      // A wake-up that an abandoned wait took is not lost for the next one.
      await add();
      await queue.awaitWork('w1', [cls], never);
      expect(await take()).toHaveLength(1);
    });

    test('statistics count what waits, runs and is kept', async () => {
      await add();
      await add();
      await take({ rowsMax: 1 });
      await subject.pass(20);
      const [stats] = await queue.stats([cls]);
      expect(stats).toMatchObject({ class: cls, waiting: 1, active: 1, waitingBytes: 3 });
      expect(stats!.oldestAgeMs).toBeGreaterThanOrEqual(15);
    });

    test('statistics of a class that nobody has used are all zero, and what a row takes is not known', async () => {
      expect(await queue.stats([cls])).toEqual([
        {
          class: cls,
          waiting: 0,
          waitingRows: 0,
          active: 0,
          waitingBytes: 0,
          resultBytes: 0,
          arrivedRows: 0,
          oldestAgeMs: 0,
          oldestAgeMsByPriority: { high: 0, normal: 0, low: 0 },
          workers: 0,
          rowWorkMs: null,
          tenantsWaiting: 0,
          givenBackJobs: 0,
        },
      ]);
      expect(await queue.flows([cls, classOf('other', '1')])).toEqual([[], []]);
    });

    test('statistics count rows: what waits, and all that were accepted, whatever became of them', async () => {
      const canceled = await add({ rows: 5 });
      await add({ rows: 2 });
      await add({ rows: 3 });
      await queue.cancel(canceled.id, 'no');
      await take({ rowsMax: 2 });
      expect(await statistics()).toMatchObject({ waitingRows: 3, arrivedRows: 10 });
      expect((await ask({}, { depthMax: 1 })).ok).toBe(false);
      await queue.enqueue(canceled, payload, roomy);
      expect(await statistics()).toMatchObject({ waitingRows: 3, arrivedRows: 10 });
    });

    test('the oldest waiting job is known for each priority, across tenants', async () => {
      await add({ tenant: 'a', priority: 'low' });
      await subject.pass(30);
      await add({ tenant: 'b', priority: 'low' });
      await add({ tenant: 'b', priority: 'high' });
      await subject.pass(20);
      await add({ tenant: 'a', priority: 'high' });
      const { oldestAgeMs, oldestAgeMsByPriority } = await statistics();
      const { high, low, normal } = oldestAgeMsByPriority;
      expect(normal).toBe(0);
      expect(high).toBeGreaterThanOrEqual(15);
      expect(low).toBeGreaterThanOrEqual(high + 25);
      expect(oldestAgeMs).toBe(low);
    });

    test('flows tell what waits, and the rows that were taken, each job once', async () => {
      await add({ tenant: 'a', rows: 2 });
      await add({ tenant: 'a', rows: 1, priority: 'high' });
      const canceled = await add({ tenant: 'c', rows: 9 });
      expect((await statistics()).tenantsWaiting).toBe(2);
      await queue.cancel(canceled.id, 'no');
      const claims = await take();
      await add({ tenant: 'b', rows: 4 });
      expect((await statistics()).tenantsWaiting).toBe(1);
      const sorted = async (): Promise<unknown> =>
        (await queue.flows([cls]))[0]?.toSorted((x, y) => x.takenRows - y.takenRows);
      const b = { tenant: 'b', priority: 'normal', waiting: 1, takenRows: 0 };
      const high = { tenant: 'a', priority: 'high', waiting: 0, takenRows: 1 };
      const normal = { tenant: 'a', priority: 'normal', waiting: 0, takenRows: 2 };
      expect(await sorted()).toEqual([b, high, normal]);
      await queue.giveBack(cls, claims, false);
      expect(await sorted()).toEqual([b, { ...high, waiting: 1 }, { ...normal, waiting: 1 }]);
      await take({ workerId: 'w2', rowsMax: 3 });
      expect(await sorted()).toEqual([b, high, normal]);
    });

    test('workers are counted while they offer, and what a row takes stays known without them', async () => {
      await queue.offer('w1', cls, { ...oneASecond, rowWorkMs: 1_000 / 3 });
      expect(await statistics()).toMatchObject({ workers: 1, rowWorkMs: 1_000 / 3 });
      await queue.offer('w1', cls, null);
      expect(await statistics()).toMatchObject({ workers: 0, rowWorkMs: 1_000 / 3 });
      await queue.offer('w2', cls, { ...oneASecond, rowWorkMs: 50 });
      expect(await statistics()).toMatchObject({ workers: 1, rowWorkMs: 50 });
      await add();
      await take({ workerId: 'w2' });
      await subject.lapse(cls);
      expect(await statistics()).toMatchObject({ workers: 0, rowWorkMs: 50 });
    });

    test('of several workers a row takes what it takes at their mean speed', async () => {
      await queue.offer('w1', cls, { ...oneASecond, rowWorkMs: 100 });
      await queue.offer('w2', cls, { ...oneASecond, rowWorkMs: 300 });
      // 10 and 3.33 rows a second: 6.67 each.
      const both = await statistics();
      expect(both.workers).toBe(2);
      expect(both.rowWorkMs).toBeCloseTo(150);
      await queue.offer('w2', cls, { ...oneASecond, rowWorkMs: 100 });
      expect((await statistics()).rowWorkMs).toBeCloseTo(100);
    });

    test.each([0, -1, Infinity, Number.NaN])(
      'a row that takes %s ms of a worker is a bug',
      async (rowWorkMs) => {
        const offer = async (): Promise<void> =>
          queue.offer('w1', cls, { ...oneASecond, rowWorkMs });
        await expect(offer()).rejects.toThrow('takes time');
        expect((await statistics()).rowWorkMs).toBeNull();
      },
    );

    // ---- several flows -------------------------------------------------------------------------------

    test('flows of the same weight take turns, whatever one of them asked for before', async () => {
      const a = await addOf('a', 6);
      const b = await addOf('b', 3);
      const taken = idsOf(await take({ rowsMax: 6 }));
      // Of equal tags the smaller id goes first.
      const pairs = [0, 1, 2].map((i) => [a[i]!, b[i]!].toSorted());
      expect(taken).toEqual(pairs.flat());
      expect(idsOf(await take())).toEqual(a.slice(3));
    });

    test('a flow of twice the weight is served twice as often', async () => {
      const a = await addOf('a', 6, 2);
      const b = await addOf('b', 6, 1);
      const taken = new Set(idsOf(await take({ rowsMax: 6 })));
      expect(a.filter((id) => taken.has(id))).toEqual(a.slice(0, 4));
      expect(b.filter((id) => taken.has(id))).toEqual(b.slice(0, 2));
    });

    test('the priorities of one tenant are flows of their own: none of them waits for good', async () => {
      const weights = { high: 8, normal: 4, low: 1 } as const;
      const ids = { high: [] as JobId[], normal: [] as JobId[], low: [] as JobId[] };
      for (const priority of ['low', 'normal', 'high'] as const) {
        for (let i = 0; i < 13; i += 1) {
          ids[priority].push((await add({ priority }, { weight: weights[priority] })).id);
        }
      }
      const taken = new Set(idsOf(await take({ rowsMax: 13 })));
      for (const priority of ['high', 'normal', 'low'] as const) {
        const own = ids[priority].filter((id) => taken.has(id));
        expect(own).toEqual(ids[priority].slice(0, weights[priority]));
      }
    });

    test('shares are of rows: a flow of larger jobs gets fewer of them', async () => {
      const a: JobId[] = [];
      for (let i = 0; i < 4; i += 1) a.push((await add({ tenant: 'a', rows: 2 })).id);
      const b = await addOf('b', 4, roomy.weight);
      const taken = idsOf(await take({ rowsMax: 4 }));
      expect(taken.toSorted()).toEqual([a[0]!, b[0]!, b[1]!].toSorted());
    });

    test('a flow that was idle starts where service is, and is owed nothing', async () => {
      await addOf('a', 4);
      await take();
      const a = await addOf('a', 2);
      const b = await addOf('b', 2);
      expect(idsOf(await take())).toEqual([b[0], a[0], b[1], a[1]]);
    });

    test('a flow is not charged for jobs that ended before they were taken', async () => {
      const canceled = await addOf('a', 20);
      for (const id of canceled) await queue.cancel(id, 'not needed');
      for (let i = 0; i < 20; i += 1) await add({ tenant: 'a', queueTimeoutMs: 100 });
      await subject.pass(150);
      expect(await take()).toEqual([]);
      const [a, b] = [await addOf('a', 3), await addOf('b', 3)];
      const pairs = [0, 1, 2].map((i) => [a[i]!, b[i]!].toSorted());
      expect(idsOf(await take())).toEqual(pairs.flat());
    });

    test('a job keeps its place when those before it end, and whoever comes then stands behind it', async () => {
      const a = await addOf('a', 4, 1);
      for (const id of [a[0]!, a[1]!, a[3]!]) await queue.cancel(id, 'not needed');
      const [last] = await addOf('a', 1, 1);
      const b = await addOf('b', 5, 1);
      const turns = [[b[0]!], [b[1]!], [a[2]!, b[2]!].toSorted(), [last!, b[3]!].toSorted()];
      expect(idsOf(await take())).toEqual([...turns.flat(), b[4]]);
    });

    test.each([1, 3])(
      'a flow of weight %i that cancels what it asked for gets no more than its share',
      async (weight) => {
        const patient = new Set(await addOf('b', 40));
        let own = 0;
        let others = 0;
        for (let cycle = 0; cycle < 20; cycle += 1) {
          const [wanted, spare] = await addOf('a', 2, weight);
          for (;;) {
            const id = (await take({ rowsMax: 1 }))[0]!.job.id;
            if (id === wanted) break;
            expect(patient.has(id)).toBe(true);
            others += 1;
          }
          own += 1;
          await queue.cancel(spare!, 'not needed');
          expect(own).toBeLessThanOrEqual(weight * others + 1);
          // And no less: it pays for what it was given only.
          expect(others).toBeLessThanOrEqual(own / weight + 1);
        }
      },
    );

    test('jobs that come back go before those of all flows, in the order in which they were taken', async () => {
      await addOf('a', 3);
      await addOf('b', 3);
      const first = await take({ rowsMax: 2 });
      const second = await take({ rowsMax: 2 });
      await addOf('c', 2, 8);
      await queue.giveBack(cls, second, false);
      await queue.giveBack(cls, first, false);
      const again = await take({ rowsMin: 100 });
      expect(idsOf(again).slice(0, 4)).toEqual(idsOf([...first, ...second]));
      expect(again).toHaveLength(8);
    });

    test('an old job is taken before its turn, in up to a quarter of the rows', async () => {
      const a = await addOf('a', 5);
      await take({ rowsMax: 1 });
      await subject.pass(30);
      const b = await addOf('b', 8, 8);
      const turn = await queue.claim(cls, { ...anyRows, rowsMin: 100, agingMs: 20 });
      const oldestAgeMs = (await queue.stats([cls]))[0]!.oldestAgeMs;
      expect(turn.nowMs - turn.oldestAtMs!).toBeLessThan(oldestAgeMs - 15);
      const taken = await take({ rowsMax: 8, agingMs: 20 });
      expect(idsOf(taken)).toEqual([a[1], a[2], ...b.slice(0, 6)]);
      expect(taken.map(({ overtakenBy }) => overtakenBy)).toEqual(taken.map(() => 0));
    });

    test('without age, turns are as the weights say', async () => {
      await addOf('a', 5);
      await take({ rowsMax: 1 });
      const b = await addOf('b', 8, 8);
      expect(idsOf(await take({ rowsMax: 8 }))).toEqual(b);
    });

    test('jobs taken for their age come back in the order in which they were taken', async () => {
      const a = await addOf('a', 5);
      await take({ rowsMax: 1 });
      await subject.pass(30);
      const b = await addOf('b', 8, 8);
      const first = await take({ rowsMax: 4, agingMs: 20 });
      const second = await take({ rowsMax: 4, agingMs: 20 });
      expect(idsOf(first)).toEqual([a[1], ...b.slice(0, 3)]);
      expect(idsOf(second)).toEqual([a[2], ...b.slice(3, 6)]);
      await queue.giveBack(cls, second, false);
      await queue.giveBack(cls, first, false);
      // Also for the age of others: they come first.
      const again = await take({ rowsMax: 8, agingMs: 0 });
      expect(idsOf(again)).toEqual(idsOf([...first, ...second]));
      await queue.giveBack(cls, again, false);
      const rest = await take();
      expect(idsOf(rest)).toEqual([...idsOf(again), b[6], b[7], a[3], a[4]]);
      expect(rest.map(({ overtakenBy }) => overtakenBy)).toEqual(rest.map(() => 0));
    });

    test('jobs of other flows overtake nobody', async () => {
      await addOf('a', 1);
      const [first] = await take();
      await addOf('b', 2);
      await take();
      await addOf('a', 1);
      await take();
      await queue.giveBack(cls, [first!], false);
      expect(await take()).toMatchObject([{ seq: 1, overtakenBy: 1 }]);
    });

    test('rows that wait are counted over all flows', async () => {
      await addOf('a', 1);
      await addOf('b', 1);
      const held = await queue.claim(cls, { ...anyRows, rowsMin: 3 });
      expect(held).toMatchObject({ claims: [], rowsWaiting: 2 });
      await addOf('c', 1);
      expect(await take({ rowsMin: 3 })).toHaveLength(3);
    });

    test('enqueue tells the place among all flows', async () => {
      expect(await accepted({ tenant: 'a' })).toMatchObject({
        ahead: 0,
        isAheadApproximate: false,
      });
      expect(await accepted({ tenant: 'a' })).toMatchObject({
        ahead: 1,
        isAheadApproximate: false,
      });
      // Due now, as the first of `a` is.
      const other = await accepted({ tenant: 'b' });
      expect(other).toMatchObject({ ahead: 1, isAheadApproximate: true });
      expect(await accepted({ tenant: 'b' })).toMatchObject({ ahead: 3 });
    });

    test('a tenant may have so many jobs waiting; others are not concerned', async () => {
      const terms = { tenantDepthMax: 2 };
      await add({ tenant: 'a' }, terms);
      await add({ tenant: 'a', priority: 'high' }, terms);
      const refused = aJob(cls, { tenant: 'a' });
      const answer = await queue.enqueue(refused, payload, { ...roomy, ...terms });
      expect(answer).toMatchObject({
        ok: false,
        error: { code: 'quota_exceeded', detail: expect.stringContaining('2') },
      });
      expect(await queue.quote(refused, { ...roomy, ...terms })).toMatchObject({
        ok: false,
        error: { code: 'quota_exceeded' },
      });
      expect(await queue.find(refused.id)).not.toMatchObject({ value: { found: 'record' } });
      expect(await waiting()).toBe(2);
      await add({ tenant: 'b' }, terms);
      await take({ rowsMax: 1 });
      await take({ rowsMax: 2 });
      await add({ tenant: 'a' }, terms);
    });

    // ---- estimates and admission ----------------------------------------------------------------------

    test('nothing is expected while no worker has told what runs take', async () => {
      const job = aJob(cls);
      const answer = await queue.enqueue(job, payload, roomy);
      expect(answer).toMatchObject({ ok: true, value: { estimate: null } });
      expect(await queue.quote(aJob(cls), roomy)).toEqual({ ok: true, value: null });
      expect(await queue.find(job.id)).toMatchObject({
        value: { record: { ahead: 0, isAheadApproximate: false, etaAtMs: null } },
      });
      expect(await take()).toMatchObject([{ promise: null }]);
    });

    test('a quote is what the enqueue answers then, and writes nothing', async () => {
      await queue.offer('w1', cls, { ...oneASecond, rowsMax: 2, tailFactor: 1.5 });
      for (const over of [{}, { rows: 2 }, { tenant: 'b' }, { priority: 'high' as const }]) {
        const quote = await queue.quote(aJob(cls, over), roomy);
        const { estimate, seq } = await accepted(over);
        expect(quote).toEqual({ ok: true, value: estimate });
        expect(await waiting()).toBe(seq);
      }
    });

    test('a job has the time expected of its place, from the arrival to the claim', async () => {
      await queue.offer('w1', cls, oneASecond);
      await add();
      const job = aJob(cls);
      const enqueued = await queue.enqueue(job, payload, roomy);
      const expected = { readyInMs: 2_000, startBoundMs: 2_000 };
      expect(enqueued).toMatchObject({ value: { ahead: 1, estimate: expected } });
      const lookup = await queue.find(job.id);
      const record = lookup.ok && lookup.value.found === 'record' ? lookup.value.record : undefined;
      expect(record).toMatchObject({ ahead: 1, isAheadApproximate: false });
      const etaInMs = record!.etaAtMs! - record!.enqueuedAtMs;
      expect(etaInMs).toBeGreaterThanOrEqual(2_000);
      expect(etaInMs).toBeLessThan(3_000);
      await add({ tenant: 'b' });
      expect(await queue.find(job.id)).toMatchObject({
        value: { record: { ahead: 2, isAheadApproximate: true } },
      });
      const claim = (await take()).find(({ job: { id } }) => id === job.id);
      expect(claim!.promise!.readyAtMs - claim!.enqueuedAtMs).toBeCloseTo(2_000, 0);
      expect(claim!.promise!.startByMs - claim!.enqueuedAtMs).toBeCloseTo(2_000, 0);
      expect(await queue.find(job.id)).toMatchObject({
        value: { record: { ahead: null, isAheadApproximate: false, etaAtMs: null } },
      });
    });

    test('what other flows send before its turn is part of what a job can expect', async () => {
      await queue.offer('w1', cls, oneASecond);
      for (let i = 0; i < 4; i += 1) {
        await add({ tenant: i % 2 === 0 ? 'a' : 'b' });
        await subject.pass(20);
      }
      await take();
      // The slot is free again.
      await take();
      expect(await readyInMs({ tenant: 'b' })).toBeCloseTo(1_000, -2);
      await addOf('a', 3, roomy.weight);
      // Behind one of the others at most, nothing of its own.
      expect(await readyInMs({ tenant: 'b' })).toBeCloseTo(2_000, -2);
      // Three of its own, and as many of others that will come; half a run for the phase of a longer line.
      expect(await readyInMs({ tenant: 'a' })).toBeCloseTo(7_500, -2);
      const { ahead, estimate } = await accepted({ tenant: 'a' });
      expect(ahead).toBe(3);
      expect(estimate?.readyInMs).toBeCloseTo(7_500, -2);
      expect(estimate?.startBoundMs).toBeCloseTo(7_000, -2);
    });

    test('a claim keeps its slot for as long as the run takes', async () => {
      await queue.offer('w1', cls, oneASecond);
      expect(await readyInMs()).toBe(1_000);
      await add();
      await take();
      const behindOne = await readyInMs();
      expect(behindOne).toBeGreaterThan(1_500);
      expect(behindOne).toBeLessThanOrEqual(2_000);
      await add();
      // What the worker tells counts, not what was expected: its second slot is free and runs the job.
      await take({ freeInMs: [500, 0] });
      const behindHalf = await readyInMs();
      expect(behindHalf).toBeGreaterThan(1_200);
      expect(behindHalf).toBeLessThanOrEqual(1_500);
      // A claim that takes nothing tells too.
      await take({ freeInMs: [0] });
      expect(await readyInMs()).toBe(1_000);
    });

    test('a claim that holds back learns when another worker is free', async () => {
      await add();
      const hold = { ...anyRows, rowsMin: 2 };
      await queue.offer('w1', cls, oneASecond);
      expect(await queue.claim(cls, hold)).toMatchObject({ claims: [], othersFreeInMs: null });
      await queue.offer('w2', cls, oneASecond);
      expect(await queue.claim(cls, hold)).toMatchObject({ claims: [], othersFreeInMs: 0 });
      await take({ workerId: 'w2' });
      await add();
      const { othersFreeInMs } = await queue.claim(cls, hold);
      expect(othersFreeInMs).toBeGreaterThan(500);
      expect(othersFreeInMs).toBeLessThanOrEqual(1_000);
    });

    test('an offer ends when it is taken back, and when it is not renewed', async () => {
      await queue.offer('w1', cls, oneASecond);
      await queue.offer('w1', cls, null);
      expect(await readyInMs()).toBeUndefined();
      await queue.offer('w1', cls, { ...oneASecond, points: [{ rows: 1, ms: 400 }] });
      expect(await readyInMs()).toBe(400);
      await add();
      await take({ workerId: 'w2' });
      await subject.lapse(cls);
      expect(await readyInMs()).toBeUndefined();
    });

    test('a job that would be late is refused, and leaves nothing behind', async () => {
      await queue.offer('w1', cls, oneASecond);
      await add();
      await add();
      const budget = { usedMs: 100, budgetMs: 3_100, needsWorker: false };
      const job = aJob(cls);
      const refused = await queue.enqueue(job, payload, { ...roomy, budget });
      expect(refused).toMatchObject({
        ok: false,
        error: {
          code: 'deadline_infeasible',
          detail: expect.stringContaining('3100 ms'),
          extras: { estimate_ms: 3_600, budget_ms: 3_100 },
        },
      });
      const retryAfterMs = refused.ok ? 0 : refused.error.retryAfterMs!;
      expect(retryAfterMs).toBeGreaterThanOrEqual(500);
      expect(retryAfterMs).toBeLessThanOrEqual(625);
      expect(await queue.quote(job, { ...roomy, budget })).toMatchObject({
        ok: false,
        error: { code: 'deadline_infeasible' },
      });
      expect(await queue.find(job.id)).toEqual({ ok: true, value: { found: 'never' } });
      expect((await queue.stats([cls]))[0]).toMatchObject({ waiting: 2, waitingBytes: 6 });
      const enough = { ...budget, budgetMs: 3_700 };
      const taken = await queue.enqueue(job, payload, { ...roomy, budget: enough });
      expect(taken).toMatchObject({ ok: true, value: { seq: 3, ahead: 2, isDuplicate: false } });
    });

    test('a payload that does not travel with its job is not kept when the job is refused', async () => {
      await queue.offer('w1', cls, oneASecond);
      const budget = { usedMs: 0, budgetMs: 900, needsWorker: false };
      const large = new Uint8Array(5_000).fill(7);
      const job = aJob(cls, { payloadBytes: large.length });
      expect(await queue.enqueue(job, large, { ...roomy, budget })).toMatchObject({
        ok: false,
        error: { code: 'deadline_infeasible' },
      });
      expect((await queue.stats([cls]))[0]).toMatchObject({ waiting: 0, waitingBytes: 0 });
      expect(await queue.find(job.id)).toEqual({ ok: true, value: { found: 'never' } });
    });

    test('what its own flow asked for before is the reason: its own share is used up', async () => {
      await queue.offer('w1', cls, oneASecond);
      await addOf('a', 5);
      const terms = {
        weight: 1,
        tenantDepthMax: 100,
        budget: { usedMs: 0, budgetMs: 3_000, needsWorker: false },
      };
      expect(await ask({ tenant: 'a' }, terms)).toMatchObject({
        error: { code: 'quota_exceeded', extras: { estimate_ms: 6_500, budget_ms: 3_000 } },
      });
      // Where tenants are not told apart there is no share.
      expect(await ask({ tenant: 'a' }, { ...terms, tenantDepthMax: null })).toMatchObject({
        error: { code: 'deadline_infeasible' },
      });
      expect(await ask({ tenant: 'b' }, terms)).toMatchObject({ ok: true });
      const tight = { ...terms, budget: { ...terms.budget, budgetMs: 1_500 } };
      expect(await ask({ tenant: 'c' }, tight)).toMatchObject({
        error: { code: 'deadline_infeasible' },
      });
    });

    test('a budget without any worker is refused only where one is needed', async () => {
      const budget = { usedMs: 0, budgetMs: 1_000, needsWorker: true };
      expect(await ask({}, { budget })).toMatchObject({
        ok: false,
        error: { code: 'model_unavailable' },
      });
      expect(await queue.quote(aJob(cls), { ...roomy, budget })).toMatchObject({
        error: { code: 'model_unavailable' },
      });
      expect(await waiting()).toBe(0);
      expect(await ask({}, { budget: { ...budget, needsWorker: false } })).toMatchObject({
        value: { estimate: null },
      });
    });

    test('a claim tells how often rows arrive', async () => {
      expect(await queue.claim(cls, anyRows)).toMatchObject({
        rowEveryMs: null,
        lastArrivalAtMs: null,
      });
      const first = await accepted();
      expect(await queue.claim(cls, anyRows)).toMatchObject({ rowEveryMs: null });
      await subject.pass(60);
      const second = await accepted({ rows: 2 });
      const { lastArrivalAtMs, rowEveryMs } = await queue.claim(cls, anyRows);
      expect(lastArrivalAtMs).toBeCloseTo(second.enqueuedAtMs, 1);
      expect(rowEveryMs).toBeCloseTo((second.enqueuedAtMs - first.enqueuedAtMs) / 2, 1);
    });

    // ---- the others -----------------------------------------------------------------------------------

    test('changes are numbered without gaps, whoever makes them', async () => {
      const changes: Change[] = [];
      for (const each of new Set([queue, subject.other])) {
        each.events.on('changed', (change) => changes.push(change));
      }
      const a = await add();
      const b = aJob(cls);
      await subject.other.enqueue(b, payload, roomy);
      await subject.other.enqueue(b, payload, roomy);
      const c = await add();
      await ask({}, { depthMax: 3 });
      await subject.other.cancel(c.id, 'not needed');
      await subject.other.cancel(c.id, 'not needed');
      const claims = await take();
      expect(await take()).toEqual([]);
      await subject.other.giveBack(cls, claims.slice(1), false);
      await queue.settle(cls, [{ claim: claims[0]!, outcome: success() }]);
      await subject.other.settle(cls, [{ claim: claims[0]!, outcome: success() }]);
      await take({ workerId: 'w2' });
      const { returned } = await subject.lapse(cls);
      expect(returned).toEqual([b.id]);
      await queue.sweep(cls);
      expect(changes.map(({ number, what, ids }) => [number, what, ids])).toEqual([
        [1, 'enqueue', [a.id]],
        [2, 'enqueue', [b.id]],
        [3, 'enqueue', [c.id]],
        [4, 'cancel', [c.id]],
        [5, 'claim', [a.id, b.id]],
        [6, 'giveBack', [b.id]],
        [7, 'settle', [a.id]],
        [8, 'claim', [b.id]],
        [9, 'sweep', [b.id]],
      ]);
      const instants = changes.map(({ atMs }) => atMs);
      expect(instants).toEqual(instants.toSorted((x, y) => x - y));
      expect(new Set(changes.map((change) => change.class))).toEqual(new Set([cls]));
    });

    test('what was learned of a model is kept for the next worker', async () => {
      expect(await queue.loadProfile('digest:cpu')).toBeNull();
      await queue.saveProfile('digest:cpu', '{"ü":1}');
      await queue.saveProfile('digest:cuda', '2');
      expect(await subject.other.loadProfile('digest:cpu')).toBe('{"ü":1}');
      await subject.other.saveProfile('digest:cpu', 'newer');
      expect(await queue.loadProfile('digest:cpu')).toBe('newer');
    });

    test('what processes count of a class adds up', async () => {
      const other = classOf(`${cls.split('@')[0]}`, '2');
      expect(await queue.statistics([cls])).toEqual([{ counters: {}, lastAtMs: 0 }]);
      await queue.addStatistics(cls, { counters: { succeeded: 2, '8:runs': 1 }, lastAtMs: 20 });
      await subject.other.addStatistics(cls, {
        counters: { succeeded: 1, rejectedJobs: 4 },
        lastAtMs: 10,
      });
      await queue.addStatistics(other, { counters: {}, lastAtMs: 0 });
      const sum = { counters: { succeeded: 3, '8:runs': 1, rejectedJobs: 4 }, lastAtMs: 20 };
      const none = { counters: {}, lastAtMs: 0 };
      expect(await subject.other.statistics([other, cls])).toEqual([none, sum]);
      const broken = { counters: { succeeded: 0.5 }, lastAtMs: 0 };
      await expect(queue.addStatistics(cls, broken)).rejects.toThrow('succeeded');
      expect(await queue.statistics([cls])).toEqual([sum]);
    });

    test('workers are known while they announce themselves', async () => {
      const worker = {
        v: 1,
        workerId: 'w7',
        host: 'h',
        pid: 1,
        state: 'serving',
        startedAtMs: 5,
        models: [],
      } as const;
      await queue.announce(worker);
      expect(await subject.other.workers()).toEqual([worker]);
      await queue.retract('w7');
      expect(await subject.other.workers()).toEqual([]);
    });

    test('an idempotency key belongs to the first job that reserves it, until released', async () => {
      const first = await queue.keys.reserve('k1', 'f1', 'job_a' as JobId, 60_000);
      expect(first).toMatchObject({ value: { isNew: true, binding: { isConfirmed: false } } });
      // The same call again, as after a lost reply.
      const repeated = await queue.keys.reserve('k1', 'f1', 'job_a' as JobId, 60_000);
      expect(repeated).toMatchObject({ value: { isNew: true, binding: { isConfirmed: false } } });
      await queue.keys.confirm('k1');
      expect(await subject.other.keys.reserve('k1', 'f2', 'job_b' as JobId, 60_000)).toMatchObject({
        value: { isNew: false, binding: { id: 'job_a', fingerprint: 'f1', isConfirmed: true } },
      });
      await queue.keys.release('k1');
      expect(await queue.keys.reserve('k1', 'f2', 'job_b' as JobId, 60_000)).toMatchObject({
        value: { isNew: true },
      });
    });

    testOrders(() => subject);
    testPartials(() => subject);

    test('ping answers a round trip', async () => {
      expect(await queue.ping()).toBeGreaterThanOrEqual(0);
    });
  });
}
