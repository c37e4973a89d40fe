/**
 * Does anybody starve? Closed-loop clients against a model that cannot keep up with them (60 ms for a
 * run of one row, 260 ms for eight), through Redis, with no limit on waiting: a table of the response
 * codes, and of each stage the mean, standard deviation, median, least and most, over all requests and
 * over those that failed. Exits with 1 when a request failed, was overtaken, or the longest took twice
 * the median or more.
 *
 *     npm run bench:starvation -- [--clients 50] [--requests 4500] [--workers 1] [--json]
 *
 * The model sleeps, so the figures are those of the queue and hardly of the machine.
 */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { startProcess, startRedisServer } from '@inferry/testkit';
import { readyOf } from './ready.ts';

const { values } = parseArgs({
  options: {
    clients: { type: 'string', default: '50' },
    requests: { type: 'string', default: '4500' },
    workers: { type: 'string', default: '1' },
    json: { type: 'boolean', default: false },
  },
});
const clients = Number(values.clients);
const requests = Number(values.requests);

interface Sample {
  readonly status: number;
  readonly overtakenBy: number;
  /** Milliseconds by stage, as `Server-Timing` tells them; `total` is the client's own watch. */
  readonly stages: Readonly<Record<string, number>>;
}

const models = await mkdtemp(join(tmpdir(), 'inferry-bench-'));
await mkdir(join(models, 'detector', '1'), { recursive: true });
await writeFile(
  join(models, 'detector', 'model.yaml'),
  `backend: simulated
max_batch_size: 8
inputs: [{name: x, dtype: FP32, shape: [-1, 1]}]
outputs: [{name: y, dtype: FP32, shape: [-1, 1]}]
simulated: {run_ms: 31, row_ms: 29}
`,
);
const redis = await startRedisServer();
const env = { REDIS_URL: redis.url, PORT: '0', METRICS_PORT: '0' };
const gateway = startProcess(['gateway', '--models', models], { env });
const workers = Array.from({ length: Number(values.workers) }, () =>
  startProcess(['worker', '--models', models], { env }),
);
try {
  await Promise.all(workers.map(readyOf));
  const { http_port } = await readyOf(gateway);
  const samples = await load(`http://127.0.0.1:${http_port}/v2/models/detector/infer`);
  report(samples);
} finally {
  await Promise.all([gateway, ...workers].map((process) => process.stop()));
  await redis[Symbol.asyncDispose]();
  await rm(models, { recursive: true, force: true });
}

/** Each client sends its next request when it has the answer to the last. */
async function load(url: string): Promise<readonly Sample[]> {
  const samples: Sample[] = [];
  let sent = 0;
  const client = async (): Promise<void> => {
    while (sent < requests) {
      sent += 1;
      samples.push(await ask(url, sent));
    }
  };
  await Promise.all(Array.from({ length: clients }, client));
  return samples;
}

async function ask(url: string, value: number): Promise<Sample> {
  const startMs = performance.now();
  const response = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({
      inputs: [{ name: 'x', shape: [1, 1], datatype: 'FP32', data: [value] }],
    }),
  });
  await response.arrayBuffer();
  const stages: Record<string, number> = {};
  for (const part of (response.headers.get('server-timing') ?? '').split(', ')) {
    const [name, ms] = part.split(';dur=');
    if (name !== undefined && ms !== undefined) stages[name] = Number(ms);
  }
  stages['total'] = performance.now() - startMs;
  const overtakenBy = Number(response.headers.get('x-overtaken-by') ?? 0);
  return { status: response.status, overtakenBy, stages };
}

function report(samples: readonly Sample[]): void {
  const codes: Record<string, number> = {};
  for (const { status } of samples) codes[status] = (codes[status] ?? 0) + 1;
  const failed = samples.filter(({ status }) => status !== 200);
  const overtakes = samples.reduce((sum, { overtakenBy }) => sum + overtakenBy, 0);
  const stages = [...new Set(samples.flatMap((sample) => Object.keys(sample.stages)))];
  const rows = (group: readonly Sample[]): readonly Row[] =>
    stages.map((stage) =>
      row(
        stage,
        group.flatMap((sample) => sample.stages[stage] ?? []),
      ),
    );
  const all = rows(samples);
  const total = all.find(({ stage }) => stage === 'total');
  const ratio = total === undefined ? Number.NaN : total.max_ms / total.median_ms;
  const verdict = {
    requests: samples.length,
    failed: failed.length,
    overtakes,
    max_by_median: ratio,
  };
  if (values.json) {
    console.log(JSON.stringify({ codes, all, failures: rows(failed), ...verdict }));
  } else {
    console.table(codes);
    console.log('all requests');
    console.table(all);
    if (failed.length > 0) {
      console.log('failed requests');
      console.table(rows(failed));
    }
    console.table(verdict);
  }
  if (failed.length > 0 || overtakes > 0 || !(ratio < 2)) process.exitCode = 1;
}

interface Row {
  readonly stage: string;
  readonly mean_ms: number;
  readonly std_ms: number;
  readonly median_ms: number;
  readonly min_ms: number;
  readonly max_ms: number;
}

function row(stage: string, ms: readonly number[]): Row {
  const sorted = ms.toSorted((a, b) => a - b);
  const mean = ms.reduce((sum, value) => sum + value, 0) / ms.length;
  const variance = ms.reduce((sum, value) => sum + (value - mean) ** 2, 0) / ms.length;
  const tenths = (value: number | undefined): number => Math.round((value ?? 0) * 10) / 10;
  return {
    stage,
    mean_ms: tenths(mean),
    std_ms: tenths(Math.sqrt(variance)),
    median_ms: tenths(sorted[Math.floor(sorted.length / 2)]),
    min_ms: tenths(sorted[0]),
    max_ms: tenths(sorted.at(-1)),
  };
}
