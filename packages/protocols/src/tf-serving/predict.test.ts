import type { JobOutput, ModelManifest, Tensor } from '@inferry/contracts';
import { describe, expect, test } from 'vitest';

import { adder, digits, fields, iris, sentiment, shop } from '../models-fixture.test.ts';
import { parsePredict, predictResponse } from './predict.ts';

const bytesOf = (text: string): Uint8Array => new TextEncoder().encode(text);
const context = {
  hasPriorities: false,
  allocate: (bytes: number): Uint8Array => new Uint8Array(bytes),
};
const parse = (body: unknown, manifest: ModelManifest, hasPriorities = false) =>
  parsePredict(bytesOf(typeof body === 'string' ? body : JSON.stringify(body)), manifest, {
    ...context,
    hasPriorities,
  });
const flower = { sepal_length: 5.1, sepal_width: 3.5, petal_length: 1.4, petal_width: 0.2 };
const png = { b64: 'AQID' };
const image = { image: Uint8Array.of(1, 2, 3) };
const floats = (...values: number[]) => new Uint8Array(new Float32Array(values).buffer);
const longs = (...values: bigint[]) => new Uint8Array(new BigInt64Array(values).buffer);

/** Nested arrays of one input. */
const counted: ModelManifest = { ...fields, inputs: fields.inputs.slice(0, 1) };
/** No batch dimension. */
const matrix: ModelManifest = {
  ...adder,
  maxBatchSize: 0,
  inputs: [{ name: 'x', datatype: 'FP32', shape: [2, 3] }],
  outputs: [{ name: 'y', datatype: 'FP32', shape: [3, 2] }],
};
const scalar: ModelManifest = {
  ...matrix,
  inputs: [{ name: 'n', datatype: 'INT64', shape: [] }],
  outputs: [{ name: 'n', datatype: 'INT64', shape: [] }],
};

