/**
 * One request and what became of it: an answer, a refusal, a job that is waited for, or nothing. Never
 * longer than the time limit, whatever the server does.
 */
import { parseServerTiming } from '@inferry/telemetry';
import { type Clock, type Result, sleep } from '@inferry/runtime';
import { memberOf, parseDocument, textOf } from './documents.ts';
import type { HttpAnswer, HttpFault, HttpPort, HttpRequest } from './http.ts';
import type { BenchOptions } from './options.ts';
import { jobPath } from './requests.ts';

export interface Ending {
  /** Null where there was no answer. */
  readonly status: number | null;
  /** The code of a problem, of the error of a job, or of what went wrong on the way; null for a success. */
  readonly code: string | null;
  /** What a problem says of itself, for people. */
  readonly detail: string;
  readonly isSuccess: boolean;
  /** Milliseconds by stage, from `Server-Timing`. */
  readonly stages: ReadonlyMap<string, number>;
  /** Rows that ran together, and later jobs that were claimed before this one; null where it is not told. */
  readonly batchRows: number | null;
  readonly overtakenBy: number | null;
}

export interface ExchangeDeps {
  readonly http: HttpPort;
  readonly clock: Clock;
  readonly options: BenchOptions;
}

/** The status of a job stands near the front of its document; tensors at its end may be large. */
const headBytes = 400;
const live: ReadonlySet<unknown> = new Set(['queued', 'running']);

/** Sends, and asks for the result until it is there where the answer is a job that has not ended. */
export async function exchange(
  request: HttpRequest,
  { http, clock, options }: ExchangeDeps,
): Promise<Ending> {
  const untilMs = clock.nowMs() + options.timeoutMs;
  let answer = await http.send(request, options.timeoutMs);
  while (answer.ok && options.api === 'jobs' && isLiveJob(answer.value)) {
    const id = answer.value.header('job-id');
    const leftMs = untilMs - clock.nowMs();
    if (id === undefined || leftMs <= 0) {
      return noAnswer({ code: 'timeout', detail: `no result within ${options.timeoutMs} ms` });
    }
    const asked = clock.nowMs();
    answer = await http.send(
      { ...request, method: 'GET', path: jobPath(options, id, leftMs), body: null },
      leftMs,
    );
    // A server that has no place to hold the question answers at once, and says when to ask again.
    const mayRepeat = answer.ok && isLiveJob(answer.value) && clock.nowMs() - asked < 1_000;
    if (mayRepeat) await sleep(clock, Math.min(retryAfterMs(answer), untilMs - clock.nowMs()));
  }
  return answer.ok ? endingOf(answer.value, options) : noAnswer(answer.error);
}

function endingOf(answer: HttpAnswer, { api }: BenchOptions): Ending {
  const { status } = answer;
  const facts = {
    status,
    stages: parseServerTiming(answer.header('server-timing')),
    batchRows: numberIn(answer, 'x-batch-size'),
    overtakenBy: numberIn(answer, 'x-overtaken-by'),
  };
  if (status >= 200 && status < 300) {
    const jobStatus = api === 'jobs' ? jobStatusOf(answer) : 'succeeded';
    if (jobStatus === 'succeeded') return { ...facts, code: null, detail: '', isSuccess: true };
    const error = memberOf(parseDocument(answer.body), 'error');
    const code = textOf(memberOf(error, 'code')) ?? `job ${textOf(jobStatus) ?? 'without status'}`;
    const detail = textOf(memberOf(error, 'detail')) ?? '';
    return { ...facts, code, detail, isSuccess: false };
  }
  const problem = parseDocument(answer.body);
  const [code, detail, error] = ['code', 'detail', 'error'].map((key) =>
    textOf(memberOf(problem, key)),
  );
  return { ...facts, code: code ?? null, detail: detail ?? error ?? '', isSuccess: false };
}

function noAnswer({ code, detail }: HttpFault): Ending {
  return {
    status: null,
    code,
    detail,
    isSuccess: false,
    stages: new Map(),
    batchRows: null,
    overtakenBy: null,
  };
}

function isLiveJob(answer: HttpAnswer): boolean {
  return answer.status >= 200 && answer.status < 300 && live.has(jobStatusOf(answer));
}

function jobStatusOf(answer: HttpAnswer): unknown {
  const head = Buffer.from(answer.body.buffer, answer.body.byteOffset, answer.body.byteLength);
  const found = /"status":"(\w+)"/u.exec(head.toString('latin1', 0, headBytes));
  return found?.[1] ?? memberOf(parseDocument(answer.body), 'status');
}

function retryAfterMs(answer: Result<HttpAnswer, HttpFault>): number {
  const seconds = answer.ok ? numberIn(answer.value, 'retry-after') : null;
  return Math.max(100, (seconds ?? 1) * 1_000);
}

function numberIn(answer: HttpAnswer, name: string): number | null {
  const value = Number(answer.header(name) ?? Number.NaN);
  return Number.isFinite(value) ? value : null;
}
