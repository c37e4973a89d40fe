import type { JsonValue, ModelManifest, Tensor } from '@inferry/contracts';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { writeJson } from './json.ts';
import { inferResponse, modelMetadata, parseInferRequest } from './open-inference.ts';
import { adder, digits, iris } from './models-fixture.test.ts';

const allocate = (bytes: number): Uint8Array => new Uint8Array(bytes);
const bytesOf = (text: string): Uint8Array => new TextEncoder().encode(text);
const parse = (body: unknown, manifest: ModelManifest) =>
  parseInferRequest(bytesOf(typeof body === 'string' ? body : JSON.stringify(body)), manifest, {
    hasPriorities: false,
    allocate,
  });

const features = { name: 'features', shape: [1, 4], datatype: 'FP32', data: [5.1, 3.5, 1.4, 0.2] };
const plain = { id: undefined, answer: { isBinary: false, outputs: new Map() } };
const pair = (a: object, b: object = {}) => ({
  inputs: [
    { name: 'a', shape: [1, 1], datatype: 'INT64', data: [1], ...a },
    { name: 'b', shape: [1, 1], datatype: 'INT64', data: [2], ...b },
  ],
});

describe('an infer request', () => {
  test('with raw tensors becomes tensors, and its rows are the leading dimension', () => {
    const body = {
      id: 'x',
      inputs: [
        {
          ...features,
          shape: [2, 4],
          data: [
            [1, 2, 3, 4],
            [5, 6, 7, 8],
          ],
        },
      ],
      outputs: [{ name: 'scores' }],
      parameters: { timeout: 1_500_000 },
    };
    const result = parse(body, iris);
    expect(result).toMatchObject({
      ok: true,
      value: { id: 'x', rows: 2, timeoutMs: 1500, input: { form: 'tensors', outputs: ['scores'] } },
    });
  });

  test('with the image field as BYTES [n] becomes n pipeline rows', () => {
    const data = [{ b64: 'AQID' }, 'ab'];
    const body = { inputs: [{ name: 'image', shape: [2], datatype: 'BYTES', data }] };
    expect(parse(body, digits)).toMatchObject({
      ok: true,
      value: {
        rows: 2,
        input: {
          form: 'pipeline',
          rows: [{ image: Uint8Array.of(1, 2, 3) }, { image: bytesOf('ab') }],
        },
      },
    });
  });

  test('with raw tensors of an image model skips the pipeline', () => {
    const data = Array.from({ length: 64 }, () => 0);
    const body = { inputs: [{ name: 'pixels', shape: [1, 1, 8, 8], datatype: 'FP32', data }] };
    expect(parse(body, digits)).toMatchObject({ ok: true, value: { input: { form: 'tensors' } } });
  });

  test.each([true, '', ' ', '0x10', '1e6', -1, 1.5, '99999999999999999999'])(
    'with the timeout %j is refused',
    (timeout) => {
      const result = parse({ inputs: [features], parameters: { timeout } }, iris);
      expect(result).toMatchObject({ ok: false, error: { code: 'invalid_deadline' } });
    },
  );

  test.each([
    [undefined, 'normal'],
    [0, 'normal'],
    [1, 'high'],
    [2, 'normal'],
    ['3', 'low'],
    ['high', 'high'],
  ])('with the priority %j is %s', (priority, expected) => {
    const body = bytesOf(JSON.stringify({ inputs: [features], parameters: { priority } }));
    const request = parseInferRequest(body, iris, { hasPriorities: true, allocate });
    expect(request).toMatchObject({ ok: true, value: { priority: expected } });
  });

  test.each([4, -1, 1.5, true, 'urgent', ''])('with the priority %j is refused', (priority) => {
    const body = bytesOf(JSON.stringify({ inputs: [features], parameters: { priority } }));
    const request = parseInferRequest(body, iris, { hasPriorities: true, allocate });
    expect(request).toMatchObject({ ok: false, error: { code: 'invalid_input' } });
  });

  test('with a priority where one line serves all is refused, unless it is the default', () => {
    const withPriority = (priority: number) =>
      parse({ inputs: [features], parameters: { priority } }, iris);
    expect(withPriority(1)).toMatchObject({ ok: false, error: { code: 'unknown_field' } });
    expect(withPriority(0)).toMatchObject({ ok: true, value: { priority: 'normal' } });
  });

  test('may have zero elements where the signature lets a dimension vary', () => {
    const empty = { shape: [1, 0], data: undefined };
    expect(parse(pair(empty, empty), adder)).toMatchObject({ ok: true, value: { rows: 1 } });
  });

  test.each([
    ['unknown input', { inputs: [{ ...features, name: 'f' }] }, iris, '#/inputs/0/name'],
    ['duplicate input', { inputs: [features, features] }, iris, '#/inputs/1/name'],
    ['missing input', { inputs: pair({}).inputs.slice(0, 1) }, adder, '#/inputs'],
    [
      'wrong datatype',
      { inputs: [{ ...features, datatype: 'FP64' }] },
      iris,
      '#/inputs/0/datatype',
    ],
    ['wrong rank', { inputs: [{ ...features, shape: [4] }] }, iris, '#/inputs/0/shape'],
    ['wrong dimension', { inputs: [{ ...features, shape: [1, 5] }] }, iris, '#/inputs/0/shape'],
    ['too few elements', { inputs: [{ ...features, data: [1] }] }, iris, '#/inputs/0/data'],
    ['rows that differ', pair({ shape: [2, 1], data: [1, 2] }), adder, '#/inputs/1/shape'],
    [
      'too many rows',
      pair({ shape: [5, 1], data: [1, 2, 3, 4, 5] }, { shape: [5, 1], data: [1, 2, 3, 4, 5] }),
      adder,
      '#/inputs/0/shape/0',
    ],
    [
      'no rows',
      pair({ shape: [0, 1], data: [] }, { shape: [0, 1], data: [] }),
      adder,
      '#/inputs/0/shape/0',
    ],
    [
      'unknown output',
      { inputs: [features], outputs: [{ name: 'nope' }] },
      iris,
      '#/outputs/0/name',
    ],
    [
      'empty image',
      { inputs: [{ name: 'image', shape: [1], datatype: 'BYTES', data: [''] }] },
      digits,
      '#/inputs/0/data',
    ],
    [
      'more images than rows, whatever they are',
      { inputs: [{ name: 'image', shape: [5], datatype: 'BYTES', data: [0, 0, 0, 0, 0] }] },
      digits,
      '#/inputs/0/shape/0',
    ],
    [
      'no image',
      { inputs: [{ name: 'image', shape: [0], datatype: 'BYTES', data: [] }] },
      digits,
      '#/inputs/0/shape/0',
    ],
    [
      'images without a number of rows',
      { inputs: [{ name: 'image', shape: [], datatype: 'BYTES', data: ['x'] }] },
      digits,
      '#/inputs/0/shape',
    ],
    [
      'reserved parameter',
      { inputs: [features], parameters: { triton_x: 1 } },
      iris,
      '#/parameters/triton_x',
    ],
    [
      'binary data that no header announced',
      { inputs: [{ ...features, data: undefined, parameters: { binary_data_size: 16 } }] },
      iris,
      '#/inputs/0/parameters/binary_data_size',
    ],
    ['no inputs', { inputs: [] }, iris, '#/inputs'],
  ])('with %s is refused at its place', (_, body, manifest, pointer) => {
    const result = parse(body, manifest);
    expect(result.ok ? undefined : result.error).toMatchObject({
      code: 'invalid_input',
      extras: { errors: [{ pointer }] },
    });
  });

  test('with an unknown member is refused as unknown_field', () => {
    const result = parse({ inputs: [features], shapes: [] }, iris);
    expect(result.ok ? undefined : result.error.code).toBe('unknown_field');
  });

  test.each(['', '{', '[1', '{"inputs":[}', '\u{feff}x', '['.repeat(100_000)])(
    'that is not JSON is malformed_json (%#)',
    (text) => {
      const result = parse(text, iris);
      expect(result.ok ? undefined : result.error.code).toBe('malformed_json');
    },
  );

  test('made of garbage is refused, never thrown', () => {
    const garbage = fc.oneof(fc.json(), fc.string());
    const model = fc.constantFrom(iris, digits, adder);
    fc.assert(fc.property(garbage, model, (text, manifest) => void parse(text, manifest)));
    fc.assert(
      fc.property(
        fc.uint8Array(),
        (raw) => !parseInferRequest(raw, iris, { hasPriorities: true, allocate }).ok,
      ),
    );
    const member = fc.oneof(fc.jsonValue(), fc.constantFrom('image', 'BYTES', [1], ['x'], [-1]));
    const tensor = fc.record({ name: member, shape: member, datatype: member, data: member });
    fc.assert(fc.property(fc.array(tensor), (inputs) => void parse({ inputs }, digits)));
  });

  test('keeps 64-bit integers exact through request and response', () => {
    fc.assert(
      fc.property(
        fc.array(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }), { minLength: 1 }),
        (data) => {
          const shape = [1, data.length];
          const inputs: JsonValue = ['a', 'b'].map((name) => ({
            name,
            shape,
            datatype: 'INT64',
            data,
          }));
          const result = parse(writeJson({ inputs }), adder);
          if (!result.ok || result.value.input.form !== 'tensors') throw new Error('refused');
          const text = inferResponse(adder, result.value.input, result.value).json;
          expect(text).toContain(`"data":[${data.join(',')}]`);
        },
      ),
    );
  });
});

