/**
 * Does anybody starve? Closed-loop clients against a model that cannot keep up with them, through Redis.
 * A table of the response codes, and of each stage the mean, standard deviation, median, least and most,
 * over all exchanges and over those that did not succeed.
 *
 *     npm run bench:starvation -- [--limit none|refuse|accept] [--model simulated|onnx]
 *                                 [--clients 50] [--requests 4500] [--workers 1] [--budget 500] [--json]
 *
 * none: no limit on waiting. refuse: a budget for each answer; a refused client comes back when it was told
 * to. accept: a budget too, but who would be late gets a job instead of a refusal, and asks for its result.
 *
 * The simulated model sleeps 60 ms for a run of one row and 260 ms for eight, so its figures are those of
 * the queue and hardly of the machine; the ONNX model (10 to 30 ms of CPU a row) shares the cores with the
 * clients. Exits with 1 when a promise of the mode is broken: `broken` in the last table says which.
 */
import { setTimeout as pause } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { Durations, parseServerTiming } from '@inferry/telemetry';
import { repositoryPath } from '@inferry/testkit';
import { serve, type ServedModel } from './served.ts';

const { values } = parseArgs({
  options: {
    limit: { type: 'string', default: 'none' },
    model: { type: 'string', default: 'simulated' },
    clients: { type: 'string', default: '50' },
    requests: { type: 'string', default: '4500' },
    workers: { type: 'string', default: '1' },
    budget: { type: 'string', default: '500' },
    json: { type: 'boolean', default: false },
  },
});
const limits = ['none', 'refuse', 'accept'] as const;
const limit = limits.find((name) => name === values.limit);
if (limit === undefined) throw new Error(`--limit must be one of ${limits.join(', ')}`);
if (values.model !== 'simulated' && values.model !== 'onnx') {
  throw new Error('--model must be simulated or onnx');
}
const clients = Number(values.clients);
const requests = Number(values.requests);
const budgetMs = Number(values.budget);

/** One HTTP exchange that submits or asks. */
interface Exchange {
  readonly status: number;
  /** Milliseconds by stage; `total` is the client's own watch. */
  readonly stages: Readonly<Record<string, number>>;
}

/** What a client wanted, from its first submit to its result. */
interface Wish {
  readonly isAnswered: boolean;
  readonly ms: number;
  readonly overtakenBy: number;
}

const exchanges: Exchange[] = [];
const wishes: Wish[] = [];

const served = await serve(modelOf(), { workers: Number(values.workers) });
try {
  let sent = 0;
  const client = async (): Promise<void> => {
    while (sent < requests) {
      sent += 1;
      wishes.push(await wish(sent));
    }
  };
  await Promise.all(Array.from({ length: clients }, client));
} finally {
  await served.close();
}
report();

function modelOf(): ServedModel {
  const admission = {
    none: 'admission: {mode: depth}',
    refuse: `latency_target_ms: ${budgetMs}\nadmission: {mode: target, on_infeasible: refuse}`,
    accept: `latency_target_ms: ${budgetMs}\nadmission: {mode: target, on_infeasible: accept}`,
  }[limit ?? 'none'];
  if (values.model === 'onnx') {
    const file = repositoryPath('packages/testkit/fixtures/models/heavy/1/model.onnx');
    return { name: 'detector', file, yaml: `max_batch_size: 8\n${admission}\n` };
  }
  return {
    name: 'detector',
    yaml: `backend: simulated
max_batch_size: 8
inputs: [{name: x, dtype: FP32, shape: [-1, 1]}]
outputs: [{name: y, dtype: FP32, shape: [-1, 1]}]
simulated: {run_ms: 31.43, row_ms: 28.57}
${admission}
`,
  };
}

async function wish(value: number): Promise<Wish> {
  const startMs = performance.now();
  const body = JSON.stringify(
    limit === 'accept'
      ? { input: { inputs: [{ name: 'x', shape: [1, 1], datatype: 'FP32', data: [value] }] } }
      : { inputs: [{ name: 'x', shape: [1, 1], datatype: 'FP32', data: [value] }] },
  );
  const path = limit === 'accept' ? '/v1/models/detector/jobs' : '/v2/models/detector/infer';
  const headers = {
    'content-type': 'application/json',
    ...(limit === 'accept' ? { prefer: 'wait=30' } : {}),
  };
  const submit = (): Promise<Answer> => exchange(path, { method: 'POST', headers, body });
  const first = await submit();
  const answer =
    limit === 'refuse'
      ? await retried(first, submit)
      : limit === 'accept'
        ? await polled(first)
        : first;
  return {
    isAnswered:
      answer.status === 200 && (limit !== 'accept' || answer.text.includes('"status":"succeeded"')),
    ms: performance.now() - startMs,
    overtakenBy: Number(answer.headers.get('x-overtaken-by') ?? 0),
  };
}

