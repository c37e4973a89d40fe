import { type AdmissionSpec, defaultLimits } from '@inferry/contracts';
import { describe, expect, test } from 'vitest';

import { termsOf } from './terms.ts';

const limits = { ...defaultLimits, queueDepthPerClassMax: 100, queueDepthPerTenantMax: 7 };
const held = { usedMs: 3, deadlineMs: 1_000 };

function terms(
  mode: AdmissionSpec['mode'],
  more: Partial<Parameters<typeof termsOf>[0]> = {},
  {
    budgetMs = null,
    queueDepthMax = 10,
  }: { budgetMs?: number | null; queueDepthMax?: number } = {},
) {
  const admission = { mode, budgetMs, onInfeasible: 'refuse' } as const;
  const manifest = { admission, queueDepthMax };
  return termsOf({ manifest, limits, flowWeight: 4, hasTenants: false, held: null, ...more });
}

describe('the terms', () => {
  test.each([
    ['off', 10, 100],
    ['depth', 10, 10],
    ['timeout', 10, 10],
    ['target', 10, 10],
    ['depth', 500, 100],
    ['target', 500, 100],
  ] as const)('of mode %s with max_depth %i take %i jobs', (mode, queueDepthMax, depthMax) => {
    expect(terms(mode, {}, { queueDepthMax }).depthMax).toBe(depthMax);
  });

  test.each([
    ['off', null, null],
    ['depth', null, null],
    ['timeout', null, { usedMs: 0, budgetMs: 1_000, needsWorker: false }],
    ['target', 200, { usedMs: 3, budgetMs: 200, needsWorker: true }],
    ['target', 1_002, { usedMs: 3, budgetMs: 1_002, needsWorker: true }],
    ['target', 5_000, { usedMs: 0, budgetMs: 1_000, needsWorker: true }],
  ] as const)('of mode %s with a budget of %s give a held request %j', (mode, budgetMs, budget) => {
    expect(terms(mode, { held }, { budgetMs }).budget).toEqual(budget);
  });

  test('count a time limit from acceptance, however long the body took, and a budget from the headers', () => {
    const slow = { held: { usedMs: 1_500, deadlineMs: 1_000 } };
    expect(terms('timeout', slow).budget).toMatchObject({ usedMs: 0, budgetMs: 1_000 });
    const target = terms('target', slow, { budgetMs: 2_000 });
    expect(target.budget).toMatchObject({ usedMs: 1_500, budgetMs: 2_000 });
  });

  test.each(['off', 'depth', 'timeout', 'target'] as const)(
    'of mode %s give no budget where nobody waits',
    (mode) => {
      expect(terms(mode, {}, { budgetMs: 200 }).budget).toBeNull();
    },
  );

  test('bound the jobs of a tenant only where there are tenants, in every mode', () => {
    for (const mode of ['off', 'depth', 'timeout', 'target'] as const) {
      expect(terms(mode).tenantDepthMax).toBeNull();
      expect(terms(mode, { hasTenants: true }).tenantDepthMax).toBe(7);
    }
  });

  test('carry the weight of the flow and the bound on bytes', () => {
    const { weight, bytesMax } = terms('depth', { flowWeight: 32 });
    expect([weight, bytesMax]).toEqual([32, limits.queueBytesPerClassMax]);
  });
});
