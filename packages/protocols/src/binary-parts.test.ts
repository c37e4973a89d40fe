/** The binary tensor extension, both ways, and classification. */
import {
  type Datatype,
  datatypeBytes,
  joinBytes,
  type ModelManifest,
  splitBytes,
  type Tensor,
} from '@inferry/contracts';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { splitBody } from './binary-parts.ts';
import { adder, digits, iris } from './models-fixture.test.ts';
import { inferResponse, type InferRequest, parseInferRequest } from './open-inference.ts';

const encoder = new TextEncoder();
const decoder = new TextDecoder();
const allocate = (bytes: number): Uint8Array => new Uint8Array(bytes);

/** A request with `json` and what follows it. */
function parse(
  json: unknown,
  pieces: readonly Uint8Array[],
  manifest: ModelManifest,
  jsonLength?: string,
) {
  const text = json === null ? new Uint8Array() : encoder.encode(JSON.stringify(json));
  const body = new Uint8Array(Buffer.concat([text, ...pieces]));
  const context = { hasPriorities: false, allocate, jsonLength: jsonLength ?? `${text.length}` };
  return parseInferRequest(body, manifest, context);
}

function parsed(...given: Parameters<typeof parse>): InferRequest {
  const result = parse(...given);
  if (!result.ok) throw new Error(result.error.detail);
  return result.value;
}

const floats = (...values: number[]): Uint8Array =>
  new Uint8Array(Float32Array.of(...values).buffer);
const features = floats(5.1, 3.5, 1.4, 0.2);
const head = { name: 'features', shape: [1, 4], datatype: 'FP32' };
const sized = (size: unknown) => ({
  inputs: [{ ...head, parameters: { binary_data_size: size } }],
});

/** A model with one input and one output of a datatype, as wide as you like. */
function modelOf(...datatypes: readonly Datatype[]): ModelManifest {
  const specs = datatypes.map((datatype, i) => ({ name: `t${i}`, datatype, shape: [-1, -1] }));
  return { ...adder, maxBatchSize: 8, inputs: specs, outputs: specs };
}

const tensorArbitrary = fc
  .constantFrom(...(Object.keys(datatypeBytes) as Datatype[]))
  .chain((datatype) =>
    fc.tuple(fc.constant(datatype), fc.integer({ min: 0, max: 5 })).chain(([of, width]) => {
      const bytes =
        of === 'BYTES'
          ? fc
              .array(fc.uint8Array({ maxLength: 9 }), {
                minLength: 2 * width,
                maxLength: 2 * width,
              })
              .map(joinBytes)
          : fc.uint8Array({
              minLength: 2 * width * datatypeBytes[of],
              maxLength: 2 * width * datatypeBytes[of],
              ...(of === 'BOOL' ? { max: 1 } : {}),
            });
      return bytes.map((data) => ({ datatype: of, shape: [2, width], bytes: data }));
    }),
  );

