/**
 * `ModelInferRequest` as it comes, read field by field: raw tensors are views of the message, and typed ones
 * are left where they lie until it is known how many elements they must have. A reader made from the schema
 * would first make an object of every number.
 */
import { type Failure, failure } from '@inferry/contracts';
import { err, ok, type Result } from '@inferry/runtime';
import protobuf from 'protobufjs/minimal.js';

import { dimensionsMax, tensorsMax } from '../tensor-request.ts';
import { parametersMax } from '../requested-outputs.ts';

type Parameter = string | number | bigint | boolean;
type Parameters = Readonly<Record<string, Parameter>>;

interface WireInput {
  readonly name: string;
  readonly datatype: string;
  readonly shape: readonly number[];
  readonly parameters: Parameters;
  /** An `InferTensorContents`; undefined where there is none. */
  readonly contents: Uint8Array | undefined;
}

/** Lists end one after the most they may have, so that whoever checks them sees that there are too many. */
export interface WireInferRequest {
  readonly model: string;
  readonly version: string | undefined;
  readonly id: string | undefined;
  readonly parameters: Parameters;
  readonly inputs: readonly WireInput[];
  readonly outputs: readonly { readonly name: string; readonly parameters: Parameters }[];
  /** `raw_input_contents`, views of the message. */
  readonly raw: readonly Uint8Array[];
}

/** Error: `invalid_input`, where the bytes are no such message. */
export function readInferRequest(message: Uint8Array): Result<WireInferRequest, Failure> {
  try {
    return ok(inferRequest(message));
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    return err(failure('invalid_input', `The message is no ModelInferRequest: ${reason}.`));
  }
}

type Take = (field: number, wire: number, reader: protobuf.Reader) => boolean;

/** Fields that `take` says it did not take are skipped, as unknown ones are. */
export function readFields(message: Uint8Array, take: Take): void {
  const reader = protobuf.Reader.create(message);
  while (reader.pos < reader.len) {
    const tag = reader.uint32();
    if (!take(tag >>> 3, tag & 7, reader)) reader.skipType(tag & 7);
  }
}

const lengthDelimited = 2;

function inferRequest(message: Uint8Array): WireInferRequest {
  const texts = ['', '', '', ''];
  const parameters = new Map<string, Parameter>();
  const inputs: WireInput[] = [];
  const outputs: { name: string; parameters: Parameters }[] = [];
  const raw: Uint8Array[] = [];
  readFields(message, (field, wire, reader) => {
    if (wire !== lengthDelimited || field > 7) return false;
    if (field <= 3) {
      texts[field] = reader.string();
      return true;
    }
    const bytes = reader.bytes();
    if (field === 4) addParameter(parameters, bytes);
    if (field === 5 && inputs.length <= tensorsMax) inputs.push(inputTensor(bytes));
    if (field === 6 && outputs.length <= tensorsMax) outputs.push(requestedOutput(bytes));
    if (field === 7 && raw.length <= tensorsMax) raw.push(bytes);
    return true;
  });
  const [, model = '', version = '', id = ''] = texts;
  return {
    model,
    // proto3 has no other way to say that there is none.
    version: version === '' ? undefined : version,
    id: id === '' ? undefined : id,
    parameters: Object.fromEntries(parameters),
    inputs,
    outputs,
    raw,
  };
}

function inputTensor(message: Uint8Array): WireInput {
  const texts = ['', '', ''];
  const shape: number[] = [];
  const parameters = new Map<string, Parameter>();
  let contents: Uint8Array | undefined;
  readFields(message, (field, wire, reader) => {
    if (field === 3) return addDimensions(shape, wire, reader);
    if (wire !== lengthDelimited || field > 5) return false;
    if (field <= 2) {
      texts[field] = reader.string();
      return true;
    }
    const bytes = reader.bytes();
    if (field === 4) addParameter(parameters, bytes);
    else contents = bytes;
    return true;
  });
  const [, name = '', datatype = ''] = texts;
  return { name, datatype, shape, parameters: Object.fromEntries(parameters), contents };
}

function requestedOutput(message: Uint8Array): { name: string; parameters: Parameters } {
  let name = '';
  const parameters = new Map<string, Parameter>();
  readFields(message, (field, wire, reader) => {
    if (wire !== lengthDelimited || field > 2) return false;
    if (field === 1) name = reader.string();
    else addParameter(parameters, reader.bytes());
    return true;
  });
  return { name, parameters: Object.fromEntries(parameters) };
}

function addDimensions(shape: number[], wire: number, reader: protobuf.Reader): boolean {
  if (wire === 0) {
    if (shape.length <= dimensionsMax) shape.push(Number(reader.int64()));
    else reader.skipType(wire);
    return true;
  }
  if (wire !== lengthDelimited) return false;
  const packed = protobuf.Reader.create(reader.bytes());
  while (packed.pos < packed.len && shape.length <= dimensionsMax) {
    shape.push(Number(packed.int64()));
  }
  return true;
}

/** An entry of a map: key 1, value 2. */
function addParameter(parameters: Map<string, Parameter>, entry: Uint8Array): void {
  if (parameters.size > parametersMax) return;
  let key = '';
  let value: Parameter = '';
  readFields(entry, (field, wire, reader) => {
    if (wire !== lengthDelimited || field > 2) return false;
    if (field === 1) key = reader.string();
    else value = parameterValue(reader.bytes());
    return true;
  });
  parameters.set(key, value);
}

function parameterValue(message: Uint8Array): Parameter {
  let value: Parameter = '';
  readFields(message, (field, wire, reader) => {
    if (field === 1 && wire === 0) value = reader.bool();
    else if (field === 2 && wire === 0) value = exact(reader.int64());
    else if (field === 3 && wire === lengthDelimited) value = reader.string();
    else if (field === 4 && wire === 1) value = reader.double();
    else if (field === 5 && wire === 0) value = exact(reader.uint64());
    else return false;
    return true;
  });
  return value;
}

/** A number where it is one to the last digit, as JSON is read too. */
function exact(long: { toString(): string }): number | bigint {
  const number = Number(long);
  return Number.isSafeInteger(number) ? number : BigInt(long.toString());
}
