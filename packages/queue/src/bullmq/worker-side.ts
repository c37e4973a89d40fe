/** The durable queue as a worker sees it: take a batch, keep it, settle it, look after the others. */
import type { ClassId } from '@inferry/contracts';
import type {
  Claim,
  Claimed,
  ClaimRequest,
  ClassStats,
  JobQueue,
  Settled,
  Settlement,
  SweepReport,
} from '../port.ts';
import { encodeOutcome } from '../record.ts';
import { asBuffer, type QueueContext } from './queue-context.ts';
import { claimOf, jobIds } from './replies.ts';
import { asInteger, asList } from './script-runner.ts';
import type { WorkSignal } from './work-signal.ts';

/** Envelope versions this code understands. */
const versionMax = 1;

export function workerSide(
  context: QueueContext,
  work: WorkSignal,
): Pick<JobQueue, 'claim' | 'awaitWork' | 'renew' | 'settle' | 'giveBack' | 'sweep' | 'stats'> {
  const { options, names, run } = context;
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
        ]).catch((cause: unknown) => {
          // The next claim of the class repeats this one instead of adding to it.
          unanswered.set(cls, fence);
          throw cause;
        }),
      );
      const [nowUs, waiting, rowsWaiting, oldestUs, suspectAhead] = reply
        .slice(0, 5)
        .map(asInteger);
      const claimedAtMs = (nowUs ?? 0) / 1_000;
      return {
        claims: reply.slice(5).map((entry) => claimOf(asList(entry), fence, claimedAtMs)),
        waiting: waiting ?? 0,
        rowsWaiting: rowsWaiting ?? 0,
        oldestAtMs: oldestUs === undefined || oldestUs === 0 ? null : oldestUs / 1_000,
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
      const [nowUs, ...codes] = asList(
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
      const settledAtMs = (nowUs ?? 0) / 1_000;
      return codes.map((code) => ({ result: code === 0 ? 'settled' : 'lost', settledAtMs }));
    },

    async giveBack(cls: ClassId, claims: readonly Claim[], asSuspects: boolean): Promise<void> {
      if (claims.length === 0) return;
      await run('giveBack', cls, [
        asSuspects ? 1 : 0,
        ...claims.flatMap((claim) => [claim.job.id, claim.fence]),
      ]);
    },

    async sweep(cls: ClassId): Promise<SweepReport> {
      const [returned, failed, expired] = asList(
        await run('sweep', cls, [
          Math.max(1, Math.floor(options.sweepMs * 0.8)),
          options.leaseMs,
          options.resultBytesPerClassMax,
          names.outcomeChannel,
        ]),
      ).map(jobIds);
      return { returned: returned ?? [], failed: failed ?? [], expired: expired ?? [] };
    },

    async stats(classes: readonly ClassId[]): Promise<readonly ClassStats[]> {
      const replies = await Promise.all(classes.map((cls) => run('stats', cls, [])));
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
    },
  };
}
