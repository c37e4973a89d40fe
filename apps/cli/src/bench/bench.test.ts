import { rmSync } from 'node:fs';
import { mkdtemp, mkdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { VirtualClock } from '@inferry/runtime';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { bench, connectionsFor } from './bench.ts';
import { fakeServer, type ScriptedAnswer } from './http.fixture.ts';
import type { HttpRequest } from './http.ts';
import { optionsOf } from './options.fixture.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'inferry-bench-'));
});
afterEach(() => rm(folder, { recursive: true }));

const metadata = { inputs: [{ name: 'x', datatype: 'FP32', shape: [-1, 2] }] };
const succeeded = { body: { status: 'succeeded' }, afterMs: 10 };
const quick = '--warmup 0 --window 1';

/** Runs the command on a virtual clock, which moves while it has not ended. */
async function run(
  line: string,
  { answer = () => succeeded }: { readonly answer?: (sent: HttpRequest) => ScriptedAnswer } = {},
) {
  const clock = new VirtualClock();
  const http = fakeServer(clock, (sent) =>
    sent.path === '/v2/models/m' ? { body: metadata } : answer(sent),
  );
  const printed = { stdout: '', stderr: '' };
  const ended = new AbortController();
  const running = bench(optionsOf(line), {
    clock,
    http,
    ownCpuMs: () => 0,
    stop: new AbortController().signal,
    print: (text) => (printed.stdout += text),
    complain: (text) => (printed.stderr += text),
    progress: () => undefined,
  }).finally(() => ended.abort());
  // Files are read and written in real time, beside the clock.
  while (!ended.signal.aborted) {
    await clock.advance(100);
    await new Promise((resolve) => setImmediate(resolve));
  }
  return { code: await running, ...printed, sent: http.sent };
}

test('the model is asked for, one request goes first, then each load is measured', async () => {
  const { code, stdout, stderr, sent } = await run(`m --concurrency 1,2 ${quick}`);
  expect([code, stderr]).toEqual([0, '']);
  expect(sent[0]).toMatchObject({ method: 'GET', path: '/v2/models/m' });
  expect(sent[1]).toMatchObject({ method: 'POST', path: '/v1/models/m/jobs' });
  expect(JSON.parse(Buffer.from(sent[1]!.body!).toString())).toMatchObject({
    input: { inputs: [{ name: 'x', shape: [1, 2] }] },
  });
  expect(stdout).toMatch(
    /concurrency 1: stable[\s\S]*concurrency 2: stable[\s\S]*concurrency +req\/s/u,
  );
});

test('a share of errors above what is allowed ends with 1', async () => {
  let count = 0;
  const answer = (): ScriptedAnswer => {
    count += 1;
    return count % 8 === 0 ? { status: 503, body: { code: 'queue_full' }, afterMs: 10 } : succeeded;
  };
  const strict = await run(`m ${quick} --max-errors 5`, { answer });
  expect(strict.code).toBe(1);
  expect(strict.stderr).toMatch(/: [\d.]+ % of the requests failed; --max-errors allows 5 %\n$/u);
  expect(strict.stdout).toMatch(/503 +queue_full +\d+ +1\d\.\d %/u);
  expect((await run(`m ${quick} --max-errors 15`, { answer })).code).toBe(0);
});

test('a folder that files cannot be written to is told before anything is sent', async () => {
  const { code, stderr, sent } = await run(`m ${quick} --csv ${join(folder, 'no', 'x.csv')}`);
  expect([code, sent.length]).toEqual([2, 0]);
  expect(stderr).toMatch(/^inferry: --csv .*x\.csv: ENOENT/u);
});

test('a folder in the place of a file is told before anything is sent', async () => {
  const { code, stderr, sent } = await run(`m ${quick} --json ${folder}`);
  expect([code, sent.length]).toEqual([2, 0]);
  expect(stderr).toBe(`inferry: --json ${folder}: is a folder\n`);
});

test('a file that cannot be written at the end is told, after the tables', async () => {
  const place = join(folder, 'gone');
  await mkdir(place);
  const answer = (): ScriptedAnswer => {
    rmSync(place, { recursive: true, force: true });
    return succeeded;
  };
  const { code, stdout, stderr } = await run(`m ${quick} --json ${place}/x.json`, { answer });
  expect(code).toBe(1);
  expect(stdout).toContain('concurrency 1: stable');
  expect(stderr).toMatch(/--json .*x\.json: ENOENT/u);
});

test('a document on standard output is alone there', async () => {
  const file = join(folder, 'x.json');
  const { stdout, stderr } = await run(`m ${quick} --csv - --json ${file}`);
  expect(stdout).toMatch(/^model,url.*\r\nm,http/u);
  expect(stderr).toContain('concurrency 1: stable');
  expect(JSON.parse(await readFile(file, 'utf8'))).toMatchObject({ schema: 1, model: 'm' });
});

test('a model whose dimensions are not known needs a shape or an input', async () => {
  const answer = (): ScriptedAnswer => succeeded;
  const { code, stderr } = await run(`m ${quick} --shape y:1`, { answer });
  expect([code, stderr]).toEqual([2, 'inferry: --shape: the model has no input "y", it has x\n']);
});

test('there are as many connections as requests can be open', () => {
  expect(connectionsFor(optionsOf('m --concurrency 1,8,4'))).toBe(8);
  expect(connectionsFor(optionsOf('m --request-rate 5 --in-flight-max 70'))).toBe(70);
});
