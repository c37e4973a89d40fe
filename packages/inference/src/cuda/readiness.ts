/** What a CUDA device of this machine lacks, found without loading a model. */
import { missingProviderFile, onnxLibraryDirectory } from '../onnx/providers.ts';
import { adviceFor, missingLibraries } from './libraries.ts';
import { runCommand, type RunCommand } from './run-command.ts';

export interface CudaReadiness {
  /** `NVIDIA H200, driver 580.65.06`; null when the driver names no such device. */
  readonly device: string | null;
  /** The first file of the execution provider that is not in place; null when all are. */
  readonly missingFile: string | null;
  /** User libraries that were found nowhere. */
  readonly missingLibraries: readonly string[];
  /** How to get them, for a terminal. */
  readonly advice: readonly string[];
}

const lookUpMsMax = 10_000;

/** Of device `index`; `libraryPath` is the value of LD_LIBRARY_PATH, '' when unset. */
export async function cudaReadiness(
  index: number,
  libraryPath: string,
  run: RunCommand = runCommand,
): Promise<CudaReadiness> {
  const query = ['--query-gpu=name,driver_version', '--format=csv,noheader', `--id=${index}`];
  const gpu = await run('nvidia-smi', query, lookUpMsMax);
  const cache = await run('ldconfig', ['-p'], lookUpMsMax);
  const missing = missingLibraries(cache.code === 0 ? cache.output : '', libraryPath);
  return {
    device: gpu.code === 0 ? gpu.output.trim().replace(', ', ', driver ') : null,
    missingFile: missingProviderFile('cuda', onnxLibraryDirectory()) ?? null,
    missingLibraries: missing,
    advice: adviceFor(missing),
  };
}
