/**
 * The tensors of one ensemble: where each comes from, and who takes it. What is wrong without looking at the models of
 * the steps is found here.
 */
import type { EnsembleStep, TensorSpec } from '@inferry/contracts';

/** A part of an ensemble as its configuration says it, so that a problem with it has a line. */
export type EnsemblePlace =
  | { readonly part: 'input' | 'output'; readonly name: string }
  | { readonly part: 'steps' }
  | { readonly part: 'step'; readonly step: number; readonly key?: 'model' | 'version' }
  /** An input or output of the step's model, `name`, and the tensor that it is given or called. */
  | { readonly part: 'takes' | 'gives'; readonly step: number; readonly name?: string };

export type SayOfEnsemble = (place: EnsemblePlace, message: string) => void;

export interface EnsembleTensors {
  readonly inputs: readonly Pick<TensorSpec, 'name'>[];
  readonly outputs: readonly Pick<TensorSpec, 'name'>[];
  readonly steps: readonly EnsembleStep[];
}

/**
 * Says of each input that no step takes, each output that none gives, each tensor that two give, and each step whose
 * inputs never come: because nothing gives them, or because steps wait for each other.
 */
export function checkGraph(ensemble: EnsembleTensors, say: SayOfEnsemble): void {
  const { inputs, outputs, steps } = ensemble;
  if (steps.length === 0) {
    say({ part: 'steps' }, 'are required: an ensemble is made of them');
    return;
  }
  const givers = giversOf(ensemble, say);
  const taken = new Set(steps.flatMap((step) => Object.values(step.inputs)));
  for (const { name } of inputs) {
    if (!taken.has(name)) say({ part: 'input', name }, `"${name}" is taken by no step`);
  }
  for (const { name } of outputs) {
    if (givers.has(name)) continue;
    const isInput = inputs.some((input) => input.name === name);
    const why = isInput ? 'is an input too: no step gives it' : 'is given by no step';
    say({ part: 'output', name }, `"${name}" ${why}`);
  }
  for (const [i, step] of steps.entries()) checkStep(i, step, ensemble, givers, say);
  const stuck = stuckSteps(ensemble, givers);
  const [first] = stuck;
  if (first === undefined) return;
  const numbers = stuck.map((step) => step + 1).join(', ');
  say(
    { part: 'step', step: first },
    `waits for itself: steps ${numbers} need tensors of each other`,
  );
}

/** The step that gives a tensor first, by its name. */
function giversOf(
  { inputs, steps }: EnsembleTensors,
  say: SayOfEnsemble,
): ReadonlyMap<string, number> {
  const givers = new Map<string, number>();
  for (const [i, { outputs }] of steps.entries()) {
    for (const [name, tensor] of Object.entries(outputs)) {
      const other = givers.get(tensor);
      const place = { part: 'gives', step: i, name } as const;
      if (inputs.some((input) => input.name === tensor)) {
        say(place, `"${tensor}" is an input of the ensemble`);
      } else if (other === undefined) {
        givers.set(tensor, i);
      } else {
        say(place, `"${tensor}" is given by step ${other + 1} too`);
      }
    }
  }
  return givers;
}

function checkStep(
  i: number,
  step: EnsembleStep,
  { inputs }: EnsembleTensors,
  givers: ReadonlyMap<string, number>,
  say: SayOfEnsemble,
): void {
  if (Object.keys(step.outputs).length === 0) {
    say({ part: 'gives', step: i }, 'is empty: nothing of the step would be used');
  }
  for (const [name, tensor] of Object.entries(step.inputs)) {
    if (givers.has(tensor) || inputs.some((input) => input.name === tensor)) continue;
    say(
      { part: 'takes', step: i, name },
      `"${tensor}" is no input of the ensemble, and no step gives it`,
    );
  }
}

/** Steps that wait for each other; those that wait for what nothing gives are told elsewhere. */
function stuckSteps(
  { steps }: EnsembleTensors,
  givers: ReadonlyMap<string, number>,
): readonly number[] {
  const waiting = new Set(steps.keys());
  for (let before = Infinity; waiting.size < before;) {
    before = waiting.size;
    for (const i of waiting) {
      const needed = Object.values(steps[i]?.inputs ?? {}).map((tensor) => givers.get(tensor));
      if (needed.every((giver) => giver === undefined || !waiting.has(giver))) waiting.delete(i);
    }
  }
  return [...waiting];
}
