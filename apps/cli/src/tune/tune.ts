/**
 * `inferry tune MODEL`: measures the settings that make sense on this machine, each in a process of its own,
 * and says which is best for the latency target, or that none keeps it.
 */
import { availableParallelism, loadavg } from 'node:os';
import {
  encodeInput,
  fullInputs,
  isComposed,
  type ModelManifest,
  type ProviderKind,
} from '@inferry/contracts';
import { type Clock, ok, type Random, type Result } from '@inferry/runtime';
import { batchOverheadMs } from '@inferry/worker';
import type { Environment } from '../config.ts';
import { findModel } from '../find-model.ts';
import { hardwareName } from '../roles/hardware.ts';
import { readSamples } from '../samples.ts';
import { choose, type Goal } from './choose.ts';
import { type CurvePoint, learnedFrom, type Setup, type SetupCurve } from './curve.ts';
import { measureInProcess } from './measure-in-process.ts';
import type { TuneOptions } from './options.ts';
import { figure } from './plot.ts';
import { reportJson, reportText, setupText, type TuneResult } from './report.ts';
import { setupsFor } from './setups.ts';
import { storeProfile, writeSettings } from './write.ts';

export interface TuneDeps {
  readonly clock: Clock;
  readonly random: Random;
  readonly env: Environment;
  /** What follows the path of node, up to the script. */
  readonly argv: readonly string[];
  /** Width of the terminal. */
  readonly columns: number;
  readonly print: (text: string) => void;
  readonly complain: (text: string) => void;
  /** Shows what is being done, where somebody watches; an empty text takes it away. */
  readonly progress: (text: string) => void;
}

/** Few models gain from more. */
const rowsTriedMax = 256;

/** 0: found; 1: nothing keeps the target, or something failed; 2: the model or the inputs are not usable. */
export async function tune(options: TuneOptions, deps: TuneDeps): Promise<0 | 1 | 2> {
  const found = await findModel(options.modelsDir, options.model, options.version);
  if (!found.ok) return refuse(deps, found.error, 2);
  const manifest = found.value;
  if (isComposed(manifest)) return refuse(deps, noRuns(manifest), 2);
  if (options.write && manifest.modelConfig !== undefined) return refuse(deps, noYaml(manifest), 2);
  const payloads = await readPayloads(options, manifest);
  if (!payloads.ok) return refuse(deps, payloads.error, 2);
  const kind = providerOf(options, manifest);
  const goal: Goal = {
    latencyTargetMs: options.latencyTargetMs ?? manifest.latencyTargetMs,
    rowsMax: rowsMaxOf(options, manifest),
    overheadMs: batchOverheadMs,
  };
  const now: Setup = {
    threads: manifest.session.intraOpThreads,
    instances: manifest.instances.find((group) => group.kind === kind)?.count ?? 1,
  };
  if (payloads.value.length === 0) warnOfZeros(manifest, deps);
  warnOfLoad(deps);
  const measured = await measureAll({
    manifest,
    kind,
    goal,
    now,
    options,
    deps,
    payloads: payloads.value,
  });
  const best = choose(measured.curves, goal);
  if (best === null) {
    const reasons = new Set(measured.failures.map(({ reason }) => reason));
    return refuse(deps, [...reasons].join('\n') || 'there was no time to measure anything', 1);
  }
  const result: TuneResult = {
    model: `${manifest.name}@${manifest.version}`,
    device: kind === 'cpu' ? 'cpu' : `${kind}:${options.device.index}`,
    hardware: hardwareName(options.device),
    inputs: payloads.value.length,
    goal,
    now,
    ...measured,
    best,
  };
  deps.print(
    options.asJson
      ? `${JSON.stringify(reportJson(result), null, 2)}\n`
      : reportText(result, deps.columns),
  );
  if (!best.isFeasible) return 1;
  return options.write ? write(result, manifest, kind, options, deps) : 0;
}

function noRuns({ name }: ModelManifest): string {
  return `${name} runs nothing itself: measure the models of its steps`;
}

/** Both files describe a model; with both, neither is served. */
function noYaml({ name }: ModelManifest): string {
  return `${name} has a config.pbtxt, and --write writes a model.yaml: run without it, and set what it finds (max_batch_size, instance_group, intra_op_thread_count) by hand`;
}

async function readPayloads(
  { inputs }: TuneOptions,
  manifest: ModelManifest,
): Promise<Result<readonly Uint8Array[], string>> {
  if (inputs.length === 0) return ok([]);
  const samples = await readSamples(inputs, manifest, '--input');
  if (!samples.ok) return samples;
  return ok(samples.value.map(({ row }) => encodeInput({ form: 'pipeline', rows: [row] })));
}

