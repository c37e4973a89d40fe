/** The messages read and written by hand here, against the same ones through a reader made from the schema. */
import {
  type Datatype,
  datatypeBytes,
  elementCount,
  joinBytes,
  type ModelManifest,
  splitBytes,
} from '@inferry/contracts';
import fc from 'fast-check';
import protobuf from 'protobufjs';
import { describe, expect, test } from 'vitest';

import { adder, digits } from '../models-fixture.test.ts';
import { bindWireRequest, writeInferResponse } from './infer.ts';
import { readInferRequest } from './infer-request.ts';
import { grpcStatusOf } from './status.ts';
import { wireSchema } from './wire-schema.ts';

const { root } = protobuf.parse(wireSchema, { keepCase: true });
const requestType = root.lookupType('inference.ModelInferRequest');
const responseType = root.lookupType('inference.ModelInferResponse');

const typed = {
  BOOL: { field: 'bool_contents', value: fc.boolean() },
  INT8: { field: 'int_contents', value: fc.integer({ min: -128, max: 127 }) },
  INT16: { field: 'int_contents', value: fc.integer({ min: -32_768, max: 32_767 }) },
  INT32: { field: 'int_contents', value: fc.integer() },
  INT64: { field: 'int64_contents', value: fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }) },
  UINT8: { field: 'uint_contents', value: fc.integer({ min: 0, max: 255 }) },
  UINT16: { field: 'uint_contents', value: fc.integer({ min: 0, max: 65_535 }) },
  UINT32: { field: 'uint_contents', value: fc.integer({ min: 0, max: 0xffff_ffff }) },
  UINT64: { field: 'uint64_contents', value: fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }) },
  FP32: { field: 'fp32_contents', value: fc.float() },
  FP64: { field: 'fp64_contents', value: fc.double() },
  BYTES: { field: 'bytes_contents', value: fc.uint8Array({ maxLength: 300 }) },
} as const;
type Typed = keyof typeof typed;
const typedNames = Object.keys(typed) as Typed[];

function modelOf(datatype: Datatype): ModelManifest {
  const specs = [{ name: 'x', datatype, shape: [-1, 2] }];
  return { ...adder, maxBatchSize: 8, inputs: specs, outputs: specs };
}

/** Written through the schema. 64-bit numbers go in as text, which the library takes without loss. */
function encode(request: Record<string, unknown>): Buffer {
  return Buffer.from(requestType.encode(requestType.fromObject(request)).finish());
}

function bind(request: Record<string, unknown>, manifest: ModelManifest) {
  const wire = readInferRequest(encode(request));
  return wire.ok ? bindWireRequest(wire.value, manifest, { hasPriorities: false }) : wire;
}

function withContents(datatype: Typed, values: readonly unknown[], shape = [values.length / 2, 2]) {
  const list = values.map((value) => (typeof value === 'bigint' ? String(value) : value));
  const contents = { [typed[datatype].field]: list };
  return { model_name: 'm', inputs: [{ name: 'x', datatype, shape, contents }] };
}

/** What the values are as bytes, by means of the language. */
function bytesOf(datatype: Typed, values: readonly unknown[]): Uint8Array {
  if (datatype === 'BYTES') return joinBytes(values as Uint8Array[]);
  const size = datatypeBytes[datatype];
  const bytes = new Uint8Array(values.length * size);
  const view = new DataView(bytes.buffer);
  for (const [i, value] of values.entries()) {
    const at = i * size;
    if (typeof value === 'bigint') view.setBigUint64(at, BigInt.asUintN(64, value), true);
    else if (datatype === 'FP32') view.setFloat32(at, Number(value), true);
    else if (datatype === 'FP64') view.setFloat64(at, Number(value), true);
    else for (let j = 0; j < size; j += 1) bytes[at + j] = (Number(value) >> (8 * j)) & 0xff;
  }
  return bytes;
}

