/**
 * The durable queue: BullMQ's keys and scripts on Redis, one BullMQ queue a class. A batch is taken with
 * one call and settled with one. What a job goes through is in lua.ts; this file carries arguments in
 * and replies out, and knows which connection a call belongs on.
 */
import {
  type ClassId,
  defaultLimits,
  type JobEnvelope,
  type JobId,
  type JobRecord,
  type WorkerAnnouncement,
} from '@inferry/contracts';
import { type Clock, Emitter, err, ok, type Result } from '@inferry/runtime';
import type { Redis } from 'ioredis';
import type {
  Claim,
  Claimed,
  ClaimRequest,
  ClassStats,
  DepthLimits,
  Enqueued,
  EnqueueRefusal,
  JobQueue,
  Lookup,
  QueueEvents,
  Settled,
  Settlement,
  SweepReport,
  Unavailable,
} from '../port.ts';
import { decodeRecord, encodeOutcome } from '../record.ts';
import { queueFull, storageExhausted, unavailable } from '../refusals.ts';
import { BullmqKeys } from './bullmq-keys.ts';
import {
  blobConnection,
  causeOf,
  commandConnection,
  type ConnectionOptions,
  waitingConnection,
} from './connection.ts';
import { type Keys, keysOf } from './keys.ts';
import { OutcomeWaiters } from './outcome-waiters.ts';
import { asBytes, asInteger, asList, type RunScript, scriptRunner } from './script-runner.ts';
import { claimOf, jobIds, liveRecord } from './replies.ts';
import { WorkSignal } from './work-signal.ts';

export interface BullmqQueueOptions extends ConnectionOptions {
  readonly clock: Clock;
  /** Names this process's outcome channel; unique among all processes on this Redis. */
  readonly processId: string;
  readonly leaseMs: number;
  readonly sweepMs: number;
  readonly inlinePayloadBytesMax: number;
  readonly resultBytesPerClassMax: number;
  readonly tombstoneMs: number;
}

/** Envelope versions this code understands. */
const versionMax = 1;
/** BullMQ's event stream is for its tools only: keep it short. */
const streamLengthMax = 1_000;
/** A class that was full a moment ago is not sent another payload to refuse. */
const fullMemoryMs = 100;
const deletedMark = '!deleted';

export function createBullmqQueue(
  options: Pick<BullmqQueueOptions, 'url' | 'prefix' | 'clock' | 'processId'> &
    Partial<BullmqQueueOptions>,
): JobQueue {
  return new BullmqQueue({
    leaseMs: defaultLimits.leaseMs,
    sweepMs: defaultLimits.sweepMs,
    inlinePayloadBytesMax: defaultLimits.inlinePayloadBytesMax,
    resultBytesPerClassMax: defaultLimits.resultBytesPerClassMax,
    tombstoneMs: defaultLimits.tombstoneMs,
    ...options,
  });
}

class BullmqQueue implements JobQueue {
  readonly kind = 'bullmq';
  readonly events = new Emitter<QueueEvents>();
  readonly keys: BullmqKeys;
  readonly #options: BullmqQueueOptions;
  readonly #names: Keys;
  readonly #commands: Redis;
  readonly #blobs: Redis;
  readonly #run: RunScript;
  readonly #waiters: OutcomeWaiters;
  readonly #work: WorkSignal;
  readonly #preparedClasses = new Set<ClassId>();
  readonly #fullUntilMs = new Map<ClassId, number>();
  #subscriber: Redis | undefined;
  #subscribed: Promise<void> | undefined;
  #fences = 0;