describe('tensors behind the JSON', () => {
  test('of every datatype arrive and leave as the bytes they are, in any mixture with JSON', () => {
    fc.assert(
      fc.property(
        fc.array(fc.tuple(tensorArbitrary, fc.boolean()), { minLength: 1, maxLength: 4 }),
        (given) => {
          const tensors: Tensor[] = given.map(([tensor], i) => ({ name: `t${i}`, ...tensor }));
          const manifest = modelOf(...tensors.map(({ datatype }) => datatype));
          const inputs = tensors.map(({ name, datatype, shape, bytes }) => ({
            name,
            datatype,
            shape,
            parameters: { binary_data_size: bytes.length },
          }));
          const outputs = tensors.map(({ name }, i) => ({
            name,
            parameters: { binary_data: given[i]?.[1] ?? false },
          }));
          const request = parsed(
            { inputs, outputs },
            tensors.map(({ bytes }) => bytes),
            manifest,
          );
          if (request.input.form !== 'tensors') throw new Error('no tensors');
          const plain = request.input.tensors.map((one) => ({ ...one, bytes: [...one.bytes] }));
          expect(plain).toEqual(tensors.map((one) => ({ ...one, bytes: [...one.bytes] })));

          const { binary = [], json } = inferResponse(manifest, request.input, request);
          const wanted = tensors.filter((_, i) => given[i]?.[1] === true);
          expect(binary.map((bytes) => [...bytes])).toEqual(wanted.map(({ bytes }) => [...bytes]));
          const said = (JSON.parse(json) as { outputs: Record<string, unknown>[] }).outputs;
          expect(said.map((one) => 'data' in one)).toEqual(given.map(([, isBinary]) => !isBinary));
        },
      ),
    );
  });

  test('may be the elements of a pipeline', () => {
    const images = joinBytes([Uint8Array.of(1, 2), Uint8Array.of(3)]);
    const input = { name: 'image', shape: [2], datatype: 'BYTES' };
    const json = { inputs: [{ ...input, parameters: { binary_data_size: images.length } }] };
    expect(parsed(json, [images], digits)).toMatchObject({
      rows: 2,
      input: { rows: [{ image: Uint8Array.of(1, 2) }, { image: Uint8Array.of(3) }] },
    });
  });

  test.each<[string, unknown, readonly Uint8Array[], string]>([
    ['too few', sized(16), [features.subarray(0, 12)], 'the body has 12 more'],
    ['too many', sized(16), [features, features], '16 bytes behind the JSON belong to no input'],
    ['that their shape does not have', sized(12), [features], 'its shape has 16 bytes'],
    ['of half a byte', sized(1.5), [features], 'whole number of bytes'],
    ['of a size in words', sized('16'), [features], 'whole number of bytes'],
    [
      'beside data',
      { inputs: [{ ...sized(16).inputs[0], data: [1, 2, 3, 4] }] },
      [features],
      'one is too many',
    ],
    [
      'that nobody announced',
      { inputs: [{ ...head, data: [1, 2, 3, 4] }] },
      [features],
      'belong to no input',
    ],
    [
      'in shared memory',
      { inputs: [{ ...head, parameters: { shared_memory_region: 'x' } }] },
      [],
      'not supported',
    ],
  ])('bytes %s are refused', (_, json, pieces, detail) => {
    const result = parse(json, pieces, iris);
    expect(result).toMatchObject({ ok: false, error: { code: 'invalid_input' } });
    expect(result.ok ? '' : result.error.detail).toContain(detail);
  });

  test('of a shape beyond all numbers are refused, also where another dimension is zero', () => {
    const shape = [8, ...Array<number>(30).fill(Number.MAX_SAFE_INTEGER), 0];
    const spec = { name: 't0', datatype: 'BYTES', shape: shape.map(() => -1) } as const;
    const manifest = { ...modelOf('BYTES'), inputs: [spec] };
    const input = { name: 't0', shape, datatype: 'BYTES', parameters: { binary_data_size: 0 } };
    expect(parse({ inputs: [input] }, [], manifest)).toMatchObject({
      ok: false,
      error: { code: 'invalid_input' },
    });
  });

  test('elements whose lengths do not add up, and BOOL bytes that are neither 0 nor 1, are refused', () => {
    const texts = (bytes: Uint8Array) =>
      parse(
        {
          inputs: [
            {
              name: 't0',
              shape: [1, 2],
              datatype: 'BYTES',
              parameters: { binary_data_size: bytes.length },
            },
          ],
        },
        [bytes],
        modelOf('BYTES'),
      );
    expect(texts(joinBytes([Uint8Array.of(1), Uint8Array.of()])).ok).toBe(true);
    expect(texts(joinBytes([Uint8Array.of(1)])).ok).toBe(false);
    expect(texts(Uint8Array.of(255, 255, 255, 255)).ok).toBe(false);
    const bool = {
      name: 't0',
      shape: [1, 1],
      datatype: 'BOOL',
      parameters: { binary_data_size: 1 },
    };
    expect(parse({ inputs: [bool] }, [Uint8Array.of(2)], modelOf('BOOL')).ok).toBe(false);
  });

  test.each(['x', '-1', '1e3', '999999', ''])(
    'a JSON length of %j is an invalid header',
    (text) => {
      expect(splitBody(new Uint8Array(10), text)).toMatchObject({
        ok: false,
        error: { code: 'invalid_header' },
      });
    },
  );

  test('garbage is refused, never thrown', () => {
    const model = fc.constantFrom(iris, digits, adder, modelOf('BYTES', 'BOOL'));
    fc.assert(
      fc.property(fc.uint8Array(), fc.nat({ max: 40 }), model, (body, length, manifest) => {
        const context = { hasPriorities: false, allocate, jsonLength: String(length) };
        void parseInferRequest(body, manifest, context);
      }),
    );
  });
});