describe('a predict request', () => {
  const fourByTwo = { name: 'features', datatype: 'FP32', shape: [2, 4] };
  const rows = [
    [1, 2, 3, 4],
    [5, 6, 7, 8],
  ];
  test.each([
    ['rows without a name', { instances: rows }],
    ['rows with a name', { instances: rows.map((features) => ({ features })) }],
    ['columns without a name', { inputs: rows }],
    ['columns with a name', { inputs: { features: rows } }],
    ['the one signature there is', { signature_name: 'serving_default', instances: rows }],
    ['a signature without a name', { signature_name: '', instances: rows }],
  ])('of %s is the same tensor, which skips the pipeline', (_, body) => {
    const tensor = { ...fourByTwo, bytes: floats(1, 2, 3, 4, 5, 6, 7, 8) };
    expect(parse(body, iris)).toMatchObject({
      ok: true,
      value: { rows: 2, input: { form: 'tensors', tensors: [tensor] } },
    });
  });

  test.each([
    [
      'rows',
      {
        instances: [
          { a: [1], b: [3] },
          { b: [4], a: [2] },
        ],
      },
    ],
    ['columns', { inputs: { b: [[3], [4]], a: [[1], [2]] } }],
  ])('of %s with several inputs has them in the order of the model', (_, body) => {
    const tensors = [
      { name: 'a', datatype: 'INT64', shape: [2, 1], bytes: longs(1n, 2n) },
      { name: 'b', datatype: 'INT64', shape: [2, 1], bytes: longs(3n, 4n) },
    ];
    expect(parse(body, adder)).toMatchObject({ ok: true, value: { rows: 2, input: { tensors } } });
  });

  test.each([
    ['rows without a name', { instances: [png, png] }],
    ['rows with a name', { instances: [{ image: png }, { image: png }] }],
    ['columns without a name', { inputs: [png, png] }],
    ['columns with a name', { inputs: { image: [png, png] } }],
  ])('of images as %s goes through the pipeline', (_, body) => {
    expect(parse(body, digits)).toMatchObject({
      ok: true,
      value: { rows: 2, input: { form: 'pipeline', rows: [image, image] } },
    });
  });

  test('of images goes through the pipeline also where a tensor has the name of its field', () => {
    const inputs = [{ name: 'image', datatype: 'FP32', shape: [-1, 1, 2] }] as const;
    const same: ModelManifest = { ...digits, inputs };
    for (const body of [{ instances: [{ image: png }] }, { inputs: { image: [png] } }]) {
      expect(parse(body, same)).toMatchObject({ value: { input: { form: 'pipeline' } } });
    }
    for (const body of [{ instances: [{ image: [[1, 2]] }] }, { inputs: { image: [[[1, 2]]] } }]) {
      expect(parse(body, same)).toMatchObject({ value: { input: { form: 'tensors' } } });
    }
    expect(parse({ inputs: { image: png } }, same)).toMatchObject({
      error: { extras: { errors: [{ pointer: '#/inputs/image', code: 'list' }] } },
    });
  });

  test('of texts goes through the pipeline, as text or its bytes', () => {
    const expected = { form: 'pipeline', rows: [{ text: 'fine' }, { text: 'é' }] };
    for (const body of [
      { instances: ['fine', { b64: 'w6k=' }] },
      { instances: [{ text: 'fine' }, { text: 'é' }] },
      { inputs: { text: ['fine', 'é'] } },
    ]) {
      expect(parse(body, sentiment)).toMatchObject({ ok: true, value: { input: expected } });
    }
  });

  test.each([
    ['pixels', digits, { instances: [[[...Array(8).keys()].map(() => Array(8).fill(0))]] }],
    ['named pixels', digits, { inputs: { pixels: [[Array(8).fill(Array(8).fill(1))]] } }],
    ['ids', sentiment, { instances: [[1, 2, 3]] }],
  ])('of %s is a tensor of a model whose pipeline takes something else', (_, manifest, body) => {
    expect(parse(body, manifest)).toMatchObject({
      ok: true,
      value: { input: { form: 'tensors' } },
    });
  });

  test.each([
    ['rows', { instances: [flower, { ...flower, petal_width: 2 }] }],
    [
      'columns',
      {
        inputs: {
          sepal_length: [5.1, 5.1],
          sepal_width: [3.5, 3.5],
          petal_length: [1.4, 1.4],
          petal_width: [0.2, 2],
        },
      },
    ],
  ])('of a table by %s becomes its rows', (_, body) => {
    expect(parse(body, iris)).toMatchObject({
      ok: true,
      value: {
        rows: 2,
        input: { form: 'pipeline', rows: [flower, { ...flower, petal_width: 2 }] },
      },
    });
  });

  test('of a table may leave out what has a default, row by row', () => {
    const body = {
      instances: [
        { size: 'S', new: true },
        { size: 7, new: false, price: 2 },
      ],
    };
    expect(parse(body, shop)).toMatchObject({ ok: true, value: { rows: 2 } });
  });

  test('of nested arrays goes through the pipeline that has them', () => {
    const row = { a: [1, 2], b: [3, 4] };
    const expected = { form: 'pipeline', rows: [row, row] };
    const columns = { a: [row.a, row.a], b: [row.b, row.b] };
    for (const body of [{ instances: [row, row] }, { inputs: columns }]) {
      expect(parse(body, fields)).toMatchObject({ ok: true, value: { input: expected } });
    }
    expect(parse({ inputs: [[1, 2]] }, counted)).toMatchObject({
      value: { rows: 1, input: { form: 'pipeline', rows: [{ a: [1, 2] }] } },
    });
    const whole = { ...fields, maxBatchSize: 0 };
    const tensor = columns.a;
    expect(parse({ inputs: { a: tensor, b: tensor } }, whole)).toMatchObject({
      ok: true,
      value: { rows: 1, input: { form: 'pipeline', rows: [{ a: tensor, b: tensor }] } },
    });
  });

  test('of a model without a batch dimension is its whole tensor, also a single number', () => {
    expect(parse({ inputs: [Array(3).fill(1), Array(3).fill(2)] }, matrix)).toMatchObject({
      ok: true,
      value: { rows: 1, input: { tensors: [{ shape: [2, 3] }] } },
    });
    expect(parse('{"inputs":9007199254740993}', scalar)).toMatchObject({
      ok: true,
      value: { input: { tensors: [{ shape: [], bytes: longs(9007199254740993n) }] } },
    });
  });

  test('says how long it waits and how urgent it is, where that means something', () => {
    const body = { instances: rows, parameters: { timeout: 1_500_000, priority: 1 } };
    expect(parse(body, iris, true)).toMatchObject({
      ok: true,
      value: { timeoutMs: 1500, priority: 'high' },
    });
    expect(parse(body, iris)).toMatchObject({ ok: false, error: { code: 'unknown_field' } });
    const never = { instances: rows, parameters: { timeout: 'soon' } };
    expect(parse(never, iris)).toMatchObject({ ok: false, error: { code: 'invalid_deadline' } });
  });

  const nine = Array.from({ length: 9 }, () => [1, 2, 3, 4]);
  test.each([
    ['neither format', {}, iris, '#'],
    ['both formats', { instances: [], inputs: [] }, iris, '#'],
    ['no list', { instances: 5 }, iris, '#/instances'],
    ['an empty list', { instances: [] }, iris, '#/instances'],
    ['an unknown signature', { signature_name: 'x', instances: rows }, iris, '#/signature_name'],
    ['too many rows', { instances: nine }, iris, '#/instances'],
    ['too many rows in columns', { inputs: nine }, iris, '#/inputs'],
    ['too many images', { instances: [png, png, png, png, png] }, digits, '#/instances'],
    ['a ragged row', { instances: [[1, 2, 3, 4], [5]] }, iris, '#/instances/1'],
    ['a word', { instances: [[1, 2, 'x', 4]] }, iris, '#/instances/0/2'],
    ['null', { inputs: { features: [[1, 2, 3, null]] } }, iris, '#/inputs/features/0/3'],
    ['a list too deep', { instances: [[[1], 2, 3, 4]] }, iris, '#/instances/0/0'],
    ['several inputs without names', { instances: [[1]] }, adder, '#/instances'],
    ['a missing input', { instances: [{ a: [1], b: [1] }, { a: [1] }] }, adder, '#/instances/1'],
    ['an unknown input', { inputs: { a: [[1]], b: [[1]], c: 1 } }, adder, '#/inputs/c'],
    ['a row without names', { instances: [{ a: [1], b: [1] }, [1]] }, adder, '#/instances/1'],
    ['rows that differ', { inputs: { a: [[1]], b: [[1], [2]] } }, adder, '#/inputs'],
    ['a word among numbers', { instances: [{ a: [1], b: ['x'] }] }, adder, '#/instances/0/b/0'],
    ['text for an image', { instances: ['AQID'] }, digits, '#/instances/0'],
    ['no base64', { instances: [png, { b64: '*' }] }, digits, '#/instances/1'],
    ['an empty image', { instances: [{ image: { b64: '' } }] }, digits, '#/instances/0/image'],
    ['one image in columns', { inputs: { image: png } }, digits, '#/inputs/image'],
    ['bytes that are no text', { instances: [{ b64: '/w==' }] }, sentiment, '#/instances/0'],
    ['an unknown field', { instances: [{ imag: png }] }, digits, '#/instances/0'],
    [
      'a bad column',
      { instances: [flower, { ...flower, petal_width: 'x' }] },
      iris,
      '#/instances/1/petal_width',
    ],
    [
      'a bad value in a column',
      { inputs: { size: ['S', 'X'], new: [true, true] } },
      shop,
      '#/inputs/size/1',
    ],
    ['columns of two lengths', { inputs: { size: ['S', 'M'], new: [true] } }, shop, '#/inputs/new'],
    ['a bad entry without a name', { instances: [[1], ['x']] }, counted, '#/instances/1'],
    ['a bad entry', { instances: [{ a: [1], b: ['x'] }] }, fields, '#/instances/0/b'],
    [
      'rows, of outputs without',
      { instances: [Array(3).fill(1), Array(3).fill(2)] },
      matrix,
      '#/instances',
    ],
    ['rows, of a scalar', { instances: [1] }, scalar, '#/instances'],
  ])('with %s is refused at its place', (_, body, manifest, pointer) => {
    const result = parse(body, manifest);
    expect(result.ok ? undefined : result.error).toMatchObject({
      code: 'invalid_input',
      extras: { errors: [{ pointer }] },
    });
  });

  test('that is not JSON is malformed, also with the bare words of others', () => {
    for (const body of ['', '{', '{"instances":[[NaN,1,2,3]]}']) {
      expect(parse(body, iris)).toMatchObject({ ok: false, error: { code: 'malformed_json' } });
    }
    const words = parse({ instances: [['NaN', 'Infinity', '-Infinity', 0]] }, iris);
    expect(words).toMatchObject({
      value: { input: { tensors: [{ bytes: floats(NaN, Infinity, -Infinity, 0) }] } },
    });
  });

  test('with a long image in base64 has its bytes', () => {
    const bytes = Uint8Array.from({ length: 30_000 }, (_, i) => i & 0xff);
    const b64 = Buffer.from(bytes).toString('base64');
    expect(parse({ instances: [{ b64 }] }, digits)).toMatchObject({
      ok: true,
      value: { input: { rows: [{ image: bytes }] } },
    });
  });
});

