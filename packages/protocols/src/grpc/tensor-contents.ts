/**
 * `InferTensorContents`: the elements of a tensor as numbers of protobuf, and as the bytes that they are
 * everywhere else. FP16 and BF16 have no such form.
 */
import { type Datatype, datatypeBytes } from '@inferry/contracts';
import { err, invariant, ok, type Result } from '@inferry/runtime';
import protobuf from 'protobufjs/minimal.js';

import { encodeElements } from '../elements.ts';
import { readFields } from './infer-request.ts';

interface Form {
  readonly field: number;
  readonly name: string;
}

const bool = { field: 1, name: 'bool_contents' };
const int = { field: 2, name: 'int_contents' };
const uint = { field: 4, name: 'uint_contents' };
const forms: Readonly<Record<Datatype, Form | undefined>> = {
  BOOL: bool,
  INT8: int,
  INT16: int,
  INT32: int,
  INT64: { field: 3, name: 'int64_contents' },
  UINT8: uint,
  UINT16: uint,
  UINT32: uint,
  UINT64: { field: 5, name: 'uint64_contents' },
  FP32: { field: 6, name: 'fp32_contents' },
  FP64: { field: 7, name: 'fp64_contents' },
  BYTES: { field: 8, name: 'bytes_contents' },
  FP16: undefined,
  BF16: undefined,
};

const lengthDelimited = 2;

export function hasTypedContents(datatype: Datatype): boolean {
  return forms[datatype] !== undefined;
}

/** The bytes of a tensor of `count` elements. The error says what does not fit, without the tensor's name. */
export function readContents(
  contents: Uint8Array,
  datatype: Datatype,
  count: number,
): Result<Uint8Array, string> {
  const form = forms[datatype];
  if (form === undefined) {
    return err(`${datatype} has no typed contents; it is sent in raw_input_contents`);
  }
  // One byte is the least that an element takes: what has too few is not given memory for them.
  if (count > contents.length) return err(`its contents have fewer than ${count} elements`);
  try {
    return datatype === 'BYTES'
      ? readTexts(contents, form, count)
      : readNumbers(contents, form, datatype, count);
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    return err(`its contents are no InferTensorContents: ${reason}`);
  }
}

/** Elements with their lengths in front, as a BYTES tensor has them. First counted, then copied. */
function readTexts(contents: Uint8Array, form: Form, count: number): Result<Uint8Array, string> {
  const each = (take: (element: Uint8Array) => void): void =>
    readFields(contents, (field, wire, reader) => {
      if (field !== form.field || wire !== lengthDelimited) return false;
      take(reader.bytes());
      return true;
    });
  let found = 0;
  let size = 0;
  each((element) => {
    found += 1;
    size += 4 + element.length;
  });
  if (found !== count) return err(wrongCount(form, found, count));
  const bytes = new Uint8Array(size);
  const view = new DataView(bytes.buffer);
  let at = 0;
  each((element) => {
    view.setUint32(at, element.length, true);
    bytes.set(element, at + 4);
    at += 4 + element.length;
  });
  return ok(bytes);
}

function readNumbers(
  contents: Uint8Array,
  form: Form,
  datatype: Exclude<Datatype, 'BYTES'>,
  count: number,
): Result<Uint8Array, string> {
  const size = datatypeBytes[datatype];
  // Smaller integers come as 32-bit ones, whose range is checked as that of JSON's numbers is.
  const isNarrow = form === int || form === uint;
  const values: number[] = [];
  const bytes = new Uint8Array(isNarrow ? 0 : count * size);
  const view = new DataView(bytes.buffer);
  let found = 0;
  const takeOne = (reader: protobuf.Reader): void => {
    if (found >= count) {
      reader.skipType(wireOf(datatype));
    } else if (isNarrow) {
      values.push(form === int ? reader.int32() : reader.uint32());
    } else {
      putWide(view, found * size, datatype, reader);
    }
    found += 1;
  };
  readFields(contents, (field, wire, reader) => {
    if (field !== form.field) return false;
    if (wire !== lengthDelimited) {
      if (wire !== wireOf(datatype)) return false;
      takeOne(reader);
      return true;
    }
    const packed = protobuf.Reader.create(reader.bytes());
    while (packed.pos < packed.len) takeOne(packed);
    return true;
  });
  if (found !== count) return err(wrongCount(form, found, count));
  return isNarrow ? encodeElements(values, datatype, count) : ok(bytes);
}