describe('typed contents', () => {
  test.each(typedNames)('of %s are bytes, and the bytes the same contents again', (datatype) => {
    const rows = fc.array(fc.tuple(typed[datatype].value, typed[datatype].value), {
      minLength: 1,
      maxLength: 8,
    });
    fc.assert(
      fc.property(rows, (pairs) => {
        const values: unknown[] = pairs.flat();
        const manifest = modelOf(datatype);
        const bound = bind(withContents(datatype, values), manifest);
        if (!bound.ok || bound.value.input.form !== 'tensors') throw new Error('not bound');
        const [tensor] = bound.value.input.tensors;
        const bytes = bytesOf(datatype, values);
        expect(tensor?.bytes).toEqual(bytes);
        const answer = writeInferResponse(
          manifest,
          { form: 'tensors', tensors: [{ name: 'x', datatype, shape: [pairs.length, 2], bytes }] },
          { isRaw: false, request: bound.value },
        );
        const read = responseType.decode(answer) as unknown as {
          outputs: { contents: Record<string, unknown[]> }[];
          raw_output_contents: unknown[];
        };
        expect(read.raw_output_contents).toEqual([]);
        const told = read.outputs[0]?.contents[typed[datatype].field] ?? [];
        expect(told.map((one) => comparable(one))).toEqual(values.map((one) => comparable(one)));
      }),
    );
  });

  test.each([
    [
      'too few',
      withContents('FP32', [1, 2], [3, 2]),
      'has 2 elements in fp32_contents, its shape has 6',
    ],
    ['too many', withContents('FP32', [1, 2, 3, 4], [1, 2]), 'has 4 elements'],
    ['none', withContents('FP32', [], [1, 2]), 'fewer than 2 elements'],
    ['a shape far beyond them', withContents('FP32', [1, 2], [8, 2]), 'elements'],
  ])('%s are refused', (_, request, detail) => {
    const bound = bind(request, modelOf('FP32'));
    expect(bound.ok ? '' : bound.error.detail).toContain(detail);
  });

  test('of another field than the datatype has are none', () => {
    const request = withContents('INT64', [1n, 2n]);
    const inputs = [{ ...request.inputs[0], contents: { fp64_contents: [1, 2] } }];
    const bound = bind({ ...request, inputs }, modelOf('INT64'));
    expect(bound).toMatchObject({ ok: false, error: { code: 'invalid_input' } });
  });

  test('outside the range of a small integer are refused, and not cut', () => {
    const bound = bind(withContents('INT8', [1, 300]), modelOf('INT8'));
    expect(bound.ok ? '' : bound.error.detail).toContain('must be an integer from -128 to 127');
  });

  test('do not exist for FP16, which is answered raw also to a typed request', () => {
    const inputs = [
      { name: 'x', datatype: 'FP16', shape: [1, 2], contents: { fp32_contents: [1, 2] } },
    ];
    const bound = bind({ model_name: 'm', inputs }, modelOf('FP16'));
    expect(bound.ok ? '' : bound.error.detail).toContain('raw_input_contents');
    const bytes = Uint8Array.of(0, 60, 0, 64);
    const answer = writeInferResponse(
      modelOf('FP16'),
      { form: 'tensors', tensors: [{ name: 'x', datatype: 'FP16', shape: [1, 2], bytes }] },
      { isRaw: false, request: { id: undefined, answer: { isBinary: false, outputs: new Map() } } },
    );
    const read = responseType.decode(answer) as unknown as { raw_output_contents: Uint8Array[] };
    expect(read.raw_output_contents.map((piece) => [...piece])).toEqual([[0, 60, 0, 64]]);
  });
});

/** 64-bit numbers of the library, numbers and bytes, to be compared. */
function comparable(value: unknown): string {
  if (value instanceof Uint8Array) return Buffer.from(value).toString('hex');
  return Object.is(value, -0) ? '-0' : String(value);
}

describe('raw contents', () => {
  const input = { name: 'x', datatype: 'FP32', shape: [1, 2] };

  test('are taken as they lie in the message', () => {
    const message = encode({
      inputs: [input],
      raw_input_contents: [Uint8Array.of(1, 2, 3, 4, 5, 6, 7, 8)],
    });
    const wire = readInferRequest(message);
    expect(wire.ok && wire.value.raw[0]?.buffer).toBe(message.buffer);
  });

  test.each([
    [
      'two pieces for one input',
      { inputs: [input], raw_input_contents: [new Uint8Array(8), new Uint8Array(8)] },
      '2 raw_input_contents for 1 inputs',
    ],
    [
      'a piece and contents',
      {
        inputs: [{ ...input, contents: { fp32_contents: [1, 2] } }],
        raw_input_contents: [new Uint8Array(8)],
      },
      'one of them is too many',
    ],
    [
      'a piece of another size',
      { inputs: [input], raw_input_contents: [new Uint8Array(7)] },
      '7 bytes, its shape has 8',
    ],
  ])('%s are refused', (_, request, detail) => {
    const bound = bind(request, modelOf('FP32'));
    expect(bound.ok ? '' : bound.error.detail).toContain(detail);
  });

  test('of BYTES have their lengths in front, which must add up', () => {
    const bytes = joinBytes([Uint8Array.of(1), Uint8Array.of(2, 3)]);
    const texts = { ...input, datatype: 'BYTES' };
    const bound = bind({ inputs: [texts], raw_input_contents: [bytes] }, modelOf('BYTES'));
    expect(bound.ok).toBe(true);
    const broken = bind(
      { inputs: [texts], raw_input_contents: [bytes.subarray(1)] },
      modelOf('BYTES'),
    );
    expect(broken.ok ? '' : broken.error.detail).toContain('do not add up');
  });

  test('of the pipeline are its rows', () => {
    const images = joinBytes([Uint8Array.of(9), Uint8Array.of(8, 7)]);
    const field = digits.preprocess.kind === 'image' ? digits.preprocess.input : '';
    const inputs = [{ name: field, datatype: 'BYTES', shape: [2] }];
    const bound = bind({ inputs, raw_input_contents: [images] }, digits);
    if (!bound.ok || bound.value.input.form !== 'pipeline') throw new Error('not bound');
    const rows = bound.value.input.rows.map((row) => comparable(row[field]));
    expect(rows).toEqual(['09', '0807']);
  });
});

