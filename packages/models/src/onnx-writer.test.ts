/**
 * Writes small ONNX files for the tests of this package, field by field, and checks that what it
 * writes is what protobufjs reads back through a schema of the same fields.
 */
import protobuf from 'protobufjs';
import { describe, expect, test } from 'vitest';

export interface WrittenTensor {
  readonly name: string;
  /** TensorProto.DataType. */
  readonly type: number;
  /** A string names a dimension, null leaves it empty; undefined leaves the whole shape out. */
  readonly shape?: readonly (number | string | null)[] | undefined;
  /** Makes the value something else than a tensor. */
  readonly kind?: 'sequence' | 'map' | 'optional';
}

export interface WrittenModel {
  readonly inputs: readonly WrittenTensor[];
  readonly outputs: readonly WrittenTensor[];
  /** Names of weights, each with so many bytes of raw data. */
  readonly initializers?: Readonly<Record<string, number>>;
  /** Names of weights that lie in other files, with the name of that. */
  readonly external?: Readonly<Record<string, string>>;
  readonly opsets?: readonly { readonly domain: string; readonly version: number }[];
  readonly producer?: string;
}

const kindFields = { sequence: 4, map: 5, optional: 9 } as const;

export function writeOnnx(model: WrittenModel): Uint8Array {
  const graph = (writer: protobuf.Writer): void => {
    message(writer, 1, (node) => node.uint32(34).string('Identity'));
    writer.uint32(18).string('graph');
    for (const [name, bytes] of Object.entries(model.initializers ?? {})) {
      message(writer, 5, (tensor) => {
        tensor.uint32(8).int64(bytes).uint32(16).int32(2);
        tensor.uint32(66).string(name).uint32(74).bytes(new Uint8Array(bytes).fill(255));
      });
    }
    for (const [name, file] of Object.entries(model.external ?? {})) {
      message(writer, 5, (tensor) => {
        tensor.uint32(8).int64(1).uint32(16).int32(2).uint32(66).string(name);
        for (const [key, value] of [
          ['location', file],
          ['length', '1'],
        ] as const) {
          message(tensor, 13, (entry) => entry.uint32(10).string(key).uint32(18).string(value));
        }
        tensor.uint32(112).int32(1);
      });
    }
    for (const tensor of model.inputs) valueInfo(writer, 11, tensor);
    for (const tensor of model.outputs) valueInfo(writer, 12, tensor);
  };
  const writer = protobuf.Writer.create();
  writer.uint32(8).int64(9);
  writer
    .uint32(18)
    .string(model.producer ?? 'writer')
    .uint32(26)
    .string('1.0');
  message(writer, 7, graph);
  for (const opset of model.opsets ?? [{ domain: '', version: 17 }]) {
    message(writer, 8, (body) =>
      body.uint32(10).string(opset.domain).uint32(16).int64(opset.version),
    );
  }
  return writer.finish();
}

function valueInfo(writer: protobuf.Writer, field: number, tensor: WrittenTensor): void {
  message(writer, field, (info) => {
    info.uint32(10).string(tensor.name);
    message(info, 2, (type) => {
      if (tensor.kind !== undefined) {
        message(type, kindFields[tensor.kind], (kind) => kind.uint32(8).int32(tensor.type));
        return;
      }
      message(type, 1, (body) => {
        body.uint32(8).int32(tensor.type);
        const { shape } = tensor;
        if (shape === undefined) return;
        message(body, 2, (dimensions) => {
          for (const dimension of shape) message(dimensions, 1, (d) => oneDimension(d, dimension));
        });
      });
    });
  });
}

function oneDimension(writer: protobuf.Writer, dimension: number | string | null): void {
  if (typeof dimension === 'number') writer.uint32(8).int64(dimension);
  else if (dimension !== null) writer.uint32(18).string(dimension);
}

function message(
  writer: protobuf.Writer,
  field: number,
  write: (body: protobuf.Writer) => unknown,
): void {
  writer.uint32((field << 3) | 2).fork();
  write(writer);
  writer.ldelim();
}

describe('the ONNX writer of the tests', () => {
  test('writes messages that a schema reads back', () => {
    const { root } = protobuf.parse(`
      syntax = "proto3";
      message Model { int64 ir_version = 1; string producer_name = 2; Graph graph = 7; }
      message Graph { string name = 2; repeated ValueInfo input = 11; }
      message ValueInfo { string name = 1; }
    `);
    const bytes = writeOnnx({
      inputs: [{ name: 'x', type: 1, shape: [null, 4] }],
      outputs: [{ name: 'y', type: 1, shape: ['n', 3] }],
    });
    expect(root.lookupType('Model').decode(bytes).toJSON()).toMatchObject({
      producerName: 'writer',
      graph: { name: 'graph', input: [{ name: 'x' }] },
    });
  });
});
