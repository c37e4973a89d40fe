/** One InferenceSession: created on the device asked for, warmed, and its provider proved by a run. */
import type { ProviderKind } from '@inferry/contracts';
import { err, ok, type Result } from '@inferry/runtime';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { env, InferenceSession } from 'onnxruntime-node';
import type { Device, Item, WarmupRun } from '../port.ts';
import { Stacker } from './batch.ts';
import { datatypeOf } from './ort-tensor.ts';
import { plainReason } from './reason.ts';
import { asRun } from './reshape.ts';
import type { ThreadStart } from './thread-messages.ts';
import { sampledInputs, sampleTensors } from './warmup-samples.ts';
import { zeros } from './zeros.ts';

/** ONNX Runtime's severities: 3 is error. Its warnings about optimisation are nothing to act on. */
const errorsOnly = 3;
/** Timed warm-up runs of a size: so many, or fewer when they take long. */
const timedRunsMax = 3;
const timedMsMax = 500;

export interface WarmSession {
  readonly session: InferenceSession;
  readonly provider: ProviderKind;
  readonly sessionMs: number;
  readonly warmupMs: number;
  readonly warmupRuns: readonly WarmupRun[];
}

/**
 * Creates and warms the session. The error is a reason for the operator: the file cannot be loaded, an
 * output is of a kind we do not have, the provider is missing, a warm-up run threw, or nothing of the
 * model ran on the device asked for.
 */
export async function openSession(start: ThreadStart): Promise<Result<WarmSession, string>> {
  env.logLevel = 'error';
  const profile = start.device.kind === 'cpu' ? null : await mkdtemp(join(tmpdir(), 'inferry-'));
  try {
    const startedMs = performance.now();
    const session = await InferenceSession.create(start.file, {
      executionProviders: executionProviders(start.device),
      intraOpNumThreads: start.session.intraOpThreads,
      interOpNumThreads: start.session.interOpThreads ?? 1,
      executionMode: start.session.executionMode ?? 'sequential',
      enableCpuMemArena: start.session.hasMemoryArena ?? true,
      enableMemPattern: start.session.hasMemoryPattern ?? true,
      graphOptimizationLevel: start.session.graphOptimization,
      logSeverityLevel: errorsOnly,
      ...(profile === null ? {} : profileOptions(profile)),
    });
    const sessionMs = performance.now() - startedMs;
    const outputs = start.outputs.map((output) => output.name);
    const unknown = unknownOutput(session, outputs);
    if (unknown !== undefined) return err(unknown);

    const warmupRuns = await warm(session, start, profile !== null);
    const warmupMs = performance.now() - startedMs - sessionMs;
    if (profile !== null) {
      const wanted = providerNames[start.device.kind];
      const used = await executedProviders(profile);
      if (!used.has(wanted)) {
        return err(`no part of the model ran on ${start.device.kind}, only on ${[...used].join()}`);
      }
    }
    return ok({ session, provider: start.device.kind, sessionMs, warmupMs, warmupRuns });
  } catch (cause) {
    return err(plainReason(cause));
  } finally {
    if (profile !== null) await rm(profile, { recursive: true, force: true });
  }
}

/** CPU is ONNX Runtime's own last resort for single operators; the first one is demanded and never replaced. */
export function executionProviders(device: Device): InferenceSession.ExecutionProviderConfig[] {
  const cuda = { name: 'cuda', deviceId: device.index } as const;
  switch (device.kind) {
    case 'cpu':
      return ['cpu'];
    case 'cuda':
      return [cuda];
    case 'tensorrt':
      return [{ name: 'tensorrt', deviceId: device.index } as const, cuda];
  }
}

export const providerNames = {
  cpu: 'CPUExecutionProvider',
  cuda: 'CUDAExecutionProvider',
  tensorrt: 'TensorrtExecutionProvider',
} as const;

function unknownOutput(session: InferenceSession, wanted: readonly string[]): string | undefined {
  for (const name of wanted) {
    const metadata = session.outputMetadata.find((candidate) => candidate.name === name);
    if (metadata === undefined) return `the file has no output "${name}"`;
    if (!metadata.isTensor) return `output "${name}" is not a tensor`;
    if (datatypeOf(metadata.type) === undefined) {
      return `output "${name}" is ${metadata.type}, which cannot be answered`;
    }
  }
  return undefined;
}

/** For each row count one run that pays for allocations and kernel choice, and up to 3 that show what is left. */
async function warm(
  session: InferenceSession,
  start: ThreadStart,
  isProfiled: boolean,
): Promise<readonly WarmupRun[]> {
  const stacker = new Stacker();
  const timed: WarmupRun[] = [];
  let isProfiling = isProfiled;
  const outputs = start.outputs.map((output) => output.name);
  const runOnce = async (item: Item): Promise<void> => {
    await session.run(stacker.stack([asRun(item, start.inputs)]), outputs);
    if (isProfiling) session.endProfiling();
    isProfiling = false;
  };
  for (const sample of start.warmupSamples) {
    const item: Item = { tensors: await sampleTensors(sample), rows: sample.rows };
    for (let i = 0; i < sample.count; i += 1) await runOnce(item);
  }
  const inputs = sampledInputs(start);
  for (const rows of start.isBatched ? start.warmupRows : [1]) {
    const item: Item = { tensors: inputs.map((input) => zeros(input, rows)), rows };
    await runOnce(item);
    let spentMs = 0;
    for (let i = 0; i < timedRunsMax && spentMs < timedMsMax; i += 1) {
      const feeds = stacker.stack([asRun(item, start.inputs)]);
      const startedMs = performance.now();
      await session.run(feeds, outputs);
      const ms = performance.now() - startedMs;
      timed.push({ rows, ms });
      spentMs += ms;
    }
  }
  return timed;
}

export function profileOptions(directory: string): InferenceSession.SessionOptions {
  return { enableProfiling: true, profileFilePrefix: join(directory, 'run') };
}

/** Names of the providers that ran at least one node, out of the profile written into `directory`. */
export async function executedProviders(directory: string): Promise<Set<string>> {
  const used = new Set<string>();
  for (const file of await readdir(directory)) {
    const events = JSON.parse(await readFile(join(directory, file), 'utf8')) as readonly {
      readonly args?: { readonly provider?: string };
    }[];
    for (const event of events) {
      if (event.args?.provider !== undefined) used.add(event.args.provider);
    }
  }
  return used;
}
