import { describe, expect, test } from 'vitest';
import { type ErrorCode, errorRegistry, type ErrorSpec, failure } from './errors.ts';

const entries = Object.entries(errorRegistry) as [ErrorCode, ErrorSpec][];

describe.each(entries)('%s', (code, spec) => {
  test('has a code in snake_case and a title that is a phrase', () => {
    expect(code).toMatch(/^[a-z]+(_[a-z]+)*$/u);
    expect(spec.title).toMatch(/^[A-Z].*[^.\s]$/u);
  });

  test('has a status of its class, and says rightly whether trying again can help', () => {
    const statuses: { readonly [Name in ErrorSpec['class']]: readonly number[] } = {
      invalid: [400, 404, 405, 408, 409, 410, 413, 415, 422, 431, 501, 503],
      refused: [409, 429, 503],
      expired: [409, 504],
      model: [400, 422, 500],
      dependency: [503],
      bug: [500],
    };
    expect(statuses[spec.class]).toContain(spec.status);
    // Load, outages and time pass; what the caller sent does not change by sending it again.
    if ([429, 504].includes(spec.status)) expect(spec.retryable).toBe(true);
    // What is switched off stays so.
    if (spec.status === 503) expect(spec.retryable).toBe(spec.class !== 'invalid');
    if ([400, 404, 413, 415, 422, 501].includes(spec.status)) expect(spec.retryable).toBe(false);
  });
});

test('every title is said once', () => {
  const titles = entries.map(([, { title }]) => title);
  expect(new Set(titles).size).toBe(titles.length);
});

test('a failure carries what it was given and nothing else', () => {
  expect(failure('queue_full', 'Full.')).toEqual({ code: 'queue_full', detail: 'Full.' });
  expect(failure('queue_full', 'Full.', { retryAfterMs: 5, extras: { limit: 3 } })).toEqual({
    code: 'queue_full',
    detail: 'Full.',
    retryAfterMs: 5,
    extras: { limit: 3 },
  });
});
