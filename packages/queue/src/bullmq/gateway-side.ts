/** The durable queue as a gateway sees it: accept a job, follow it, end it. */
import type { ClassId, Estimate, JobEnvelope, JobId, JobRecord } from '@inferry/contracts';
import { err, ok, type Result } from '@inferry/runtime';
import type {
  Enqueued,
  EnqueueRefusal,
  EnqueueTerms,
  JobOutline,
  JobQueue,
  Lookup,
  Payload,
  Unavailable,
} from '../port.ts';
import { decodeRecord } from '../record.ts';
import { queueFull, storageExhausted, unavailable } from '../refusals.ts';
import { RetryPace } from '../retry-pace.ts';
import { causeOf } from './connection.ts';
import { guard, type QueueContext } from './queue-context.ts';
import { estimateOf, liveRecord, refusalOf } from './replies.ts';
import { type Argument, asBytes, asInteger, asList, type Reply } from './script-runner.ts';

/** BullMQ's event stream is for its tools only: keep it short. */
const streamLengthMax = 1_000;
/** A class that was full a moment ago is not sent another payload to refuse. */
const fullMemoryMs = 100;
const deletedMark = '!deleted';

export function gatewaySide(
  context: QueueContext,
): Pick<JobQueue, 'enqueue' | 'quote' | 'find' | 'outcome' | 'cancel' | 'erase'> {
  const { options, names, commands, blobs, run, waiters, subscribe, changed } = context;
  const preparedClasses = new Set<ClassId>();
  const fullUntilMs = new Map<ClassId, number>();
  const paces = new Map<string, RetryPace>();

  /** Paces those who are told to come back, all of a class together or those of a tenant. */
  function refused(reply: readonly Reply[], job: JobOutline, terms: EnqueueTerms): EnqueueRefusal {
    return refusalOf(reply, job, terms, (tenant, lateMs, rows, served) => {
      const name = `${job.class} ${tenant}`;
      const pace = paces.get(name) ?? new RetryPace();
      paces.set(name, pace);
      return pace.retryAfterMs(lateMs, rows, served, options.clock.nowMs());
    });
  }

  /**
   * What a refused enqueue wrote before it was refused. Each on the connection that wrote it, so that a next
   * enqueue of the same id, which may follow at once, writes after it.
   */
  function discard(job: JobEnvelope, isInline: boolean): void {
    const leftovers = [
      commands.unlink(names.locator(job.id)),
      ...(isInline ? [] : [blobs.unlink(names.payload(job.class, job.id))]),
    ];
    // Both expire by themselves when Redis went away meanwhile.
    Promise.all(leftovers).catch(() => undefined);
  }

  async function prepareClass(cls: ClassId): Promise<void> {
    if (preparedClasses.has(cls)) return;
    await commands.hset(names.meta(cls), 'opts.maxLenEvents', streamLengthMax);
    preparedClasses.add(cls);
  }

  /** `watcher` is told of the job's end, unless it has ended already. */
  async function findJob(id: JobId, watcher: string): Promise<Lookup> {
    const cls = await locate(id);
    if (cls === undefined) return { found: 'never' };
    if (cls === deletedMark) return { found: 'gone', reason: 'deleted' };
    const reply = asList(
      await run('find', cls, [id, watcher, options.resultBytesPerClassMax, names.outcomeChannel]),
    );
    const [state, nowUs, change] = reply.slice(0, 3).map(asInteger);
    changed(cls, 'sweep', change, nowUs, [id]);
    if (state === 0) {
      // Where the class was known without a look at the locator, the mark has not been seen yet.
      const isDeleted = (await commands.get(names.locator(id))) === deletedMark;
      return { found: 'gone', reason: isDeleted ? 'deleted' : 'expired' };
    }
    if (state === 1) {
      const record = decodeRecord(asBytes(reply[3]));
      return { found: 'record', record, ...(change === 0 ? {} : { endedNow: true }) };
    }
    return { found: 'record', record: liveRecord(reply.slice(3)) };
  }

  async function locate(id: JobId): Promise<ClassId | typeof deletedMark | undefined> {
    const known = waiters.classOf(id);
    if (known !== undefined) return known;
    const text = await commands.get(names.locator(id));
    return text === null ? undefined : (text as ClassId);
  }

  async function quote(
    job: JobOutline,
    terms: EnqueueTerms,
  ): Promise<Result<Estimate | null, EnqueueRefusal>> {
    const reply = asList(await run('quote', job.class, outlineOf(job, terms)));
    if (reply[0] === 0) return err(refused(reply, job, terms));
    return ok(estimateOf(reply[1], reply[2]));
  }

  return {
    async enqueue(
      job: JobEnvelope,
      payload: Payload,
      terms: EnqueueTerms,
    ): Promise<Result<Enqueued, EnqueueRefusal>> {
      const nowMs = options.clock.nowMs();
      if ((fullUntilMs.get(job.class) ?? 0) > nowMs)
        return err(queueFull(job.class, 'depth', terms));
      const pieces = payload instanceof Uint8Array ? [payload] : payload;
      const isInline = job.payloadBytes <= options.inlinePayloadBytesMax;
      const lifeMs = job.deadlineMs + job.retentionMs;
      const locate = (): Promise<unknown> =>
        // Only jobs that are read by their id need to be found by it: a held request has its answer.
        job.mode === 'async'
          ? commands.set(names.locator(job.id), job.class, 'PX', lifeMs + options.tombstoneMs)
          : Promise.resolve();
      if (job.gateway !== null) waiters.expect(job.id, job.class);
      const refuse = (refusal: EnqueueRefusal): Result<never, EnqueueRefusal> => {
        waiters.forget(job.id);
        return err(refusal);
      };
      try {
        if (job.gateway !== null) await subscribe();
        await prepareClass(job.class);
        if (!isInline) {
          // A payload is not written to be refused.
          const asked = terms.budget === null ? ok(null) : await quote(job, terms);
          if (!asked.ok) return refuse(asked.error);
          const key = names.payload(job.class, job.id);
          await blobs.set(key, pieces, lifeMs);
        }
        // What a budget may refuse is not made known before it is taken; else both calls travel together.
        const isRefusable = terms.budget !== null;
        const [answer] = await Promise.all([
          run('enqueue', job.class, [
            ...outlineOf(job, terms),
            job.id,
            JSON.stringify(job),
            isInline ? Buffer.concat(pieces) : '',
            isInline ? '0' : '1',
            job.deadlineMs,
            job.queueTimeoutMs,
            job.gateway ?? '',
            job.retentionMs,
            job.attemptsMax,
            job.v,
          ]),
          isRefusable ? undefined : locate(),
        ]);
        const reply = asList(answer);
        if (reply[0] === 0) {
          const refusal = refused(reply, job, terms);
          if (asBytes(reply[1]).toString() === 'depth') {
            fullUntilMs.set(job.class, nowMs + fullMemoryMs);
          }
          if (!isRefusable || !isInline) discard(job, isInline);
          return refuse(refusal);
        }
        const [seq = 0, atUs = 0, ahead = 0, deadlineAtMs = 0, flows = 0, , , change] = reply
          .slice(1)
          .map(asInteger);
        changed(job.class, 'enqueue', change, atUs, [job.id]);
        if (isRefusable) await locate();
        return ok({
          seq,
          enqueuedAtMs: atUs / 1_000,
          ahead,
          isAheadApproximate: flows > 1,
          estimate: estimateOf(reply[6], reply[7]),
          deadlineAtMs,
          isDuplicate: reply[0] === 2,
        });
      } catch (cause) {
        const kind = causeOf(cause);
        if (kind === 'bug') throw cause;
        if (kind === 'unreachable') return refuse(unavailable());
        discard(job, isInline);
        return refuse(storageExhausted());
      }
    },

    async quote(
      job: JobOutline,
      terms: EnqueueTerms,
    ): Promise<Result<Estimate | null, EnqueueRefusal>> {
      const asked = await guard(() => quote(job, terms));
      return asked.ok ? asked.value : asked;
    },

    find(id: JobId): Promise<Result<Lookup, Unavailable>> {
      return guard(() => findJob(id, ''));
    },

    async outcome(id: JobId, signal: AbortSignal): Promise<JobRecord | undefined> {
      if (waiters.classOf(id) !== undefined) return waiters.wait(id, signal);
      try {
        const cls = await locate(id);
        if (cls === undefined || cls === deletedMark) return undefined;
        await subscribe();
        waiters.expect(id, cls);
        // Before the look-up: whatever ends another wait for this job meanwhile ends this one too.
        const ended = waiters.wait(id, signal);
        const lookup = await findJob(id, options.processId);
        const isAwaited = waiters.classOf(id) !== undefined;
        if (lookup.found !== 'record') waiters.forget(id);
        else if (lookup.record.outcome !== null && isAwaited) waiters.settle(id, lookup.record);
        return await ended;
      } catch (cause) {
        waiters.forget(id);
        if (causeOf(cause) === 'bug') throw cause;
        return undefined;
      }
    },

    cancel(id: JobId, detail: string): Promise<Result<Lookup, Unavailable>> {
      return guard(async () => {
        const cls = await locate(id);
        if (cls !== undefined && cls !== deletedMark) {
          const reply = await run('cancel', cls, [
            id,
            detail,
            options.resultBytesPerClassMax,
            names.outcomeChannel,
          ]);
          const [code, nowUs, change] = asList(reply).map(asInteger);
          changed(cls, 'cancel', change, nowUs, [id]);
          if (code === 1) {
            const found = await findJob(id, '');
            return found.found === 'record' ? { ...found, endedNow: true } : found;
          }
        }
        return findJob(id, '');
      });
    },

    erase(id: JobId): Promise<Result<'erased' | 'live' | 'gone' | 'never', Unavailable>> {
      return guard(async () => {
        const cls = await locate(id);
        if (cls === undefined) return 'never';
        if (cls === deletedMark) return 'gone';
        const code = asInteger(await run('erase', cls, [id]));
        if (code === 2) return 'live';
        if (code === 0) return 'gone';
        await commands.set(names.locator(id), deletedMark, 'KEEPTTL');
        return 'erased';
      });
    },
  };
}

/** The first arguments of the scripts that decide whether a job is taken. */
function outlineOf(job: JobOutline, terms: EnqueueTerms): readonly Argument[] {
  const { budget } = terms;
  return [
    job.tenant,
    job.priority,
    job.rows,
    job.payloadBytes,
    terms.weight,
    terms.depthMax,
    terms.bytesMax,
    terms.tenantDepthMax ?? '',
    budget?.usedMs ?? '',
    budget?.budgetMs ?? '',
    budget?.needsWorker === true ? '1' : '0',
  ];
}
