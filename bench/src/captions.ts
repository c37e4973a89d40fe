/**
 * Does a decoding loop share batches with others? Captions of 20 steps, 16 at a time against the same 16 one after
 * another: by a client that loops over v2 against an unchanged Triton model, and by a processor in the worker. Prints
 * the time of each, how many rows the decode steps had in a run, and what being together is worth.
 *
 *     npm run bench:captions -- [--requests 16] [--rounds 3] [--queue redis] [--stagger 0] [--hidden 8192] [--assert] [--json]
 *
 * All four kinds of round alternate in one run of one system: a gateway, a worker of one session with one thread, and
 * Redis; or `--queue memory`, one process. `--stagger` starts the captions so many ms apart, so that their steps have
 * different lengths. With `--assert` it exits with 1 unless, for both, steps ran in batches of more than one row and
 * together is at least twice as fast as one after another.
 */
import { execFileSync } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { type Random, seededRandom } from '@inferry/runtime';
import { repositoryPath, startProcess } from '@inferry/testkit';
import {
  captionByClient,
  captionByProcessor,
  Statistics,
  type Caption,
} from './captions-client.ts';
import { cpuMs } from './process-cpu.ts';
import { median } from './quantile.ts';
import { serve } from './served.ts';

const { values } = parseArgs({
  options: {
    requests: { type: 'string', default: '16' },
    rounds: { type: 'string', default: '3' },
    queue: { type: 'string', default: 'redis' },
    stagger: { type: 'string', default: '0' },
    hidden: { type: 'string', default: '8192' },
    assert: { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
  },
});
const requests = Number(values.requests);
const rounds = Number(values.rounds);
const staggerMs = Number(values.stagger);

interface Round {
  readonly by: 'client' | 'processor';
  readonly isTogether: boolean;
  readonly seconds: number;
  /** Of the captioning model: rows, and runs that they had. */
  readonly steps: number;
  readonly runs: number;
  readonly rowsMax: number;
  /** Of all processes but the client. */
  readonly cpuMs: number;
}

const folder = await mkdtemp(join(tmpdir(), 'inferry-captions-'));
try {
  const script = repositoryPath('docs/examples/captions/make-models.mjs');
  execFileSync(process.execPath, [script, folder, '--hidden', values.hidden], { stdio: 'ignore' });
  const served = values.queue === 'memory' ? await serveInMemory() : await serveWithRedis();
  try {
    await measure(served);
  } finally {
    await served.close();
  }
} finally {
  await rm(folder, { recursive: true });
}

async function measure({ pids, url }: Server): Promise<void> {
  const spentMs = (): number => pids.reduce((sum, pid) => sum + cpuMs(pid), 0);
  const random = seededRandom(7);
  const pictures = Array.from({ length: requests }, () => picture(random));
  const statistics = new Statistics(url, 'blip');
  const sides = { client: captionByClient, processor: captionByProcessor } as const;
  const captions: Record<Round['by'], readonly string[]> = { client: [], processor: [] };
  for (const by of ['client', 'processor'] as const) await sides[by](url, picture(random));
  await statistics.settled();
  const all: Round[] = [];
  for (let round = 0; round < rounds; round += 1) {
    const order = round % 2 === 0 ? ([false, true] as const) : ([true, false] as const);
    for (const isTogether of order) {
      for (const by of ['client', 'processor'] as const) {
        const before = await statistics.settled();
        const spentBeforeMs = spentMs();
        const startedAtMs = performance.now();
        const made = await run(url, pictures, sides[by], isTogether);
        const seconds = (performance.now() - startedAtMs) / 1_000;
        const spent = spentMs() - spentBeforeMs;
        const after = await statistics.settled();
        captions[by] = made.map((tokens) => tokens.join(' '));
        const done = { by, isTogether, seconds, cpuMs: spent, ...after.since(before) };
        all.push(done);
        if (values.json) console.log(JSON.stringify(done));
      }
    }
  }
  report(all, captions);
}

async function run(
  url: string,
  pictures: readonly Float32Array[],
  caption: Caption,
  isTogether: boolean,
): Promise<readonly (readonly number[])[]> {
  if (isTogether) {
    return Promise.all(
      pictures.map(async (pixels, i) => {
        await pause(i * staggerMs);
        return caption(url, pixels);
      }),
    );
  }
  const made: (readonly number[])[] = [];
  for (const pixels of pictures) made.push(await caption(url, pixels));
  return made;
}

function report(all: readonly Round[], captions: Record<Round['by'], readonly string[]>): void {
  let isShort = false;
  const lines = (['client', 'processor'] as const).map((by) => {
    const of = (isTogether: boolean): readonly Round[] =>
      all.filter((round) => round.by === by && round.isTogether === isTogether);
    const [alone, together] = [of(false), of(true)];
    const seconds = (list: readonly Round[]): number => median(list.map((round) => round.seconds));
    const rows = median(together.map(({ runs, steps }) => steps / runs));
    const ratio = seconds(alone) / seconds(together);
    if (ratio < 2 || rows <= 1) isShort = true;
    return {
      by,
      one_by_one_s: round(seconds(alone)),
      together_s: round(seconds(together)),
      ratio: round(ratio),
      steps_a_s: Math.round(median(together.map((one) => one.steps / one.seconds))),
      cpu_ms_a_step: round(median(together.map((one) => one.cpuMs / one.steps))),
      cpu_ms_a_step_alone: round(median(alone.map((one) => one.cpuMs / one.steps))),
      rows_a_run: round(rows),
      rows_a_run_max: Math.max(...together.map(({ rowsMax }) => rowsMax)),
      rows_a_run_alone: round(median(alone.map(({ runs, steps }) => steps / runs))),
    };
  });
  const same = captions.client.filter((tokens, i) => tokens === captions.processor[i]).length;
  if (values.json) for (const line of lines) console.log(JSON.stringify(line));
  else console.table(lines);
  console.log(`${same} of ${requests} captions are the same by client and by processor`);
  if (values.assert && isShort) {
    console.error('together is not twice as fast as one after another, or steps do not share runs');
    process.exitCode = 1;
  }
}

function round(value: number): number {
  return Math.round(value * 100) / 100;
}

function picture(random: Random): Float32Array {
  return Float32Array.from({ length: 3 * 384 * 384 }, () => random.unit() * 2 - 1);
}

interface Server {
  readonly pids: readonly number[];
  readonly url: string;
  readonly close: () => Promise<void>;
}

async function serveWithRedis(): Promise<Server> {
  const models = ['blip', 'captions'].map((name) => ({ name, folder: join(folder, name) }));
  const served = await serve(models);
  return { ...served, pids: Object.values(served.pids) };
}

async function serveInMemory(): Promise<Server> {
  const process = startProcess(['serve', folder], { env: { PORT: '0', METRICS_PORT: '0' } });
  const line = await process.waitForLine(/"msg":"ready"/u, 60_000);
  const { http_port, pid } = JSON.parse(line) as {
    readonly http_port: number;
    readonly pid: number;
  };
  const close = async (): Promise<void> => void (await process.stop());
  return { url: `http://127.0.0.1:${http_port}`, pids: [pid], close };
}
