/**
 * Inferry beside other servers on the same photograph and the same network, in turns on one machine: requests
 * a second, CPU time of all processes of a side for one request, latencies, failures, memory, start.
 *
 *     npm run bench:peers -- [--peers fastapi-draft,rust | --peers all] [--peers-dir DIR] [--seconds 10] [--rounds 2]
 *                            [--workers 1] [--connections 50] [--warm-up 3000] [--payload FILE] [--model DIR] [--checkout DIR]
 *                            [--breakdown] [--json]
 *     npm run bench:peers -- --table FILE
 *
 * Each round runs every side once, in another order. A side is warmed up first: in its first thousand requests a
 * gateway costs twice as much as after three thousand, while its code is being compiled. The folder of the peers
 * (also `$PEERS_DIR`) says in its peers.json how they are started; one that is not set up is set up by the folder's
 * setup.sh. `payload` is {"image": "<base64 of a JPEG>"}; without it a picture is made. `model` is the folder of the
 * model that Inferry serves; without it the example `weather`, which is built when its file is missing. `checkout`
 * is another checkout of this repository, whose command is run instead of this one's. `table` prints what --json
 * wrote as a table. Load comes from `ab`, on the same cores: requests a second are a limit of the machine, CPU for
 * one request is the figure that carries over. Exits with 1 when a side cannot be measured, or a request to Inferry
 * failed.
 */
import { execFile } from 'node:child_process';
import { existsSync, rmSync } from 'node:fs';
import { mkdtemp, readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs, promisify } from 'node:util';
import { repositoryPath } from '@inferry/testkit';
import { openPeers } from './peers/catalogue.ts';
import { type Measured, measure } from './peers/measure.ts';
import { writePayloads } from './peers/payloads.ts';
import { type Line, linesOf, markdownTable } from './peers/report.ts';
import { inferrySide, peerSide, type Side } from './peers/sides.ts';

const { values } = parseArgs({
  options: {
    peers: { type: 'string', default: '' },
    'peers-dir': { type: 'string', default: process.env['PEERS_DIR'] ?? '' },
    seconds: { type: 'string', default: '10' },
    rounds: { type: 'string', default: '2' },
    workers: { type: 'string', default: '1' },
    connections: { type: 'string', default: '50' },
    'warm-up': { type: 'string', default: '3000' },
    payload: { type: 'string' },
    model: { type: 'string', default: repositoryPath('docs/examples/weather') },
    checkout: { type: 'string' },
    breakdown: { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
    table: { type: 'string' },
  },
});

if (values.table === undefined) await compare();
else await printTable(values.table);

async function compare(): Promise<void> {
  const [seconds, rounds, workers, connections] = [
    whole('seconds', 1, 300),
    whole('rounds', 1, 100),
    whole('workers', 1, 64),
    whole('connections', 1, 1_000),
  ];
  const warmUp = whole('warm-up', 1, 1_000_000);
  const directory = await mkdtemp(join(tmpdir(), 'inferry-peers-'));
  endWellWhenInterrupted(directory);
  const sides = await openSides(directory, workers);
  const runs: Measured[] = [];
  for (let round = 0; round < rounds; round += 1) {
    for (const side of rotated(sides, round)) {
      try {
        const run = await measure(side, { seconds, connections, warmUp });
        runs.push(run);
        sayRun(run, round);
      } catch (cause) {
        // The others are still worth knowing.
        say(`round ${round + 1}, ${side.name}: ${String(cause)}`);
        process.exitCode = 1;
      }
    }
  }
  const lines = linesOf(runs);
  if (values.json) for (const line of lines) console.log(JSON.stringify(line));
  else console.log(markdownTable(lines));
  if (lines.some(({ peer, failed }) => peer === 'inferry' && failed > 0)) process.exitCode = 1;
}

async function openSides(directory: string, workers: number): Promise<readonly Side[]> {
  const names = values.peers.split(',').filter((name) => name !== '');
  const peersDirectory = values['peers-dir'];
  if (names.length > 0 && peersDirectory === '') {
    throw new Error('peers need --peers-dir or $PEERS_DIR, the folder with their peers.json');
  }
  const model = resolve(values.model);
  if (!existsSync(join(model, '1/model.onnx'))) await buildModel(model);
  const peers = names.length === 0 ? [] : await openPeers(peersDirectory, names, say);
  const payloads = await writePayloads(values.payload, directory);
  say(`one request: ${payloads.jpegBytes} bytes of JPEG, as base64 in JSON`);
  const labels = (await readFile(join(model, 'labels.txt'), 'utf8')).trim().split('\n');
  return [
    inferrySide(model, { payloads, labels, workers, checkout: values.checkout }),
    ...peers.map((peer) => peerSide(peer, { payloads, labels, logs: directory })),
  ];
}

/** By the script that lies beside the model, in the virtual environment that the training scripts use too. */
async function buildModel(model: string): Promise<void> {
  say(`building ${join(model, '1/model.onnx')}`);
  const venv = repositoryPath('.venv');
  const run = promisify(execFile);
  await run('python3', ['-m', 'venv', venv]);
  const requirements = join(model, 'requirements.txt');
  await run(join(venv, 'bin/pip'), ['install', '--quiet', '--requirement', requirements]);
  await run(join(venv, 'bin/python'), [join(model, 'build.py')]);
}

/** The first of one round is the last of the next but as many rounds as there are sides. */
function rotated(sides: readonly Side[], round: number): readonly Side[] {
  const first = round % sides.length;
  return [...sides.slice(first), ...sides.slice(0, first)];
}

function sayRun(
  { peer, load, cpuMsPerRequest, otherCores, breakdown }: Measured,
  round: number,
): void {
  say(
    `round ${round + 1}, ${peer}: ${load.perSecond.toFixed(0)} req/s, ${cpuMsPerRequest.toFixed(2)} ms CPU, ` +
      `p50 ${load.p50Ms.toFixed(0)} ms, ${load.failed} failed; others used ${otherCores.toFixed(2)} cores`,
  );
  if (!values.breakdown) return;
  for (const { process, thread, cpuMs } of breakdown) {
    say(`    ${cpuMs.toFixed(2).padStart(6)} ms  ${process}, ${thread}`);
  }
}

async function printTable(file: string): Promise<void> {
  const text = await readFile(file, 'utf8');
  const lines = text.split('\n').filter((line) => line.startsWith('{'));
  console.log(markdownTable(lines.map((line) => JSON.parse(line) as Line)));
}

/** Progress goes to stderr: with --json, stdout has the figures alone. */
function say(line: string): void {
  console.error(line);
}

/** Whatever is still running is killed while the process exits, by the testkit. */
function endWellWhenInterrupted(directory: string): void {
  process.once('exit', () => rmSync(directory, { recursive: true, force: true }));
  process.once('SIGINT', () => process.exit(130));
  process.once('SIGTERM', () => process.exit(143));
}

function whole(
  name: 'seconds' | 'rounds' | 'workers' | 'connections' | 'warm-up',
  min: number,
  max: number,
): number {
  const value = Number(values[name]);
  if (Number.isInteger(value) && value >= min && value <= max) return value;
  throw new Error(`--${name} must be a whole number from ${min} to ${max}, not "${values[name]}"`);
}