/** A GPU runs a model with TensorRT where the model asks for that and for nothing else. */
function providerOf({ device }: TuneOptions, { instances }: ModelManifest): ProviderKind {
  if (device.kind === 'cpu') return 'cpu';
  const kinds = new Set(instances.map((group) => group.kind));
  return kinds.has('tensorrt') && !kinds.has('cuda') ? 'tensorrt' : 'cuda';
}

function rowsMaxOf({ rowsMax }: TuneOptions, { maxBatchSize }: ModelManifest): number {
  if (maxBatchSize === 0) return 1;
  return rowsMax ?? Math.max(rowsTriedMax, maxBatchSize);
}

function warnOfZeros(manifest: ModelManifest, { complain }: TuneDeps): void {
  const { preprocess } = manifest;
  const isSampled = manifest.warmupSamples !== undefined;
  const varying = fullInputs(manifest).filter(
    ({ shape }) => !isSampled && shape.slice(1).includes(-1),
  );
  for (const { name } of varying) {
    complain(`inferry: input "${name}" has dimensions that vary; they are 1 in these runs\n`);
  }
  if (preprocess.kind === 'none') return;
  complain('inferry: without --input the preparation of inputs is not measured\n');
}

/** What else runs is measured along. */
function warnOfLoad({ complain }: TuneDeps): void {
  const [load = 0] = loadavg();
  const cores = availableParallelism();
  if (load <= cores / 2) return;
  const how = `load ${figure(load)} on ${cores} cores`;
  complain(
    `inferry: this machine has other work (${how}), and the figures are those of a busy one\n`,
  );
}

async function measureAll({
  deps,
  goal,
  kind,
  manifest,
  now,
  options,
  payloads,
}: {
  readonly manifest: ModelManifest;
  readonly kind: ProviderKind;
  readonly goal: Goal;
  readonly now: Setup;
  readonly options: TuneOptions;
  readonly deps: TuneDeps;
  readonly payloads: readonly Uint8Array[];
}): Promise<Pick<TuneResult, 'curves' | 'failures'>> {
  const { argv, clock, env, progress } = deps;
  const setups = setupsFor(kind, availableParallelism(), now);
  const { jpegDecoder, prepareIn } = options;
  const device = { kind, index: options.device.index };
  const curves: SetupCurve[] = [];
  const failures: (Setup & { readonly reason: string })[] = [];
  let leftMs = options.msMax;
  for (const [i, setup] of setups.entries()) {
    const title = `${i + 1}/${setups.length} ${setupText(setup)}`;
    progress(`${title}: loading`);
    const startedAtMs = clock.nowMs();
    let firstAtMs: number | null = null;
    const onPoint = (point: CurvePoint): void => {
      firstAtMs ??= clock.nowMs();
      progress(`${title}: ${point.rows} rows take ${figure(point.meanMs)} ms`);
    };
    const request = {
      prepareIn,
      jpegDecoder,
      manifest,
      device,
      setup,
      goal,
      msMax: leftMs / (setups.length - i),
      payloads,
    };
    const curve = await measureInProcess(request, { argv, env, clock, onPoint });
    if (curve.ok) curves.push(curve.value);
    else failures.push({ ...setup, reason: curve.error });
    // What one does not need is left to the others.
    leftMs = Math.max(0, leftMs - (clock.nowMs() - (firstAtMs ?? startedAtMs)));
  }
  progress('');
  return { curves, failures };
}

async function write(
  { best, goal }: TuneResult,
  manifest: ModelManifest,
  kind: ProviderKind,
  { device, modelsDir, redis }: TuneOptions,
  deps: TuneDeps,
): Promise<0 | 1> {
  const { curve, point } = best;
  const written = await writeSettings(modelsDir, manifest, {
    maxBatchSize: manifest.maxBatchSize === 0 ? null : point.rows,
    latencyTargetMs: goal.latencyTargetMs,
    instances: { kind, count: curve.instances },
    intraOpThreads: kind === 'cpu' ? curve.threads : null,
  });
  if (!written.ok) return refuse(deps, written.error, 1);
  deps.complain(`inferry: wrote ${written.value.file}\n`);
  if (redis === null) {
    deps.complain('inferry: without REDIS_URL the measured curve is not stored\n');
    return 0;
  }
  const target = {
    redis,
    hardware: hardwareName(device),
    provider: kind,
    instances: curve.instances,
    isPreparedHere: curve.preparedIn === 'compute',
  };
  const stored = await storeProfile(written.value.manifest, learnedFrom(curve), target, deps);
  if (!stored.ok) return refuse(deps, `the measured curve was not stored: ${stored.error}`, 1);
  deps.complain('inferry: stored the measured curve; the next worker starts from it\n');
  return 0;
}

function refuse<Code extends 1 | 2>({ complain }: TuneDeps, reason: string, code: Code): Code {
  complain(`inferry: ${reason}\n`);
  return code;
}
