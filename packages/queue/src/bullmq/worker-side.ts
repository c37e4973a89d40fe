/** The durable queue as a worker sees it: take a batch, keep it, settle it, look after the others. */
import type { ClassId, ServiceProfile } from '@inferry/contracts';
import type { Claim, Claimed, ClaimRequest, JobQueue, Settled, Settlement } from '../port.ts';
import type { ClassStats, FlowStats, SweepReport } from '../reports.ts';
import { encodeOutcome } from '../record.ts';
import { checkProfile } from '../rules.ts';
import { asBuffer, type QueueContext } from './queue-context.ts';
import { claimOf, classStatsOf, flowStatsOf, jobIds, statisticsOf, sweptJobs } from './replies.ts';
import { asInteger, asList } from './script-runner.ts';
import { checkStatistics, type ClassStatistics } from '../statistics.ts';
import type { WorkSignal } from './work-signal.ts';

/** What the claim script says before the jobs it took. */
const headLength = 12;
/** Envelope versions this code understands. */
const versionMax = 1;

export function workerSide(
  context: QueueContext,
  work: WorkSignal,
): Pick<
  JobQueue,
  | 'claim'
  | 'awaitWork'
  | 'renew'
  | 'offer'
  | 'settle'
  | 'giveBack'
  | 'sweep'
  | 'stats'
  | 'flows'
  | 'addStatistics'
  | 'statistics'
