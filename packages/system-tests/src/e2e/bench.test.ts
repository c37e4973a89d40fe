/** `inferry bench` as an operator runs it, against a server with the demo models. */
import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type AppProcess, freePort, repositoryPath, startProcess, waitFor } from '@inferry/testkit';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { demoModels, metricSum, readiness, type RunningRole } from '../system.ts';

interface Ended {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

interface Level {
  readonly load: string;
  readonly value: number;
  readonly end: string;
  readonly requests: number;
  readonly succeeded: number;
  readonly errors: number;
  readonly throughput: number;
  readonly latency_ms: { readonly p50: number; readonly p99: number; readonly max: number };
  readonly statuses: readonly { readonly status: number; readonly code: string | null }[];
  readonly stages: readonly { readonly stage: string; readonly count: number }[];
  readonly batch_rows_mean: number;
  readonly overtakes: number;
  readonly server_cpu_ms_per_request: readonly { readonly cpu_ms: number }[];
}

let serve: AppProcess;
let role: RunningRole;
let folder: string;
const quick = ['--warmup', '200ms', '--window', '300ms', '--max-windows', '3'];

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), 'inferry-bench-'));
  serve = startProcess(['serve', demoModels], { env: { PORT: '0', METRICS_PORT: '0' } });
  role = await readiness(serve, 'serve');
}, 60_000);

afterAll(async () => {
  await serve[Symbol.asyncDispose]();
  await rm(folder, { recursive: true });
});

/** The command with standard output and standard error apart. */
function bench(...words: readonly string[]): Promise<Ended> {
  const argv = [repositoryPath('apps/cli/bin/inferry.js'), 'bench', ...words];
  return new Promise((resolve) => {
    execFile('node', argv, { cwd: folder, timeout: 60_000 }, (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : Number(error.code), stdout, stderr });
    });
  });
}

function levelsOf(text: string): readonly Level[] {
  return (JSON.parse(text) as { readonly levels: readonly Level[] }).levels;
}

test('a sweep of concurrencies is printed, and written as JSON and CSV', async () => {
  const file = join(folder, 'report.json');
  const input = join(folder, 'flower.json');
  const flower = { sepal_length: 5.1, sepal_width: 3.5, petal_length: 1.4, petal_width: 0.2 };
  await writeFile(input, JSON.stringify(flower));
  const files = ['--input', input, '--json', file, '--csv', 'report.csv'];
  const metrics = ['--metrics-url', role.metricsUrl];
  const load = ['--concurrency', '1:4:*2', '--url', role.url];
  const { code, stdout } = await bench('iris', ...load, ...quick, ...files, ...metrics);
  expect(code).toBe(0);
  expect(stdout).toMatch(/concurrency 4: .*window/u);
  expect(stdout).toMatch(/queue_wait +\d+ /u);
  expect(stdout).toMatch(/CPU a request at http.*: [\d.]+ ms/u);
  const levels = levelsOf(await readFile(file, 'utf8'));
  expect(levels.map(({ load, value }) => `${load} ${value}`)).toEqual([
    'concurrency 1',
    'concurrency 2',
    'concurrency 4',
  ]);
  for (const level of levels) {
    expect(level.requests).toBeGreaterThan(10);
    expect([level.errors, level.overtakes]).toEqual([0, 0]);
    expect(level.statuses).toMatchObject([{ status: 200, code: null }]);
    expect(level.stages.map(({ stage }) => stage)).toContain('compute');
    expect(level.stages.every(({ count }) => count === level.requests)).toBe(true);
    expect(level.latency_ms.p50).toBeLessThanOrEqual(level.latency_ms.p99);
    expect(level.server_cpu_ms_per_request[0]?.cpu_ms).toBeGreaterThan(0);
  }
  const [names, ...lines] = (await readFile(join(folder, 'report.csv'), 'utf8'))
    .trim()
    .split('\r\n');
  expect(names).toMatch(
    /^model,url,api,load,value,end,requests,errors,throughput,.*compute_mean_ms/u,
  );
  expect(lines.map((line) => line.split(',')[4])).toEqual(['1', '2', '4']);
});

