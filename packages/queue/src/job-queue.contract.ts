/**
 * What every JobQueue promises, as tests. Run by memory-queue.test.ts and bullmq-queue.redis.test.ts.
 * tidy-allow: one list of promises, read top to bottom.
 */
import {
  type ClassId,
  classOf,
  type JobEnvelope,
  type JobId,
  newJobId,
  type Outcome,
} from '@inferry/contracts';
import { systemRandom } from '@inferry/runtime';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Claim, ClaimRequest, DepthLimits, JobQueue } from './port.ts';

export interface Subject {
  readonly queue: JobQueue;
  /** A second process on the same queue; the same object where there is only one process. */
  readonly other: JobQueue;
  /** Lets every lease run out, and sweeps until the queue has noticed. */
  readonly lapse: (
    cls: ClassId,
  ) => Promise<{ returned: readonly JobId[]; failed: readonly JobId[] }>;
  /** Lets `ms` pass on the queue's clock. */
  readonly pass: (ms: number) => Promise<void>;
  readonly close: () => Promise<void>;
}

const roomy: DepthLimits = { depthMax: 1_000, bytesMax: 1_000_000 };
const payload = new Uint8Array([1, 2, 3]);

/** A job of the class with everything else filled in. */
export function aJob(cls: ClassId, over: Partial<JobEnvelope> = {}): JobEnvelope {
  return {
    v: 1,
    id: newJobId(1_763_000_000_000, systemRandom),
    class: cls,
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

const anyRows: ClaimRequest = { workerId: 'w1', rowsMax: 100, rowsMin: 1, takeSuspect: false };
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

    async function add(over: Partial<JobEnvelope> = {}): Promise<JobEnvelope> {
      const job = aJob(cls, over);
      const enqueued = await queue.enqueue(job, payload, roomy);
      expect(enqueued.ok).toBe(true);
      return job;
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
      const limits = { depthMax: 2, bytesMax: 1_000 };
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
        depthMax: 9,
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
      const job = await add({ attemptsMax: 2 });
      const waiting = queue.outcome(job.id, never);
      await take();
      expect((await subject.lapse(cls)).returned).toEqual([job.id]);
      await take({ takeSuspect: true });
      expect((await subject.lapse(cls)).failed).toEqual([job.id]);
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

    test('however many jobs ran out of time, none of them is claimed', async () => {
      await Promise.all(Array.from({ length: 150 }, () => add({ queueTimeoutMs: 500 })));
      const fine = await add();
      await subject.pass(520);
      const taken: Claim[] = [];
      for (let waiting = Infinity; waiting > 0;) {
        const claimed = await queue.claim(cls, { ...anyRows, rowsMax: 500 });
        waiting = claimed.waiting;
        taken.push(...claimed.claims);
      }
      expect(idsOf(taken)).toEqual([fine.id]);
    });

    test('a running job whose deadline passes fails, and the sweep finds it without any worker', async () => {
      const running = await add({ deadlineMs: 50, queueTimeoutMs: 50 });
      await take();
      const queued = await add({ deadlineMs: 50, queueTimeoutMs: 50 });
      await subject.pass(80);
      const report = await queue.sweep(cls);
      expect([...report.expired].toSorted()).toEqual([running.id, queued.id].toSorted());
      expect(await queue.find(running.id)).toMatchObject({
        value: { record: { status: 'failed', outcome: { error: { code: 'deadline_exceeded' } } } },
      });
      expect(await statusOf(queued.id)).toBe('expired');
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

    test('ping answers a round trip', async () => {
      expect(await queue.ping()).toBeGreaterThanOrEqual(0);
    });
  });
}
