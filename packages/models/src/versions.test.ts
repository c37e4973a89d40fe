/** Which version is the latest, and what a caller is told about one that is not there. */
import { describe, expect, test } from 'vitest';
import { manifestOf } from './manifest-fixture.test.ts';
import { latestVersion, resolveModel } from './versions.ts';

function latestOf(...versions: string[]): string | undefined {
  return latestVersion(versions.map((version) => manifestOf('m', version)))?.version;
}

describe('the latest version', () => {
  test('is the highest integer by value, beside any label', () => {
    expect(latestOf('2', '10', '9', 'zeta')).toBe('10');
    expect(latestOf('9007199254740993', '9007199254740992')).toBe('9007199254740993');
  });

  test('is the last label where there is no positive integer', () => {
    expect(latestOf('alpha', 'beta', '0', '01')).toBe('beta');
    expect(latestOf()).toBeUndefined();
  });
});

describe('resolving a name', () => {
  const manifests = [manifestOf('iris', '1'), manifestOf('iris', '2'), manifestOf('digits', '1')];

  test('gives the latest version, or the one asked for', () => {
    expect(resolveModel(manifests, 'iris')).toMatchObject({ value: { version: '2' } });
    expect(resolveModel(manifests, 'iris', '1')).toMatchObject({ value: { version: '1' } });
  });

  test('says which models and versions there are', () => {
    expect(resolveModel(manifests, 'irsi')).toMatchObject({
      error: {
        code: 'model_not_found',
        detail: 'no model is called "irsi"; there are: iris, digits',
      },
    });
    expect(resolveModel(manifests, 'iris', '3')).toMatchObject({
      error: {
        code: 'model_version_not_found',
        detail: 'model "iris" has no version "3"; it has: 1, 2',
      },
    });
    expect(resolveModel([], 'iris')).toMatchObject({ error: { code: 'model_not_found' } });
  });

  test('lists ten names at most and echoes a bounded piece of what was asked', () => {
    const many = Array.from({ length: 14 }, (_, i) => manifestOf(`m${i}`, '1'));
    const result = resolveModel(many, 'x'.repeat(5_000));
    const detail = result.ok ? '' : result.error.detail;
    expect(detail).toMatch(/there are: m0, .*, m9 and 4 more$/u);
    expect(detail.length).toBeLessThan(300);
  });
});