test('an open loop keeps its rate, with tensors made up for the model, over v2', async () => {
  const load = ['--request-rate', '50', '--arrivals', 'constant', '--api', 'v2'];
  const shape = ['--shape', 'input:3,4'];
  const words = ['iris', '--url', role.url, ...load, ...shape, ...quick];
  const { code, stdout, stderr } = await bench(...words, '--json', '-');
  expect(code).toBe(0);
  // Standard output is the document alone; the tables make way.
  const [level] = levelsOf(stdout);
  expect(stderr).toContain('50 requests a second');
  expect(level).toMatchObject({ load: 'request_rate', value: 50, errors: 0 });
  expect(level?.batch_rows_mean).toBeGreaterThanOrEqual(3);
  expect(level?.throughput).toBeGreaterThan(25);
  expect(level?.throughput).toBeLessThan(100);
});

test('pictures of a folder are sent as they are', async () => {
  const samples = ['--input', join(demoModels, 'digits', 'samples')];
  const words = ['digits', '--url', role.url, ...samples, ...quick, '--csv', '-'];
  const { code, stdout, stderr } = await bench(...words);
  expect(code).toBe(0);
  expect(stdout.split('\r\n')[1]).toMatch(/^digits,/u);
  expect(stderr).toContain('2 inputs in turn');
});

test('nothing that listens, and a model that is not there, are said and end with 1', async () => {
  const nobody = `http://127.0.0.1:${await freePort()}`;
  expect(await bench('iris', '--url', nobody)).toEqual({
    code: 1,
    stdout: '',
    stderr: `inferry: no answer from ${nobody}: nothing listens there (connection refused)\n`,
  });
  expect(await bench('irsi', '--url', role.url)).toEqual({
    code: 1,
    stdout: '',
    stderr: `inferry: ${role.url} has no model "irsi"; did you mean iris?\n`,
  });
});

test('an input that the model does not take is told before any load', async () => {
  const picture = join(demoModels, 'digits', 'samples', 'seven.png');
  const { code, stderr } = await bench('iris', '--url', role.url, '--input', picture);
  expect(code).toBe(1);
  expect(stderr).toMatch(
    /the first request did not succeed \(status 415\): unsupported_media_type/u,
  );
});

test('wrong words end with 2 and name every flag that is wrong', async () => {
  const { code, stderr } = await bench('iris', '--concurrency', '0', '--window', 'x');
  expect(code).toBe(2);
  expect(stderr).toMatch(
    /--concurrency must be .*\n.*--window must be .*\nTry "inferry help bench"/u,
  );
});

test('errors end with 1, unless they are allowed', async () => {
  // Far more than can be open at a time.
  const load = ['--request-rate', '2000', '--in-flight-max', '1', '--url', role.url, ...quick];
  const { code, stdout, stderr } = await bench('iris', ...load);
  expect(code).toBe(1);
  expect(stdout).toMatch(/none +not_sent/u);
  expect(stderr).toMatch(/% of the requests failed; --max-errors allows 0 %/u);
  expect((await bench('iris', ...load, '--max-errors', '100')).code).toBe(0);
});

test('Ctrl-C ends the measurement, and what was measured is reported', async () => {
  const asked = (): Promise<number> => metricSum([role], 'inferry_requests_total');
  const before = await asked();
  const words = ['bench', 'iris', '--url', role.url, '--warmup', '0', '--window', '10m'];
  await using running = startProcess(words);
  await waitFor(async () => (await asked()) > before + 100, { what: 'some load' });
  running.kill('SIGINT');
  expect(await running.exit).toEqual({ code: 130, signal: null });
  const text = running.lines.join('\n');
  expect(text).toMatch(/concurrency 1: interrupted after [\d.]+ s/u);
  expect(text).toMatch(/\n {2}200 +\d{2,} +100\.0 %/u);
});
