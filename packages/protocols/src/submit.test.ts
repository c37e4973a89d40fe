import { defaultLimits, type ModelManifest } from '@inferry/contracts';
import fc from 'fast-check';
import { ok } from '@inferry/runtime';
import { describe, expect, test } from 'vitest';

import { parseSubmit, type SubmitBody } from './submit.ts';
import { adder, digits, iris } from './models-fixture.test.ts';

const flower = { sepal_length: 5.1, sepal_width: 3.5, petal_length: 1.4, petal_width: 0.2 };
const json = (body: unknown): SubmitBody => ({
  kind: 'json',
  bytes: new TextEncoder().encode(JSON.stringify(body)),
});
const limits = defaultLimits;
const allocate = (bytes: number): Uint8Array => new Uint8Array(bytes);

function submit(
  body: SubmitBody,
  manifest: ModelManifest,
  cancelAfterMs?: number,
  hasPriorities = false,
) {
  const modelOf = () => ok(manifest);
  return parseSubmit(body, {
    modelIn: 'path',
    modelOf,
    limits,
    cancelAfterMs,
    hasPriorities,
    allocate,
  });
}

/** To `POST /v1/jobs`, with the names that were asked for. */
function submitUnrouted(body: SubmitBody) {
  const named: (string | undefined)[] = [];
  const result = parseSubmit(body, {
    modelIn: 'body',
    modelOf(name) {
      named.push(name);
      return ok(iris);
    },
    limits,
    cancelAfterMs: undefined,
    hasPriorities: false,
    allocate,
  });
  return { result, named };
}

function refused(body: SubmitBody, manifest: ModelManifest, cancelAfterMs?: number) {
  const result = submit(body, manifest, cancelAfterMs);
  return result.ok ? undefined : result.error;
}

