import type { JobOutput, ModelManifest } from '@inferry/contracts';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { callResponse, parseCall } from './bento.ts';
import { adder, digits, fields, iris, sentiment, shop } from './models-fixture.test.ts';

const bytesOf = (text: string): Uint8Array => new TextEncoder().encode(text);
const context = { allocate: (bytes: number): Uint8Array => new Uint8Array(bytes) };
const call = (body: unknown, manifest: ModelManifest) =>
  parseCall({ kind: 'json', bytes: bytesOf(JSON.stringify(body)) }, manifest, context);
const form = (given: Readonly<Record<string, string | Uint8Array>>, manifest: ModelManifest) => {
  const parts = new Map(
    Object.entries(given).map(([name, value]): [string, Uint8Array] => [
      name,
      typeof value === 'string' ? bytesOf(value) : value,
    ]),
  );
  const request = parts.get('request');
  parts.delete('request');
  return parseCall({ kind: 'multipart', request, parts }, manifest, context);
};
const flower = { sepal_length: 5.1, sepal_width: 3.5, petal_length: 1.4, petal_width: 0.2 };
const png = { b64: 'AQID' };
const image = { image: Uint8Array.of(1, 2, 3) };
const longs = (...values: bigint[]) => new Uint8Array(new BigInt64Array(values).buffer);

describe('a call', () => {
  test.each([
    ['an image', { image: png }, digits, [image]],
    ['a text', { text: 'fine' }, sentiment, [{ text: 'fine' }]],
    ['a row of a table', flower, iris, [flower]],
  ])('with %s is one row', (_, body, manifest, rows) => {
    expect(call(body, manifest)).toMatchObject({
      ok: true,
      value: { isSingle: true, rows: 1, input: { form: 'pipeline', rows } },
    });
  });

  test.each([
    ['images', { image: [png, png] }, digits, [image, image]],
    ['texts', { text: ['fine', 'bad'] }, sentiment, [{ text: 'fine' }, { text: 'bad' }]],
    [
      'columns',
      Object.fromEntries(Object.entries(flower).map(([name, value]) => [name, [value]])),
      iris,
      [flower],
    ],
    ['nested arrays', { a: [[1, 2]], b: [[3, 4]] }, fields, [{ a: [1, 2], b: [3, 4] }]],
  ])('with lists of %s is as many rows', (_, body, manifest, rows) => {
    expect(call(body, manifest)).toMatchObject({
      ok: true,
      value: { isSingle: false, rows: rows.length, input: { form: 'pipeline', rows } },
    });
  });

  test('with tensors has all their rows, also of a model that has a pipeline', () => {
    const tensors = [{ name: 'a', shape: [2, 1], bytes: longs(1n, 2n) }, { name: 'b' }];
    expect(call({ a: [[1], [2]], b: [[3], [4]] }, adder)).toMatchObject({
      ok: true,
      value: { isSingle: false, rows: 2, input: { form: 'tensors', tensors } },
    });
    expect(call({ features: [[1, 2, 3, 4]] }, iris)).toMatchObject({
      ok: true,
      value: { input: { form: 'tensors' } },
    });
  });

  test('as a form has files, texts, or JSON', () => {
    const bytes = Uint8Array.of(1, 2, 3);
    const rowOf = (row: object) => ({
      ok: true,
      value: { isSingle: true, input: { rows: [row] } },
    });
    expect(form({ image: bytes }, digits)).toMatchObject(rowOf(image));
    expect(form({ text: '7' }, sentiment)).toMatchObject(rowOf({ text: '7' }));
    const row = { price: '2.5', size: 'S', new: 'true' };
    expect(form(row, shop)).toMatchObject(rowOf({ price: 2.5, size: 'S', new: true }));
    expect(form({ a: '[[1]]', b: '[[9007199254740993]]' }, adder)).toMatchObject({
      value: { input: { tensors: [{ name: 'a' }, { bytes: longs(9007199254740993n) }] } },
    });
    const { preprocess } = digits;
    const renamed = { ...digits, preprocess: { ...preprocess, input: 'request' } } as ModelManifest;
    expect(form({ request: bytes }, renamed)).toMatchObject(rowOf({ request: bytes }));
  });

  test('that is an image is one row, and of another model is refused', () => {
    const body = { kind: 'raw', bytes: Uint8Array.of(1, 2, 3) } as const;
    expect(parseCall(body, digits, context)).toMatchObject({
      value: { isSingle: true, input: { rows: [image] } },
    });
    expect(parseCall(body, iris, context)).toMatchObject({
      error: { code: 'unsupported_media_type' },
    });
  });

  test.each([
    ['a list', [1], iris, '#'],
    ['nothing', {}, adder, '#'],
    ['an unknown input', { a: [[1]], b: [[1]], c: 1 }, adder, '#/c'],
    ['a bad number', { a: [[1]], b: [['x']] }, adder, '#/b/0/0'],
    ['a bad column', { ...flower, petal_width: 'x' }, iris, '#/petal_width'],
    ['a bad value of a list', { image: [png, 'x'] }, digits, '#/image/1'],
    ['no base64', { image: { b64: '*' } }, digits, '#/image'],
    ['a text for an image', { image: 'x' }, digits, '#/image'],
  ])('with %s is refused at its place', (_, body, manifest, pointer) => {
    expect(call(body, manifest)).toMatchObject({
      error: { code: 'invalid_input', extras: { errors: [{ pointer }] } },
    });
  });

  test('with a part that is neither JSON nor text is refused by its name', () => {
    expect(form({ a: Uint8Array.of(0xff), b: '[[1]]' }, adder)).toMatchObject({
      error: { extras: { errors: [{ pointer: '#/a' }] } },
    });
  });

  test('made of garbage is refused, never thrown', () => {
    const model = fc.constantFrom(iris, shop, digits, sentiment, fields, adder);
    const name = fc.constantFrom('a', 'b', 'image', 'text', 'size', '__proto__', 'features');
    fc.assert(
      fc.property(fc.dictionary(name, fc.jsonValue()), model, (body, manifest) => {
        call(body, manifest);
      }),
    );
    fc.assert(
      fc.property(fc.dictionary(name, fc.uint8Array()), model, (body, manifest) => {
        form(body, manifest);
      }),
    );
  });
});

test('an answer is the value itself: of one row, of several, or of tensors', () => {
  const rows: JobOutput = { form: 'rows', rows: [{ label: '7' }] };
  expect(callResponse(digits, rows, { isSingle: true })).toBe('{"label":"7"}');
  expect(callResponse(digits, rows, { isSingle: false })).toBe('[{"label":"7"}]');
  const sums: JobOutput = { form: 'rows', rows: [{ sum: [3] }] };
  expect(callResponse(fields, sums, { isSingle: false })).toBe('[[3]]');
  const tensor = {
    name: 'sum',
    datatype: 'INT64',
    shape: [1, 1],
    bytes: longs(2n ** 60n),
  } as const;
  const tensors: JobOutput = { form: 'tensors', tensors: [tensor] };
  expect(callResponse(adder, tensors, { isSingle: false })).toBe('[[1152921504606846976]]');
});
