/**
 * `inferry models optimize DIR/MODEL`: makes variants of a model, judges each by what it answers to samples,
 * and keeps those that agree with the original. The original is only read, and nothing that is made is
 * served unless somebody moves it.
 */
import { mkdir, mkdtemp, rename, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { isDeepStrictEqual } from 'node:util';
import type { ModelManifest } from '@inferry/contracts';
import { problemText, readOnnxSignature } from '@inferry/models';
import { type Clock, err, invariant, ok, type Result } from '@inferry/runtime';
import { createBackend, ModelPair, optimizeGraph } from '@inferry/worker';
import { findModel } from '../find-model.ts';
import { readSamples, type Sample } from '../samples.ts';
import { accuracyOf, type Judged, type Speed, speedOf } from './accuracy.ts';
import { calibrationMax, writeCalibration } from './calibration.ts';
import type { OptimizeOptions, Variant } from './options.ts';
import { convert, openPython } from './python.ts';
import { optimizeJson, optimizeText, reportJson, type VariantReport } from './report.ts';

export interface OptimizeDeps {
  readonly clock: Clock;
  readonly print: (text: string) => void;
  readonly complain: (text: string) => void;
  readonly progress: (text: string) => void;
}

/** Of as many samples as this, those that calibrate are not among those that judge. */
const disjointMin = 20;
/** Rows of the larger of the two batches that are timed, where the model takes so many. */
const timedRowsMax = 8;
const timedRoundsMax = 100;
const timedRoundsMin = 5;
const timedMsMax = 3_000;

/** 0: all variants are kept; 1: one could not be made, or disagrees; 2: the model or the samples are not usable. */
export async function optimize(options: OptimizeOptions, deps: OptimizeDeps): Promise<0 | 1 | 2> {
  const found = await findModel(options.modelsDir, options.model, options.version);
  if (!found.ok) return refuse(deps, found.error, 2);
  const manifest = found.value;
  if (manifest.file === null) return refuse(deps, `${manifest.name} has no model file`, 2);
  const samples = await readSamples(options.samples, manifest, '--samples');
  if (!samples.ok) return refuse(deps, samples.error, 2);
  const reports: VariantReport[] = [];
  let hasFailed = false;
  for (const variant of options.variants) {
    const report = await makeOne(variant, manifest, samples.value, options, deps);
    deps.progress('');
    if (report.ok) reports.push(report.value);
    else deps.complain(`inferry: ${variant}: ${report.error}\n`);
    hasFailed ||= !report.ok || report.value.folder === null;
  }
  const about = { model: `${manifest.name}@${manifest.version}`, bytes: manifest.fileBytes };
  const { asJson, minAgreement } = options;
  if (reports.length > 0 || asJson) {
    const result = { ...about, minAgreement, reports };
    deps.print(
      asJson ? `${JSON.stringify(optimizeJson(result), null, 2)}\n` : optimizeText(result),
    );
  }
  return hasFailed ? 1 : 0;
}

async function makeOne(
  variant: Variant,
  manifest: ModelManifest,
  samples: readonly Sample[],
  options: OptimizeOptions,
  deps: OptimizeDeps,
): Promise<Result<VariantReport, string>> {
  const folder = join(options.out, `${manifest.version}-${variant}`);
  if (await isThere(folder))
    return err(`${folder} is there already; remove it, or give another --out`);
  try {
    await mkdir(options.out, { recursive: true });
    // Hidden, so that a repository that is read meanwhile passes over it.
    const aside = await mkdtemp(join(options.out, '.making-'));
    try {
      return await makeIn(aside, folder, { variant, manifest, samples, options, deps });
    } finally {
      await rm(aside, { recursive: true, force: true });
    }
  } catch (cause) {
    if (!(cause instanceof Error && 'code' in cause)) throw cause;
    return err(cause.message);
  }
}

interface Making {
  readonly variant: Variant;
  readonly manifest: ModelManifest;
  readonly samples: readonly Sample[];
  readonly options: OptimizeOptions;
  readonly deps: OptimizeDeps;
}

async function makeIn(
  aside: string,
  folder: string,
  making: Making,
): Promise<Result<VariantReport, string>> {
  const { manifest, options, samples, variant } = making;
  const made = join(aside, 'made');
  await mkdir(made);
  const file = join(made, 'model.onnx');
  const calibrates = variant === 'int8-static';
  const calibrating = calibrates ? calibrationOf(samples) : [];
  const written = await writeVariant(file, aside, calibrating, making);
  if (!written.ok) return written;
  const same = await hasSameSignature(file, manifest);
  if (!same.ok) return same;
  const judges =
    samples.length >= disjointMin
      ? samples.filter((sample) => !calibrating.includes(sample))
      : samples;
  const judged = await judge({ ...manifest, file }, judges, making);
  if (!judged.ok) return judged;
  const { accuracy } = judged.value;
  const isKept = accuracy.agreement >= options.minAgreement;
  const report: VariantReport = {
    variant,
    level: variant === 'graph' ? options.level : null,
    calibratedOn: calibrates ? calibrating.length : null,
    judgesCalibrated: calibrates && judges.length === samples.length,
    bytes: (await stat(file)).size,
    ...judged.value,
    folder: isKept ? folder : null,
  };
  if (isKept) {
    await writeFile(join(made, 'report.json'), `${JSON.stringify(reportJson(report), null, 2)}\n`);
    await rename(made, folder);
  }
  return ok(report);
}

/** At most half of the samples, evenly spread: samples of one label stand together. */
function calibrationOf(samples: readonly Sample[]): readonly Sample[] {
  const count = Math.min(calibrationMax, Math.ceil(samples.length / 2));
  const step = samples.length / count;
  return Array.from({ length: count }, (_, i) => samples[Math.floor(i * step)]).filter(
    (sample) => sample !== undefined,
  );
}

async function writeVariant(
  target: string,
  aside: string,
  calibrating: readonly Sample[],
  { deps, manifest, options, variant }: Making,
): Promise<Result<void, string>> {
  const { file: source } = manifest;
  invariant(source !== null, 'the model has a file');
  deps.progress(`making ${variant}`);
  if (variant === 'graph') return optimizeGraph(source, target, options.level);
  const { install, venv } = options;
  const say = (line: string): void => deps.complain(`inferry: ${line}\n`);
  const python = await openPython({ venv, install, say });
  if (!python.ok) return python;
  const rows = calibrating.map(({ row }) => row);
  const calibration = rows.length === 0 ? ok(null) : await writeCalibration(aside, manifest, rows);
  if (!calibration.ok) return calibration;
  return convert(python.value, { variant, source, target, calibration: calibration.value });
}

/** The same names, types and shapes, or it could not be put in the original's place. */
async function hasSameSignature(
  file: string,
  { file: source }: ModelManifest,
): Promise<Result<void, string>> {
  const [made, original] = await Promise.all([
    readOnnxSignature(file),
    readOnnxSignature(source ?? ''),
  ]);
  if (!made.ok) return err(made.error.map(problemText).join('\n'));
  if (!original.ok) return err(original.error.map(problemText).join('\n'));
  const { inputs, outputs } = original.value;
  const isSame =
    isDeepStrictEqual(made.value.inputs, inputs) && isDeepStrictEqual(made.value.outputs, outputs);
  return isSame ? ok(undefined) : err('its inputs or outputs are not those of the original');
}

async function judge(
  variant: ModelManifest,
  samples: readonly Sample[],
  { deps, manifest }: Making,
): Promise<Result<Pick<VariantReport, 'accuracy' | 'speeds'>, string>> {
  const backend = createBackend({ clock: deps.clock, abort: () => process.abort() });
  const opened = await ModelPair.open({ backend, original: manifest, variant });
  if (!opened.ok) return opened;
  const pair = opened.value;
  try {
    const judged: Judged[] = [];
    for (const [i, { label, name, row }] of samples.entries()) {
      deps.progress(`sample ${i + 1} of ${samples.length}`);
      const answer = await pair.answer({ form: 'pipeline', rows: [row] });
      if (!answer.ok) return err(`${name}: ${answer.error}`);
      judged.push({ answer: answer.value, label });
    }
    const speeds: Speed[] = [];
    const most = Math.min(timedRowsMax, manifest.maxBatchSize);
    const [first] = samples;
    invariant(first !== undefined, 'there are samples');
    for (const rows of most > 1 ? [1, most] : [1]) {
      const startedAtMs = deps.clock.nowMs();
      deps.progress(`timing batches of ${rows}`);
      const timings = await pair.time({ form: 'pipeline', rows: [first.row] }, rows, (taken) => {
        const isLate = deps.clock.nowMs() - startedAtMs >= timedMsMax;
        return taken.length >= (isLate ? timedRoundsMin : timedRoundsMax);
      });
      if (!timings.ok) return timings;
      speeds.push(speedOf(rows, timings.value));
    }
    return ok({ accuracy: accuracyOf(judged), speeds });
  } finally {
    await pair.close();
  }
}

async function isThere(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}

function refuse<Code extends 1 | 2>({ complain }: OptimizeDeps, reason: string, code: Code): Code {
  complain(`inferry: ${reason}\n`);
  return code;
}
