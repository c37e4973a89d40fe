/** Whatever stands in a config.pbtxt: it is served, or told with a line; nothing throws. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { OnnxSignature } from '../onnx-signature.ts';
import { modelConfigType } from './config-schema.ts';
import { readConfig } from './read-config.ts';
import type { FieldSchema, MessageType } from './schema-types.ts';
import { translate } from './translate.ts';

const signature: OnnxSignature = {
  inputs: [{ name: 'x', datatype: 'FP32', shape: [-1, 4] }],
  outputs: [{ name: 'y', datatype: 'FP32', shape: [-1, 3] }],
  opset: 17,
  producer: '',
  fileBytes: 1,
  dataFiles: [],
};

const anyScalar = fc.constantFrom(
  '0',
  '1',
  '-1',
  '4',
  '99999999999999999999',
  '1.5',
  'true',
  '"x"',
  '"y"',
  '"1"',
  'inf',
  'KIND_GPU',
  '{ }',
);

/** Mostly of the right type. */
function valueOf(type: FieldSchema['type']): fc.Arbitrary<string> {
  if (typeof type !== 'string' && 'fields' in type) {
    return messageOf(type).map((text) => `{ ${text} }`);
  }
  const right =
    typeof type !== 'string'
      ? fc.constantFrom(...type.values)
      : type === 'string'
        ? fc.constantFrom('"x"', '"y"', '"1"', '""')
        : type === 'bool'
          ? fc.constantFrom('true', 'false')
          : fc.constantFrom('0', '1', '2', '3', '4', '8', '-1', '1000');
  return fc.oneof({ weight: 19, arbitrary: right }, { weight: 1, arbitrary: anyScalar });
}

function fieldOf(name: string, { form, type }: FieldSchema): fc.Arbitrary<string> {
  const value = valueOf(type);
  if (form === 'map') {
    return fc
      .tuple(fc.constantFrom('"x"', '1', '"intra_op_thread_count"'), value)
      .map(([key, own]) => `${name} { key: ${key} value: ${own} }`);
  }
  if (form === 'one') return value.map((own) => `${name}: ${own}`);
  return fc.array(value, { maxLength: 3 }).map((all) => `${name}: [ ${all.join(', ')} ]`);
}

function messageOf({ fields }: MessageType): fc.Arbitrary<string> {
  const names = Object.keys(fields);
  if (names.length === 0) return fc.constant('');
  return fc.subarray(names, { maxLength: Math.min(names.length, 5) }).chain((chosen) =>
    fc
      .tuple(
        ...chosen.map((name) => {
          const field = fields[name];
          return field === undefined ? fc.constant('') : fieldOf(name, field);
        }),
      )
      .map((texts) => texts.join('\n')),
  );
}

test('every configuration is served, or told with a line', () => {
  let served = 0;
  fc.assert(
    fc.property(messageOf(modelConfigType), (text) => {
      const read = readConfig('config.pbtxt', text);
      const onnx = { file: '/m/1/model.onnx', shownFile: 'm/1/model.onnx', signature };
      const name = { name: 'm', version: '1', digest: '' };
      const warmupFolder = { path: '/m/warmup', sizes: new Map() };
      const done = read.ok
        ? translate({ ...name, read: read.value, onnx, warmupFolder, labels: {} })
        : read;
      if (done.ok) {
        served += 1;
        expect(JSON.parse(JSON.stringify(done.value.manifest))).toEqual(done.value.manifest);
        return;
      }
      expect(done.error.length).toBeGreaterThan(0);
      for (const { line } of done.error) expect(line).toBeGreaterThanOrEqual(1);
    }),
    { numRuns: 500 },
  );
  expect(served).toBeGreaterThan(0);
});
