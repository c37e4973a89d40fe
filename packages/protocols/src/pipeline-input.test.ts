/** Texts, nested arrays and columns of a job, at the door: what passes, and what each refusal points at. */
import {
  decodeInput,
  defaultLimits,
  encodeInput,
  type JsonValue,
  type ModelManifest,
  readNested,
} from '@inferry/contracts';
import { expect, test } from 'vitest';
import { decodeBase64 } from './base64.ts';
import { parseJson } from './json.ts';
import { modelDocument } from './model-document.ts';
import { fields, sentiment, shop } from './models-fixture.test.ts';
import { bindPipelineInput } from './pipeline-input.ts';
import { bindTensors } from './tensor-request.ts';

function bind(manifest: ModelManifest, body: string) {
  const json = parseJson(Buffer.from(body));
  if (!json.ok) throw new Error(json.error.detail);
  const sources = { parts: new Map<string, Uint8Array>(), decode: decodeBase64 };
  return bindPipelineInput(json.value as Readonly<Record<string, JsonValue>>, sources, manifest);
}

test.each<[string, ModelManifest, string]>([
  ['a text', sentiment, '{"text":"é ist gut"}'],
  ['an empty text', sentiment, '{"text":""}'],
  ['nested arrays', fields, '{"a":[1,2],"b":[3,4]}'],
  ['arrays without entries', fields, '{"a":[],"b":[]}'],
  ['columns', shop, '{"price":1.5,"size":7,"new":true}'],
  ['columns of which one has a default', shop, '{"price":null,"size":"M","new":false}'],
])('%s passes as it is', (_, manifest, body) => {
  expect(bind(manifest, body)).toEqual({ ok: true, value: JSON.parse(body) });
});

test.each<[string, ModelManifest, string, string, string, string]>([
  ['no text', sentiment, '{}', '#/input/text', 'missing', '"text" is missing.'],
  ['a number', sentiment, '{"text":1}', '#/input/text', 'text', '"text" must be text.'],
  [
    'half a character',
    sentiment,
    String.raw`{"text":"\ud800"}`,
    '#/input/text',
    'text',
    '"text" holds half of a surrogate pair, which is no character.',
  ],
  [
    'a long text',
    sentiment,
    `{"text":"${'é'.repeat(51)}"}`,
    '#/input/text',
    'text',
    '"text" has 102 bytes; at most 100 are taken.',
  ],
  [
    'another field',
    sentiment,
    '{"text":"a","title":"b"}',
    '#/input/title',
    'unknown_input',
    '"title" is not known; the model takes "text".',
  ],
  [
    'a fraction',
    fields,
    '{"a":[1],"b":[1.5]}',
    '#/input/b',
    'data',
    '"b" is INT64 [-1]: [0] must be an integer from -9223372036854775808 to 9223372036854775807, written in full.',
  ],
  [
    'a number for an array',
    fields,
    '{"a":1,"b":[1]}',
    '#/input/a',
    'data',
    '"a" is INT64 [-1]: it must be an array.',
  ],
  [
    'a category that is none',
    shop,
    '{"size":"7","new":true}',
    '#/input/size',
    'choice',
    '"size" must be one of "S", "M", 7.',
  ],
  [
    'a word for a truth value',
    shop,
    '{"size":"S","new":"yes"}',
    '#/input/new',
    'type',
    '"new" must be true or false.',
  ],
  [
    'null where there is no default',
    shop,
    '{"size":"S","new":null}',
    '#/input/new',
    'type',
    '"new" must be true or false, not null.',
  ],
])('%s is refused', (_, manifest, body, pointer, code, detail) => {
  const bound = bind(manifest, body);
  expect(bound).toMatchObject({
    ok: false,
    error: { code: 'invalid_input', extras: { errors: [{ pointer, code, detail }] } },
  });
});

test.each<[string, readonly JsonValue[], unknown]>([
  [
    'texts become rows',
    ['a', 'é'],
    { ok: true, value: { rows: 2, input: { rows: [{ text: 'a' }, { text: 'é' }] } } },
  ],
  ['bytes that are no text', ['a', { b64: '/w==' }], 'Input "text": element 1 is not UTF-8 text.'],
  [
    'a long text',
    ['x'.repeat(101)],
    'Input "text": element 0 has 101 bytes; at most 100 are taken.',
  ],
])('as a tensor of BYTES: %s', (_, data, expected) => {
  const request = { inputs: [{ name: 'text', datatype: 'BYTES', shape: [data.length], data }] };
  const bound = bindTensors(request, sentiment, { base: '#', decode: decodeBase64, binary: null });
  const wanted =
    typeof expected === 'string' ? { ok: false, error: { detail: expected } } : expected;
  expect(bound).toMatchObject(wanted as object);
});

test('integers of 64 bits are exact on their whole way to the worker', () => {
  const bound = bind(
    fields,
    '{"a":[9007199254740993,-9223372036854775808],"b":[1,"9223372036854775807"]}',
  );
  if (!bound.ok) throw new Error(bound.error.detail);
  const there = decodeInput(encodeInput({ form: 'pipeline', rows: [bound.value] }));
  if (there.form !== 'pipeline') throw new Error('the form changed');
  const values = ['a', 'b'].map((name) => {
    const read = readNested(there.rows[0]?.[name], 'INT64', [2]);
    return read.ok ? [...new BigInt64Array(read.value.bytes.buffer as ArrayBuffer)] : read.error;
  });
  expect(values).toEqual([
    [9007199254740993n, -(2n ** 63n)],
    [1n, 2n ** 63n - 1n],
  ]);
});

test('the document of a model describes its fields', () => {
  const state = {
    versions: [{ version: '1', state: 'ready', readyWorkers: 1, failure: null }],
    defaultVersion: '1',
    labels: {},
    shares: [],
    status: 'ready',
    isReady: true,
    queue: null,
    workers: { ready: 1 },
  } as const;
  const schemaOf = (manifest: ModelManifest) => {
    const document = modelDocument(manifest, state, defaultLimits);
    return [document.input_schema, document.output_schema].map(
      (schema) =>
        (schema['anyOf'] as { readonly properties: unknown; readonly required: unknown }[])[0],
    );
  };
  const integer = { anyOf: [{ type: 'integer' }, { type: 'string' }] };
  const list = { type: 'array', items: integer };
  expect(schemaOf(fields)).toMatchObject([
    { properties: { a: list, b: list }, required: ['a', 'b'] },
    { properties: { sum: list } },
  ]);
  expect(schemaOf(sentiment)[0]).toMatchObject({ properties: { text: { type: 'string' } } });
  expect(schemaOf(shop)[0]).toMatchObject({
    properties: {
      price: { type: ['number', 'null'] },
      size: { enum: ['S', 'M', 7] },
      new: { type: 'boolean' },
    },
    required: ['size', 'new'],
  });
});
