/** What a worker adds to the statistics of its classes: its runs, and how its jobs ended. */
import type { ClassId } from '@inferry/contracts';
import type { Settled, StatisticsTally } from '@inferry/queue';
import type { HeldJob } from './held-job.ts';
import type { QueueClock } from './queue-clock.ts';

type Counted = Pick<HeldJob, 'claim' | 'marks' | 'outcome'>;

/** A run of so many rows returned; what its longest preparation took counts as its input. */
export function countRun(
  tally: StatisticsTally,
  cls: ClassId,
  { computeMs, jobs, rows }: { computeMs: number; jobs: readonly Counted[]; rows: number },
  clock: QueueClock,
): void {
  const inputMs = Math.max(
    ...jobs.map(({ claim, marks }) => {
      const { preparedAtMs, slotAtMs = clock.toLocalMs(claim.claimedAtMs) } = marks;
      return preparedAtMs === undefined ? 0 : Math.max(0, preparedAtMs - slotAtMs);
    }),
  );
  tally.count(cls, {
    runs: 1,
    [`${rows}:runs`]: 1,
    [`${rows}:inputUs`]: inputMs * 1_000,
    [`${rows}:inferUs`]: computeMs * 1_000,
  });
}

/** Jobs that were settled in one call, and when. Whoever came too late with an outcome is not among them. */
export function countSettled(
  tally: StatisticsTally,
  cls: ClassId,
  jobs: readonly Counted[],
  { settledAtMs }: Settled,
  clock: QueueClock,
): void {
  const outputMsByRows = new Map<number, number>();
  for (const { claim, marks, outcome } of jobs) {
    if (outcome === null) continue;
    const { batchRows, status, timings } = outcome;
    const wholeMs = claim.job.admissionMs + Math.max(0, settledAtMs - claim.enqueuedAtMs);
    if (status !== 'succeeded' || timings === null || marks.readyAtMs === undefined) {
      const reason = status === 'expired' ? 'rejected' : batchRows === null ? 'other' : 'backend';
      tally.lost(cls, reason, 1, wholeMs * 1_000);
      continue;
    }
    const publishMs = Math.max(0, settledAtMs - clock.toQueueMs(marks.readyAtMs));
    const outputMs = timings.postprocessMs + publishMs;
    tally.count(
      cls,
      {
        succeeded: 1,
        rows: claim.job.rows,
        wholeUs: wholeMs * 1_000,
        queueUs: (timings.queueWaitMs + timings.batchWaitMs) * 1_000,
        inputUs: (timings.fetchMs + timings.preprocessMs) * 1_000,
        inferUs: timings.computeMs * 1_000,
        outputUs: outputMs * 1_000,
      },
      settledAtMs,
    );
    if (batchRows === null) continue;
    outputMsByRows.set(batchRows, Math.max(outputMs, outputMsByRows.get(batchRows) ?? 0));
  }
  for (const [rows, ms] of outputMsByRows) tally.count(cls, { [`${rows}:outputUs`]: ms * 1_000 });
}
