/**
 * schemathesis (from PyPI) against real processes: `npm run test:schema`. It makes requests from our OpenAPI document,
 * ones that fit it and ones that do not, and compares what comes with what the document says. What it does is in
 * schemathesis.toml, with the reason for what it does not. Needs python3 with venv, and the first time a package index.
 */
import { spawn } from 'node:child_process';
import { cp, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { type AppProcess, startProcess } from '@inferry/testkit';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { pythonPackages } from '../python-packages.ts';
import { demoModels, readiness } from '../system.ts';

const folder = import.meta.dirname;
/** They change what every other operation finds, and so have a server of their own. */
const control = '/(?:un)?load$';

let programs: string;
let place: string;
let server: AppProcess;
beforeAll(async () => {
  programs = await pythonPackages('schema', join(folder, 'requirements.txt'));
  place = await mkdtemp(join(tmpdir(), 'inferry-schema-'));
  await cp(demoModels, place, { recursive: true });
  for (const model of ['iris', 'digits']) {
    await writeFile(join(place, model, 'versions.yaml'), 'labels: {stable: "1"}\n');
  }
});
afterAll(() => rm(place, { recursive: true, force: true }));

async function findings(argv: readonly string[]): Promise<{ code: number | null; told: string }> {
  const env = { PORT: '0', METRICS_PORT: '0', INFERRY_LOG_LEVEL: 'info' };
  server = startProcess(['serve', place], { env });
  try {
    const { url } = await readiness(server, 'serve');
    const config = ['--config-file', join(folder, 'schemathesis.toml'), '--no-color'];
    const words = [...config, 'run', `${url}/openapi.json`, ...argv];
    const child = spawn(join(programs, 'schemathesis'), words, { cwd: place });
    let told = '';
    for (const stream of [child.stdout, child.stderr]) {
      stream.on('data', (chunk: Buffer) => void (told += chunk.toString()));
    }
    const code = await new Promise<number | null>((resolve) => void child.once('close', resolve));
    return { code, told };
  } finally {
    await server.stop();
  }
}

test.each([
  ['reads and asks', ['--exclude-path-regex', control]],
  ['changes what is served', ['--include-path-regex', control]],
])('schemathesis finds nothing in what %s', async (_, argv) => {
  const { code, told } = await findings(argv);
  expect(told).toContain('Test cases:');
  expect(code, told.slice(-20_000)).toBe(0);
});
