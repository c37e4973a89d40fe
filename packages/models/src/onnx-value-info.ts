/**
 * ONNX's ValueInfoProto, the description of one graph input or output, decoded to the words of the
 * Open Inference Protocol. Only tensors that ONNX Runtime for Node can carry are accepted.
 */
import type { Datatype } from '@inferry/contracts';
import { err, ok, type Result } from '@inferry/runtime';
import protobuf from 'protobufjs/minimal.js';
import { int64Of } from './protobuf-file.ts';

/** As {@link TensorSpec} of contracts, but the file may leave the shape open. */
export interface OnnxTensor {
  readonly name: string;
  readonly datatype: Datatype;
  /** -1 is a dimension that varies; null when the file does not even give the rank. */
  readonly shape: readonly number[] | null;
}

/** TensorProto.DataType by number. */
const elementTypes: Readonly<Record<number, Datatype>> = {
  1: 'FP32',
  2: 'UINT8',
  3: 'INT8',
  4: 'UINT16',
  5: 'INT16',
  6: 'INT32',
  7: 'INT64',
  8: 'BYTES',
  9: 'BOOL',
  10: 'FP16',
  11: 'FP64',
  12: 'UINT32',
  13: 'UINT64',
};

const refusedTypes: Readonly<Record<number, string>> = {
  14: 'complex64',
  15: 'complex128',
  17: 'float8e4m3fn',
  18: 'float8e4m3fnuz',
  19: 'float8e5m2',
  20: 'float8e5m2fnuz',
  21: 'uint4',
  22: 'int4',
  23: 'float4e2m1',
  24: 'float8e8m0',
};

/** Members of TypeProto's `value` other than a dense tensor. */
const otherKinds: Readonly<Record<number, string>> = {
  4: 'a sequence',
  5: 'a map',
  7: 'an opaque value',
  8: 'a sparse tensor',
  9: 'an optional',
};

interface MutableInfo {
  name: string;
  /** What the value is instead of a tensor. */
  kind: string | null;
  elementType: number;
  shape: number[] | null;
}

export interface ValueInfo {
  readonly name: string;
  /** `err` holds the reason why it cannot be served, naming the tensor. */
  readonly tensor: Result<OnnxTensor, string>;
}

/** Throws RangeError or Error when the bytes are malformed. */
export function decodeValueInfo(bytes: Uint8Array): ValueInfo {
  const info: MutableInfo = { name: '', kind: null, elementType: 0, shape: null };
  eachField(protobuf.Reader.create(bytes), bytes.length, (field, reader) => {
    if (field === 1) {
      info.name = reader.string();
      return true;
    }
    if (field === 2) {
      readType(reader, info);
      return true;
    }
    return false;
  });
  return { name: info.name, tensor: tensorOf(info) };
}

function tensorOf(info: MutableInfo): Result<OnnxTensor, string> {
  const of = `tensor "${info.name}"`;
  if (info.name === '') return err('an input or output has no name');
  if (info.kind !== null) {
    return err(`${of} is ${info.kind}; only dense tensors can be served (export without it)`);
  }
  if (info.elementType === 16) {
    return err(`${of} is BF16, which ONNX Runtime for Node cannot load; export it as FP16 or FP32`);
  }
  const datatype = elementTypes[info.elementType];
  if (datatype !== undefined) return ok({ name: info.name, datatype, shape: info.shape });
  const type = refusedTypes[info.elementType] ?? `number ${info.elementType}`;
  return err(`${of} has the element type ${type}, which cannot be served`);
}

function readType(reader: protobuf.Reader, info: MutableInfo): void {
  eachField(reader, reader.uint32() + reader.pos, (field, inner) => {
    if (field === 1) {
      readTensorType(inner, info);
      return true;
    }
    info.kind = otherKinds[field] ?? info.kind;
    return false;
  });
}

function readTensorType(reader: protobuf.Reader, info: MutableInfo): void {
  eachField(reader, reader.uint32() + reader.pos, (field, inner) => {
    if (field === 1) {
      info.elementType = inner.int32();
      return true;
    }
    if (field === 2) {
      info.shape = readShape(inner);
      return true;
    }
    return false;
  });
}

function readShape(reader: protobuf.Reader): number[] {
  const shape: number[] = [];
  eachField(reader, reader.uint32() + reader.pos, (field, inner) => {
    if (field !== 1) return false;
    shape.push(readDimension(inner));
    return true;
  });
  return shape;
}

/** A named dimension, one without a value and a negative one all vary. */
function readDimension(reader: protobuf.Reader): number {
  let dimension = -1;
  eachField(reader, reader.uint32() + reader.pos, (field, inner) => {
    if (field !== 1) return false;
    const start = inner.pos;
    inner.skip();
    dimension = Math.max(-1, int64Of(inner.raw(start, inner.pos)));
    return true;
  });
  return dimension;
}

/** Visits the fields up to `end`; what `visit` does not consume (returns false for) is skipped. */
function eachField(
  reader: protobuf.Reader,
  end: number,
  visit: (field: number, reader: protobuf.Reader) => boolean,
): void {
  if (end > reader.len) throw new RangeError('a message ends beyond its parent');
  while (reader.pos < end) {
    const tag = reader.tag();
    if (!visit(tag >>> 3, reader)) reader.skipType(tag & 7);
  }
  if (reader.pos !== end) throw new RangeError('a field ends beyond its message');
}
