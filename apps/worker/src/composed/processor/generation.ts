/**
 * One job inside the thread of a processor: what `generate` is given, the steps it waits for, and how it ends. Bounds
 * are kept here, so that what breaks them is told on the line that does.
 */
import { type Failure, failure, type Tensor, type TensorSpec } from '@inferry/contracts';
import type { Generate, GivenTensors, ProcessorContext, StepOptions } from './author.ts';
import type { Answer, FromThread, ProcessorThreadData, StepTensor } from './messages.ts';
import { reasonOf, stackOf } from './reasons.ts';
import { givenTensor, received, ReceivedTensor } from './tensors.ts';

export type Send = (message: FromThread, moved: readonly ArrayBuffer[]) => void;

type Settings = Pick<ProcessorThreadData, 'runs' | 'outputs' | 'bounds' | 'folders'>;

/** Later ones are dropped, and this is said in the last. */
const logLinesMax = 100;
const logCharsMax = 2_000;

/** Ends the job with a failure of its own, unless the processor catches it. */
class Ended extends Error {
  readonly #failure: Failure;

  constructor(failed: Failure) {
    super(failed.detail);
    this.#failure = failed;
  }

  /** Undefined for every other exception. */
  static failureOf(cause: unknown): Failure | undefined {
    const isOne = typeof cause === 'object' && cause !== null && #failure in cause;
    return isOne ? cause.#failure : undefined;
  }
}

/** A step that failed, as the processor meets it. */
class StepFailed extends Ended {
  override readonly name = 'StepError';
  readonly code: string;
  readonly model: string;

  constructor(model: string, reason: Failure) {
    super(reason);
    this.code = reason.code;
    this.model = model;
  }
}

interface Waiting<T> {
  readonly resolve: (value: T) => void;
  readonly reject: (cause: unknown) => void;
}

export class Generation {
  readonly #job: number;
  readonly #settings: Settings;
  readonly #send: Send;
  readonly #abort = new AbortController();
  readonly #inputs: ReturnType<typeof received>;
  readonly #steps = new Map<number, Waiting<readonly Tensor[]> & { readonly model: string }>();
  readonly #emissions = new Map<number, Waiting<null>>();
  #stepsBegun = 0;
  #emissionsBegun = 0;
  #logLines = 0;
  #hasEnded = false;

  constructor(job: number, inputs: readonly Tensor[], settings: Settings, send: Send) {
    this.#job = job;
    this.#settings = settings;
    this.#send = send;
    this.#inputs = received(inputs);
  }