describe('a submit', () => {
  test('of named numbers is one pipeline row, with the defaults of model and limits', () => {
    expect(submit(json({ input: flower }), iris)).toEqual({
      ok: true,
      value: {
        manifest: iris,
        input: { form: 'pipeline', rows: [flower] },
        rows: 1,
        priority: 'normal',
        deadlineMs: 30_000,
        queueTimeoutMs: 30_000,
        executionTimeoutMs: 5_000,
        attemptsMax: 3,
        retentionMs: undefined,
        metadata: {},
      },
    });
  });

  test('of an image takes base64, a multipart part, only a part, or the raw body', () => {
    const image = Uint8Array.of(1, 2, 3);
    const parts = new Map([['photo', image]]);
    const request = new TextEncoder().encode('{"input":{"image":{"$part":"photo"}}}');
    const bodies: SubmitBody[] = [
      json({ input: { image: { $b64: 'AQID', media_type: 'image/png' } } }),
      { kind: 'multipart', request, parts },
      { kind: 'multipart', request: undefined, parts: new Map([['image', image]]) },
      { kind: 'raw', bytes: image },
    ];
    for (const body of bodies) {
      const result = submit(body, digits);
      expect(result.ok && result.value.input).toEqual({ form: 'pipeline', rows: [{ image }] });
    }
  });

  test('of a raw body needs its model in the path', () => {
    const body: SubmitBody = { kind: 'raw', bytes: Uint8Array.of(1, 2, 3) };
    expect(submitUnrouted(body).result).toMatchObject({
      ok: false,
      error: { code: 'unsupported_media_type' },
    });
  });

  test('of tensors is bound as an infer request is', () => {
    const tensor = { name: 'a', shape: [2, 1], datatype: 'INT64', data: [1, 2] };
    const body = json({ input: { inputs: [tensor, { ...tensor, name: 'b' }] } });
    expect(submit(body, adder)).toMatchObject({ ok: true, value: { rows: 2 } });
  });

  test('carries what it asks for', () => {
    const asked = { deadline_ms: 9000, queue_timeout_ms: 800, execution_timeout_ms: 70 };
    const rest = { max_attempts: 1, retention_ms: 60, metadata: { order: '42' } };
    expect(submit(json({ input: flower, ...asked, ...rest }), iris, 9000)).toMatchObject({
      ok: true,
      value: {
        deadlineMs: 9000,
        queueTimeoutMs: 800,
        executionTimeoutMs: 70,
        attemptsMax: 1,
        retentionMs: 60,
        metadata: { order: '42' },
      },
    });
  });

  test('says how urgent it is, where priorities mean something', () => {
    const urgent = json({ input: flower, priority: 'high' });
    expect(submit(urgent, iris, undefined, true)).toMatchObject({
      ok: true,
      value: { priority: 'high' },
    });
    expect(refused(urgent, iris)).toMatchObject({
      code: 'unknown_field',
      detail: expect.stringContaining('INFERRY_TENANTS'),
      extras: { errors: [{ pointer: '#/priority' }] },
    });
    const parts = new Map([['image', Uint8Array.of(1)]]);
    const request = new TextEncoder().encode(
      '{"input":{"image":{"$part":"image"}},"priority":"low"}',
    );
    const multipart = submit({ kind: 'multipart', request, parts }, digits, undefined, true);
    expect(multipart).toMatchObject({ ok: true, value: { priority: 'low' } });
  });

  test('names its model in the body where the path does not', () => {
    const body = json({ model: 'iris@1', input: flower });
    expect(submitUnrouted(body)).toMatchObject({ result: { ok: true }, named: ['iris@1'] });
    expect(submit(body, iris)).toMatchObject({ ok: false, error: { code: 'unknown_field' } });
  });

  test.each([
    ['a missing column', { ...flower, petal_width: undefined }, '#/input/petal_width', 'missing'],
    ['text for a number', { ...flower, petal_width: '1' }, '#/input/petal_width', 'type'],
    ['a value below the minimum', { ...flower, petal_width: -1 }, '#/input/petal_width', 'minimum'],
    ['a value above the maximum', { ...flower, petal_width: 31 }, '#/input/petal_width', 'maximum'],
    ['an unknown column', { ...flower, 'a/b': 1 }, '#/input/a~1b', 'unknown_input'],
  ])('of %s is refused at its place', (_, input, pointer, code) => {
    const error = refused(json({ input }), iris);
    expect(error).toMatchObject({ code: 'invalid_input', extras: { errors: [{ pointer, code }] } });
  });

  test('tells all problems of its columns at once', () => {
    const errors = refused(json({ input: {} }), iris)?.extras?.['errors'];
    expect(errors).toHaveLength(4);
  });

  test.each([
    ['no image', {}, 'missing'],
    ['an empty image', { image: { $b64: '' } }, 'empty'],
    ['an image that is not base64', { image: { $b64: '@@' } }, 'binary'],
    ['an image as plain text', { image: 'AQID' }, 'binary'],
    ['a part that is not there', { image: { $part: 'x' } }, 'binary'],
    ['a part and base64 at once', { image: { $part: 'x', $b64: 'AQID' } }, 'binary'],
    ['an unknown field', { image: { $b64: 'AQID' }, top_k: 1 }, 'unknown_input'],
  ])('of %s is refused', (_, input, code) => {
    expect(refused(json({ input }), digits)?.extras).toMatchObject({ errors: [{ code }] });
  });

  test('with a part that nothing refers to is refused', () => {
    const parts = new Map([
      ['image', Uint8Array.of(1)],
      ['stray', Uint8Array.of(2)],
    ]);
    const request = new TextEncoder().encode('{"input":{"image":{"$part":"image"}}}');
    const error = refused({ kind: 'multipart', request, parts }, digits);
    expect(error?.extras).toMatchObject({ errors: [{ code: 'unused_part' }] });
  });

  test('with a raw body is refused by a model that takes no image', () => {
    const error = refused({ kind: 'raw', bytes: Uint8Array.of(1) }, iris);
    expect(error?.code).toBe('unsupported_media_type');
  });

  test.each([
    [{ priority: 'urgent' }, 'invalid_input'],
    [{ priority: 1 }, 'invalid_input'],
    [{ prioritty: 'high' }, 'unknown_field'],
    [{ deadline_ms: limits.deadlineMsMax + 1 }, 'invalid_deadline'],
    [{ deadline_ms: 0 }, 'invalid_input'],
    [{ deadline_ms: 5, queue_timeout_ms: 6 }, 'invalid_deadline'],
    [{ max_attempts: limits.attemptsMax + 1 }, 'invalid_input'],
    [{ retention_ms: limits.retentionMsMax + 1 }, 'invalid_input'],
    [{ metadata: { k: 'v'.repeat(513) } }, 'metadata_too_large'],
    [{ metadata: { ['k'.repeat(65)]: 'v' } }, 'metadata_too_large'],
    [
      { metadata: Object.fromEntries(Array.from({ length: 17 }, (_, i) => [i, ''])) },
      'metadata_too_large',
    ],
    [{ metadata: { k: 1 } }, 'invalid_input'],
  ])('with %j is refused as %s', (options, code) => {
    expect(refused(json({ input: flower, ...options }), iris)?.code).toBe(code);
  });

  test('with a Cancel-After that differs from its deadline_ms is refused', () => {
    expect(refused(json({ input: flower, deadline_ms: 5 }), iris, 6)?.code).toBe(
      'invalid_deadline',
    );
  });

  test('made of garbage is refused, never thrown', () => {
    const value = fc.oneof(fc.jsonValue(), fc.constant({ $b64: 5 }), fc.constant({ $part: [] }));
    const body = fc.record({ input: fc.oneof(value, fc.record({ image: value, inputs: value })) });
    const model = fc.constantFrom(iris, digits, adder);
    fc.assert(fc.property(body, model, (given, manifest) => void submit(json(given), manifest)));
    fc.assert(fc.property(fc.uint8Array(), (bytes) => void submit({ kind: 'json', bytes }, iris)));
  });
});