describe('an infer response', () => {
  test('names the model, its version and the request id, and writes each output flat', () => {
    const scores = new Uint8Array(new Float32Array([0.5, NaN, -0]).buffer);
    const tensor: Tensor = { name: 'scores', datatype: 'FP32', shape: [1, 3], bytes: scores };
    const output = { form: 'tensors', tensors: [tensor] } as const;
    expect(inferResponse(iris, output, { ...plain, id: 'r1' }).json).toBe(
      '{"model_name":"iris","model_version":"1","id":"r1","outputs":[{"name":"scores","datatype":"FP32","shape":[1,3],"data":[0.5,"NaN",-0]}]}',
    );
  });

  test('puts the rows of a pipeline into one BYTES tensor of JSON documents', () => {
    const output = { form: 'rows', rows: [{ label: '7', score: 0.9 }, { label: '1' }] } as const;
    const response = JSON.parse(inferResponse(digits, output, plain).json) as Record<
      string,
      unknown
    >;
    expect(response['outputs']).toEqual([
      {
        name: 'output',
        datatype: 'BYTES',
        shape: [2],
        data: ['{"label":"7","score":0.9}', '{"label":"1"}'],
      },
    ]);
  });

  test('metadata shows the raw tensors, and names the pipeline form apart', () => {
    expect(modelMetadata(digits, ['1'])).toMatchObject({
      platform: 'onnxruntime_onnx',
      inputs: [{ name: 'pixels', shape: [-1, 1, 8, 8] }],
      parameters: { pipeline_input: 'image' },
    });
    expect(modelMetadata(adder, ['1'])).not.toHaveProperty('parameters');
  });
});
