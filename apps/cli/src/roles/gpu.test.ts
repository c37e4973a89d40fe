import { chmod, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { VirtualClock } from '@inferry/runtime';
import { createLogger, createMetrics } from '@inferry/telemetry';
import { waitFor } from '@inferry/testkit';
import { expect, test } from 'vitest';
import { gpuOf, watchGpu } from './gpu.ts';

test('a GPU is named as the tools of the driver number it, where CUDA sees a choice of them', () => {
  expect(gpuOf(1, null)).toBe('1');
  expect(gpuOf(1, '4, 6')).toBe('6');
  expect(gpuOf(0, 'GPU-8f6d')).toBe('GPU-8f6d');
  expect(gpuOf(3, '4,6')).toBe('3');
});

test('only a worker on a GPU asks for it, and only where nobody else is to tell', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'inferry-nvidia-'));
  const path = process.env['PATH'] ?? '';
  process.env['PATH'] = `${folder}${delimiter}${path}`;
  const asked = join(folder, 'asked');
  await writeFile(join(folder, 'nvidia-smi'), `#!/bin/sh\necho "$4" >> ${asked}\necho 1, 2, 3\n`);
  await chmod(join(folder, 'nvidia-smi'), 0o755);
  const clock = new VirtualClock();
  const metrics = createMetrics('worker', { version: '0', revision: '', onnxruntime: '' }, clock);
  const logger = createLogger({ role: 'worker', level: 'silent' });
  const deps = { clock, logger, visibleGpus: '7,5' };
  try {
    const stops = [
      watchGpu({ device: { kind: 'cpu', index: 0 }, gpuMetrics: 'auto' }, deps, metrics),
      watchGpu({ device: { kind: 'cuda', index: 0 }, gpuMetrics: 'off' }, deps, metrics),
      watchGpu({ device: { kind: 'cuda', index: 1 }, gpuMetrics: 'auto' }, deps, metrics),
    ];
    await waitFor(async () => (await metrics.text()).includes('gpu_memory_used_bytes{gpu="5"}'));
    for (const stop of stops) stop();
    expect(await readFile(asked, 'utf8')).toBe('5\n');
    expect(clock.pendingTimers).toBe(0);
  } finally {
    process.env['PATH'] = path;
    await rm(folder, { recursive: true });
  }
});
