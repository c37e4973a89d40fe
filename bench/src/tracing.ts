/**
 * What tracing costs: CPU time of gateway and worker for one request to a model that does nothing, with tracing
 * off, on for one request in a hundred, and on for all. The systems take turns; a collector that throws
 * everything away runs in this process.
 *
 *     npm run bench:tracing -- [--requests 500] [--rounds 30] [--connections 16] [--against checkout] [--json]
 *
 * `against` is another checkout of this repository, with tracing off or without any: it takes turns too.
 */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { parseArgs } from 'node:util';
import autocannon from 'autocannon';
import { cpuMs } from './process-cpu.ts';
import { quantile } from './quantile.ts';
import { noopModel, serve, type Served } from './served.ts';

const { values } = parseArgs({
  options: {
    requests: { type: 'string', default: '500' },
    rounds: { type: 'string', default: '30' },
    connections: { type: 'string', default: '16' },
    against: { type: 'string' },
    json: { type: 'boolean', default: false },
  },
});
const tensors = { inputs: [{ name: 'x', shape: [1, 4], datatype: 'FP32', data: [1, 2, 3, 4] }] };

interface Side {
  readonly name: string;
  readonly served: Served;
  readonly samples: { readonly gateway: number; readonly worker: number }[];
}

const collector = createServer((request, response) => {
  request.resume().on('end', () => response.writeHead(200).end());
});
await new Promise<void>((resolve) => collector.listen(0, '127.0.0.1', resolve));
const { port } = collector.address() as AddressInfo;
const traced = (ratio: string) => ({
  OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${port}`,
  OTEL_TRACES_SAMPLER_ARG: ratio,
});
const sides: Side[] = [];
const add = async (
  name: string,
  env: Record<string, string> = {},
  checkout?: string,
): Promise<void> => {
  const threads = { INFERRY_PREPARATION_THREADS: '1' };
  const served = await serve(noopModel, { env: { ...threads, ...env }, checkout });
  sides.push({ name, served, samples: [] });
};
try {
  if (values.against !== undefined) await add('other', {}, values.against);
  await add('off');
  await add('1 %', traced('0.01'));
  await add('all', traced('1'));
  // Code that has not run often is still being compiled.
  for (let i = 0; i < 6; i += 1) for (const side of sides) await load(side);
  for (let round = 0; round < Number(values.rounds); round += 1) {
    // Forth and back: nobody is always the first.
    for (const side of round % 2 === 0 ? sides : sides.toReversed()) {
      const { gateway, worker } = side.served.pids;
      const before = [cpuMs(gateway), cpuMs(worker)] as const;
      const done = await load(side);
      const perRequestUs = (after: number, at: number): number => ((after - at) * 1_000) / done;
      side.samples.push({
        gateway: perRequestUs(cpuMs(gateway), before[0]),
        worker: perRequestUs(cpuMs(worker), before[1]),
      });
    }
  }
} finally {
  await Promise.all(sides.map(({ served }) => served.close()));
  collector.closeAllConnections();
  collector.close();
}
const [first] = sides;
const lines = sides.map(({ name, samples }) => {
  const sums = samples.map(({ gateway, worker }) => gateway + worker);
  // Round by round beside the first side: what slows the machine down slows down both.
  const ratios = sums.map((sum, i) => {
    const { gateway = Number.NaN, worker = Number.NaN } = first?.samples[i] ?? {};
    return sum / (gateway + worker);
  });
  return {
    tracing: name,
    gateway_us: Math.round(
      quantile(
        samples.map(({ gateway }) => gateway),
        0.5,
      ),
    ),
    worker_us: Math.round(
      quantile(
        samples.map(({ worker }) => worker),
        0.5,
      ),
    ),
    both_us_tenth: Math.round(quantile(sums, 0.1)),
    ratio: Number(quantile(ratios, 0.5).toFixed(3)),
    ratio_quartiles: [0.25, 0.75].map((q) => quantile(ratios, q).toFixed(2)).join(' to '),
  };
});
if (values.json) for (const line of lines) console.log(JSON.stringify(line));
else console.table(lines);

/** Requests that were answered with 200; throws where one was not. */
async function load({ name, served }: Side): Promise<number> {
  const result = await autocannon({
    url: `${served.url}/v2/models/${noopModel.name}/infer`,
    connections: Number(values.connections),
    amount: Number(values.requests),
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(tensors),
  });
  if (result.non2xx + result.errors > 0) throw new Error(`${name}: requests failed`);
  return result['2xx'];
}
