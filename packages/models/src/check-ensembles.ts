/**
 * Ensembles against the models of their steps: inputs and outputs are there, and datatypes, dimensions and rows agree
 * all the way from the inputs of the ensemble to its outputs.
 */
import {
  defaultLabel,
  type EnsembleStep,
  fieldShape,
  type ModelManifest,
  type ModelRouting,
  modelsRunBy,
  nestedStepsMax,
  type TensorSpec,
} from '@inferry/contracts';
import type { EnsemblePlace } from './ensemble-graph.ts';
import { type FileProblem, problemText } from './file-problem.ts';
import { shapeText } from './signature-agreement.ts';
import { latestVersion } from './versions.ts';

/** An ensemble that was read, with the lines of its parts. */
export interface EnsembleSource {
  readonly manifest: ModelManifest;
  readonly problemAt: (place: EnsemblePlace, message: string) => FileProblem;
}

/** `models` are all that the repository serves, the models of all steps among them. What is wrong with all versions is told once. */
export function checkEnsembles(
  sources: readonly EnsembleSource[],
  models: readonly ModelManifest[],
  routing: Readonly<Record<string, ModelRouting>>,
): readonly { readonly model: string; readonly problem: FileProblem }[] {
  const told = new Set<string>();
  return sources.flatMap((source) =>
    problemsOf(source, models, routing).flatMap((problem) => {
      const text = problemText(problem);
      if (told.has(text)) return [];
      told.add(text);
      return [{ model: source.manifest.name, problem }];
    }),
  );
}

/** A tensor as its giver has it. */
interface Given {
  readonly spec: TensorSpec;
  readonly rowsMax: number;
  /** As in `input "x" of the ensemble`. */
  readonly from: string;
}

function problemsOf(
  { manifest, problemAt }: EnsembleSource,
  models: readonly ModelManifest[],
  routing: Readonly<Record<string, ModelRouting>>,
): readonly FileProblem[] {
  const problems: FileProblem[] = [];
  const say = (place: EnsemblePlace, message: string): void =>
    void problems.push(problemAt(place, message));
  const steps = manifest.ensemble?.steps ?? [];
  const chosen = steps.map((step) => chosenModel(step, models, routing));
  const given = new Map<string, Given>(
    manifest.inputs.map((spec) => [spec.name, ofEnsemble('input', spec, manifest)]),
  );
  for (const [i, step] of steps.entries()) {
    const model = chosen[i];
    // One that is not served is told where models are looked for.
    if (model === undefined) continue;
    checkNames(i, step, model, say);
    for (const [output, tensor] of Object.entries(step.outputs)) {
      const spec = model.outputs.find(({ name }) => name === output);
      const from = `output "${output}" of "${model.name}"`;
      if (spec !== undefined) given.set(tensor, { spec, rowsMax: model.maxBatchSize, from });
    }
    if (model.maxBatchSize > 0 && model.maxBatchSize < manifest.maxBatchSize) {
      const message = `"${model.name}" takes ${model.maxBatchSize} rows at most, and the ensemble ${manifest.maxBatchSize}`;
      say({ part: 'step', step: i, key: 'model' }, message);
    }
  }
  for (const [i, step] of steps.entries()) {
    const model = chosen[i];
    for (const [input, tensor] of Object.entries(step.inputs)) {
      const spec = model?.inputs.find(({ name }) => name === input);
      const giver = given.get(tensor);
      if (model === undefined || spec === undefined || giver === undefined) continue;
      const from = `input "${input}" of "${model.name}"`;
      const wrong = disagreement(giver, { spec, rowsMax: model.maxBatchSize, from });
      if (wrong !== undefined) say({ part: 'takes', step: i, name: input }, `"${tensor}" ${wrong}`);
    }
  }
  for (const spec of manifest.outputs) {
    const giver = given.get(spec.name);
    const wrong = giver && disagreement(giver, ofEnsemble('output', spec, manifest));
    if (wrong !== undefined) say({ part: 'output', name: spec.name }, `"${spec.name}" ${wrong}`);
  }
  const depth = depthOf(manifest, models, routing);
  if (depth > nestedStepsMax) {
    const message = `models are composed of each other ${depth} levels deep; at most ${nestedStepsMax} are allowed`;
    say({ part: 'steps' }, message);
  }
  return problems;
}

