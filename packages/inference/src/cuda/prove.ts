/** Shows that a CUDA run happens where a GPU is, with its provider and its figure, and says so where none is. */
import { err, ok, type Result } from '@inferry/runtime';
import type { Tensor } from '@inferry/contracts';
import { plainReason } from '../onnx/reason.ts';
import { missingProviderFile, onnxLibraryDirectory } from '../onnx/providers.ts';
import type { Device } from '../port.ts';
import { runCommand } from './run-command.ts';

const lookUpMsMax = 10_000;

export interface CudaProof {
  /** Provider that ONNX Runtime's own profile names for nodes of this model. */
  readonly provider: string;
  /** Name of the GPU. */
  readonly device: string;
  /** Median of one run of the same batch, ms. */
  readonly cpuMs: number;
  readonly cudaMs: number;
  /** Largest difference between the two answers, over all FP32 outputs. */
  readonly maxAbsError: number;
}

/** The error says what is missing: a GPU, the provider files, a library, or a node that ran on CUDA. */
export async function proveCuda(modelFile: string): Promise<Result<CudaProof, string>> {
  const query = ['--query-gpu=name', '--format=csv,noheader', '--id=0'];
  const gpu = await runCommand('nvidia-smi', query, lookUpMsMax);
  if (gpu.code !== 0) return err('no NVIDIA GPU here: nvidia-smi did not name one');
  const missing = missingProviderFile('cuda', onnxLibraryDirectory());
  if (missing !== undefined) return err(`${missing} is not installed; run: inferry setup cuda`);
  const compared = await compareWithCpu(modelFile, { kind: 'cuda', index: 0 });
  if (!compared.ok) return compared;
  const { provider, cpuMs, deviceMs, maxAbsError } = compared.value;
  return ok({ provider, device: gpu.output.trim(), cpuMs, cudaMs: deviceMs, maxAbsError });
}

interface Comparison {
  readonly provider: string;
  readonly cpuMs: number;
  readonly deviceMs: number;
  readonly maxAbsError: number;
}

/**
 * Runs the model on the CPU and on `device` with the same inputs.
 * @internal exported for its test
 */
export async function compareWithCpu(
  modelFile: string,
  device: Device,
): Promise<Result<Comparison, string>> {
  try {
    // Only now: whoever imports this package's entry must not load ONNX Runtime into its main thread.
    const { measure } = await import('./measure.ts');
    const reference = await measure(modelFile, { kind: 'cpu', index: 0 });
    const measured = await measure(modelFile, device);
    if (measured.provider === undefined) return err(`no node of the model ran on ${device.kind}`);
    return ok({
      provider: measured.provider,
      cpuMs: reference.runMs,
      deviceMs: measured.runMs,
      maxAbsError: maxAbsError(reference.outputs, measured.outputs),
    });
  } catch (cause) {
    return err(plainReason(cause));
  }
}

function maxAbsError(expected: readonly Tensor[], actual: readonly Tensor[]): number {
  let largest = 0;
  for (const [position, tensor] of expected.entries()) {
    const other = actual[position];
    if (tensor.datatype !== 'FP32' || other === undefined) continue;
    const [a, b] = [floatsOf(tensor), floatsOf(other)];
    for (const [index, value] of a.entries()) {
      largest = Math.max(largest, Math.abs(value - (b[index] ?? Number.NaN)));
    }
  }
  return largest;
}

function floatsOf({ bytes }: Tensor): Float32Array {
  return new Float32Array(bytes.slice().buffer);
}
