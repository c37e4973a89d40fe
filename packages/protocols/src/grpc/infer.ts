/** Infer requests and their answers over gRPC: between its messages and what v2 makes of them in JSON. */
import {
  type Datatype,
  datatypeBytes,
  elementCount,
  type Failure,
  type JobOutput,
  type ModelManifest,
  type Tensor,
} from '@inferry/contracts';
import { err, type Result } from '@inferry/runtime';
import protobuf from 'protobufjs/minimal.js';

import { decodeBase64 } from '../base64.ts';
import { BinaryParts, takeElements } from '../binary-parts.ts';
import { NativeData } from '../native-data.ts';
import { answerTensors, bindInferRequest, type InferRequest } from '../open-inference.ts';
import { invalidInput } from '../refusals.ts';
import type { WireInferRequest } from './infer-request.ts';
import { hasTypedContents, readContents, writeContents } from './tensor-contents.ts';

/** Checks a request against the model. Errors: those of `parseInferRequest` that are not about JSON. */
export function bindWireRequest(
  { id, inputs, outputs, parameters, raw }: WireInferRequest,
  manifest: ModelManifest,
  { hasPriorities }: { readonly hasPriorities: boolean },
): Result<InferRequest, Failure> {
  if (raw.length > 0) {
    const both = inputs.find(({ contents }) => contents !== undefined && contents.length > 0);
    if (both !== undefined) {
      const detail = `Input "${both.name}" has contents, and there are raw_input_contents; one of them is too many.`;
      return err(invalidInput('#/raw_input_contents', 'data', detail));
    }
    if (raw.length !== inputs.length) {
      const detail = `There are ${raw.length} raw_input_contents for ${inputs.length} inputs.`;
      return err(invalidInput('#/raw_input_contents', 'data', detail));
    }
  }
  const value = {
    id,
    parameters,
    inputs: inputs.map(({ contents = new Uint8Array(), ...input }, i) => {
      const piece = raw[i];
      const data = new NativeData((datatype, count) =>
        piece === undefined
          ? readContents(contents, datatype, count)
          : rawElements(piece, datatype, count),
      );
      return { ...input, data };
    }),
    outputs,
  };
  return bindInferRequest(value, manifest, {
    decode: decodeBase64,
    hasPriorities,
    binary: undefined,
  });
}

function rawElements(
  bytes: Uint8Array,
  datatype: Datatype,
  count: number,
): Result<Uint8Array, string> {
  const size = count * datatypeBytes[datatype];
  if (datatype !== 'BYTES' && bytes.length !== size) {
    return err(`its raw contents have ${bytes.length} bytes, its shape has ${size}`);
  }
  return takeElements(new BinaryParts(bytes), bytes.length, datatype, count);
}

const tag = (field: number, wire = 2): number => (field << 3) | wire;

/**
 * `ModelInferResponse`. Raw where `isRaw`, and where an output has no other form: then all are, because an
 * answer has one form.
 */
export function writeInferResponse(
  manifest: ModelManifest,
  output: JobOutput,
  {
    isRaw,
    isFinal,
    request,
  }: {
    readonly isRaw: boolean;
    /** Says whether more answers to this request follow; undefined says nothing of it. */
    readonly isFinal?: boolean | undefined;
    readonly request: Pick<InferRequest, 'answer' | 'id'>;
  },
): Uint8Array {
  const tensors = answerTensors(manifest, output, request.answer).map(({ tensor }) => tensor);
  const allRaw = isRaw || tensors.some(({ datatype }) => !hasTypedContents(datatype));
  const writer = protobuf.Writer.create();
  writer.uint32(tag(1)).string(manifest.name).uint32(tag(2)).string(manifest.version);
  if (request.id !== undefined) writer.uint32(tag(3)).string(request.id);
  if (isFinal !== undefined) {
    writer.uint32(tag(4)).fork().uint32(tag(1)).string('triton_final_response');
    writer.uint32(tag(2)).fork().uint32(tag(1, 0)).bool(isFinal).ldelim().ldelim();
  }
  for (const tensor of tensors) writeOutput(writer, tensor, allRaw);
  if (allRaw) for (const { bytes } of tensors) writer.uint32(tag(6)).bytes(bytes);
  return writer.finish();
}

function writeOutput(
  writer: protobuf.Writer,
  { bytes, datatype, name, shape }: Tensor,
  isRaw: boolean,
): void {
  writer.uint32(tag(5)).fork();
  writer.uint32(tag(1)).string(name).uint32(tag(2)).string(datatype);
  if (shape.length > 0) {
    writer.uint32(tag(3)).fork();
    for (const dimension of shape) writer.int64(dimension);
    writer.ldelim();
  }
  if (!isRaw) writer.uint32(tag(5)).bytes(writeContents(bytes, datatype, elementCount(shape)));
  writer.ldelim();
}

/** `ModelStreamInferResponse` with an answer. */
export function writeStreamAnswer(response: Uint8Array): Uint8Array {
  return protobuf.Writer.create().uint32(tag(2)).bytes(response).finish();
}

/** `ModelStreamInferResponse` of a request that failed; its id says which. */
export function writeStreamError(
  message: string,
  { id, model }: Pick<WireInferRequest, 'id' | 'model'>,
): Uint8Array {
  const writer = protobuf.Writer.create().uint32(tag(1)).string(message);
  writer.uint32(tag(2)).fork().uint32(tag(1)).string(model);
  if (id !== undefined) writer.uint32(tag(3)).string(id);
  return writer.ldelim().finish();
}

/** The parameter by which a caller of a stream asks to be told of its last answer ({@link writeInferResponse}), taken out. */
export function takeFinalFlag(wire: WireInferRequest): {
  readonly wire: WireInferRequest;
  readonly wantsFinal: boolean;
} {
  const { triton_enable_empty_final_response: flag, ...parameters } = wire.parameters;
  return flag === undefined
    ? { wire, wantsFinal: false }
    : { wire: { ...wire, parameters }, wantsFinal: flag === true };
}
