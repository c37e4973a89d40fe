/** A job as an HTTP answer, with what its stages took in the headers. */
import { type JobRecord, type Outcome, partsOf } from '@inferry/contracts';
import { jobDocument, type Preference, remainingMs } from '@inferry/protocols';
import type { Clock } from '@inferry/runtime';

import type { AnswerTime } from '../admission/answer-time.ts';
import type { Exchange } from '../exchange.ts';
import { answer, type GatewayContext } from '../http/exchange.ts';
import type { GatewayTelemetry } from '../telemetry.ts';

/** A look every minute costs nobody anything, and tells what became of an estimate that was too long. */
const retryAfterMsMax = 60_000;

export function jobAnswer(
  c: GatewayContext,
  record: JobRecord,
  { clock, publicBaseUrl = '' }: { readonly clock: Clock; readonly publicBaseUrl?: string },
  { status, headers = {} }: { status: number; headers?: Readonly<Record<string, string>> },
): Response {
  const timing = stageTiming(record);
  const nowMs = clock.nowMs();
  return answer(c, {
    status,
    body: jobDocument(record, { baseUrl: publicBaseUrl, nowMs }),
    headers: {
      'Content-Type': 'application/json',
      'Job-Id': record.job.id,
      ...(record.outcome === null
        ? { 'Retry-After': retryAfter(record, nowMs) }
        : resultHeaders(record)),
      ...headers,
    },
    ...(timing === undefined ? {} : { timing }),
  });
}

/** Seconds until a live job is worth another look, from 1 to 60; 1 where nothing is known of its end. */
function retryAfter(record: JobRecord, nowMs: number): string {
  const leftMs = Math.min(remainingMs(record, nowMs) ?? 0, retryAfterMsMax);
  return String(Math.max(1, Math.ceil(leftMs / 1_000)));
}

/** Learns from an answer that is about to go out what answers take beside their jobs. */
export function noteAnswer(
  { elapsedMs }: Exchange,
  { job, enqueuedAtMs, settledAtMs }: JobRecord,
  { answerTime }: { readonly answerTime: AnswerTime },
): void {
  if (settledAtMs === null) return;
  const jobMs = settledAtMs - enqueuedAtMs;
  answerTime.observe(elapsedMs() - job.admissionMs - jobMs);
}

/** The outcome of a held request has just arrived: measures from now until its answer was handed to the socket. */
export function noteOutcome(
  { job }: JobRecord,
  onSent: (callback: () => void) => void,
  { clock, telemetry }: { readonly clock: Clock; readonly telemetry: GatewayTelemetry },
): void {
  const arrivedAtMs = clock.nowMs();
  onSent(() => {
    telemetry.delivered(partsOf(job.class).model, (clock.nowMs() - arrivedAtMs) / 1_000);
  });
}

/** `Preference-Applied`, when the caller asked for something. `waitMs` is 0 when no wait was granted. */
export function preferenceApplied(
  { waitMs: asked, respondAsync }: Preference,
  waitMs: number,
): Readonly<Record<string, string>> {
  if (waitMs > 0) return { 'Preference-Applied': `wait=${Math.floor(waitMs / 1000)}` };
  if (asked === undefined && !respondAsync) return {};
  return { 'Preference-Applied': 'respond-async' };
}

/** What the caller may want to know of the way of a job that has ended. */
export function resultHeaders({ outcome }: JobRecord): Readonly<Record<string, string>> {
  if (outcome === null) return {};
  const { timings, batchRows, overtakenBy } = outcome;
  return {
    ...(timings === null ? {} : { 'X-Queue-Wait-Ms': timings.queueWaitMs.toFixed(1) }),
    ...(batchRows === null ? {} : { 'X-Batch-Size': String(batchRows) }),
    'X-Overtaken-By': String(overtakenBy),
  };
}

/** The stages for `Server-Timing`, in their order; undefined for a job that never ran. */
export function stageTiming({ job, outcome, settledAtMs }: JobRecord): string | undefined {
  const timings = outcome?.timings ?? null;
  if (outcome === null || timings === null) return undefined;
  const stages: Readonly<Record<string, number>> = {
    admission: job.admissionMs,
    queue_wait: timings.queueWaitMs,
    fetch: timings.fetchMs,
    preprocess: timings.preprocessMs,
    batch_wait: timings.batchWaitMs,
    compute: timings.computeMs,
    postprocess: timings.postprocessMs,
    publish: publishMs(outcome, settledAtMs),
  };
  return Object.entries(stages)
    .map(([name, ms]) => `${name};dur=${ms.toFixed(3)}`)
    .join(', ');
}

function publishMs({ readyAtMs }: Outcome, settledAtMs: number | null): number {
  return readyAtMs === null || settledAtMs === null ? 0 : Math.max(0, settledAtMs - readyAtMs);
}
