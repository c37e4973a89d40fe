/**
 * What of a job's life is traced: a span from its claim to its settlement with a child for each stage, and a
 * span for each run that links to those of its jobs. All on the local clock: instants of the queue's are
 * translated, so that spans of this process nest.
 */
import { partsOf } from '@inferry/contracts';
import type { Claim } from '@inferry/queue';
import type { Clock } from '@inferry/runtime';
import type { ReleaseReason } from '@inferry/scheduling';
import type { JobSpan, StageTime, Tracing } from '@inferry/telemetry';
import type { LaneContext } from './deps.ts';
import type { HeldJob } from './held-job.ts';
import type { QueueClock } from './queue-clock.ts';
import type { RanItem } from './run-group.ts';
import type { Marks } from './timings.ts';

export interface SpanDeps {
  /** Undefined where tracing is off. */
  readonly tracing?: Tracing;
  readonly clock: Clock;
  readonly queueClock: QueueClock;
}

/** The span of a claim that was just answered. Each attempt has one, and all have the sender's as parent. */
export function spanOf(
  claim: Claim,
  releaseReason: ReleaseReason,
  { tracing, clock, queueClock }: SpanDeps,
): JobSpan | undefined {
  if (tracing === undefined) return undefined;
  const { job, attempt, claimedAtMs, enqueuedAtMs } = claim;
  return tracing.claimed({
    trace: job.trace,
    id: job.id,
    class: job.class,
    model: partsOf(job.class).model,
    priority: job.priority,
    rows: job.rows,
    attempt,
    releaseReason,
    queueWaitMs: Math.max(0, claimedAtMs - enqueuedAtMs),
    // The offset between the clocks is an estimate; the claim was before its answer.
    claimedAtMs: Math.min(queueClock.toLocalMs(claimedAtMs), clock.nowMs()),
  });
}

/** The job is not ours any more: settled, given back or lost, and the queue has said so. */
export function endSpan(job: HeldJob, { clock }: SpanDeps): void {
  const { marks, span } = job;
  if (span === undefined) return;
  const endedAtMs = clock.nowMs();
  span.end({ ...endOf(job), stages: stagesOf(marks, span.claimedAtMs, endedAtMs), endedAtMs });
}

export function traceRun(
  ran: readonly RanItem[],
  { startedAtMs, endedAtMs }: { readonly startedAtMs: number; readonly endedAtMs: number },
  { cls, manifest, tracing }: LaneContext,
): void {
  if (tracing === undefined) return;
  const hasOutputs = ran.some(({ result }) => result.ok && result.value.kind === 'outputs');
  const failed = ran.find(({ result }) => !result.ok)?.result;
  tracing.ran({
    class: cls,
    model: manifest.name,
    jobs: ran.flatMap(({ item }) => item.job.span ?? []),
    items: ran.length,
    rows: ran[0]?.batchRows ?? 0,
    // What has neither outputs nor an error was dealt with while the run was overdue.
    errorType: hasOutputs ? null : failed?.ok === false ? failed.error.code : 'execution_timeout',
    startedAtMs,
    endedAtMs,
  });
}

function endOf({ isLost, outcome }: HeldJob) {
  if (isLost) return { outcome: 'lost', errorType: 'lease_lost' } as const;
  if (outcome === null) return { outcome: 'returned', errorType: null } as const;
  return { outcome: outcome.status, errorType: outcome.error?.code ?? null } as const;
}

/** Each begins where the one before ends, as in timings.ts; the one a job ended in lasts until its end. */
function stagesOf(marks: Marks, claimedAtMs: number, endedAtMs: number): readonly StageTime[] {
  const { slotAtMs, fetchedAtMs, preparedAtMs, runAtMs, ranAtMs, readyAtMs } = marks;
  const reached: readonly (readonly [name: string, atMs: number | undefined])[] = [
    ...(slotAtMs === undefined ? [] : [['batch_wait', slotAtMs] as const]),
    ['fetch', fetchedAtMs],
    ['preprocess', preparedAtMs],
    ['batch_wait', runAtMs],
    ['compute', ranAtMs],
    ['postprocess', readyAtMs],
  ];
  const stages: StageTime[] = [];
  let fromMs = claimedAtMs;
  const end = (name: string, atMs: number): void => {
    const toMs = Math.min(Math.max(fromMs, atMs), endedAtMs);
    stages.push({ name, startedAtMs: fromMs, endedAtMs: toMs });
    fromMs = toMs;
  };
  for (const [name, atMs] of reached) {
    end(name, atMs ?? readyAtMs ?? endedAtMs);
    if (atMs === undefined) break;
  }
  if (readyAtMs !== undefined) end('publish', endedAtMs);
  return stages;
}
