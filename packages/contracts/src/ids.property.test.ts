import { seededRandom, systemRandom } from '@inferry/runtime';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  classOf,
  isJobId,
  isModelName,
  isModelVersion,
  newId,
  newJobId,
  partsOf,
  reservedNames,
} from './ids.ts';

/** 48 bits: until the year 10889. */
const instants = fc.integer({ min: 0, max: 2 ** 48 - 1 });
const nameStart = 'ABCXYZabcxyz0129'.split('');
const nameRest = [...nameStart, '.', '_', '-'];

function names(charsMax: number): fc.Arbitrary<string> {
  return fc
    .tuple(
      fc.constantFrom(...nameStart),
      fc.string({ unit: fc.constantFrom(...nameRest), maxLength: charsMax - 1 }),
    )
    .map(([first, rest]) => first + rest);
}

describe('ids', () => {
  test('a job id has its pattern and holds nothing that divides keys', () => {
    fc.assert(
      fc.property(instants, fc.integer(), (nowMs, seed) => {
        const id = newJobId(nowMs, seededRandom(seed));
        expect(id).toMatch(/^job_[0-9a-hjkmnp-tv-z]{26}$/u);
        expect(id).not.toMatch(/[:.,]/u);
        expect(isJobId(id)).toBe(true);
      }),
    );
  });

  test('ids sort by their millisecond', () => {
    fc.assert(
      fc.property(instants, instants, (a, b) => {
        fc.pre(a !== b);
        const first = newJobId(Math.min(a, b), systemRandom);
        const second = newJobId(Math.max(a, b), systemRandom);
        expect(first < second).toBe(true);
      }),
    );
  });

  test('the time of an id can be read back, without its fraction', () => {
    const crockford = '0123456789abcdefghjkmnpqrstvwxyz';
    fc.assert(
      fc.property(instants, fc.double({ min: 0, max: 0.99, noNaN: true }), (nowMs, fraction) => {
        const time = newId('req', Math.min(nowMs, 2 ** 41) + fraction, systemRandom).slice(4, 14);
        const read = time.split('').reduce((sum, char) => sum * 32 + crockford.indexOf(char), 0);
        expect(read).toBe(Math.min(nowMs, 2 ** 41));
      }),
    );
  });

  test('ids of one millisecond differ, and the prefix stands in front', () => {
    const ids = Array.from({ length: 10_000 }, () => newId('req', 1_763_000_000_000, systemRandom));
    expect(new Set(ids).size).toBe(ids.length);
    expect(ids.every((id) => id.startsWith('req_'))).toBe(true);
  });

  test.each([
    '',
    'job_',
    'req_01jcaaaaaaaaaaaaaaaaaaaaaa',
    'job_01jcaaaaaaaaaaaaaaaaaaaaa',
    'job_01jcaaaaaaaaaaaaaaaaaaaaaaa',
    'job_01JCAAAAAAAAAAAAAAAAAAAAAA',
    'job_01jcaaaaaaaaaaaaaaaaaaaai1',
    'job_01jcaaaaaaaaaaaaaaaaaaaau1',
    'job_01jcaaaaaaaaaaaaaaaaaaaa.1',
    ' job_01jcaaaaaaaaaaaaaaaaaaaaaa',
    'job_01jcaaaaaaaaaaaaaaaaaaaaaa\n',
  ])('%j is no job id', (text) => {
    expect(isJobId(text)).toBe(false);
  });
});

describe('names of models and versions', () => {
  test('what the rule allows is a name, up to its length', () => {
    fc.assert(
      fc.property(names(128), (name) => {
        expect(isModelName(name)).toBe(!reservedNames.has(name) && !(name in {}));
      }),
    );
    fc.assert(fc.property(names(64), (version) => isModelVersion(version) === !(version in {})));
    expect([128, 129].map((chars) => isModelName('a'.repeat(chars)))).toEqual([true, false]);
    expect([64, 65].map((chars) => isModelVersion('1'.repeat(chars)))).toEqual([true, false]);
  });

  const inherited = ['constructor', 'toString', '__proto__'];
  const odd = ['', '.', '..', '.hidden', '-x', '_x', 'a b', 'a/b', 'a@b', 'a:b', 'a{b', 'é', 'a\n'];
  test.each([...odd, ...inherited])('%j is neither a name nor a version', (text) => {
    expect(isModelName(text)).toBe(false);
    expect(isModelVersion(text)).toBe(false);
  });

  test.each([...reservedNames])('no model may be called %s, a segment of a route', (name) => {
    expect(isModelName(name)).toBe(false);
    expect(isModelName(`${name}2`)).toBe(true);
    expect(isModelVersion(name)).toBe(true);
  });

  test('a class is taken apart into what it was made of', () => {
    fc.assert(
      fc.property(names(128), names(64), (model, version) => {
        const id = classOf(model, version);
        expect(partsOf(id)).toEqual({ model, version });
        // The hash tag and the keys of a class are divided by these.
        expect(id).not.toMatch(/[{}:]/u);
      }),
    );
  });
});
