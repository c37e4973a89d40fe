/** How nested JSON arrays become the model's inputs, and its outputs nested arrays, as data. */

/** entry = (value * scale - mean) / std */
export interface Normalization {
  readonly scale: number;
  /** One for all entries, or one for each place along the last dimension. */
  readonly mean: readonly number[];
  readonly std: readonly number[];
}

/** Each field of a row is one of the model's inputs, under its name, without the batch dimension. */
export interface TensorFieldsSpec {
  readonly kind: 'tensor';
  /** By input; those that are not here are taken as they are given. */
  readonly normalize: Readonly<Record<string, Normalization>>;
}

/** Each row is answered `{ "<output>": nested arrays }`, without the batch dimension. */
export interface TensorAnswerSpec {
  readonly kind: 'tensor';
  readonly outputs: readonly string[];
}