  /** Runs the job to its end, and tells it. Never rejects. */
  async run(generate: Generate): Promise<void> {
    try {
      const given: unknown = await generate(this.#context());
      const tensors = this.#outputsOf(given);
      const moved: ArrayBuffer[] = [];
      const value = tensors.map((tensor) => movable(tensor, moved));
      this.#end({ ok: true, value }, moved);
    } catch (cause) {
      this.#fail(cause);
    }
  }

  stepped(step: number, answer: Answer<readonly Tensor[]>): void {
    const waiting = this.#steps.get(step);
    this.#steps.delete(step);
    if (answer.ok) waiting?.resolve(answer.value);
    else waiting?.reject(new StepFailed(waiting.model, answer.error));
  }

  emitted(emission: number, answer: Answer<null>): void {
    const waiting = this.#emissions.get(emission);
    this.#emissions.delete(emission);
    if (answer.ok) waiting?.resolve(null);
    else waiting?.reject(new Error(answer.error.detail));
  }

  abort(reason: string): void {
    if (this.#hasEnded) return;
    this.#abort.abort(new DOMException(reason, 'AbortError'));
    const waiting = [...this.#steps.values(), ...this.#emissions.values()];
    this.#steps.clear();
    this.#emissions.clear();
    for (const { reject } of waiting) reject(this.#abort.signal.reason);
  }

  #context(): ProcessorContext {
    return Object.freeze({
      inputs: this.#inputs,
      signal: this.#abort.signal,
      run: ((inputs: GivenTensors, options?: StepOptions) =>
        called(async () =>
          received(await this.#step(inputs, options ?? {})),
        )) as ProcessorContext['run'],
      emit: (partial: GivenTensors) => called(async () => void (await this.#emit(partial))),
      log: (message: unknown) => this.#log(String(message)),
    });
  }

  #step(inputs: GivenTensors, options: StepOptions): Promise<readonly Tensor[]> {
    const { bounds, runs } = this.#settings;
    this.#checkOpen('run a step');
    const { model = runs[0] ?? '', outputs, version } = options;
    if (!runs.includes(model)) {
      throw new TypeError(
        `"${model}" is not among the models of processor.runs: ${runs.join(', ')}`,
      );
    }
    if (version !== undefined && typeof version !== 'string') {
      throw new TypeError('the version of a step must be a text');
    }
    if (outputs !== undefined && !isListOfTexts(outputs)) {
      throw new TypeError('the outputs of a step must be an array of names');
    }
    if (this.#stepsBegun >= bounds.stepsMax) {
      throw new RangeError(`a job has at most ${bounds.stepsMax} steps (processor.max_steps)`);
    }
    if (this.#steps.size >= bounds.stepsAtATimeMax) {
      throw new RangeError(`a job has at most ${bounds.stepsAtATimeMax} steps at a time`);
    }
    const moved: ArrayBuffer[] = [];
    const tensors = Object.entries(inputs).map(([name, given]) =>
      this.#stepTensor(name, given, moved),
    );
    this.#stepsBegun += 1;
    const step = this.#stepsBegun;
    const request = {
      model,
      version: version ?? null,
      tensors,
      ...(outputs === undefined ? {} : { outputs: [...outputs] }),
    };
    this.#send({ kind: 'step', job: this.#job, step, request }, moved);
    return waited((waiting) => this.#steps.set(step, { ...waiting, model }));
  }

  /** An input of the job that nobody has touched need not travel: the main thread still has it. */
  #stepTensor(name: string, given: unknown, moved: ArrayBuffer[]): StepTensor {
    if (given instanceof ReceivedTensor && given.isUntouched) {
      const input = given.tensor.name;
      if ((this.#inputs[input] as unknown) === given) return { name, input };
    }
    return movable(givenTensor(name, given), moved);
  }

  #emit(partial: GivenTensors): Promise<null> {
    this.#checkOpen('emit');
    if (this.#emissions.size >= this.#settings.bounds.stepsAtATimeMax) {
      throw new RangeError('too many emissions at a time: await each of them');
    }
    const tensors = this.#declared(partial);
    if (tensors.length === 0) throw new TypeError('a partial answer has at least one output');
    const moved: ArrayBuffer[] = [];
    const copies = tensors.map((tensor) => movable(tensor, moved));
    this.#emissionsBegun += 1;
    const emission = this.#emissionsBegun;
    this.#send({ kind: 'emit', job: this.#job, emission, tensors: copies }, moved);
    return waited((waiting) => this.#emissions.set(emission, waiting));
  }

  #log(message: string): void {
    this.#logLines += 1;
    if (this.#logLines > logLinesMax) return;
    const last = this.#logLines === logLinesMax ? ' (no more lines of this job are kept)' : '';
    const text = `${message.slice(0, logCharsMax)}${last}`;
    this.#send({ kind: 'log', job: this.#job, text }, []);
  }

  #checkOpen(doing: string): void {
    if (this.#hasEnded) throw new Error(`the job has ended and cannot ${doing}`);
    this.#abort.signal.throwIfAborted();
  }

  #outputsOf(given: unknown): readonly Tensor[] {
    const { bounds, outputs } = this.#settings;
    if (typeof given !== 'object' || given === null) {
      const names = outputs.map(({ name }) => name).join(', ');
      throw new TypeError(`generate must return an object with the outputs: ${names}`);
    }
    const tensors = this.#declared(given as GivenTensors);
    const missing = outputs.find(({ name }) => !tensors.some((tensor) => tensor.name === name));
    if (missing !== undefined) {
      throw new TypeError(`generate must return the output "${missing.name}" as well`);
    }
    const size = tensors.reduce((sum, { bytes }) => sum + bytes.byteLength, 0);
    if (size <= bounds.outputBytesMax) return tensors;
    const detail = `The outputs have ${size} bytes; at most ${bounds.outputBytesMax} are allowed.`;
    throw new Ended(failure('output_too_large', detail));
  }

  /** The tensors, each an output that the model declares. */
  #declared(given: GivenTensors): readonly Tensor[] {
    return Object.entries(given).map(([name, value]) => {
      const spec = this.#settings.outputs.find((output) => output.name === name);
      if (spec === undefined) {
        const names = this.#settings.outputs.map((output) => output.name);
        throw new TypeError(`"${name}" is no output of the model; it has: ${names.join(', ')}`);
      }
      const tensor = givenTensor(name, value);
      if (tensor.datatype === spec.datatype && fits(tensor, spec)) return tensor;
      throw new TypeError(
        `output "${name}" is declared as ${spec.datatype}[${spec.shape.join(', ')}]; it was given ${tensor.datatype}[${tensor.shape.join(', ')}]`,
      );
    });
  }

  #fail(cause: unknown): void {
    const known = Ended.failureOf(cause);
    if (known !== undefined) {
      this.#end({ ok: false, error: known }, []);
      return;
    }
    const reason = reasonOf(cause, this.#settings.folders);
    const error = failure('model_error', `The processor failed: ${reason}`);
    this.#end({ ok: false, error }, [], stackOf(cause));
  }

  /** Steps that are still under way are answered to nobody. */
  #end(answer: Answer<readonly Tensor[]>, moved: readonly ArrayBuffer[], stack?: string): void {
    this.#hasEnded = true;
    this.#steps.clear();
    this.#emissions.clear();
    const ended = { kind: 'ended', job: this.#job, answer } as const;
    this.#send(stack === undefined ? ended : { ...ended, stack }, moved);
  }
}

function isListOfTexts(given: unknown): boolean {
  return Array.isArray(given) && given.every((one) => typeof one === 'string');
}

function fits({ shape }: Tensor, spec: TensorSpec): boolean {
  return (
    shape.length === spec.shape.length &&
    shape.every((size, i) => spec.shape[i] === -1 || spec.shape[i] === size)
  );
}

/** The author keeps the array, so what travels is a copy: one, which is moved. */
function movable(tensor: Tensor, moved: ArrayBuffer[]): Tensor {
  const bytes = Uint8Array.from(tensor.bytes);
  moved.push(bytes.buffer);
  return { ...tensor, bytes };
}

function waited<T>(register: (waiting: Waiting<T>) => void): Promise<T> {
  return new Promise<T>((resolve, reject) => register({ resolve, reject }));
}

/** Why a step or an emission was rejected. */
const reasons = new WeakSet();

/**
 * Whether this is why a step or an emission was rejected. Where nobody awaits one, as the second of two when the job
 * is canceled, that must not take the thread along.
 */
export function isOfCall(cause: unknown): boolean {
  return typeof cause === 'object' && cause !== null && reasons.has(cause);
}

async function called<T>(call: () => Promise<T>): Promise<T> {
  try {
    return await call();
  } catch (cause) {
    if (typeof cause === 'object' && cause !== null) reasons.add(cause);
    throw cause;
  }
}
