/**
 * What the way itself costs: a model that does nothing, called over HTTP, through Redis and a worker,
 * and back. Prints jobs a second and the CPU time of each process for one job.
 *
 *     npm run bench:noop -- [--seconds 10] [--connections 64] [--rounds 3] [--json]
 *
 * The load generator runs on the same cores: jobs a second are a limit of the machine, CPU for one job
 * is the figure that carries over.
 */
import { parseArgs } from 'node:util';
import autocannon from 'autocannon';
import { cpuMs } from './process-cpu.ts';
import { noopModel, serve } from './served.ts';

const { values } = parseArgs({
  options: {
    seconds: { type: 'string', default: '10' },
    connections: { type: 'string', default: '64' },
    rounds: { type: 'string', default: '3' },
    json: { type: 'boolean', default: false },
  },
});
const seconds = Number(values.seconds);
const connections = Number(values.connections);
const rounds = Number(values.rounds);

const served = await serve(noopModel, { env: { INFERRY_PREPARATION_THREADS: '1' } });
try {
  const { pids } = served;
  const url = `${served.url}/v2/models/noop/infer`;
  await load(url, 2);
  const lines = [];
  for (let round = 1; round <= rounds; round += 1) {
    const before = {
      gateway: cpuMs(pids.gateway),
      worker: cpuMs(pids.worker),
      redis: cpuMs(pids.redis),
    };
    const result = await load(url, seconds);
    const jobs = result['2xx'];
    const perJobUs = (name: keyof typeof pids): number =>
      Math.round(((cpuMs(pids[name]) - before[name]) * 1_000) / jobs);
    lines.push({
      round,
      jobs_s: Math.round(jobs / result.duration),
      gateway_us: perJobUs('gateway'),
      worker_us: perJobUs('worker'),
      redis_us: perJobUs('redis'),
      p50_ms: result.latency.p50,
      p99_ms: result.latency.p99,
      max_ms: result.latency.max,
      failed: result.non2xx + result.errors,
    });
  }
  if (values.json) for (const line of lines) console.log(JSON.stringify(line));
  else console.table(lines);
} finally {
  await served.close();
}

function load(url: string, duration: number): Promise<autocannon.Result> {
  return autocannon({
    url,
    connections,
    duration,
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({
      inputs: [{ name: 'x', shape: [1, 4], datatype: 'FP32', data: [1, 2, 3, 4] }],
    }),
  });
}
