import type { ModelManifest } from '@inferry/contracts';
import { describe, expect, test } from 'vitest';

import { adder, fields, iris } from '../models-fixture.test.ts';
import { classifyResponse, parseClassify } from './classify.ts';

const classify = (body: unknown, manifest: ModelManifest) =>
  parseClassify(new TextEncoder().encode(JSON.stringify(body)), manifest, {
    hasPriorities: false,
    allocate: (bytes) => new Uint8Array(bytes),
  });
const flower = { sepal_length: 5.1, sepal_width: 3.5, petal_length: 1.4, petal_width: 0.2 };

describe('a classify request', () => {
  test('of a classifier with a pipeline is answered by labels with their scores', () => {
    const request = classify({ examples: [flower, flower] }, iris);
    expect(request).toMatchObject({
      ok: true,
      value: { rows: 2, input: { form: 'pipeline', rows: [flower, flower] } },
    });
    const top = [
      { label: 'setosa', score: 0.75 },
      { label: 'virginica', score: 0.25 },
    ];
    const rows = [
      { label: 'setosa', score: 0.75, top_k: top },
      { label: 'setosa', top_k: [] },
    ];
    expect(classifyResponse({ form: 'rows', rows })).toBe(
      '{"result":[[["setosa",0.75],["virginica",0.25]],[]]}',
    );
  });

  test.each([
    ['a model without labels', { examples: [{ a: 1 }] }, adder, '#'],
    ['a pipeline without labels', { examples: [{ a: [1], b: [1] }] }, fields, '#'],
    ['no examples', {}, iris, '#/examples'],
    [
      'a bad example',
      { examples: [flower, { ...flower, petal_width: 'x' }] },
      iris,
      '#/examples/1/petal_width',
    ],
    ['an example that is no object', { examples: [[1, 2, 3, 4]] }, iris, '#/examples/0'],
  ])('of %s is refused at its place', (_, body, manifest, pointer) => {
    const result = classify(body, manifest);
    expect(result.ok ? undefined : result.error).toMatchObject({
      code: 'invalid_input',
      extras: { errors: [{ pointer }] },
    });
  });
});
