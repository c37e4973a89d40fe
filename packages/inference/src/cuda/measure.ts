/**
 * One model run on one device, in this thread: what it answered, how long it took, and which providers ran
 * its nodes. Loads ONNX Runtime; only `prove.ts` imports it, when it is called.
 */
import type { Datatype, Tensor } from '@inferry/contracts';
import { invariant, type Random, seededRandom } from '@inferry/runtime';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { InferenceSession, type Tensor as OrtTensor } from 'onnxruntime-node';
import { datatypeOf, numericTensor, tensorOf } from '../onnx/ort-tensor.ts';
import {
  executedProviders,
  executionProviders,
  profileOptions,
  providerNames,
} from '../onnx/session.ts';
import { zeros } from '../onnx/zeros.ts';
import type { Device } from '../port.ts';

const rows = 8;
const timedRuns = 20;

export interface Measured {
  /** Name of the provider asked for, when it ran at least one node; undefined otherwise. */
  readonly provider: string | undefined;
  /** Median of one run, ms. */
  readonly runMs: number;
  readonly outputs: readonly Tensor[];
}

/** Runs the model on reproducible noise (FP32 inputs; zeros elsewhere). Throws what ONNX Runtime throws. */
export async function measure(modelFile: string, device: Device): Promise<Measured> {
  const profile = await mkdtemp(join(tmpdir(), 'inferry-'));
  try {
    const session = await InferenceSession.create(modelFile, {
      executionProviders: executionProviders(device),
      logSeverityLevel: 3,
      ...profileOptions(profile),
    });
    const feeds = noise(session.inputMetadata);
    const results = await session.run(feeds);
    session.endProfiling();
    const timesMs: number[] = [];
    for (let run = 0; run < timedRuns; run += 1) {
      const startedMs = performance.now();
      await session.run(feeds);
      timesMs.push(performance.now() - startedMs);
    }
    const name = providerNames[device.kind];
    const used = await executedProviders(profile);
    await session.release();
    return {
      provider: used.has(name) ? name : undefined,
      runMs: timesMs.toSorted((a, b) => a - b)[timedRuns / 2] ?? 0,
      outputs: session.outputNames.map((output) => tensorOf(output, results[output] as OrtTensor)),
    };
  } finally {
    await rm(profile, { recursive: true, force: true });
  }
}

function noise(inputs: readonly InferenceSession.ValueMetadata[]): Record<string, OrtTensor> {
  const random = seededRandom(1);
  const feeds: Record<string, OrtTensor> = {};
  for (const input of inputs) {
    invariant(input.isTensor, `input "${input.name}" is a tensor`);
    const datatype = datatypeOf(input.type);
    invariant(datatype !== undefined, `input "${input.name}" has a known type`);
    const shape = input.shape.map((dimension) => (typeof dimension === 'number' ? dimension : -1));
    const tensor = zeros({ name: input.name, datatype, shape }, rows);
    fill(datatype, tensor.bytes, random);
    feeds[input.name] = numericTensor(datatype, tensor.shape, tensor.bytes);
  }
  return feeds;
}

function fill(datatype: Datatype, bytes: Uint8Array, random: Random): void {
  if (datatype !== 'FP32') return;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (let at = 0; at < bytes.byteLength; at += 4) view.setFloat32(at, random.unit(), true);
}