describe('a predict response', () => {
  const answer = (manifest: ModelManifest, output: JobOutput, instances?: number) => {
    const text = predictResponse(manifest, output, { instances });
    return text.ok ? text.value : text.error.code;
  };
  const tensors = (...given: Tensor[]): JobOutput => ({ form: 'tensors', tensors: given });
  const scores: Tensor = {
    name: 'scores',
    datatype: 'FP32',
    shape: [2, 2],
    bytes: floats(0.5, NaN, -0, Infinity),
  };
  const sums: Tensor = {
    name: 'sum',
    datatype: 'INT64',
    shape: [2],
    bytes: longs(1n, -(2n ** 60n)),
  };

  test('of one output has its rows, of several an object a row', () => {
    expect(answer(iris, tensors(scores), 2)).toBe('{"predictions":[[0.5,"NaN"],[-0,"Infinity"]]}');
    expect(answer(iris, tensors(scores, sums), 2)).toBe(
      '{"predictions":[{"scores":[0.5,"NaN"],"sum":1},{"scores":[-0,"Infinity"],"sum":-1152921504606846976}]}',
    );
  });

  test('in columns is the output, or an object of outputs', () => {
    expect(answer(iris, tensors(sums))).toBe('{"outputs":[1,-1152921504606846976]}');
    expect(answer(iris, tensors(sums, { ...sums, name: 'n', shape: [], bytes: longs(7n) }))).toBe(
      '{"outputs":{"sum":[1,-1152921504606846976],"n":7}}',
    );
    expect(answer(iris, tensors({ ...scores, shape: [2, 0, 3], bytes: floats() }))).toBe(
      '{"outputs":[[],[]]}',
    );
  });

  test('has bytes in base64 where the name says so, or they are no text', () => {
    const bytes = Uint8Array.of(1, 0, 0, 0, 0x41, 1, 0, 0, 0, 0xff);
    const plain: Tensor = { name: 'plain', datatype: 'BYTES', shape: [2], bytes };
    expect(answer(iris, tensors(plain, { ...plain, name: 'raw_bytes' }), 2)).toBe(
      '{"predictions":[{"plain":"A","raw_bytes":{"b64":"QQ=="}},{"plain":{"b64":"/w=="},"raw_bytes":{"b64":"/w=="}}]}',
    );
  });

  test('of a pipeline is what it makes of each row', () => {
    const labels: JobOutput = { form: 'rows', rows: [{ label: '7' }, { label: '1' }] };
    expect(answer(digits, labels, 2)).toBe('{"predictions":[{"label":"7"},{"label":"1"}]}');
    expect(answer(digits, labels)).toBe('{"outputs":[{"label":"7"},{"label":"1"}]}');
    const sum: JobOutput = { form: 'rows', rows: [{ sum: [1] }, { sum: [2] }] };
    expect(answer(fields, sum, 2)).toBe('{"predictions":[[1],[2]]}');
    expect(answer(fields, sum)).toBe('{"outputs":[[1],[2]]}');
    const two: ModelManifest = {
      ...fields,
      postprocess: { kind: 'tensor', outputs: ['sum', 'n'] },
    };
    const both: JobOutput = { form: 'rows', rows: [{ sum: [1], n: 3 }] };
    expect(answer(two, both, 1)).toBe('{"predictions":[{"sum":[1],"n":3}]}');
    expect(answer(two, both)).toBe('{"outputs":{"sum":[[1]],"n":[3]}}');
    expect(answer({ ...two, maxBatchSize: 0 }, both)).toBe('{"outputs":{"sum":[1],"n":3}}');
  });

  test('by rows is refused where the model gave others', () => {
    expect(answer(matrix, tensors(scores), 3)).toBe('invalid_input');
    expect(answer(matrix, tensors({ ...sums, shape: [] }), 1)).toBe('invalid_input');
  });
});
