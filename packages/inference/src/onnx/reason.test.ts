import { expect, test } from 'vitest';
import { plainReason } from './reason.ts';

test.each([
  ['Load model from /srv/models/a/1/model.onnx failed', 'Load model from (path) failed'],
  ["Node Name:'/layer/Gather' Status\n message", "Node Name:'/layer/Gather' Status message"],
  ['fix either the inputs/outputs', 'fix either the inputs/outputs'],
  ['/src/core/run.cc:197 threw (/src/x/y.h)', '(path):197 threw ((path))'],
])('%j is told as %j', (text, told) => {
  expect(plainReason(new Error(text))).toBe(told);
});

test('a long reason is cut', () => {
  expect(plainReason('x'.repeat(10_000)).length).toBeLessThan(400);
});
