import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { tenantWeights } from './tenants.ts';

function weights(text: string): Record<string, number> {
  const parsed = tenantWeights(text);
  if (!parsed.ok) throw new Error(parsed.error);
  return Object.fromEntries(parsed.value);
}

function problem(text: string): string {
  const parsed = tenantWeights(text);
  return parsed.ok ? '' : parsed.error;
}

describe('a list of tenants', () => {
  test.each([
    ['acme', { acme: 1 }],
    ['acme:4,beta', { acme: 4, beta: 1 }],
    [' acme:100 , default:2 ', { acme: 100, default: 2 }],
    ['0.A_-x:1', { '0.A_-x': 1 }],
  ])('%j', (text, expected) => {
    expect(weights(text)).toEqual(expected);
  });

  test('tells of everything that is wrong with it', () => {
    const text = `a b,acme:0,acme:101,beta,beta:2,:3,x:1:2,c:,${'n'.repeat(65)}`;
    expect(problem(text).split('; ')).toEqual([
      expect.stringMatching(/^must be tenants like acme:4,beta: "a b" is no name/u),
      '"acme:0" has no weight from 1 to 100',
      '"acme" is there twice',
      '"beta" is there twice',
      expect.stringContaining('":3" is no name'),
      expect.stringContaining('"x:1:2" is no name'),
      '"c:" has no weight from 1 to 100',
      expect.stringContaining('is no name of 1 to 64'),
    ]);
  });

  test('is no list without a name, and no list of thousands', () => {
    expect(problem(',')).not.toBe('');
    const many = Array.from({ length: 1_001 }, (_, i) => `t${i}`);
    expect(problem(many.join(','))).toContain('there are 1001, at most 1000');
    expect(Object.keys(weights(many.slice(1).join(',')))).toHaveLength(1_000);
    expect(problem(Array(50).fill('?').join(','))).toContain('and 40 more');
  });

  test('comes back as it was written', () => {
    const name = fc.stringMatching(/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/u);
    const entries = fc.uniqueArray(fc.tuple(name, fc.integer({ min: 1, max: 100 })), {
      selector: ([text]) => text,
      minLength: 1,
    });
    fc.assert(
      fc.property(entries, (given) => {
        const text = given.map(([key, weight]) => `${key}:${weight}`).join(',');
        const parsed = tenantWeights(text);
        expect(parsed.ok && [...parsed.value]).toEqual(given);
      }),
    );
  });
});