function ofEnsemble(
  side: 'input' | 'output',
  spec: TensorSpec,
  { maxBatchSize }: ModelManifest,
): Given {
  return { spec, rowsMax: maxBatchSize, from: `${side} "${spec.name}" of the ensemble` };
}

/** The version of its model that a step gets; undefined where none is served. */
function chosenModel(
  { model, version }: Pick<EnsembleStep, 'model' | 'version'>,
  models: readonly ModelManifest[],
  routing: Readonly<Record<string, ModelRouting>>,
): ModelManifest | undefined {
  const versions = models.filter(({ name }) => name === model);
  const { labels = {} } = routing[model] ?? {};
  const wanted = version ?? defaultLabel;
  const named =
    versions.find((one) => one.version === wanted) ??
    versions.find((one) => one.version === labels[wanted]);
  return named ?? (version === null ? latestVersion(versions) : undefined);
}

function checkNames(
  i: number,
  step: EnsembleStep,
  { inputs, name, outputs }: ModelManifest,
  say: (place: EnsemblePlace, message: string) => void,
): void {
  const names = (specs: readonly TensorSpec[]): string => specs.map((spec) => spec.name).join(', ');
  for (const key of Object.keys(step.inputs)) {
    if (inputs.some((spec) => spec.name === key)) continue;
    const message = `"${name}" has no input "${key}"; it has: ${names(inputs)}`;
    say({ part: 'takes', step: i, name: key }, message);
  }
  for (const spec of inputs) {
    if (Object.hasOwn(step.inputs, spec.name)) continue;
    say({ part: 'takes', step: i }, `input "${spec.name}" of "${name}" is given nothing`);
  }
  for (const key of Object.keys(step.outputs)) {
    if (outputs.some((spec) => spec.name === key)) continue;
    const message = `"${name}" has no output "${key}"; it has: ${names(outputs)}`;
    say({ part: 'gives', step: i, name: key }, message);
  }
}

/**
 * Why a tensor cannot be what another is. Between a model with rows and one without, either the dimensions of one
 * row agree, or those of all of them.
 */
function disagreement(giver: Given, taker: Given): string | undefined {
  const { from, spec } = giver;
  const other = taker.spec;
  if (spec.datatype !== other.datatype) {
    return `is ${spec.datatype} as ${from}, and ${other.datatype} as ${taker.from}`;
  }
  const row = (one: Given): readonly number[] => fieldShape(one.spec, one.rowsMax);
  if (agree(row(giver), row(taker)) || agree(spec.shape, other.shape)) return undefined;
  return `is ${shapeText(spec.shape)} as ${from}, and ${shapeText(other.shape)} as ${taker.from}`;
}

/** What varies in one of them may be whatever the other says: the model that gets it looks again. */
function agree(a: readonly number[], b: readonly number[]): boolean {
  return a.length === b.length && a.every((size, i) => size === -1 || b[i] === -1 || size === b[i]);
}

/** Levels of composed models, this one included. There is no circle: that was looked for before. */
function depthOf(
  manifest: ModelManifest,
  models: readonly ModelManifest[],
  routing: Readonly<Record<string, ModelRouting>>,
): number {
  const depths = new Map<string, number>();
  const depth = (one: ModelManifest): number => {
    const known = depths.get(one.name);
    if (known !== undefined) return known;
    // A circle that is not known as one ends here.
    depths.set(one.name, 0);
    const runs = modelsRunBy(one);
    const below = runs.map((step) => {
      const model = chosenModel(step, models, routing);
      return model === undefined ? 0 : depth(model);
    });
    const own = runs.length === 0 ? 0 : 1 + Math.max(0, ...below);
    depths.set(one.name, own);
    return own;
  };
  return depth(manifest);
}