> {
  const { options, names, run, changed } = context;
  let fences = 0;
  /** Claims whose replies were lost with a connection; Redis may have taken jobs for them. */
  const unanswered = new Map<ClassId, string>();

  return {
    async claim(cls: ClassId, request: ClaimRequest): Promise<Claimed> {
      fences += 1;
      const fence = unanswered.get(cls) ?? `${request.workerId}:${options.processId}:${fences}`;
      unanswered.delete(cls);
      const reply = asList(
        await run('claim', cls, [
          fence,
          request.workerId,
          request.rowsMax,
          request.rowsMin,
          options.leaseMs,
          request.takeSuspect ? 1 : 0,
          versionMax,
          options.resultBytesPerClassMax,
          names.outcomeChannel,
          request.agingMs,
          ...request.freeInMs,
        ]).catch((cause: unknown) => {
          // The next claim of the class repeats this one instead of adding to it.
          unanswered.set(cls, fence);
          throw cause;
        }),
      );
      const [
        nowUs = 0,
        waiting = 0,
        rowsWaiting = 0,
        oldestUs = 0,
        suspectAhead = 0,
        rowEveryUs = -1,
        lastArrivalUs = 0,
        othersFreeUs = -1,
        change = 0,
        workers = 0,
      ] = reply.slice(0, 10).map(asInteger);
      const claimedAtMs = nowUs / 1_000;
      const claims = reply
        .slice(headLength)
        .map((entry) => claimOf(asList(entry), fence, claimedAtMs));
      changed(
        cls,
        'claim',
        change,
        nowUs,
        claims.map(({ job }) => job.id),
      );
      return {
        claims,
        expired: sweptJobs(jobIds(reply[10] ?? []), reply[11]),
        waiting,
        rowsWaiting,
        oldestAtMs: oldestUs === 0 ? null : oldestUs / 1_000,
        rowEveryMs: rowEveryUs < 0 ? null : rowEveryUs / 1_000,
        lastArrivalAtMs: lastArrivalUs === 0 ? null : lastArrivalUs / 1_000,
        othersFreeInMs: othersFreeUs < 0 ? null : othersFreeUs / 1_000,
        workers,
        suspectAhead: suspectAhead === 1,
        nowMs: claimedAtMs,
      };
    },

    awaitWork(workerId: string, classes: readonly ClassId[], signal: AbortSignal): Promise<void> {
      return work.wait(workerId, classes, signal);
    },

    async renew(
      _workerId: string,
      cls: ClassId,
      claims: readonly Claim[],
    ): Promise<readonly Claim[]> {
      if (claims.length === 0) return [];
      const reply = await run('renew', cls, [
        options.leaseMs,
        ...claims.flatMap((claim) => [claim.job.id, claim.fence]),
      ]);
      return asList(reply).flatMap((index) => claims[asInteger(index)] ?? []);
    },

    async settle(cls: ClassId, settlements: readonly Settlement[]): Promise<readonly Settled[]> {
      if (settlements.length === 0) return [];
      const [nowUs = 0, change = 0, ...codes] = asList(
        await run('settle', cls, [
          names.outcomeChannel,
          options.resultBytesPerClassMax,
          settlements.length,
          ...settlements.flatMap(({ claim, outcome }) => [
            claim.job.id,
            claim.fence,
            outcome.status === 'succeeded' ? '1' : '0',
            asBuffer(encodeOutcome(claim, outcome)),
          ]),
        ]),
      ).map(asInteger);
      const isSettled = codes.map((code) => code === 0 || code === 1);
      const ended = settlements.filter((_, i) => codes[i] === 0);
      changed(
        cls,
        'settle',
        change,
        nowUs,
        ended.map(({ claim }) => claim.job.id),
      );
      const settledAtMs = nowUs / 1_000;
      return isSettled.map((is) => ({ result: is ? 'settled' : 'lost', settledAtMs }));
    },

    async giveBack(cls: ClassId, claims: readonly Claim[], asSuspects: boolean): Promise<void> {
      if (claims.length === 0) return;
      const reply = await run('giveBack', cls, [
        asSuspects ? 1 : 0,
        ...claims.flatMap((claim) => [claim.job.id, claim.fence]),
      ]);
      const [nowUs, change, ids] = asList(reply);
      changed(cls, 'giveBack', asInteger(change), asInteger(nowUs), jobIds(ids ?? []));
    },

    async offer(workerId: string, cls: ClassId, profile: ServiceProfile | null): Promise<void> {
      if (profile !== null) checkProfile(profile);
      await run('offer', cls, [
        workerId,
        options.leaseMs,
        ...(profile === null ? [] : [profile.rowsMax, profile.tailFactor, profile.rowWorkMs]),
        ...(profile?.points ?? []).flatMap(({ rows, ms }) => [rows, ms]),
      ]);
    },

    async sweep(cls: ClassId): Promise<SweepReport> {
      const reply = asList(
        await run('sweep', cls, [
          Math.max(1, Math.floor(options.sweepMs * 0.8)),
          options.leaseMs,
          options.resultBytesPerClassMax,
          names.outcomeChannel,
        ]),
      );
      const [returned = [], failed = [], expired = []] = reply.slice(0, 3).map(jobIds);
      const [nowUs, change] = reply.slice(3, 5).map(asInteger);
      changed(cls, 'sweep', change, nowUs, [...returned, ...failed, ...expired]);
      return {
        returned,
        failed: sweptJobs(failed, reply[5]),
        expired: sweptJobs(expired, reply[6]),
      };
    },

    async stats(classes: readonly ClassId[]): Promise<readonly ClassStats[]> {
      const replies = await Promise.all(classes.map((cls) => run('stats', cls, [])));
      return classes.map((cls, i) => classStatsOf(cls, replies[i] ?? null));
    },

    async flows(classes: readonly ClassId[]): Promise<readonly (readonly FlowStats[])[]> {
      const replies = await Promise.all(classes.map((cls) => run('flows', cls, [])));
      return replies.map(flowStatsOf);
    },

    async addStatistics(cls: ClassId, more: ClassStatistics): Promise<void> {
      checkStatistics(more);
      await run('addStatistics', cls, [more.lastAtMs, ...Object.entries(more.counters).flat()]);
    },

    async statistics(classes: readonly ClassId[]): Promise<readonly ClassStatistics[]> {
      const replies = await Promise.all(classes.map((cls) => run('statistics', cls, [])));
      return replies.map(statisticsOf);
    },
  };
}
