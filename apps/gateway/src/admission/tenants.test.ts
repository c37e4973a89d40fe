import { expect, test } from 'vitest';

import { tenantOf } from './tenants.ts';

const tenants = new Map([
  ['acme', 4],
  ['beta', 1],
]);

test.each([
  ['acme', { name: 'acme', weight: 4 }],
  ['beta', { name: 'beta', weight: 1 }],
  ['default', { name: 'default', weight: 1 }],
  [undefined, { name: 'default', weight: 1 }],
])('the header %j names %j', (header, value) => {
  expect(tenantOf(header, tenants)).toEqual({ ok: true, value });
});

test('the tenant of requests that name none may have a weight', () => {
  const value = { name: 'default', weight: 9 };
  expect(tenantOf(undefined, new Map([['default', 9]]))).toEqual({ ok: true, value });
});

test('where tenants are not told apart the header is not looked at', () => {
  const value = { name: 'default', weight: 1 };
  expect(tenantOf('who?', undefined)).toEqual({ ok: true, value });
});

test.each(['gamma', '', 'ACME', 'acme, beta', '__proto__'])(
  'the header %j is refused',
  (header) => {
    expect(tenantOf(header, tenants)).toMatchObject({
      ok: false,
      error: { code: 'invalid_header', extras: { header: 'Inferry-Tenant' } },
    });
  },
);
