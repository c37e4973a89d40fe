/**
 * What a new version costs those who are being served. Requests at a steady rate that name no version; after
 * 30 s a new version lies in the folder of the model, and the one before it is no longer wanted. Compares p99
 * of the 5 s around the switch with p99 of the 30 s before.
 *
 *     npm run bench:reload -- [--model models/digits] [--rate 100] [--repetitions 5] [--workers 1]
 *                             [--assert] [--json]
 *
 * `quiet` is what chance does: the worst 5 s of the 30 s before, beside all of them. Exits with 1 when a
 * request failed, or the switch did not come; with --assert also when the median ratio is above 2.
 */
import { cp, mkdtemp, rename, writeFile } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { repositoryPath } from '@inferry/testkit';
import { type Exchange, type OpenLoop, openLoop } from './open-loop.ts';
import { median, quantile } from './quantile.ts';
import { serve } from './served.ts';

const { values } = parseArgs({
  options: {
    model: { type: 'string', default: 'models/digits' },
    rate: { type: 'string', default: '100' },
    repetitions: { type: 'string', default: '5' },
    workers: { type: 'string', default: '1' },
    assert: { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
  },
});
const beforeMs = 30_000;
const aroundMs = 5_000;
/** For poll, load, and the gateways to learn of it. */
const switchMsMax = 60_000;
/** After it the version before is retired, which is a part of a reload. */
const afterMs = 15_000;
const ratioMax = 2;

const folder = repositoryPath(values.model);
const name = basename(folder);
const served = await serve(
  { name, folder },
  {
    workers: Number(values.workers),
    env: { INFERRY_DIST: process.env['INFERRY_DIST'] ?? '0' },
  },
);
const rows = [];
try {
  const home = join(served.repository, name);
  await writeFile(join(home, 'versions.yaml'), 'policy: {latest: 1}\n');
  const url = `${served.url}/v2/models/${name}`;
  const body = await bodyFor(url);
  const load = openLoop({ url: `${url}/infer`, body, perSecond: Number(values.rate) });
  await pause(afterMs);
  for (let repetition = 1; repetition <= Number(values.repetitions); repetition += 1) {
    rows.push(await repeat(load, home, String(repetition + 1)));
  }
  await load.stop();
} finally {
  await served.close();
}
if (values.json) for (const row of rows) console.log(JSON.stringify(row));
else console.table(rows);
const failed = rows.reduce((sum, row) => sum + row.failed, 0);
const ratio = median(rows.map((row) => row.ratio));
console.log(`${failed} failed; the median ratio is ${ratio.toFixed(2)}`);
process.exitCode = failed > 0 || (values.assert && ratio > ratioMax) ? 1 : 0;

/** One new version. */
async function repeat({ exchanges }: OpenLoop, home: string, version: string) {
  const first = exchanges.length;
  await pause(beforeMs);
  const placedAtMs = performance.now();
  // As a deployment should: all of it at once.
  const aside = await mkdtemp(join(home, '.new-'));
  await cp(join(home, '1'), aside, { recursive: true });
  await rename(aside, join(home, version));
  const switchedAtMs = await switchTo(version, exchanges, placedAtMs);
  await pause(afterMs);
  const own = exchanges.slice(first);
  const within = (fromMs: number, toMs: number): Exchange[] =>
    own.filter(({ dueAtMs }) => dueAtMs >= fromMs && dueAtMs < toMs);
  const before = p99(within(placedAtMs - beforeMs, placedAtMs));
  const around = p99(within(switchedAtMs - aroundMs / 2, switchedAtMs + aroundMs / 2));
  const quiet = Array.from({ length: beforeMs / aroundMs }, (_, i) =>
    p99(within(placedAtMs - (i + 1) * aroundMs, placedAtMs - i * aroundMs)),
  );
  return {
    version,
    requests: own.length,
    failed: own.filter(({ status }) => status !== 200).length,
    switch_s: rounded((switchedAtMs - placedAtMs) / 1_000),
    p50_before_ms: rounded(quantile(within(placedAtMs - beforeMs, placedAtMs).map(msOf), 0.5)),
    p99_before_ms: rounded(before),
    p99_around_ms: rounded(around),
    max_around_ms: rounded(Math.max(...within(placedAtMs, switchedAtMs + aroundMs).map(msOf))),
    ratio: rounded(around / before),
    quiet: rounded(Math.max(...quiet) / before),
  };
}

/** When the first request was due that the version answered. */
async function switchTo(
  version: string,
  exchanges: readonly Exchange[],
  sinceMs: number,
): Promise<number> {
  while (performance.now() < sinceMs + switchMsMax) {
    await pause(100);
    const answered = exchanges.findLast((exchange) => exchange.version === version);
    if (answered === undefined) continue;
    const own = exchanges.filter((exchange) => exchange.version === version);
    return Math.min(...own.map(({ dueAtMs }) => dueAtMs));
  }
  throw new Error(`no answer of version ${version} within ${switchMsMax} ms`);
}

function p99(exchanges: readonly Exchange[]): number {
  return quantile(exchanges.map(msOf), 0.99);
}

function msOf({ ms }: Exchange): number {
  return ms;
}

function rounded(value: number): number {
  return Math.round(value * 100) / 100;
}

/** Zeros for every input of the model, one row. */
async function bodyFor(url: string): Promise<string> {
  const metadata = (await (await fetch(url)).json()) as {
    readonly inputs: readonly { name: string; datatype: string; shape: readonly number[] }[];
  };
  const tensors = metadata.inputs.filter(({ datatype }) => datatype !== 'BYTES');
  const inputs = tensors.map(({ datatype, name: input, shape }) => {
    const dimensions = shape.map((dimension) => Math.max(1, dimension));
    const count = dimensions.reduce((product, each) => product * each, 1);
    return { name: input, datatype, shape: dimensions, data: Array<number>(count).fill(0) };
  });
  return JSON.stringify({ inputs });
}
