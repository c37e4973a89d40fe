/** What computes here, in words: run times that were learned on one machine hold for others like it. */
import { readdirSync, readFileSync } from 'node:fs';
import { availableParallelism, cpus } from 'node:os';
import { join } from 'node:path';

/** The NVIDIA driver's list of devices, one folder each. */
const gpusDirectory = '/proc/driver/nvidia/gpus';

/** `AMD EPYC 7763 64-Core Processor, 8 cores`, `NVIDIA H200`; devices that cannot be told apart share a name. */
export function hardwareName(
  { kind }: { readonly kind: 'cpu' | 'cuda' },
  gpus = gpusDirectory,
): string {
  const cpu = `${cpus()[0]?.model ?? 'unknown processor'}, ${availableParallelism()} cores`;
  // Devices are listed by bus, not by ordinal. Where a machine has several kinds, all of them are named.
  return kind === 'cpu' ? cpu : gpuNames(gpus).join(', ') || 'unknown GPU';
}

function gpuNames(directory: string): readonly string[] {
  try {
    const names = readdirSync(directory).map((device) => {
      const text = readFileSync(join(directory, device, 'information'), 'utf8');
      return /^Model:\s*(?<name>.+?)\s*$/mu.exec(text)?.groups?.['name'] ?? 'unknown GPU';
    });
    return [...new Set(names)].toSorted();
  } catch {
    return [];
  }
}
