import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { VirtualClock } from '@inferry/runtime';
import { createLogger, createMetrics } from '@inferry/telemetry';
import { waitFor } from '@inferry/testkit';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { watchGpu } from './gpu.ts';

const path = process.env['PATH'] ?? '';
const logger = createLogger({ role: 'worker', level: 'silent' });
let folder: string;
let clock: VirtualClock;

beforeEach(async () => {
  clock = new VirtualClock();
  folder = await mkdtemp(join(tmpdir(), 'inferry-nvidia-'));
  const tool = join(folder, 'nvidia-smi');
  await writeFile(tool, `#!/bin/sh\necho "$4" >> ${join(folder, 'asked')}\necho 1, 2, 3\n`);
  await chmod(tool, 0o755);
  process.env['PATH'] = `${folder}${delimiter}${path}`;
});
afterEach(async () => {
  process.env['PATH'] = path;
  await rm(folder, { recursive: true });
});

function asked(): Promise<string> {
  return readFile(join(folder, 'asked'), 'utf8').catch(() => '');
}

function watch(
  kind: 'cpu' | 'cuda',
  gpuMetrics: 'auto' | 'off',
  index: number,
  visibleGpus: string | null,
) {
  const metrics = createMetrics('worker', { version: '0', revision: '', onnxruntime: '' }, clock);
  const config = { device: { kind, index }, gpuMetrics } as const;
  return { metrics, stop: watchGpu(config, { clock, logger, visibleGpus }, metrics) };
}

test.each([
  [1, null, '1'],
  [1, '4, 6', '6'],
  [0, 'GPU-8f6d', 'GPU-8f6d'],
  [3, '4,6', '3'],
])(
  'GPU %i is asked for as the driver names it, where CUDA sees %s',
  async (index, visible, gpu) => {
    const { metrics, stop } = watch('cuda', 'auto', index, visible);
    await waitFor(async () =>
      (await metrics.text()).includes(`gpu_memory_used_bytes{gpu="${gpu}"}`),
    );
    stop();
    expect(await asked()).toBe(`${gpu}\n`);
    expect(clock.pendingTimers).toBe(0);
  },
);

test('a worker on a CPU asks nobody, nor does one whose GPU another tells of', async () => {
  for (const { stop } of [watch('cpu', 'auto', 0, null), watch('cuda', 'off', 0, null)]) {
    expect(clock.pendingTimers).toBe(0);
    stop();
  }
  expect(await asked()).toBe('');
});
