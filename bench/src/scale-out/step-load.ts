/** A load that begins and ends at once, on an autoscaler that begins with no worker. */
import { setTimeout as pause } from 'node:timers/promises';
import type { AppProcess } from '@inferry/testkit';
import type { Served } from '../served.ts';

export interface StepOptions {
  readonly seconds: number;
  /** Requests that begin a second, whatever comes back. */
  readonly perSecond: number;
  readonly workersMax: number;
}

/** One look of the autoscaler. */
interface Moment {
  /** Since the first request. */
  readonly second: number;
  /** Worker processes, those that drain not among them. */
  readonly workers: number;
  /** Of these, those that had said that they are ready. */
  readonly ready: number;
  readonly draining: number;
  readonly backlog_s: number;
  readonly load: number;
  readonly wanted: number;
}

export interface StepReport {
  readonly sent: number;
  readonly answered: number;
  /** Answers with another request's row. */
  readonly wrong: number;
  readonly longestMs: number;
  /** From the first request to the first worker that was ready. */
  readonly firstReadyMs: number;
  readonly workersMost: number;
  readonly workersLast: number;
  readonly timeline: readonly Moment[];
}

/** Short, so that the whole takes less than a minute. */
const pace = [
  '--drain-target',
  '5s',
  '--window',
  '5s',
  '--stabilization',
  '5s',
  '--cooldown',
  '10s',
];
const idleSecondsMax = 60;

/** Resolves when the autoscaler is back at no worker, or a minute after the last answer. */
export async function stepLoad(
  served: Pick<Served, 'start' | 'url'>,
  { perSecond, seconds, workersMax }: StepOptions,
): Promise<StepReport> {
  const flags = ['--min', '0', '--max', String(workersMax), '--log-level', 'debug', ...pace];
  const autoscaler = served.start(['autoscale', ...flags]);
  await autoscaler.waitForLine(/"msg":"looked"/u);
  const startAtMs = Date.now();
  const answers: Promise<Answer>[] = [];
  const sent = Math.round(seconds * perSecond);
  for (let i = 0; i < sent; i += 1) {
    const waitMs = startAtMs + (i * 1_000) / perSecond - Date.now();
    if (waitMs > 0) await pause(waitMs);
    answers.push(ask(served.url, i));
  }
  const all = await Promise.all(answers);
  await isBackAtNone(autoscaler);
  const timeline = timelineOf(autoscaler, startAtMs);
  return {
    sent,
    answered: all.filter(({ status }) => status === 200).length,
    wrong: all.filter(({ isOwn, status }) => status === 200 && !isOwn).length,
    longestMs: Math.round(Math.max(...all.map(({ ms }) => ms))),
    firstReadyMs: Math.round(Math.min(...readyAtMs(autoscaler)) - startAtMs),
    workersMost: Math.max(...timeline.map(({ workers }) => workers)),
    workersLast: timeline.at(-1)?.workers ?? 0,
    timeline,
  };
}

interface Answer {
  readonly status: number;
  readonly isOwn: boolean;
  readonly ms: number;
}

async function ask(url: string, value: number): Promise<Answer> {
  const startMs = performance.now();
  const body = JSON.stringify({
    inputs: [{ name: 'x', shape: [1, 1], datatype: 'FP32', data: [value] }],
  });
  const headers = { 'content-type': 'application/json' };
  const response = await fetch(`${url}/v2/models/sleeper/infer`, { method: 'POST', headers, body });
  const text = await response.text();
  const isOwn = text.includes(`"data":[${value}]`) || text.includes(`"data":[${value}.0]`);
  return { status: response.status, isOwn, ms: performance.now() - startMs };
}

interface LogLine {
  readonly time: string;
  readonly role: string;
  readonly msg: string;
  readonly target?: number;
  readonly workers?: number;
  readonly draining?: number;
  readonly backlog_s?: number;
  readonly load?: number;
  readonly wanted?: number;
}

/** Waits for a look at no worker after the last was drained; where it does not come, the report says so. */
async function isBackAtNone(autoscaler: AppProcess): Promise<void> {
  const timeoutMs = idleSecondsMax * 1_000;
  try {
    const last = await autoscaler.waitForLine(/"target":0,.*"msg":"draining workers"/u, timeoutMs);
    const { time } = JSON.parse(last) as LogLine;
    const isLater = (line: string): boolean =>
      line.includes('"msg":"looked"') && (JSON.parse(line) as LogLine).time > time;
    await autoscaler.waitForLine(isLater, timeoutMs);
  } catch (cause) {
    console.error(cause instanceof Error ? cause.message.split('\n')[0] : cause);
  }
}

function logLines(autoscaler: AppProcess): readonly LogLine[] {
  return autoscaler.logs() as unknown as readonly LogLine[];
}

function readyAtMs(autoscaler: AppProcess): readonly number[] {
  return logLines(autoscaler)
    .filter(({ msg, role }) => role === 'worker' && msg === 'ready')
    .map(({ time }) => Date.parse(time));
}

function timelineOf(autoscaler: AppProcess, startAtMs: number): readonly Moment[] {
  let ready = 0;
  const timeline: Moment[] = [];
  for (const line of logLines(autoscaler)) {
    if (line.role === 'worker' && line.msg === 'ready') ready += 1;
    if (line.role === 'worker' && line.msg === 'draining') ready -= 1;
    const { backlog_s, draining, load, target, wanted, workers } = line;
    if (line.role !== 'autoscaler' || target === undefined) continue;
    timeline.push({
      second: Math.round((Date.parse(line.time) - startAtMs) / 100) / 10,
      workers: workers ?? 0,
      ready,
      draining: draining ?? 0,
      backlog_s: Math.round((backlog_s ?? 0) * 10) / 10,
      load: Math.round((load ?? 0) * 100) / 100,
      wanted: wanted ?? 0,
    });
  }
  return timeline;
}
