/** What a manifest says of waiting, by what model.yaml says. */
import type { ModelManifest } from '@inferry/contracts';
import { describe, expect, test } from 'vitest';
import { buildManifest } from './build-manifest.ts';
import { problemText } from './file-problem.ts';
import { parseModelYaml } from './model-yaml.ts';

const tensor = '[{name: x, dtype: FP32, shape: [-1, 2]}]';
const head = `backend: simulated\ninputs: ${tensor}\noutputs: ${tensor}\n`;

function built(lines: string) {
  const yaml = parseModelYaml('m.yaml', head + lines);
  if (!yaml.ok) return yaml;
  const model = { name: 'm', version: '1', digest: 'd', onnx: null, labels: [], tokenizer: null };
  return buildManifest({ ...model, yaml: yaml.value });
}

function manifest(lines: string): ModelManifest {
  const result = built(lines);
  if (!result.ok) throw new Error(result.error.map(problemText).join('\n'));
  return result.value;
}

function problems(lines: string): readonly string[] {
  const result = built(lines);
  return result.ok ? [] : result.error.map(problemText);
}

describe('admission', () => {
  test.each([
    ['', { mode: 'depth', budgetMs: null, onInfeasible: 'refuse' }],
    ['latency_target_ms: 200', { mode: 'target', budgetMs: 200, onInfeasible: 'refuse' }],
    ['admission: {budget_ms: 300}', { mode: 'target', budgetMs: 300, onInfeasible: 'refuse' }],
    [
      'latency_target_ms: 200\nadmission: {budget_ms: 300, on_infeasible: accept}',
      { mode: 'target', budgetMs: 300, onInfeasible: 'accept' },
    ],
    [
      'latency_target_ms: 200\nadmission: {mode: off}',
      { mode: 'off', budgetMs: null, onInfeasible: 'refuse' },
    ],
    [
      'admission: {mode: timeout, on_infeasible: accept}',
      { mode: 'timeout', budgetMs: null, onInfeasible: 'accept' },
    ],
  ])('of %j', (lines, expected) => {
    expect(manifest(lines).admission).toEqual(expected);
  });

  test.each([
    [
      'admission:\n  mode: target',
      'm.yaml:5: admission.mode: target needs a latency_target_ms or an admission.budget_ms',
    ],
    [
      'latency_target_ms: 9\nadmission:\n  mode: depth\n  budget_ms: 100',
      'm.yaml:7: admission.budget_ms: is for mode: target, not for mode: depth',
    ],
    [
      'admission:\n  on_infeasible: accept',
      'm.yaml:5: admission.on_infeasible: accept is for mode: target or timeout; in mode: depth no request is late',
    ],
    [
      'admission: {mode: strict}',
      'm.yaml:4: admission.mode: expected one of "target"|"timeout"|"depth"|"off"',
    ],
    ['admission: {budget_ms: 0}', 'm.yaml:4: admission.budget_ms: expected number to be >=1'],
  ])('of %j is a problem', (lines, problem) => {
    expect(problems(lines)).toEqual([problem]);
  });
});

describe('linger', () => {
  test.each([
    ['', { mode: 'auto', maxMs: 20 }],
    ['latency_target_ms: 50', { mode: 'auto', maxMs: 5 }],
    ['latency_target_ms: 5000', { mode: 'auto', maxMs: 20 }],
    ['queue: {linger: defer, max_linger_ms: 250}', { mode: 'defer', maxMs: 250 }],
    ['queue: {linger: none}', { mode: 'none', maxMs: 20 }],
  ])('of %j', (lines, expected) => {
    expect(manifest(lines).linger).toEqual(expected);
  });

  test('of another key is told which keys there are', () => {
    expect(problems('queue:\n  linger_ms: 5')).toEqual([
      expect.stringMatching(/^m\.yaml:5: queue\.linger_ms: is not known.* max_linger_ms,/u),
    ]);
  });
});

test('a model that says nothing weighs 1 and ages after a minute', () => {
  expect(manifest('')).toMatchObject({ agingMs: 60_000, weight: 1 });
  const asked = manifest('queue: {max_age_ms: 900, weight: 7}');
  expect(asked).toMatchObject({ agingMs: 900, weight: 7 });
  expect(problems('queue: {weight: 101}')).toHaveLength(1);
});
