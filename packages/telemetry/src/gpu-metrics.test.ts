import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { VirtualClock } from '@inferry/runtime';
import { waitFor } from '@inferry/testkit';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { parseExposition } from './exposition.ts';
import { startGpuMetrics } from './gpu-metrics.ts';
import { createLogger } from './logger.ts';
import { createMetrics } from './metrics.ts';

const pathBefore = process.env['PATH'] ?? '';
let folder: string;
let clock: VirtualClock;
let lines: string[];
let stop: () => void;
let metrics: ReturnType<typeof createMetrics<'worker'>>;

beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'inferry-nvidia-'));
  process.env['PATH'] = `${folder}${delimiter}${pathBefore}`;
  clock = new VirtualClock();
  lines = [];
  stop = () => undefined;
  metrics = createMetrics('worker', { version: '0', revision: '', onnxruntime: 'none' }, clock);
});
afterEach(async () => {
  stop();
  process.env['PATH'] = pathBefore;
  await rm(folder, { recursive: true });
});

/** A stand-in for the driver's tool, found on the PATH like it; `asked` counts the calls. */
async function nvidiaSmi(script: string): Promise<void> {
  const file = join(folder, 'nvidia-smi');
  const text = `#!/bin/sh\necho "$@" >> ${join(folder, 'asked')}\n${script}\n`;
  await writeFile(file, text);
  await chmod(file, 0o755);
}

async function calls(): Promise<readonly string[]> {
  return (await readFile(join(folder, 'asked'), 'utf8').catch(() => '')).trim().split('\n');
}

function start(gpu = '1'): void {
  const logger = createLogger({
    role: 'worker',
    level: 'info',
    destination: { write: (line) => void lines.push(line) },
  });
  stop = startGpuMetrics({ clock, logger, metrics, gpu });
}

/** Series of the GPU by their names without `inferry_gpu_`. */
async function told(): Promise<Readonly<Record<string, number>>> {
  const found = parseExposition(await metrics.text());
  const own = /^inferry_gpu_(?<name>\w+)\{gpu="(?<gpu>[^"]*)"\}$/u;
  return Object.fromEntries(
    [...found].flatMap(([series, value]) => {
      const { name, gpu } = own.exec(series)?.groups ?? {};
      return name === undefined ? [] : [[`${name} ${gpu}`, value]];
    }),
  );
}

test('memory and utilization of the one GPU are told in bytes and as a share, and again every 10 s', async () => {
  await nvidiaSmi("echo '1024, 81559, 37'");
  start();
  await waitFor(async () => Object.keys(await told()).length === 3);
  expect(await told()).toEqual({
    'memory_used_bytes 1': 1_024 * 1_048_576,
    'memory_total_bytes 1': 81_559 * 1_048_576,
    'utilization_ratio 1': 0.37,
  });
  expect(await calls()).toEqual([
    '--query-gpu=memory.used,memory.total,utilization.gpu --format=csv,noheader,nounits -i 1',
  ]);
  await nvidiaSmi("echo '2048, 81559, 0'");
  await clock.advance(10_000);
  await waitFor(async () => (await told())['utilization_ratio 1'] === 0);
  expect((await told())['memory_used_bytes 1']).toBe(2_048 * 1_048_576);
  expect(lines).toEqual([]);
});

test('what a GPU does not tell, such as the utilization of a part of it (MIG), is absent, and logged once', async () => {
  await nvidiaSmi("echo '512, 20096, [N/A]'");
  start();
  await waitFor(() => lines.length === 1);
  expect(Object.keys(await told())).toEqual(['memory_used_bytes 1', 'memory_total_bytes 1']);
  expect(lines[0]).toContain('[N/A]');
  await clock.advance(10_000);
  await waitFor(async () => (await calls()).length === 2);
  expect(lines).toHaveLength(1);
});

test('a GPU that is lost is not told of any more', async () => {
  await nvidiaSmi("echo '512, 20096, 5'");
  start('GPU-1234');
  await waitFor(async () => (await told())['memory_used_bytes GPU-1234'] !== undefined);
  await nvidiaSmi("echo 'Unable to determine the device handle' >&2; exit 15");
  await clock.advance(10_000);
  await waitFor(() => lines.length === 1);
  expect(await told()).toEqual({});
});

test('where nvidia-smi is missing, that is logged once and nothing is told', async () => {
  process.env['PATH'] = folder;
  start();
  await waitFor(() => lines.length === 1);
  expect(lines[0]).toContain('ENOENT');
  await clock.advance(30_000);
  expect([await told(), lines.length]).toEqual([{}, 1]);
});

test('one that hangs is killed after 8 s, and none is started beside it', async () => {
  await nvidiaSmi(`echo $$ > ${join(folder, 'pid')}; exec sleep 600`);
  start();
  await waitFor(async () => (await readFile(join(folder, 'pid'), 'utf8').catch(() => '')) !== '');
  const pid = Number(await readFile(join(folder, 'pid'), 'utf8'));
  await clock.advance(7_999);
  expect(isAlive(pid)).toBe(true);
  expect(await calls()).toHaveLength(1);
  await clock.advance(1);
  await waitFor(() => lines.length === 1);
  await waitFor(() => !isAlive(pid));
  await nvidiaSmi("echo '1, 2, 3'");
  await clock.advance(2_000);
  await waitFor(async () => (await told())['utilization_ratio 1'] === 0.03);
});

test('once stopped, it asks no more and leaves no child behind', async () => {
  await nvidiaSmi(`echo $$ > ${join(folder, 'pid')}; exec sleep 600`);
  start();
  await waitFor(async () => (await readFile(join(folder, 'pid'), 'utf8').catch(() => '')) !== '');
  const pid = Number(await readFile(join(folder, 'pid'), 'utf8'));
  stop();
  await waitFor(() => !isAlive(pid));
  await clock.advance(60_000);
  expect(await calls()).toHaveLength(1);
  expect([lines, clock.pendingTimers]).toEqual([[], 0]);
});

function isAlive(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}
