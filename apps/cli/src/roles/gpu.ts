/** Who tells of the GPU of a worker, if anybody. */
import { startGpuMetrics, type WorkerMetrics } from '@inferry/telemetry';
import type { Config } from '../config.ts';
import type { RoleDeps } from './role.ts';

/** Starts to ask for the GPU of the process, where it has one and nobody else is to tell; returns what stops it. */
export function watchGpu(
  { device, gpuMetrics }: Pick<Config, 'device' | 'gpuMetrics'>,
  { clock, logger, visibleGpus }: Pick<RoleDeps, 'clock' | 'logger' | 'visibleGpus'>,
  metrics: WorkerMetrics,
): () => void {
  if (device.kind === 'cpu' || gpuMetrics === 'off') return () => undefined;
  return startGpuMetrics({ clock, logger, metrics, gpu: gpuOf(device.index, visibleGpus) });
}

/**
 * The GPU as the driver's tools name it. `CUDA_VISIBLE_DEVICES` renumbers GPUs for CUDA and not for them; its
 * entries are indices or UUIDs. https://docs.nvidia.com/cuda/cuda-programming-guide/05-appendices/environment-variables.html
 */
function gpuOf(index: number, visibleGpus: string | null): string {
  const named = visibleGpus?.split(',')[index]?.trim() ?? '';
  return named === '' ? String(index) : named;
}
