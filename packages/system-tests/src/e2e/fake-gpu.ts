/** A machine with a GPU, as far as a worker's metrics go: its tool on the PATH, and a registry that asks it. */
import { chmod, readFile, writeFile } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { systemClock } from '@inferry/runtime';
import {
  createLogger,
  createMetrics,
  startGpuMetrics,
  startMetricsServer,
} from '@inferry/telemetry';

export interface FakeGpu {
  /** Serves the metrics of GPU 0. */
  readonly metricsUrl: string;
  /** The arguments of all calls, one call a line. */
  asked(): Promise<string>;
  close(): Promise<void>;
}

/** Puts an `nvidia-smi` into the folder, and the folder in front of the PATH until it is closed. */
export async function startFakeGpu(folder: string): Promise<FakeGpu> {
  const calls = join(folder, 'calls');
  const script = `#!/bin/sh\necho "$@" >> ${calls}\necho '4096, 81559, 55'\n`;
  await writeFile(join(folder, 'nvidia-smi'), script);
  await chmod(join(folder, 'nvidia-smi'), 0o755);
  const path = process.env['PATH'] ?? '';
  process.env['PATH'] = `${folder}${delimiter}${path}`;
  const metrics = createMetrics('worker', { version: '0', revision: '', onnxruntime: 'none' });
  const logger = createLogger({ role: 'worker', level: 'silent' });
  const health = { livez: () => true, readyz: () => ({ ready: true }) };
  const server = await startMetricsServer({ host: '127.0.0.1', port: 0, metrics, health });
  const stopAsking = startGpuMetrics({ clock: systemClock, logger, metrics, gpu: '0' });
  return {
    metricsUrl: `http://127.0.0.1:${server.port}`,
    asked: () => readFile(calls, 'utf8').catch(() => ''),
    async close() {
      process.env['PATH'] = path;
      stopAsking();
      await server.close();
    },
  };
}
