/**
 * `inferry bench MODEL`: asks the server, measures each load, prints the tables and writes the files. Data
 * goes to standard output, everything else to standard error.
 */
import { access, constants, stat, writeFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { type Clock, err, ok, type Random, type Result, seededRandom } from '@inferry/runtime';
import { csvOf } from './csv.ts';
import { openCpuReader } from './cpu.ts';
import { type Ending, exchange } from './exchange.ts';
import type { HttpPort, HttpRequest } from './http.ts';
import { type Input, readInputs } from './inputs.ts';
import { measureLevel } from './measure.ts';
import type { BenchOptions } from './options.ts';
import { openProgress } from './progress.ts';
import {
  benchReport,
  type BenchReport,
  errorShare,
  levelReport,
  type LevelReport,
} from './report.ts';
import { requestsOf } from './requests.ts';
import { askModel, refusalOf } from './server.ts';
import { headline, levelName, levelText, sweepText, warningsOf } from './tables.ts';
import { generateTensors, parseTensorMetadata } from './tensors.ts';

export interface BenchDeps {
  readonly clock: Clock;
  readonly http: HttpPort;
  /** CPU time that this process has used so far, user and system. */
  readonly ownCpuMs: () => number;
  /** Ends the measurement; what was measured is reported. */
  readonly stop: AbortSignal;
  /** Standard output, standard error, and the line of a terminal that shows progress. */
  readonly print: (text: string) => void;
  readonly complain: (text: string) => void;
  readonly progress: (text: string) => void;
}

/** As many as requests can be open at a time. */
export function connectionsFor({ levels, inFlightMax }: BenchOptions): number {
  return Math.max(
    ...levels.map(({ kind, value }) => (kind === 'concurrency' ? value : inFlightMax)),
  );
}

/** As a shell has it for a command that Ctrl-C ended. */
const interruptedCode = 130;

/** The exit code: 0, 1 (errors), 2 (usage) or 130. */
export async function bench(options: BenchOptions, deps: BenchDeps): Promise<number> {
  const isWritable = await checkFiles(options);
  if (!isWritable.ok) return refuse(2, isWritable.error, deps);
  const inputs = options.inputs.length === 0 ? ok([]) : await readInputs(options.inputs);
  if (!inputs.ok) return refuse(2, inputs.error, deps);
  const model = await askModel(options, deps.http);
  if (!model.ok) return refuse(1, model.error, deps);
  const random = seededRandom(options.seed);
  const bodies = inputs.value.length > 0 ? inputs : generated(model.value, options, random);
  const requests = bodies.ok ? requestsOf(bodies.value, options) : bodies;
  if (!requests.ok) return refuse(2, requests.error, deps);
  const ask = (request: HttpRequest): Promise<Ending> =>
    exchange(request, { http: deps.http, clock: deps.clock, options });
  const [first] = requests.value;
  const refusal = first === undefined ? 'there is nothing to send' : refusalOf(await ask(first));
  if (refusal !== undefined) return refuse(1, refusal, deps);
  const report = await measureAll(requests.value, ask, { options, random, deps });
  const written = await writeReport(report, options, deps);
  if (!written.ok) return refuse(1, written.error, deps);
  if (deps.stop.aborted) return interruptedCode;
  const share = errorShare(report.levels);
  if (share <= options.errorsMax) return 0;
  const percent = (value: number): string => `${Math.round(value * 10_000) / 100} %`;
  const message = `${percent(share)} of the requests failed; --max-errors allows ${percent(options.errorsMax)}`;
  return refuse(1, message, deps);
}

async function measureAll(
  requests: readonly HttpRequest[],
  ask: (request: HttpRequest) => Promise<Ending>,
  {
    options,
    random,
    deps,
  }: { readonly options: BenchOptions; readonly random: Random; readonly deps: BenchDeps },
): Promise<BenchReport> {
  const { clock, stop } = deps;
  const say = tablesTo(options, deps);
  const cpu = await openCpuReader(options.metricsUrls, deps);
  for (const remark of cpu.remarks) deps.complain(`inferry: ${remark}\n`);
  const levels: LevelReport[] = [];
  const report = benchReport(options, {
    startedAtMs: clock.nowMs(),
    inputs: requests.length,
    levels,
  });
  say(headline(report));
  const progress = openProgress(clock, deps.progress);
  try {
    for (const [index, level] of options.levels.entries()) {
      if (stop.aborted) break;
      const name = levelName({ load: level.kind, value: level.value });
      const title = `${name} (${index + 1} of ${options.levels.length})`;
      const measured = await measureLevel(level, {
        clock,
        random,
        options,
        requests,
        exchange: ask,
        readCpu: cpu.read,
        stop,
        onPhase: (phase) => progress.show(title, phase),
      });
      progress.clear();
      const one = levelReport(measured, cpu.urls);
      levels.push(one);
      say(levelText(one));
      for (const warning of warningsOf(one)) deps.complain(`inferry: ${warning}\n`);
    }
  } finally {
    progress.close();
  }
  if (levels.length > 1) say(sweepText(levels));
  return report;
}

function generated(
  metadata: unknown,
  { data, shapes }: BenchOptions,
  random: Random,
): Result<readonly Input[], string> {
  const tensors = parseTensorMetadata(metadata);
  if (!tensors.ok)
    return err(`what the server tells of the model cannot be used: ${tensors.error}`);
  return generateTensors(tensors.value, { data, shapes, random });
}

/** Known before an hour of measuring, and not after it. */
async function checkFiles({ json, csv }: BenchOptions): Promise<Result<void, string>> {
  for (const [flag, file] of [
    ['--json', json],
    ['--csv', csv],
  ] as const) {
    if (file === null || file === '-') continue;
    try {
      const there = await stat(file).catch(() => null);
      if (there?.isDirectory() === true) return err(`${flag} ${file}: is a folder`);
      await access(there === null ? dirname(file) : file, constants.W_OK);
    } catch (cause) {
      return err(`${flag} ${file}: ${(cause as Error).message}`);
    }
  }
  return ok(undefined);
}

async function writeReport(
  report: BenchReport,
  { json, csv }: BenchOptions,
  { print }: BenchDeps,
): Promise<Result<void, string>> {
  const texts = [
    { flag: '--json', file: json, text: `${JSON.stringify(report, null, 2)}\n` },
    { flag: '--csv', file: csv, text: csvOf(report) },
  ];
  for (const { flag, file, text } of texts) {
    if (file === null) continue;
    if (file === '-') {
      print(text);
      continue;
    }
    try {
      await writeFile(file, text);
    } catch (cause) {
      return err(`${flag} ${file}: ${(cause as Error).message}`);
    }
  }
  return ok(undefined);
}

/** Standard output has one kind of data: tables make way for a document. */
function tablesTo({ json, csv }: BenchOptions, deps: BenchDeps): (text: string) => void {
  return json === '-' || csv === '-' ? deps.complain : deps.print;
}

function refuse(code: 1 | 2, message: string, { complain }: BenchDeps): number {
  complain(`inferry: ${message}\n`);
  return code;
}