describe('the form of answers', () => {
  const output = {
    form: 'tensors',
    tensors: [
      { name: 'label', datatype: 'INT64', shape: [1], bytes: new Uint8Array(8) },
      { name: 'scores', datatype: 'FP32', shape: [1, 3], bytes: floats(0.25, 0.5, 0.25) },
    ] satisfies Tensor[],
  } as const;
  const answered = (request: Pick<InferRequest, 'answer' | 'id'>) => {
    const { binary, json } = inferResponse(iris, output, request);
    return { binary, outputs: (JSON.parse(json) as { outputs: unknown[] }).outputs };
  };

  test('is JSON unless asked for; one output may differ from the others', () => {
    const asked = (json: object) => parsed({ ...sized(16), ...json }, [features], iris);
    expect(answered(asked({})).binary).toBeUndefined();
    const all = answered(asked({ parameters: { binary_data_output: true } }));
    expect(all.binary).toHaveLength(2);
    expect(all.outputs).toEqual([
      { name: 'label', datatype: 'INT64', shape: [1], parameters: { binary_data_size: 8 } },
      {
        name: 'scores',
        datatype: 'FP32',
        shape: [1, 3],
        parameters: { binary_data_size: 12 },
      },
    ]);
  });

  test('of a raw request is binary, and its one input is the body', () => {
    const request = parsed(null, [features], iris, '0');
    expect(request).toMatchObject({ rows: 1, answer: { isBinary: true } });
    expect(request.input).toMatchObject({ tensors: [{ name: 'features', shape: [1, 4] }] });
    expect(answered(request).binary).toHaveLength(2);
    const image = parsed(null, [Uint8Array.of(9, 9)], digits, '0');
    expect(image.input).toMatchObject({ rows: [{ image: Uint8Array.of(9, 9) }] });
  });

  test('of a raw request: one dimension may vary, a BYTES input is one element', () => {
    const wide = parsed(null, [floats(1, 2, 3)], modelOf('FP32'), '0');
    expect(wide.input).toMatchObject({ tensors: [{ shape: [1, 3] }] });
    const text = parsed(null, [encoder.encode('hello')], modelOf('BYTES'), '0');
    if (text.input.form !== 'tensors') throw new Error('no tensors');
    const [tensor] = text.input.tensors;
    expect(tensor?.shape).toEqual([1, 1]);
    const elements = splitBytes(tensor?.bytes ?? new Uint8Array(), 1) ?? [];
    expect(elements.map((one) => decoder.decode(one))).toEqual(['hello']);
  });

  test.each<[string, ModelManifest, Uint8Array, string]>([
    ['two inputs', adder, features, 'several inputs (a, b)'],
    [
      'a length its shape does not have',
      iris,
      features.subarray(0, 8),
      '8 bytes do not fill [1,4]',
    ],
    ['no whole element', modelOf('FP32'), features.subarray(0, 6), '6 bytes do not fill'],
    ['no image', digits, new Uint8Array(), 'empty image'],
  ])('of a raw request with %s is refused', (_, manifest, body, detail) => {
    const result = parse(null, [body], manifest, '0');
    expect(result).toMatchObject({ ok: false, error: { code: 'invalid_input' } });
    expect(result.ok ? '' : result.error.detail).toContain(detail);
  });

  test('classification answers the largest values of each row, with their labels', () => {
    const postprocess = {
      kind: 'classify',
      output: 'scores',
      labels: ['setosa', 'versicolor', 'virginica'],
      topK: 3,
      activation: 'none',
      threshold: null,
    } as const;
    const outputs = [{ name: 'scores', parameters: { classification: 2 } }];
    const request = parsed({ ...sized(16), outputs }, [features], iris);
    const { json } = inferResponse({ ...iris, postprocess }, output, request);
    const [, scores] = (JSON.parse(json) as { outputs: object[] }).outputs;
    expect(scores).toEqual({
      name: 'scores',
      datatype: 'BYTES',
      shape: [1, 2],
      data: ['0.500000:1:versicolor', '0.250000:0:setosa'],
    });
  });

  test('classification puts NaN last, keeps 64-bit integers, and gives what there is', () => {
    const manifest = modelOf('FP32', 'INT64');
    const tensors: Tensor[] = [
      { name: 't0', datatype: 'FP32', shape: [2, 2], bytes: floats(NaN, -1, 2, 3) },
      {
        name: 't1',
        datatype: 'INT64',
        shape: [2, 1],
        bytes: new Uint8Array(BigInt64Array.of(2n ** 62n + 1n, -5n).buffer),
      },
    ];
    const forms = new Map(['t0', 't1'].map((name) => [name, { classes: 9 }]));
    const answer = { isBinary: false, outputs: forms };
    const { json } = inferResponse(
      manifest,
      { form: 'tensors', tensors },
      { answer, id: undefined },
    );
    const said = JSON.parse(json) as { outputs: { shape: number[]; data: string[] }[] };
    expect(said.outputs.map(({ data, shape }) => [shape, data])).toEqual([
      [
        [2, 2],
        ['-1.000000:1', 'NaN:0', '3.000000:1', '2.000000:0'],
      ],
      [
        [2, 1],
        ['4611686018427387905:0', '-5:0'],
      ],
    ]);
  });

  test('that is neither binary nor JSON is refused', () => {
    const parameters = { binary_data_output: 'true' };
    expect(parse({ ...sized(16), parameters }, [features], iris)).toMatchObject({
      ok: false,
      error: { code: 'invalid_input' },
    });
  });

  test.each([
    { classification: 1_001 },
    { classification: 0 },
    { classification: 'all' },
    { binary_data: 'yes' },
    { binary_data_size: 4 },
  ])('%j of an output is refused', (parameters) => {
    const outputs = [{ name: 'scores', parameters }];
    expect(parse({ ...sized(16), outputs }, [features], iris)).toMatchObject({
      ok: false,
      error: { code: 'invalid_input' },
    });
  });
});