  constructor(options: BullmqQueueOptions) {
    this.#options = options;
    this.#names = keysOf(options.prefix);
    this.#commands = commandConnection(options, this.events);
    this.#run = scriptRunner(this.#commands, this.#names.ofClass);
    this.#blobs = blobConnection(options, this.events);
    this.keys = new BullmqKeys(this.#commands, this.#names, options.clock);
    this.#waiters = new OutcomeWaiters({
      clock: options.clock,
      fetch: (jobs) =>
        this.#blobs.mgetBuffer(jobs.map(({ cls, id }) => this.#names.outcome(cls, id))),
      onUnclaimed: (id) => this.events.emit('unclaimed_outcome', { id }),
    });
    this.#work = new WorkSignal({
      clock: options.clock,
      commands: this.#commands,
      connect: () => waitingConnection(options, 'wake', this.events),
      markerOf: this.#names.marker,
      wakeKeyOf: this.#names.wake,
    });
  }

  // ---- gateway side -------------------------------------------------------------------------------

  async enqueue(
    job: JobEnvelope,
    payload: Uint8Array,
    limits: DepthLimits,
  ): Promise<Result<Enqueued, EnqueueRefusal>> {
    const nowMs = this.#options.clock.nowMs();
    if ((this.#fullUntilMs.get(job.class) ?? 0) > nowMs)
      return err(queueFull(job.class, 'depth', limits));
    const isInline = payload.length <= this.#options.inlinePayloadBytesMax;
    const lifeMs = job.deadlineMs + job.retentionMs;
    if (job.gateway !== null) this.#waiters.expect(job.id, job.class);
    const refuse = (refusal: EnqueueRefusal): Result<never, EnqueueRefusal> => {
      this.#waiters.forget(job.id);
      return err(refusal);
    };
    try {
      if (job.gateway !== null) await this.#subscribe();
      await this.#prepareClass(job.class);
      if (!isInline) {
        const key = this.#names.payload(job.class, job.id);
        await this.#blobs.set(key, asBuffer(payload), 'PX', lifeMs);
      }
      // Only jobs that are read by their id need to be found by it: a held request has its answer.
      const located =
        job.mode === 'async'
          ? this.#commands.set(
              this.#names.locator(job.id),
              job.class,
              'PX',
              lifeMs + this.#options.tombstoneMs,
            )
          : Promise.resolve('OK');
      const [reply] = await Promise.all([
        this.#run('enqueue', job.class, [
          job.id,
          JSON.stringify(job),
          isInline ? asBuffer(payload) : '',
          isInline ? '0' : '1',
          payload.length,
          job.rows,
          limits.depthMax,
          limits.bytesMax,
          job.deadlineMs,
          job.queueTimeoutMs,
          job.gateway ?? '',
          job.retentionMs,
          job.attemptsMax,
          job.v,
        ]),
        located,
      ]);
      const [state, ...rest] = asList(reply);
      if (state === 0) {
        const why = asBytes(rest[0]).toString() === 'depth' ? 'depth' : 'bytes';
        if (why === 'depth') this.#fullUntilMs.set(job.class, nowMs + fullMemoryMs);
        this.#discard(job, isInline);
        return refuse(queueFull(job.class, why, limits));
      }
      const [seq, enqueuedUs, ahead, deadlineAtMs] = rest.map(asInteger);
      return ok({
        seq: seq ?? 0,
        enqueuedAtMs: (enqueuedUs ?? 0) / 1_000,
        ahead: ahead ?? 0,
        deadlineAtMs: deadlineAtMs ?? 0,
        isDuplicate: state === 2,
      });
    } catch (cause) {
      const kind = causeOf(cause);
      if (kind === 'bug') throw cause;
      if (kind === 'unreachable') return refuse(unavailable());
      this.#discard(job, isInline);
      return refuse(storageExhausted());
    }
  }

  /** What a refused enqueue wrote before it was refused. */
  #discard(job: JobEnvelope, isInline: boolean): void {
    const leftovers = [
      this.#commands.unlink(this.#names.locator(job.id)),
      ...(isInline ? [] : [this.#commands.unlink(this.#names.payload(job.class, job.id))]),
    ];
    // Both expire by themselves when Redis went away meanwhile.
    Promise.all(leftovers).catch(() => undefined);
  }

  async #prepareClass(cls: ClassId): Promise<void> {
    if (this.#preparedClasses.has(cls)) return;
    await this.#commands.hset(this.#names.meta(cls), 'opts.maxLenEvents', streamLengthMax);
    this.#preparedClasses.add(cls);
  }

  #subscribe(): Promise<void> {
    this.#subscribed ??= this.#openSubscriber().catch((cause: unknown) => {
      this.#subscribed = undefined;
      throw cause;
    });
    return this.#subscribed;
  }

  async #openSubscriber(): Promise<void> {
    if (this.#commands.status !== 'ready') await this.#commands.ping();
    const subscriber = (this.#subscriber ??= waitingConnection(
      this.#options,
      'outcomes',
      this.events,
    ));
    subscriber.on('messageBuffer', (_channel: Buffer, message: Buffer) => {
      void this.#waiters.onMessage(message);
    });
    // ioredis subscribes again by itself; what was published meanwhile is looked up.
    subscriber.on('ready', () => void this.#waiters.repair(0));
    await subscriber.subscribe(this.#names.outcomeChannel + this.#options.processId);
  }

  find(id: JobId): Promise<Result<Lookup, Unavailable>> {
    return this.#guard(() => this.#find(id, ''));
  }

  /** `watcher` is told of the job's end, unless it has ended already. */
  async #find(id: JobId, watcher: string): Promise<Lookup> {
    const cls = await this.#locate(id);
    if (cls === undefined) return { found: 'never' };
    if (cls === deletedMark) return { found: 'gone', reason: 'deleted' };
    const reply = asList(
      await this.#run('find', cls, [
        id,
        watcher,
        this.#options.resultBytesPerClassMax,
        this.#names.outcomeChannel,
      ]),
    );
    if (reply[0] === 0) return { found: 'gone', reason: 'expired' };
    if (reply[0] === 1) return { found: 'record', record: decodeRecord(asBytes(reply[1])) };
    return { found: 'record', record: liveRecord(reply) };
  }

  async #locate(id: JobId): Promise<ClassId | typeof deletedMark | undefined> {
    const known = this.#waiters.classOf(id);
    if (known !== undefined) return known;
    const text = await this.#commands.get(this.#names.locator(id));
    return text === null ? undefined : (text as ClassId);
  }

  async outcome(id: JobId, signal: AbortSignal): Promise<JobRecord | undefined> {
    if (this.#waiters.classOf(id) === undefined) {
      try {
        const cls = await this.#locate(id);
        if (cls === undefined || cls === deletedMark) return undefined;
        await this.#subscribe();
        this.#waiters.expect(id, cls);
        const lookup = await this.#find(id, this.#options.processId);
        if (lookup.found !== 'record') {
          this.#waiters.forget(id);
          return undefined;
        }
        if (lookup.record.outcome !== null) this.#waiters.settle(id, lookup.record);
      } catch (cause) {
        if (causeOf(cause) === 'bug') throw cause;
        this.#waiters.forget(id);
        return undefined;
      }
    }
    return this.#waiters.wait(id, signal);
  }

  cancel(id: JobId, detail: string): Promise<Result<Lookup, Unavailable>> {
    return this.#guard(async () => {
      const cls = await this.#locate(id);
      if (cls !== undefined && cls !== deletedMark) {
        await this.#run('cancel', cls, [
          id,
          detail,
          this.#options.resultBytesPerClassMax,
          this.#names.outcomeChannel,
        ]);
      }
      return this.#find(id, '');
    });
  }

  erase(id: JobId): Promise<Result<'erased' | 'live' | 'gone' | 'never', Unavailable>> {
    return this.#guard(async () => {
      const cls = await this.#locate(id);
      if (cls === undefined) return 'never';
      if (cls === deletedMark) return 'gone';
      const code = asInteger(await this.#run('erase', cls, [id]));
      if (code === 2) return 'live';
      if (code === 0) return 'gone';
      await this.#commands.set(this.#names.locator(id), deletedMark, 'KEEPTTL');
      return 'erased';
    });
  }

  // ---- worker side --------------------------------------------------------------------------------

  async claim(cls: ClassId, request: ClaimRequest): Promise<Claimed> {
    this.#fences += 1;
    const fence = `${request.workerId}:${this.#options.processId}:${this.#fences}`;
    const reply = asList(
      await this.#run('claim', cls, [
        fence,
        request.workerId,
        request.rowsMax,
        request.rowsMin,
        this.#options.leaseMs,
        request.takeSuspect ? 1 : 0,
        versionMax,
        this.#options.resultBytesPerClassMax,
        this.#names.outcomeChannel,
      ]),
    );
    const [nowUs, waiting, rowsWaiting, oldestUs, suspectAhead] = reply.slice(0, 5).map(asInteger);
    const claimedAtMs = (nowUs ?? 0) / 1_000;
    return {
      claims: reply.slice(5).map((entry) => claimOf(asList(entry), fence, claimedAtMs)),
      waiting: waiting ?? 0,
      rowsWaiting: rowsWaiting ?? 0,
      oldestAtMs: oldestUs === undefined || oldestUs === 0 ? null : oldestUs / 1_000,
      suspectAhead: suspectAhead === 1,
      nowMs: claimedAtMs,
    };
  }

  awaitWork(workerId: string, classes: readonly ClassId[], signal: AbortSignal): Promise<void> {
    return this.#work.wait(workerId, classes, signal);
  }

  async renew(
    _workerId: string,
    cls: ClassId,
    claims: readonly Claim[],
  ): Promise<readonly Claim[]> {
    if (claims.length === 0) return [];
    const reply = await this.#run('renew', cls, [
      this.#options.leaseMs,
      ...claims.flatMap((claim) => [claim.job.id, claim.fence]),
    ]);
    return asList(reply).flatMap((index) => claims[asInteger(index)] ?? []);
  }

  async settle(cls: ClassId, settlements: readonly Settlement[]): Promise<readonly Settled[]> {
    if (settlements.length === 0) return [];
    const [nowUs, ...codes] = asList(
      await this.#run('settle', cls, [
        this.#names.outcomeChannel,
        this.#options.resultBytesPerClassMax,
        settlements.length,
        ...settlements.flatMap(({ claim, outcome }) => [
          claim.job.id,
          claim.fence,
          outcome.status === 'succeeded' ? '1' : '0',
          asBuffer(encodeOutcome(claim, outcome)),
        ]),
      ]),
    ).map(asInteger);
    const settledAtMs = (nowUs ?? 0) / 1_000;
    return codes.map((code) => ({ result: code === 0 ? 'settled' : 'lost', settledAtMs }));
  }

  async giveBack(cls: ClassId, claims: readonly Claim[], asSuspects: boolean): Promise<void> {
    if (claims.length === 0) return;
    await this.#run('giveBack', cls, [
      asSuspects ? 1 : 0,
      ...claims.flatMap((claim) => [claim.job.id, claim.fence]),
    ]);
  }

  async sweep(cls: ClassId): Promise<SweepReport> {
    const [returned, failed, expired] = asList(
      await this.#run('sweep', cls, [
        Math.max(1, Math.floor(this.#options.sweepMs * 0.8)),
        this.#options.leaseMs,
        this.#options.resultBytesPerClassMax,
        this.#names.outcomeChannel,
      ]),
    ).map(jobIds);
    return { returned: returned ?? [], failed: failed ?? [], expired: expired ?? [] };
  }

  async stats(classes: readonly ClassId[]): Promise<readonly ClassStats[]> {
    const replies = await Promise.all(classes.map((cls) => this.#run('stats', cls, [])));
    return replies.map((reply, i) => {
      const [waiting, active, waitingBytes, resultBytes, oldestUs] = asList(reply).map(asInteger);
      return {
        class: classes[i] as ClassId,
        waiting: waiting ?? 0,
        active: active ?? 0,
        waitingBytes: waitingBytes ?? 0,
        resultBytes: resultBytes ?? 0,
        oldestAgeMs: (oldestUs ?? 0) / 1_000,
      };
    });
  }

  // ---- registry -----------------------------------------------------------------------------------

  async announce(worker: WorkerAnnouncement): Promise<void> {
    await Promise.all([
      this.#commands.sadd(this.#names.workers, worker.workerId),
      this.#commands.set(
        this.#names.worker(worker.workerId),
        JSON.stringify(worker),
        'PX',
        this.#options.leaseMs,
      ),
    ]);
  }

  async retract(workerId: string): Promise<void> {
    await Promise.all([
      this.#commands.srem(this.#names.workers, workerId),
      this.#commands.unlink(this.#names.worker(workerId), this.#names.wake(workerId)),
    ]);
  }

  async workers(): Promise<readonly WorkerAnnouncement[]> {
    const ids = await this.#commands.smembers(this.#names.workers);
    if (ids.length === 0) return [];
    const texts = await this.#commands.mget(ids.map(this.#names.worker));
    const dead = ids.filter((_, i) => texts[i] === null);
    if (dead.length > 0) await this.#commands.srem(this.#names.workers, ...dead);
    return texts.flatMap((text) =>
      text === null || text === undefined ? [] : [JSON.parse(text) as WorkerAnnouncement],
    );
  }

  // ---- connection ---------------------------------------------------------------------------------

  async ping(): Promise<number | undefined> {
    const startMs = this.#options.clock.nowMs();
    try {
      await this.#commands.ping();
      return this.#options.clock.nowMs() - startMs;
    } catch {
      return undefined;
    }
  }

  close(): Promise<void> {
    this.#waiters.close();
    this.#work.close();
    this.#subscriber?.disconnect();
    this.#blobs.disconnect();
    this.#commands.disconnect();
    return Promise.resolve();
  }

  async #guard<T>(call: () => Promise<T>): Promise<Result<T, Unavailable>> {
    try {
      return ok(await call());
    } catch (cause) {
      if (causeOf(cause) === 'bug') throw cause;
      return err(unavailable());
    }
  }
}

/** The same bytes as a Buffer, not a copy: what ioredis takes as binary. */
function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
