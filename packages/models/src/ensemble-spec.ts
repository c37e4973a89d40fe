/** What model.yaml says of an ensemble, checked and completed. Its models are looked at in check-ensembles.ts. */
import {
  defaultLimits,
  type EnsembleSpec,
  type ModelManifest,
  type TensorSpec,
} from '@inferry/contracts';
import type { EnsembleSource } from './check-ensembles.ts';
import { checkGraph, type EnsemblePlace } from './ensemble-graph.ts';
import type { FileProblem } from './file-problem.ts';
import type { NamedModel } from './composed-models.ts';
import type { ModelYaml } from './model-yaml-schema.ts';
import type { ParsedModelYaml } from './model-yaml.ts';
import { sessionSettings } from './session-settings.ts';

type EnsembleParts = Required<Pick<ModelManifest, 'ensemble' | 'concurrentMax'>>;

/** Null for every other backend; what does not go together is added to `problems`. */
export function ensembleParts(
  yaml: ParsedModelYaml,
  tensors: Readonly<Record<'inputs' | 'outputs', readonly TensorSpec[]>>,
  problems: FileProblem[],
): EnsembleParts | null {
  const { backend, ensemble } = yaml.config;
  if (backend !== 'ensemble') {
    if (ensemble !== undefined) {
      problems.push(yaml.problemAt(['ensemble'], 'is for backend: ensemble only'));
    }
    return null;
  }
  if (ensemble === undefined) {
    problems.push(yaml.problemAt(['ensemble'], 'is required with backend: ensemble'));
    return null;
  }
  checkUnused(yaml, problems);
  const spec = specOf(ensemble);
  checkGraph({ ...tensors, steps: spec.steps }, (place, message) => {
    problems.push(ensembleProblem(yaml, place, message));
  });
  return { ensemble: spec, concurrentMax: ensemble.concurrent };
}

/** On the line where the ensemble says it. */
function ensembleProblem(
  { config, problemAt }: ParsedModelYaml,
  place: EnsemblePlace,
  message: string,
): FileProblem {
  const steps = ['ensemble', 'steps'];
  switch (place.part) {
    case 'steps':
      return problemAt(steps, message);
    case 'step':
      return problemAt(
        [...steps, place.step, ...(place.key === undefined ? [] : [place.key])],
        message,
      );
    case 'takes':
    case 'gives': {
      const side = place.part === 'takes' ? 'inputs' : 'outputs';
      const name = place.name === undefined ? [] : [place.name];
      return problemAt([...steps, place.step, side, ...name], message);
    }
    case 'input':
    case 'output': {
      const side = `${place.part}s` as const;
      const index = config[side]?.findIndex(({ name }) => name === place.name) ?? -1;
      return problemAt(index === -1 ? [side] : [side, index, 'name'], message);
    }
  }
}

/** Its versions, with the lines of what they say. */
export function ensembleSources(
  yaml: ParsedModelYaml,
  models: readonly ModelManifest[],
): readonly EnsembleSource[] {
  return models.map((manifest) => ({
    manifest,
    problemAt: (place, message) => ensembleProblem(yaml, place, message),
  }));
}

/** The models of its steps. */
export function stepsOf({ manifest, problemAt }: EnsembleSource): readonly NamedModel[] {
  return (manifest.ensemble?.steps ?? []).map(({ model, version }, step) => ({
    model,
    version,
    problem: (message) => problemAt({ part: 'step', step, key: 'model' }, message),
  }));
}

function specOf({ steps }: NonNullable<ModelYaml['ensemble']>): EnsembleSpec {
  return {
    steps: steps.map(({ inputs, model, outputs, version }) => ({
      model,
      version: version === undefined ? null : String(version),
      inputs,
      outputs,
    })),
  };
}

/** It has no session and no batches: those are of the models of its steps. */
function checkUnused({ config, problemAt }: ParsedModelYaml, problems: FileProblem[]): void {
  const isTimed = config.execution_timeout_ms !== defaultLimits.executionTimeoutMsDefault;
  for (const key of [...(isTimed ? ['execution_timeout_ms'] : []), ...sessionSettings(config)]) {
    const message = 'is for the models of the steps, not for an ensemble';
    problems.push(problemAt(key.split('.'), message));
  }
}
