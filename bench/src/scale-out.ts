/**
 * Do more workers do more? The same load on 1, 2 and 4 worker processes, in turns, with a model that sleeps
 * 100 ms for a batch of at most four and uses no core; then a step load on `inferry autoscale` from none to
 * four workers and back to none.
 *
 *     npm run bench:scale-out -- [--rounds 6] [--seconds 5] [--connections 64] [--step-seconds 20] [--rate 100] [--json]
 *
 * A worker runs one batch at a time, so 40 requests a second are all that it can do. Exits with 1 when the
 * throughput of 2 or 4 workers is more than 10 % away from twice or four times that of one, when a request
 * failed, or when the autoscaler did not come to four workers and back to none.
 */
import { loadavg } from 'node:os';
import { parseArgs } from 'node:util';
import { parseExposition } from '@inferry/telemetry';
import autocannon from 'autocannon';
import { cpuMs } from './process-cpu.ts';
import { median } from './quantile.ts';
import { stepLoad, type StepReport } from './scale-out/step-load.ts';
import { serve, type Served } from './served.ts';

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '6' },
    seconds: { type: 'string', default: '5' },
    connections: { type: 'string', default: '64' },
    'step-seconds': { type: 'string', default: '20' },
    rate: { type: 'string', default: '100' },
    json: { type: 'boolean', default: false },
  },
});
const rounds = Number(values.rounds);
const seconds = Number(values.seconds);
const connections = Number(values.connections);

const workerCounts = [1, 2, 4] as const;
const warmupSeconds = 1;
/** How far from linear throughput may be. */
const tolerance = 0.1;

const model = {
  name: 'sleeper',
  yaml: `backend: simulated
max_batch_size: 4
inputs: [{name: x, dtype: FP32, shape: [-1, 1]}]
outputs: [{name: y, dtype: FP32, shape: [-1, 1]}]
simulated: {run_ms: 100}
`,
};
const env = { INFERRY_CONCURRENT_RUNS: '1', INFERRY_PREPARATION_THREADS: '1' };

interface Round {
  readonly workers: number;
  readonly perSecond: number;
  readonly meanBatch: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  /** Of gateway, workers and Redis together. */
  readonly cpuMsPerRequest: number;
  readonly failed: number;
}

const measured: Round[] = [];
const loadBefore = loadavg()[0] ?? 0;
await measureRounds();
const step = await measureStep();
report();

/** All systems stay open, and are loaded one after the other: what else the machine does hits them alike. */
async function measureRounds(): Promise<void> {
  const systems: Served[] = [];
  try {
    for (const workers of workerCounts) systems.push(await serve(model, { workers, env }));
    for (let round = 0; round < rounds; round += 1) {
      for (let i = 0; i < systems.length; i += 1) {
        // Each comes first, second and last equally often.
        const served = systems[(round + i) % systems.length];
        if (served !== undefined) measured.push(await measure(served));
      }
    }
  } finally {
    await Promise.all(systems.map((served) => served.close()));
  }
}

async function measure(served: Served): Promise<Round> {
  const url = `${served.url}/v2/models/sleeper/infer`;
  await load(url, warmupSeconds);
  const pids = [served.pids.gateway, served.pids.redis, ...served.workerPids];
  const cpu = (): number => pids.reduce((sum, pid) => sum + cpuMs(pid), 0);
  const [cpuBefore, batchesBefore] = [cpu(), await batches(served)];
  const result = await load(url, seconds);
  const answered = result['2xx'];
  const [cpuAfter, batchesAfter] = [cpu(), await batches(served)];
  return {
    workers: served.workerPids.length,
    perSecond: answered / result.duration,
    meanBatch:
      (batchesAfter.rows - batchesBefore.rows) / (batchesAfter.count - batchesBefore.count),
    p50Ms: result.latency.p50,
    p99Ms: result.latency.p99,
    cpuMsPerRequest: (cpuAfter - cpuBefore) / answered,
    failed: result.non2xx + result.errors,
  };
}

async function measureStep(): Promise<StepReport> {
  const served = await serve(model, { workers: 0, env });
  try {
    return await stepLoad(served, {
      seconds: Number(values['step-seconds']),
      perSecond: Number(values.rate),
      workersMax: 4,
    });
  } finally {
    await served.close();
  }
}

/** Rows and runs of all workers so far. */
async function batches({ metricsUrls }: Served): Promise<{ rows: number; count: number }> {
  const total = { rows: 0, count: 0 };
  for (const url of metricsUrls) {
    for (const [series, value] of parseExposition(await (await fetch(url)).text())) {
      if (series.startsWith('inferry_batch_size_sum')) total.rows += value;
      if (series.startsWith('inferry_batch_size_count')) total.count += value;
    }
  }
  return total;
}

function load(url: string, duration: number): Promise<autocannon.Result> {
  return autocannon({
    url,
    connections,
    duration,
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ inputs: [{ name: 'x', shape: [1, 1], datatype: 'FP32', data: [1] }] }),
  });
}

function report(): void {
  const ones = roundsOf(1);
  const table = workerCounts.map((workers) => {
    const own = roundsOf(workers);
    const of = (figure: (round: Round) => number): number => median(own.map(figure));
    const all = own.map((round) => round.perSecond);
    // Against the round of one worker that came just before or after.
    const ratios = all.map((perSecond, i) => perSecond / (ones[i]?.perSecond ?? Number.NaN));
    return {
      workers,
      per_second: tenths(median(all)),
      least: tenths(Math.min(...all)),
      most: tenths(Math.max(...all)),
      times_one: hundredths(median(ratios)),
      mean_batch: hundredths(of((round) => round.meanBatch)),
      p50_ms: tenths(of((round) => round.p50Ms)),
      p99_ms: tenths(of((round) => round.p99Ms)),
      cpu_ms_per_request: hundredths(of((round) => round.cpuMsPerRequest)),
      failed: own.reduce((sum, round) => sum + round.failed, 0),
    };
  });
  const broken = [
    ...table.flatMap(({ failed, times_one, workers }) => [
      Math.abs(times_one / workers - 1) > tolerance && `${workers} workers are not linear`,
      failed > 0 && `${failed} requests failed with ${workers} workers`,
    ]),
    step.answered < step.sent && `${step.sent - step.answered} requests of the step were lost`,
    step.wrong > 0 && `${step.wrong} answers of the step were those of others`,
    step.workersMost !== 4 && `the autoscaler came to ${step.workersMost} workers, not 4`,
    step.workersLast !== 0 && `the autoscaler ended with ${step.workersLast} workers, not 0`,
  ].filter((text) => text !== false);
  const machine = {
    load_before: hundredths(loadBefore),
    load_after: hundredths(loadavg()[0] ?? 0),
  };
  if (values.json) console.log(JSON.stringify({ table, rounds: measured, step, machine, broken }));
  else {
    console.table(table);
    const { timeline, ...sums } = step;
    console.table(timeline);
    console.table({ ...sums, ...machine, broken: broken.join(', ') || 'none' });
  }
  if (broken.length > 0) process.exitCode = 1;
}

function roundsOf(workers: number): readonly Round[] {
  return measured.filter((round) => round.workers === workers);
}

function tenths(value: number): number {
  return Math.round(value * 10) / 10;
}

function hundredths(value: number): number {
  return Math.round(value * 100) / 100;
}
