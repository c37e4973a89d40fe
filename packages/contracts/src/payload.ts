/** What a caller gives a model and what it gets back, and how both are put into a frame. */
import type { JsonValue } from './json.ts';
import type { Datatype, Tensor } from './tensor.ts';
import { decodeFrame, encodeFrame, framePieces, joinPieces } from './frame.ts';

/** One row of a pipeline's input: a field's value is JSON, or bytes (an image, say). */
export type PipelineRow = Readonly<Record<string, JsonValue | Uint8Array>>;

/**
 * `tensors`: raw tensors under their ONNX names; they skip preprocessing and postprocessing.
 * `pipeline`: rows for the model's own preprocessor; answers come from its postprocessor.
 */
export type JobInput =
  | {
      readonly form: 'tensors';
      readonly tensors: readonly Tensor[];
      /** Names of the outputs wanted; all of them when undefined. */
      readonly outputs?: readonly string[];
    }
  | { readonly form: 'pipeline'; readonly rows: readonly PipelineRow[] };

/** `rows` answers a pipeline input: one JSON document for each of its rows. */
export type JobOutput =
  | { readonly form: 'tensors'; readonly tensors: readonly Tensor[] }
  | { readonly form: 'rows'; readonly rows: readonly JsonValue[] };

interface TensorHeader {
  readonly name: string;
  readonly datatype: Datatype;
  readonly shape: readonly number[];
}

/** A field that is bytes is stored as a reference to a blob, under a key no JSON input can have. */
interface BlobReference {
  readonly $blob: number;
}

type InputHeader =
  | {
      readonly form: 'tensors';
      readonly tensors: readonly TensorHeader[];
      readonly outputs?: readonly string[];
    }
  | {
      readonly form: 'pipeline';
      readonly rows: readonly Record<string, { readonly json: JsonValue } | BlobReference>[];
    };

type OutputHeader =
  | { readonly form: 'tensors'; readonly tensors: readonly TensorHeader[] }
  | { readonly form: 'rows'; readonly rows: readonly JsonValue[] };

export function encodeInput(input: JobInput): Uint8Array {
  return joinPieces(inputPieces(input));
}

/** What {@link encodeInput} makes, in pieces that follow each other: tensors and images are not copied. */
export function inputPieces(input: JobInput): readonly Uint8Array[] {
  if (input.form === 'tensors') {
    const header = {
      form: 'tensors',
      tensors: input.tensors.map(tensorHeader),
      ...(input.outputs === undefined ? {} : { outputs: input.outputs }),
    };
    return framePieces(
      header,
      input.tensors.map((tensor) => tensor.bytes),
    );
  }
  const blobs: Uint8Array[] = [];
  const rows = input.rows.map((row) =>
    Object.fromEntries(
      Object.entries(row).map(([field, value]) =>
        value instanceof Uint8Array
          ? [field, { $blob: blobs.push(value) - 1 }]
          : [field, { json: plainJson(value) }],
      ),
    ),
  );
  return framePieces({ form: 'pipeline', rows }, blobs);
}

export function decodeInput(bytes: Uint8Array): JobInput {
  const { header, blobs } = decodeFrame<InputHeader>(bytes);
  if (header.form === 'tensors') {
    const tensors = header.tensors.map((head, i) => ({
      ...head,
      bytes: blobs[i] ?? new Uint8Array(),
    }));
    return {
      form: 'tensors',
      tensors,
      ...(header.outputs === undefined ? {} : { outputs: header.outputs }),
    };
  }
  const rows = header.rows.map((row) =>
    Object.fromEntries(
      Object.entries(row).map(([field, value]) => [
        field,
        '$blob' in value ? (blobs[value.$blob] ?? new Uint8Array()) : value.json,
      ]),
    ),
  );
  return { form: 'pipeline', rows };
}

/** The header and the blobs of an output, to be put into the frame of an outcome. */
export function outputParts(output: JobOutput): {
  readonly header: OutputHeader;
  readonly blobs: readonly Uint8Array[];
} {
  if (output.form === 'rows') return { header: { form: 'rows', rows: output.rows }, blobs: [] };
  return {
    header: { form: 'tensors', tensors: output.tensors.map(tensorHeader) },
    blobs: output.tensors.map((tensor) => tensor.bytes),
  };
}

export function outputOf(header: OutputHeader, blobs: readonly Uint8Array[]): JobOutput {
  if (header.form === 'rows') return { form: 'rows', rows: header.rows };
  return {
    form: 'tensors',
    tensors: header.tensors.map((head, i) => ({ ...head, bytes: blobs[i] ?? new Uint8Array() })),
  };
}

export type { OutputHeader };

/** An output as one frame of its own. */
export function encodeOutput(output: JobOutput): Uint8Array {
  const { blobs, header } = outputParts(output);
  return encodeFrame(header, blobs);
}

/** Tensors are views into `bytes`. */
export function decodeOutput(bytes: Uint8Array): JobOutput {
  const { blobs, header } = decodeFrame<OutputHeader>(bytes);
  return outputOf(header, blobs);
}

function tensorHeader(tensor: Tensor): TensorHeader {
  return { name: tensor.name, datatype: tensor.datatype, shape: tensor.shape };
}

/** Pipeline fields are numbers, strings and the like: an integer beyond 2^53 becomes its decimal text. */
function plainJson(value: JsonValue): JsonValue {
  if (typeof value === 'bigint') return value.toString();
  if (Array.isArray(value)) return value.map(plainJson);
  if (value !== null && typeof value === 'object') {
    return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, plainJson(inner)]));
  }
  return value;
}
