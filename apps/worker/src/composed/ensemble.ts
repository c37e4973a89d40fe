/**
 * The program of an ensemble: each step runs as soon as all its inputs are there, so steps that do not need
 * each other run at the same time. A tensor is let go once the last step that takes it has been sent.
 */
import {
  type EnsembleStep,
  type Failure,
  failure,
  type ModelManifest,
  type Tensor,
} from '@inferry/contracts';
import { err, invariant, ok, type Result } from '@inferry/runtime';
import type { Program, ProgramContext } from './program.ts';
import { fitted } from './step-tensors.ts';

export function ensembleProgram(manifest: ModelManifest): Program {
  return {
    run: (inputs, context) => new EnsembleRun(manifest, inputs, context).run(),
    close: () => Promise.resolve(),
  };
}

type Outcome = Result<readonly Tensor[], Failure>;

/** One job of it. */
class EnsembleRun {
  readonly #manifest: ModelManifest;
  readonly #context: ProgramContext;
  /** What is there and still wanted, by the ensemble's names. */
  readonly #tensors = new Map<string, Tensor>();
  /** How many steps, and the answer, still want a tensor. */
  readonly #uses = new Map<string, number>();
  #waiting: readonly (readonly [number: number, step: EnsembleStep])[];
  #running = 0;
  #end: (outcome: Outcome) => void = () => undefined;
  #break: (cause: unknown) => void = () => undefined;

  constructor(manifest: ModelManifest, inputs: readonly Tensor[], context: ProgramContext) {
    const { ensemble, outputs } = manifest;
    invariant(ensemble !== undefined, 'an ensemble has steps');
    this.#manifest = manifest;
    this.#context = context;
    this.#waiting = [...ensemble.steps.entries()];
    for (const { name } of outputs) this.#want(name);
    for (const { inputs: taken } of ensemble.steps) {
      for (const name of new Set(Object.values(taken))) this.#want(name);
    }
    for (const tensor of inputs) this.#keep(tensor);
  }

  /** Resolves with the first failure, without waiting for the other steps: who gave the context cancels them. */
  run(): Promise<Outcome> {
    return new Promise((resolve, reject) => {
      this.#end = resolve;
      this.#break = reject;
      this.#goOn();
    });
  }

  #goOn(): void {
    const ready = this.#waiting.filter(([, step]) => this.#isReady(step));
    this.#waiting = this.#waiting.filter((waiting) => !ready.includes(waiting));
    this.#running += ready.length;
    for (const [number, step] of ready) {
      this.#ended(number, step, this.#send(number, step)).catch(this.#break);
    }
    if (this.#running === 0) this.#end(this.#answer());
  }

  /** Not async: what its variables hold is not kept while the step runs. */
  #send(number: number, step: EnsembleStep): Promise<Outcome> {
    const { model, outputs, version } = step;
    const tensors = this.#take(step);
    // Models give the same for the same, so that a job which begins anew sends the same steps.
    const key = `${this.#manifest.digest} ${number}`;
    return this.#context.step({ model, version, tensors, outputs: Object.keys(outputs), key });
  }

  async #ended(
    number: number,
    { outputs }: EnsembleStep,
    running: Promise<Outcome>,
  ): Promise<void> {
    const ran = await running;
    this.#running -= 1;
    if (!ran.ok) {
      const { code, detail } = ran.error;
      this.#end(err(failure(code, `Step ${number + 1}: ${detail}`)));
      return;
    }
    for (const tensor of ran.value) {
      const name = outputs[tensor.name];
      if (name !== undefined) this.#keep({ ...tensor, name });
    }
    this.#goOn();
  }

  #isReady({ inputs }: EnsembleStep): boolean {
    return Object.values(inputs).every((name) => this.#tensors.has(name));
  }

  #take({ inputs }: EnsembleStep): readonly Tensor[] {
    const taken = Object.entries(inputs).flatMap(([input, name]) => {
      const tensor = this.#tensors.get(name);
      return tensor === undefined ? [] : [{ ...tensor, name: input }];
    });
    for (const name of new Set(Object.values(inputs))) {
      const left = (this.#uses.get(name) ?? 0) - 1;
      this.#uses.set(name, left);
      if (left <= 0) this.#tensors.delete(name);
    }
    return taken;
  }

  #want(name: string): void {
    this.#uses.set(name, (this.#uses.get(name) ?? 0) + 1);
  }

  #keep(tensor: Tensor): void {
    if ((this.#uses.get(tensor.name) ?? 0) > 0) this.#tensors.set(tensor.name, tensor);
  }

  #answer(): Outcome {
    const answered: Tensor[] = [];
    for (const spec of this.#manifest.outputs) {
      const tensor = this.#tensors.get(spec.name);
      // Steps and their tensors were checked when the repository was read; models may be others by now.
      if (tensor === undefined) {
        return err(failure('model_error', `No step gave the output "${spec.name}".`));
      }
      answered.push(fitted(tensor, spec));
    }
    return ok(answered);
  }
}