describe('a request', () => {
  test('has the parameters of each kind, exact where a number is long', () => {
    const parameters = {
      b: { bool_param: true },
      i: { int64_param: '9007199254740993' },
      t: { string_param: 'x' },
      d: { double_param: 0.5 },
      u: { uint64_param: 3 },
    };
    const wire = readInferRequest(
      encode({ model_name: 'm', model_version: '2', id: 'q', parameters }),
    );
    expect(wire.ok && wire.value).toMatchObject({
      model: 'm',
      version: '2',
      id: 'q',
      parameters: { b: true, i: 9007199254740993n, t: 'x', d: 0.5, u: 3 },
    });
  });

  test('without version and id has none', () => {
    const wire = readInferRequest(encode({ model_name: 'm' }));
    expect(wire.ok && wire.value).toMatchObject({ version: undefined, id: undefined });
  });

  test('with more tensors, dimensions or parameters than any may have is refused', () => {
    const many = Array.from({ length: 5_000 }, () => ({
      name: 'x',
      datatype: 'FP32',
      shape: [1, 2],
    }));
    expect(bind({ inputs: many }, modelOf('FP32')).ok).toBe(false);
    const deep = { name: 'x', datatype: 'FP32', shape: Array<number>(1_000_000).fill(1) };
    expect(bind({ inputs: [deep] }, modelOf('FP32')).ok).toBe(false);
    const parameters = Object.fromEntries(
      Array.from({ length: 100 }, (_, i) => [`k${i}`, { bool_param: true }]),
    );
    const input = {
      name: 'x',
      datatype: 'FP32',
      shape: [1, 2],
      contents: { fp32_contents: [1, 2] },
    };
    expect(bind({ inputs: [input], parameters }, modelOf('FP32')).ok).toBe(false);
  });

  test('of any bytes is read or refused, and never thrown on', () => {
    const valid = encode(withContents('BYTES', [Uint8Array.of(1), Uint8Array.of(2)]));
    const spoiled = fc.tuple(fc.nat(valid.length - 1), fc.nat(255)).map(([at, byte]) => {
      const copy = Buffer.from(valid);
      copy[at] = byte;
      return copy;
    });
    const bytes = fc.oneof(
      fc.uint8Array({ maxLength: 200 }).map((one) => Buffer.from(one)),
      spoiled,
    );
    fc.assert(
      fc.property(bytes, (message) => {
        const wire = readInferRequest(message);
        if (!wire.ok) {
          expect(wire.error.code).toBe('invalid_input');
          return;
        }
        const bound = bindWireRequest(wire.value, modelOf('BYTES'), { hasPriorities: false });
        if (!bound.ok || bound.value.input.form !== 'tensors') return;
        for (const tensor of bound.value.input.tensors) {
          expect(splitBytes(tensor.bytes, elementCount(tensor.shape))).toBeDefined();
        }
      }),
      { numRuns: 2_000 },
    );
  });
});

test.each([
  ['invalid_input', 3],
  ['malformed_json', 3],
  ['model_not_found', 5],
  ['payload_too_large', 8],
  ['quota_exceeded', 8],
  ['queue_full', 14],
  ['draining', 14],
  ['deadline_exceeded', 4],
  ['queue_timeout', 4],
  ['canceled_by_user', 1],
  ['model_error', 13],
  ['internal', 13],
  ['method_not_allowed', 12],
] as const)('%s is status %i of gRPC', (code, status) => {
  expect(grpcStatusOf(code)).toBe(status);
});
