import { defaultLimits, failure, type Failure, type ModelManifest } from '@inferry/contracts';
import { ok } from '@inferry/runtime';
import { describe, expect, test } from 'vitest';

import { iris } from './models-fixture.test.ts';
import { parseInferRequest } from './open-inference.ts';
import { problemDocument } from './problem.ts';
import { parseSubmit } from './submit.ts';

const allocate = (bytes: number): Uint8Array => new Uint8Array(bytes);
const bytesOf = (text: string): Uint8Array => new TextEncoder().encode(text);

function inferRefusal(text: string, manifest: ModelManifest = iris): Failure | undefined {
  const result = parseInferRequest(bytesOf(text), manifest, { hasPriorities: false, allocate });
  return result.ok ? undefined : result.error;
}

function submitRefusal(text: string): Failure | undefined {
  const result = parseSubmit(
    { kind: 'json', bytes: bytesOf(text) },
    {
      modelIn: 'path',
      modelOf: () => ok(iris),
      limits: defaultLimits,
      cancelAfterMs: undefined,
      hasPriorities: false,
      allocate,
    },
  );
  return result.ok ? undefined : result.error;
}

const tensor = '"name":"features","datatype":"FP32","data":[]';
const many = (item: (i: number) => string): string =>
  Array.from({ length: 100_000 }, (_, i) => item(i)).join(',');

describe('a body of very many wrong members is refused for their number, not for each', () => {
  test.each([
    ['inputs', `{"inputs":[${many(() => '{}')}]}`, '#/inputs'],
    [
      'outputs',
      `{"inputs":[{${tensor},"shape":[1,4]}],"outputs":[${many(() => '0')}]}`,
      '#/outputs',
    ],
    ['dimensions', `{"inputs":[{${tensor},"shape":[${many(() => '""')}]}]}`, '#/inputs/0/shape'],
    ['parameters', `{"parameters":{${many((i) => `"${i}":[]`)}},"inputs":[]}`, '#/parameters'],
  ])('%s', (_, text, pointer) => {
    const errors = inferRefusal(text)?.extras?.['errors'];
    expect(errors).toContainEqual(expect.objectContaining({ pointer, code: 'too_big' }));
  });

  test.each([
    ['input', `{"input":{${many((i) => `"${i}":0`)}}}`, '#/input'],
    ['metadata', `{"input":{},"metadata":{${many((i) => `"${i}":0`)}}}`, '#/metadata'],
  ])('%s', (_, text, pointer) => {
    const errors = submitRefusal(text)?.extras?.['errors'];
    expect(errors).toEqual([expect.objectContaining({ pointer, code: 'too_big' })]);
  });

  test('unknown members are told up to a number', () => {
    const refusal = submitRefusal(`{"input":{},${many((i) => `"${i}":0`)}}`);
    expect(refusal?.code).toBe('unknown_field');
    expect(refusal?.extras?.['errors']).toHaveLength(100);
  });
});

test('a member called __proto__ is refused, not dropped', () => {
  for (const text of [
    '{"input":{"__proto__":1}}',
    '{"input":{},"metadata":{"__proto__":"x"}}',
    '{"__proto__":1,"input":{}}',
    '{"input":{"__proto__":1,"x":9007199254740993}}',
  ]) {
    expect(submitRefusal(text)).toMatchObject({ code: 'unknown_field' });
  }
});

test('an answer quotes a bounded part of what the caller sent', () => {
  const name = 'x'.repeat(100_000);
  const context = { requestId: 'req_1', instance: '/', surface: 'v2' } as const;
  for (const refusal of [
    submitRefusal(`{"input":{},"${name}":1}`),
    inferRefusal(`{"inputs":[{"name":"${name}","datatype":"FP32","shape":[],"data":[]}]}`),
    inferRefusal(`{"inputs":[],"parameters":{"${name}":[]}}`),
    failure('malformed_multipart', name),
  ]) {
    const { body } = problemDocument(refusal ?? failure('internal', ''), context);
    expect(JSON.stringify(body).length).toBeLessThan(10_000);
    expect(body['detail']).toContain('xxx...');
  }
});