function putWide(view: DataView, at: number, datatype: Datatype, reader: protobuf.Reader): void {
  if (datatype === 'BOOL') view.setUint8(at, Number(reader.bool()));
  else if (datatype === 'FP32') view.setFloat32(at, reader.float(), true);
  else if (datatype === 'FP64') view.setFloat64(at, reader.double(), true);
  else {
    // Both halves are the same bits, whether the number has a sign or not.
    const { low, high } = reader.int64();
    view.setInt32(at, low, true);
    view.setInt32(at + 4, high, true);
  }
}

function wireOf(datatype: Datatype): number {
  if (datatype === 'FP32') return 5;
  return datatype === 'FP64' ? 1 : 0;
}

function wrongCount({ name }: Form, found: number, count: number): string {
  return `it has ${found} elements in ${name}, its shape has ${count}`;
}

/** An `InferTensorContents` of these elements. Not for FP16 and BF16. */
export function writeContents(bytes: Uint8Array, datatype: Datatype, count: number): Uint8Array {
  const form = forms[datatype];
  invariant(form !== undefined, 'only what has typed contents is written so');
  if (datatype === 'BYTES') return writeTexts(bytes, form, count);
  // These are packed as the bytes that they are.
  if (datatype === 'BOOL' || datatype === 'FP32' || datatype === 'FP64') return packed(form, bytes);
  return packed(form, varints(bytes, datatype, count));
}

function writeTexts(bytes: Uint8Array, { field }: Form, count: number): Uint8Array {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  // A tag and at most five bytes of length stand for the four bytes of length in the tensor.
  const out = new Uint8Array(bytes.length + 2 * count);
  let from = 0;
  let at = 0;
  for (let i = 0; i < count; i += 1) {
    const length = view.getUint32(from, true);
    from += 4;
    out[at++] = (field << 3) | lengthDelimited;
    let left = length;
    for (; left > 0x7f; left >>>= 7) out[at++] = (left & 0x7f) | 0x80;
    out[at++] = left;
    out.set(bytes.subarray(from, from + length), at);
    from += length;
    at += length;
  }
  return out.subarray(0, at);
}

function packed({ field }: Form, elements: Uint8Array): Uint8Array {
  const writer = protobuf.Writer.create();
  if (elements.length > 0) writer.uint32((field << 3) | lengthDelimited).bytes(elements);
  return writer.finish();
}

/** Negative numbers take ten bytes, as protobuf has it. The library's writer keeps an object for each number. */
function varints(bytes: Uint8Array, datatype: Datatype, count: number): Uint8Array {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let out = new Uint8Array(Math.max(64, bytes.length * 2));
  let at = 0;
  for (let i = 0; i < count; i += 1) {
    if (at + 10 > out.length) {
      const larger = new Uint8Array(out.length * 2);
      larger.set(out);
      out = larger;
    }
    let [low, high] = halves(view, i, datatype);
    while (high !== 0 || low > 0x7f) {
      out[at++] = (low & 0x7f) | 0x80;
      low = ((low >>> 7) | (high << 25)) >>> 0;
      high >>>= 7;
    }
    out[at++] = low;
  }
  return out.subarray(0, at);
}

/** The 64 bits of an integer, its sign carried on to the last. */
function halves(view: DataView, i: number, datatype: Datatype): [number, number] {
  switch (datatype) {
    case 'UINT8':
      return [view.getUint8(i), 0];
    case 'UINT16':
      return [view.getUint16(i * 2, true), 0];
    case 'UINT32':
      return [view.getUint32(i * 4, true), 0];
    case 'INT8':
      return signed(view.getInt8(i));
    case 'INT16':
      return signed(view.getInt16(i * 2, true));
    case 'INT32':
      return signed(view.getInt32(i * 4, true));
    default:
      return [view.getUint32(i * 8, true), view.getUint32(i * 8 + 4, true)];
  }
}

function signed(value: number): [number, number] {
  return [value >>> 0, value < 0 ? 0xffff_ffff : 0];
}
