import type { JobOutput } from '@inferry/contracts';
import { describe, expect, test } from 'vitest';

import { generateResponse, parseGenerate } from './generate.ts';
import { adder, digits, iris, sentiment } from './models-fixture.test.ts';

const context = { allocate: (bytes: number) => new Uint8Array(bytes), hasPriorities: false };
const parse = (body: unknown, manifest = adder) =>
  parseGenerate(new TextEncoder().encode(JSON.stringify(body)), manifest, context);
const floats = (...values: number[]) => new Uint8Array(new Float32Array(values).buffer);

describe('a generate request', () => {
  test.each([
    ['a scalar', 1.5, [1, 1], floats(1.5)],
    ['a list', [1, 2, 3, 4], [1, 4], floats(1, 2, 3, 4)],
    [
      'nested lists',
      [
        [1, 2, 3, 4],
        [5, 6, 7, 8],
      ],
      [2, 4],
      floats(1, 2, 3, 4, 5, 6, 7, 8),
    ],
  ])('has the shape of %s, with dimensions of one in front', (_, features, shape, bytes) => {
    const one = { ...iris, preprocess: { kind: 'none' } as const };
    const width = shape[1] ?? 4;
    const manifest = { ...one, inputs: [{ ...iris.inputs[0]!, shape: [-1, width] }] };
    expect(parse({ features }, manifest)).toMatchObject({
      ok: true,
      value: { input: { form: 'tensors', tensors: [{ name: 'features', shape, bytes }] } },
    });
  });

  test('takes what is no input for a parameter, and reads those it knows', () => {
    const body = { text: 'fine', id: 'q1', timeout: 5_000_000, parameters: { temperature: 0.5 } };
    expect(parse(body, sentiment)).toMatchObject({
      ok: true,
      value: {
        id: 'q1',
        timeoutMs: 5_000,
        parameters: { temperature: 0.5 },
        input: { form: 'pipeline', rows: [{ text: 'fine' }] },
      },
    });
  });

  test('takes an image in base64', () => {
    expect(parse({ image: { b64: 'AQID' } }, digits)).toMatchObject({
      ok: true,
      value: { input: { form: 'pipeline', rows: [{ image: Uint8Array.of(1, 2, 3) }] } },
    });
  });

  test.each([
    ['no object', [1], '#', 'object by the names of inputs'],
    ['a list that is no input', { text: 'a', stop: ['x'] }, '#/stop', '"text"'],
    ['parameters that are no object', { text: 'a', parameters: 1 }, '#/parameters', 'object'],
    ['a part of a list that is no text', { text: ['a', 1] }, '#/inputs/0/data', '"text"'],
  ])('with %s is refused, with its place', (_, body, pointer, words) => {
    const refused = parse(body, sentiment);
    expect(refused).toMatchObject({
      ok: false,
      error: { code: 'invalid_input', extras: { errors: [{ pointer }] } },
    });
    expect(JSON.stringify(refused)).toContain(words.replaceAll('"', String.raw`\"`));
  });
});

describe('a generate answer', () => {
  const of = (output: JobOutput, id?: string) =>
    JSON.parse(generateResponse(adder, output, { id })) as unknown;

  test('has a member for each output: one value as it is, several as a list', () => {
    const output: JobOutput = {
      form: 'tensors',
      tensors: [
        { name: 'one', datatype: 'FP32', shape: [1, 1], bytes: floats(1.5) },
        { name: 'two', datatype: 'FP32', shape: [2, 1], bytes: floats(1, 2) },
        { name: 'none', datatype: 'FP32', shape: [0], bytes: floats() },
        { name: 'text', datatype: 'BYTES', shape: [1], bytes: Uint8Array.of(2, 0, 0, 0, 104, 105) },
      ],
    };
    const { name, version } = adder;
    expect(of(output, 'q1')).toEqual({
      id: 'q1',
      model_name: name,
      model_version: version,
      one: 1.5,
      two: [1, 2],
      none: [],
      text: 'hi',
    });
  });

  test('of a pipeline has what it makes of the row', () => {
    expect(of({ form: 'rows', rows: [{ label: 'cat' }] })).toMatchObject({
      output: { label: 'cat' },
    });
    expect(of({ form: 'rows', rows: [1, 2] })).toMatchObject({ output: [1, 2] });
  });
});