/** Comes back when it was told to, until it is let in. */
async function retried(first: Answer, submit: () => Promise<Answer>): Promise<Answer> {
  let answer = first;
  while (answer.status === 503 || answer.status === 429) {
    await pause(Number(answer.headers.get('retry-after-ms')));
    answer = await submit();
  }
  return answer;
}

/** Asks for the result of the job it was given, until it is there. */
async function polled(first: Answer): Promise<Answer> {
  let answer = first;
  while (answer.status < 300 && !answer.text.includes('"done":true')) {
    answer = await exchange(`/v1/jobs/${first.headers.get('job-id')}?wait=30`, {});
  }
  return answer;
}

interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
}

async function exchange(path: string, init: RequestInit): Promise<Answer> {
  const startMs = performance.now();
  const response = await fetch(`${served.url}${path}`, init);
  const text = await response.text();
  const { headers, status } = response;
  const total = performance.now() - startMs;
  exchanges.push({
    status,
    stages: { ...Object.fromEntries(parseServerTiming(headers.get('server-timing'))), total },
  });
  return { status, headers, text };
}

function report(): void {
  const codes: Record<string, number> = {};
  for (const { status } of exchanges) codes[status] = (codes[status] ?? 0) + 1;
  const isGood = ({ status }: Exchange): boolean => status === 200 || status === 202;
  const failed = exchanges.filter((one) => !isGood(one));
  const overtakes = wishes.reduce((sum, { overtakenBy }) => sum + overtakenBy, 0);
  const unanswered = wishes.filter(({ isAnswered }) => !isAnswered).length;
  const whole = Durations.of(wishes.map(({ ms }) => ms)).summary();
  const refusals = Durations.of(failed.map(({ stages }) => stages['total'] ?? 0)).summary();
  const answers = exchanges.filter(({ status }) => status === 200);
  const inBudget = answers.filter(({ stages }) => (stages['total'] ?? 0) <= budgetMs);
  const verdict = {
    requests: wishes.length,
    unanswered,
    overtakes,
    longest_ms: whole.max_ms,
    max_by_median: Math.round((whole.max_ms / whole.median_ms) * 100) / 100,
    ...(limit === 'refuse'
      ? {
          in_budget_percent: Math.round((1_000 * inBudget.length) / answers.length) / 10,
          refusal_median_ms: refusals.median_ms,
          refusal_p99_ms: refusals.p99_ms,
        }
      : {}),
  };
  const broken = brokenPromises(verdict);
  const tables = { codes, all: stageTable(exchanges), failures: stageTable(failed), wishes: whole };
  if (values.json) console.log(JSON.stringify({ ...tables, verdict, broken }));
  else {
    console.table(codes);
    console.log('all exchanges');
    console.table(tables.all);
    if (failed.length > 0) {
      console.log('exchanges that were refused or failed');
      console.table(tables.failures);
    }
    console.log('requests, from the first submit to the result');
    console.table({ requests: whole });
    console.table({ ...verdict, broken: broken.join(', ') || 'none' });
  }
  if (broken.length > 0) process.exitCode = 1;
}

function brokenPromises(verdict: {
  readonly unanswered: number;
  readonly overtakes: number;
  readonly longest_ms: number;
  readonly max_by_median: number;
  readonly in_budget_percent?: number;
  readonly refusal_median_ms?: number;
  readonly refusal_p99_ms?: number;
}): readonly string[] {
  const broken = [
    verdict.unanswered > 0 && 'a request was not answered',
    verdict.overtakes > 0 && 'a request was overtaken',
    limit === 'none' && !(verdict.max_by_median < 2) && 'the longest took twice the median',
    limit === 'refuse' && !((verdict.in_budget_percent ?? 0) >= 99) && 'answers exceed the budget',
    limit === 'refuse' && !((verdict.refusal_median_ms ?? 0) <= 10) && 'refusals are slow (median)',
    limit === 'refuse' && !((verdict.refusal_p99_ms ?? 0) <= 50) && 'refusals are slow (p99)',
    limit === 'accept' && verdict.longest_ms > 2_500 && 'a request took more than 2.5 s',
  ];
  return broken.filter((text) => text !== false);
}

function stageTable(group: readonly Exchange[]): readonly Readonly<Record<string, unknown>>[] {
  const stages = [...new Set(group.flatMap((one) => Object.keys(one.stages)))];
  return stages.map((stage) => ({
    stage,
    ...Durations.of(group.flatMap((one) => one.stages[stage] ?? [])).summary(),
  }));
}
