/**
 * A model and a variant of it, loaded side by side: the same inputs go through the same pipeline into both,
 * and what comes out, and how long it takes, is compared.
 */
import type { Failure, JobInput, JobOutput, ModelManifest, Tensor } from '@inferry/contracts';
import type { InferenceBackend, ModelInstance } from '@inferry/inference';
import { openPreparer, postprocess, type PreparedItem, type Preparer } from '@inferry/pipelines';
import { err, invariant, ok, type Result } from '@inferry/runtime';
import { type Difference, differenceOf } from './differences.ts';

export interface PairOptions {
  readonly backend: InferenceBackend;
  readonly original: ModelManifest;
  /** The same but for the model file. */
  readonly variant: ModelManifest;
}

/** What both made of one input. */
export interface PairAnswer {
  /** One for each output, variant against original. */
  readonly differences: readonly Difference[];
  readonly original: JobOutput;
  readonly variant: JobOutput;
}

/** A batch run by both, one right after the other, ms. */
export interface PairTiming {
  readonly originalMs: number;
  readonly variantMs: number;
}

const cpu = { kind: 'cpu', index: 0 } as const;

export class ModelPair {
  readonly #manifest: ModelManifest;
  readonly #preparer: Preparer;
  readonly #original: ModelInstance;
  readonly #variant: ModelInstance;

  private constructor(
    manifest: ModelManifest,
    preparer: Preparer,
    instances: readonly [ModelInstance, ModelInstance],
  ) {
    this.#manifest = manifest;
    this.#preparer = preparer;
    [this.#original, this.#variant] = instances;
  }

  /** Loads both on the CPU; the error says which cannot be, and why. */
  static async open({
    backend,
    original,
    variant,
  }: PairOptions): Promise<Result<ModelPair, string>> {
    const preparer = await openPreparer({ jpegDecoder: 'auto' });
    if (!preparer.ok) return preparer;
    const first = await backend.load({ ...original, warmupRows: [1] }, cpu);
    if (!first.ok) {
      preparer.value.close();
      return err(`the original: ${first.error.detail}`);
    }
    const second = await backend.load({ ...variant, warmupRows: [1] }, cpu);
    if (!second.ok) {
      preparer.value.close();
      await first.value.close();
      return err(`the variant: ${second.error.detail}`);
    }
    return ok(new ModelPair(original, preparer.value, [first.value, second.value]));
  }

  /** The error is what the pipeline says to the input, or a model to its tensors. */
  async answer(input: JobInput): Promise<Result<PairAnswer, string>> {
    const prepared = await this.#prepare(input);
    if (!prepared.ok) return prepared;
    const item = prepared.value;
    const original = await this.#outputsOf(this.#original, input, item);
    if (!original.ok) return err(`the original: ${original.error}`);
    const variant = await this.#outputsOf(this.#variant, input, item);
    if (!variant.ok) return err(`the variant: ${variant.error}`);
    return ok({
      differences: original.value.tensors.map((tensor) => {
        const other = variant.value.tensors.find(({ name }) => name === tensor.name);
        invariant(other !== undefined, 'both have the outputs of the manifest');
        return differenceOf(tensor, other);
      }),
      original: original.value.answer,
      variant: variant.value.answer,
    });
  }

  /**
   * Both run the input, `rows` times in a batch, until `isEnough` says so of the rounds; the one goes first
   * in one round, the other in the next.
   */
  async time(
    input: JobInput,
    rows: number,
    isEnough: (timings: readonly PairTiming[]) => boolean,
  ): Promise<Result<readonly PairTiming[], string>> {
    const prepared = await this.#prepare(input);
    if (!prepared.ok) return prepared;
    const timings: PairTiming[] = [];
    const order = [this.#original, this.#variant];
    // The first round pays for allocations and is not counted.
    for (let round = 0; !isEnough(timings); round += 1) {
      const took = new Map<ModelInstance, number>();
      for (const instance of round % 2 === 0 ? order : order.toReversed()) {
        const items = Array.from({ length: rows }, () => copyOf(prepared.value));
        const ran = await instance.run(items, prepared.value.outputs);
        if (!ran.ok) return err(ran.error.detail);
        took.set(instance, ran.value.computeMs);
      }
      const originalMs = took.get(this.#original) ?? 0;
      const variantMs = took.get(this.#variant) ?? 0;
      if (round > 0) timings.push({ originalMs, variantMs });
    }
    return ok(timings);
  }

  async close(): Promise<void> {
    await Promise.all([this.#original.close(), this.#variant.close()]);
    this.#preparer.close();
  }

  #prepare(input: JobInput): Promise<Result<PreparedItem, string>> {
    return preparedItem(this.#preparer, this.#manifest, input);
  }

  async #outputsOf(
    instance: ModelInstance,
    input: JobInput,
    item: PreparedItem,
  ): Promise<Result<{ readonly tensors: readonly Tensor[]; readonly answer: JobOutput }, string>> {
    const ran = await instance.run([copyOf(item)], []);
    if (!ran.ok) return err(ran.error.detail);
    const tensors = ran.value.items[0] ?? [];
    const answer = postprocess(this.#manifest, input, tensors, item.rows, item.placements);
    return answer.ok ? ok({ tensors, answer: answer.value }) : err(answer.error.detail);
  }
}

/**
 * The tensors of each input as its model gets them, for whoever calibrates with them. The error names the
 * input by its position.
 */
export async function prepareAll(
  manifest: ModelManifest,
  inputs: readonly JobInput[],
): Promise<Result<readonly (readonly Tensor[])[], string>> {
  const preparer = await openPreparer({ jpegDecoder: 'auto' });
  if (!preparer.ok) return preparer;
  const all: (readonly Tensor[])[] = [];
  let problem: string | null = null;
  for (const [i, input] of inputs.entries()) {
    const item = await preparedItem(preparer.value, manifest, input);
    if (item.ok) all.push(item.value.tensors);
    else problem ??= `input ${i}: ${item.error}`;
  }
  preparer.value.close();
  return problem === null ? ok(all) : err(problem);
}

/** With tensors in buffers of their own. */
async function preparedItem(
  preparer: Preparer,
  manifest: ModelManifest,
  input: JobInput,
): Promise<Result<PreparedItem, string>> {
  const batch = preparer.openBatch();
  const item: Result<PreparedItem, Failure> = await batch.prepare(manifest, input);
  const detached = item.ok ? ok({ ...item.value, ...copyOf(item.value) }) : err(item.error.detail);
  batch.close();
  return detached;
}

/** A run takes its buffers away. */
function copyOf({ rows, tensors }: PreparedItem): {
  readonly tensors: readonly Tensor[];
  readonly rows: number;
} {
  return {
    tensors: tensors.map((tensor) => ({ ...tensor, bytes: new Uint8Array(tensor.bytes) })),
    rows,
  };
}
