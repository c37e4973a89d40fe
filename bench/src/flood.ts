/**
 * Can one tenant hurt the others? Tenants b, c and d ask a little; in every other round tenant a floods the
 * same model with ten times what it can do. Prints for each light tenant the 99th percentile with and
 * without the flood, and what became of the flood. The rounds alternate in one run of one system.
 *
 *     npm run bench:flood -- [--rounds 6] [--seconds 20] [--light 2] [--flood 300] [--target 300] [--budget 500] [--json]
 *
 * The model sleeps (60 ms for one row, 260 ms for eight). `target` is its latency target, which decides how
 * large batches are, and `budget` what requests are refused by. Exits with 1 when the 99th percentile of the
 * light tenants together is under the flood more than one batch (and a tenth, for the machine) above what it is
 * alone, or when more than one in a hundred of their requests is refused or fails.
 */
import { setTimeout as pause } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { seededRandom } from '@inferry/runtime';
import { Durations, parseServerTiming } from '@inferry/telemetry';
import { serve } from './served.ts';

const { values } = parseArgs({
  options: {
    rounds: { type: 'string', default: '6' },
    seconds: { type: 'string', default: '20' },
    light: { type: 'string', default: '2' },
    flood: { type: 'string', default: '300' },
    target: { type: 'string', default: '300' },
    budget: { type: 'string', default: '500' },
    json: { type: 'boolean', default: false },
  },
});
const [rounds, seconds] = [Number(values.rounds), Number(values.seconds)];
const lightTenants = ['b', 'c', 'd'];

interface Sample {
  readonly tenant: string;
  readonly isFlooded: boolean;
  readonly status: number;
  readonly ms: number;
  readonly batchRows: number;
  /** From the claim of its batch to its end; 0 where there was no answer. */
  readonly cycleMs: number;
}

const samples: Sample[] = [];
const random = seededRandom(7);
const served = await serve(
  {
    name: 'detector',
    yaml: `backend: simulated
max_batch_size: 8
latency_target_ms: ${Number(values.target)}
admission: {budget_ms: ${Number(values.budget)}}
inputs: [{name: x, dtype: FP32, shape: [-1, 1]}]
outputs: [{name: y, dtype: FP32, shape: [-1, 1]}]
simulated: {run_ms: 31.43, row_ms: 28.57}
`,
  },
  { env: { INFERRY_TENANTS: 'a,b,c,d' } },
);
try {
  for (let round = 0; round < rounds; round += 1) {
    const isFlooded = round % 2 === 1;
    const streams = lightTenants.map((tenant) => stream(tenant, Number(values.light), isFlooded));
    if (isFlooded) streams.push(stream('a', Number(values.flood), isFlooded));
    await Promise.all(streams);
  }
} finally {
  await served.close();
}
report();

/** Requests of one tenant at random instants (Poisson), for one round; resolves when all have answers. */
async function stream(tenant: string, perSecond: number, isFlooded: boolean): Promise<void> {
  const untilMs = performance.now() + seconds * 1_000;
  const open: Promise<void>[] = [];
  let dueMs = performance.now();
  for (;;) {
    dueMs += (-Math.log(1 - random.unit()) / perSecond) * 1_000;
    if (dueMs > untilMs) break;
    const waitMs = dueMs - performance.now();
    if (waitMs > 0) await pause(waitMs);
    open.push(ask(tenant, isFlooded));
  }
  await Promise.all(open);
}

async function ask(tenant: string, isFlooded: boolean): Promise<void> {
  const startMs = performance.now();
  const response = await fetch(`${served.url}/v2/models/detector/infer`, {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'inferry-tenant': tenant },
    body: '{"inputs":[{"name":"x","shape":[1,1],"datatype":"FP32","data":[1]}]}',
  });
  await response.arrayBuffer();
  const batchRows = Number(response.headers.get('x-batch-size') ?? 0);
  const ms = performance.now() - startMs;
  const {
    fetch: fetchMs = 0,
    preprocess = 0,
    compute = 0,
    postprocess = 0,
    publish = 0,
  } = Object.fromEntries(parseServerTiming(response.headers.get('server-timing')));
  const cycleMs = fetchMs + preprocess + compute + postprocess + publish;
  samples.push({ tenant, isFlooded, status: response.status, ms, batchRows, cycleMs });
}

function report(): void {
  const of = (tenant: string, isFlooded: boolean): readonly Sample[] =>
    samples.filter((one) => one.tenant === tenant && one.isFlooded === isFlooded);
  const answered = (group: readonly Sample[]): readonly number[] =>
    group.filter(({ status }) => status === 200).map(({ ms }) => ms);
  const light = lightTenants.map((tenant) => {
    const [alone, flooded] = [of(tenant, false), of(tenant, true)];
    const [aloneMs, floodedMs] = [
      Durations.of(answered(alone)).summary(),
      Durations.of(answered(flooded)).summary(),
    ];
    return {
      tenant,
      requests: alone.length + flooded.length,
      refused_or_failed: [...alone, ...flooded].filter(({ status }) => status !== 200).length,
      alone_p99_ms: aloneMs.p99_ms,
      flooded_p99_ms: floodedMs.p99_ms,
      more_ms: Math.round((floodedMs.p99_ms - aloneMs.p99_ms) * 10) / 10,
    };
  });
  const flood: Record<string, number> = {};
  for (const { status } of of('a', true)) flood[status] = (flood[status] ?? 0) + 1;
  const all = (isFlooded: boolean) =>
    Durations.of(lightTenants.flatMap((tenant) => answered(of(tenant, isFlooded)))).summary();
  const together = { alone: all(false), flooded: all(true) };
  const largest = Math.max(...samples.map(({ batchRows }) => batchRows));
  const full = samples.filter(({ batchRows }) => batchRows === largest);
  const batchMs = Durations.of(full.map(({ cycleMs }) => cycleMs)).summary().median_ms;
  const batches = {
    rows: largest,
    batch_ms: batchMs,
    more_ms: Math.round((together.flooded.p99_ms - together.alone.p99_ms) * 10) / 10,
  };
  if (values.json) console.log(JSON.stringify({ light, together, flood, batches }));
  else {
    console.table(light);
    console.log('the light tenants together');
    console.table(together);
    console.log('answers to the flood');
    console.table(flood);
    console.log(
      'one batch, from its claim to its end, and what the flood adds to the 99th percentile',
    );
    console.table(batches);
  }
  const requests = light.reduce((sum, one) => sum + one.requests, 0);
  const unserved = light.reduce((sum, one) => sum + one.refused_or_failed, 0);
  if (batches.more_ms > 1.1 * batchMs || unserved > requests / 100) process.exitCode = 1;
}
