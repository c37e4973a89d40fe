/** Nested lists become tensors and come back, of every datatype, in both formats. */
import {
  type Datatype,
  datatypeBytes,
  elementCount,
  joinBytes,
  type JsonValue,
  type ModelManifest,
  type Tensor,
} from '@inferry/contracts';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { writeJson } from '../json.ts';
import { adder, digits, fields, iris, sentiment, shop } from '../models-fixture.test.ts';
import { parsePredict, predictResponse } from './predict.ts';

const context = {
  hasPriorities: false,
  allocate: (bytes: number): Uint8Array => new Uint8Array(bytes),
};
const parse = (text: string, manifest: ModelManifest) =>
  parsePredict(new TextEncoder().encode(text), manifest, context);
const datatypes = Object.keys(datatypeBytes) as Datatype[];

/** Gives back what it takes. Names that end in `_bytes` are in base64. */
function identity(datatype: Datatype, rank: number, inputs: readonly string[]): ModelManifest {
  const shape = Array.from({ length: rank }, () => -1);
  const specs = inputs.map((name) => ({ name, datatype, shape }));
  return { ...adder, name: 'identity', inputs: specs, outputs: specs };
}

/** Elements whose text says all of them: a NaN has no payload, a truth value is 0 or 1. */
function elementsOf(datatype: Datatype, count: number): fc.Arbitrary<Uint8Array> {
  const length = { minLength: count, maxLength: count };
  switch (datatype) {
    case 'BYTES':
      return fc.array(fc.uint8Array({ maxLength: 9 }), length).map(joinBytes);
    case 'BOOL':
      return fc.uint8Array({ ...length, max: 1 });
    case 'FP16':
    case 'BF16':
      // The largest exponent is that of NaN and the infinities.
      return fc
        .uint16Array({ ...length, max: 0x7bff })
        .map(
          (half) =>
            new Uint8Array(half.map((bits) => ((bits & 0x7f00) === 0x7f00 ? 1 : bits)).buffer),
        );
    case 'FP32':
      return fc
        .float32Array({ ...length, noNaN: true })
        .map((value) => new Uint8Array(value.buffer));
    case 'FP64':
      return fc
        .float64Array({ ...length, noNaN: true })
        .map((value) => new Uint8Array(value.buffer));
    default: {
      const bytes = count * datatypeBytes[datatype];
      return fc.uint8Array({ minLength: bytes, maxLength: bytes });
    }
  }
}

const shapes = fc.array(fc.integer({ min: 1, max: 3 }), { minLength: 1, maxLength: 3 });
const format = fc.constantFrom('row', 'columnar');

describe.each(datatypes)('%s', (datatype) => {
  test.each([[['x']], [['x', 'y_bytes']]])('of %j is what it was', (names) => {
    fc.assert(
      fc.property(
        shapes.chain((shape) =>
          fc.record({
            shape: fc.constant(shape),
            values: fc.tuple(...names.map(() => elementsOf(datatype, elementCount(shape)))),
            format,
          }),
        ),
        ({ shape, values, ...given }) => {
          const manifest = identity(datatype, shape.length, names);
          const tensors = names.map((name, i): Tensor => ({
            name,
            datatype,
            shape,
            bytes: values[i] ?? new Uint8Array(),
          }));
          const [rows = 0] = shape;
          const instances = given.format === 'row' ? rows : undefined;
          const answer = predictResponse(manifest, { form: 'tensors', tensors }, { instances });
          expect(answer).toMatchObject({ ok: true });
          const text = answer.ok ? answer.value : '';
          const asked = text
            .replace('"predictions"', '"instances"')
            .replace('"outputs"', '"inputs"');
          expect(parse(asked, manifest)).toMatchObject({
            ok: true,
            value: { rows, instances, input: { form: 'tensors', tensors } },
          });
          if (datatype === 'BYTES' && names.length > 1) expect(text).toContain('"y_bytes":');
        },
      ),
      { numRuns: 60 },
    );
  });
});

test('64-bit integers are exact, out of whichever number they are written', () => {
  const manifest = identity('INT64', 2, ['x']);
  const text = '[[-9223372036854775808,9223372036854775807],[9007199254740993,0]]';
  const request = parse(`{"instances":${text}}`, manifest);
  const tensors =
    request.ok && request.value.input.form === 'tensors' ? request.value.input.tensors : [];
  expect(predictResponse(manifest, { form: 'tensors', tensors }, { instances: 2 })).toEqual({
    ok: true,
    value: `{"predictions":${text}}`,
  });
});

test('a list that is ragged anywhere is refused at that place', () => {
  const manifest = identity('INT32', 3, ['x']);
  fc.assert(
    fc.property(
      fc.tuple(fc.integer({ min: 2, max: 3 }), fc.integer({ min: 2, max: 3 })),
      fc.integer({ min: 0, max: 99 }),
      fc.boolean(),
      ([rows, lists], pick, isLonger) => {
        const value = Array.from({ length: rows }, () =>
          Array.from({ length: lists }, () => [1, 2]),
        );
        // Not the first list, which sets the length of the others.
        const place = 1 + (pick % (rows * lists - 1));
        const [row, list] = [Math.floor(place / lists), place % lists];
        value[row]?.splice(list, 1, isLonger ? [1, 2, 3] : [1]);
        const result = parse(JSON.stringify({ instances: value }), manifest);
        expect(result.ok ? undefined : result.error).toMatchObject({
          code: 'invalid_input',
          extras: { errors: [{ pointer: `#/instances/${row}/${list}` }] },
        });
      },
    ),
  );
});

test('garbage is refused, never thrown', () => {
  const models = fc.constantFrom(iris, shop, digits, sentiment, fields, adder);
  const value: fc.Arbitrary<JsonValue> = fc.jsonValue({ maxDepth: 4 }) as fc.Arbitrary<JsonValue>;
  const leaf = fc.oneof(
    value,
    fc.constantFrom<JsonValue[]>({ b64: 'AAEC' }, { b64: '*' }, 'text', [[1]], {
      b64: 'AA==',
      x: 1,
    }),
  );
  const named = fc.dictionary(
    fc.constantFrom(
      'image',
      'text',
      'a',
      'b',
      'pixels',
      'price',
      'size',
      'new',
      '__proto__',
      'b64',
    ),
    fc.oneof(leaf, fc.array(leaf, { maxLength: 5 })),
  );
  const given = fc.oneof(leaf, named, fc.array(fc.oneof(leaf, named), { maxLength: 10 }));
  fc.assert(
    fc.property(fc.constantFrom('instances', 'inputs'), given, models, (member, content, model) => {
      const result = parse(writeJson({ [member]: content }), model);
      if (result.ok) expect(result.value.rows).toBeGreaterThan(0);
      else expect(result.error.detail).not.toBe('');
    }),
    { numRuns: 2_000 },
  );
});
