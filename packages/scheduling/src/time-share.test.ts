/** Shares of run time by example. */
import { describe, expect, test } from 'vitest';
import { TimeShare } from './time-share.ts';

function shared(capacity: number, weights: Readonly<Record<string, number>>): TimeShare {
  const share = new TimeShare(capacity);
  for (const [cls, weight] of Object.entries(weights)) share.join(cls, weight);
  return share;
}

/** So many turns, each charged with the run of its class; who had them. */
function turns(share: TimeShare, count: number, runMs: Readonly<Record<string, number>>): string[] {
  return Array.from({ length: count }, () => {
    const cls = share.next();
    expect(cls).not.toBeNull();
    share.takes(cls!);
    share.charge(cls!, runMs[cls!]!);
    return cls!;
  });
}

describe('TimeShare', () => {
  test('nobody has a turn who does not want one', () => {
    const share = shared(1, { a: 1, b: 1 });
    expect(share.next()).toBeNull();
    share.wants('b');
    expect(share.next()).toBe('b');
    share.rests('b');
    expect(share.next()).toBeNull();
  });

  test('time is shared and not turns: a class with runs ten times as long has a tenth of the turns', () => {
    const share = shared(1, { long: 1, short: 1 });
    share.wants('long');
    share.wants('short');
    const had = turns(share, 110, { long: 100, short: 10 });
    expect(had.filter((cls) => cls === 'long')).toHaveLength(10);
  });

  test('of those equally far behind the one that asked first has its turn, and asks anew after it', () => {
    const share = shared(1, { a: 1, b: 1, c: 1 });
    for (const cls of ['c', 'a', 'b']) share.wants(cls);
    expect(turns(share, 6, { a: 10, b: 10, c: 10 }).join('')).toBe('cabcab');
    share.wants('b');
    expect(share.next()).toBe('c');
  });

  test('runs that take no time take turns too', () => {
    const share = shared(1, { a: 1, b: 1 });
    share.wants('a');
    share.wants('b');
    expect(turns(share, 4, { a: 0, b: 0 }).join('')).toBe('abab');
  });

  test('a class that rested is owed nothing', () => {
    const share = shared(1, { a: 1, b: 1 });
    share.wants('a');
    turns(share, 100, { a: 10 });
    share.wants('b');
    expect(turns(share, 6, { a: 10, b: 10 }).join('')).toBe('bababa');
  });

  test('nor is it when all rested in between', () => {
    const share = shared(1, { a: 1, b: 1 });
    share.wants('a');
    turns(share, 100, { a: 10 });
    share.rests('a');
    share.wants('b');
    share.wants('a');
    expect(turns(share, 6, { a: 10, b: 10 }).join('')).toBe('bababa');
  });

  test('what a class had is not forgotten by a short rest', () => {
    const share = shared(1, { a: 1, b: 1 });
    share.wants('a');
    share.wants('b');
    turns(share, 1, { a: 50 });
    share.rests('a');
    share.wants('a');
    expect(turns(share, 6, { a: 50, b: 10 }).join('')).toBe('bbbbba');
  });

  test('nor is one that was held up by itself while others had their turns', () => {
    const share = shared(2, { held: 10, busy: 1, late: 1 });
    share.wants('held');
    share.wants('busy');
    for (let i = 0; i < 100; i += 1) {
      share.takes('busy');
      share.charge('busy', 10);
    }
    // Neither it nor those that come later, and start where it is, may now keep the others waiting.
    share.wants('late');
    share.rests('held');
    expect(turns(share, 4, { busy: 10, late: 10 }).join('')).toBe('latebusylatebusy');
  });

  test('a run that was shorter than expected is given back', () => {
    const share = shared(1, { a: 1, b: 1 });
    share.wants('a');
    share.wants('b');
    share.charge('a', 100);
    share.charge('b', 30);
    expect(share.next()).toBe('b');
    share.charge('a', -80);
    expect(share.next()).toBe('a');
  });

  test('also when others had their turns in between', () => {
    const share = shared(1, { a: 1, b: 1 });
    share.wants('a');
    share.wants('b');
    share.takes('a');
    share.charge('a', 100);
    expect(turns(share, 6, { b: 10 }).join('')).toBe('bbbbbb');
    share.charge('a', -60);
    expect(turns(share, 5, { a: 5, b: 10 }).join('')).toBe('aaaab');
  });

  test('runs seem longer by those that want the device, and shorter by its slots', () => {
    const share = shared(2, { a: 1, b: 3, c: 4 });
    expect(share.stretch('a')).toBe(1);
    for (const cls of ['a', 'b', 'c']) share.wants(cls);
    expect(share.stretch('a')).toBe(4);
    expect(share.stretch('b')).toBeCloseTo(8 / 6);
    expect(share.stretch('c')).toBe(1);
    share.rests('c');
    expect(share.stretch('a')).toBe(2);
    share.rests('a');
    expect(share.stretch('a')).toBe(2);
  });

  test('runs of a class with several slots seem longer, for they share its part', () => {
    const share = new TimeShare(2);
    share.join('two', 1, 2);
    share.join('one', 1);
    share.wants('two');
    expect(share.stretch('two')).toBe(1);
    share.wants('one');
    expect(share.stretch('two')).toBe(2);
    expect(share.stretch('one')).toBe(1);
  });

  test('a device of another size, and a class that has gone, change how long runs seem', () => {
    const share = new TimeShare(1);
    share.join('two', 1, 2);
    share.join('one', 1);
    share.wants('two');
    share.wants('one');
    expect(share.stretch('two')).toBe(2);
    share.resize(4);
    expect(share.stretch('two')).toBe(1);
    share.resize(1);
    share.part('one');
    expect([share.stretch('two'), share.next()]).toEqual([1, 'two']);
    expect(() => share.rests('one')).toThrow('a class joins first');
  });

  test('who comes while a turn is charged with more than it takes does not wait for the rest', () => {
    const share = shared(1, { a: 1, b: 1 });
    share.wants('a');
    share.takes('a');
    share.charge('a', 640);
    share.wants('b');
    share.charge('a', -630);
    expect(turns(share, 4, { a: 10, b: 10 }).join('')).toBe('baba');
  });

  test('a class that is asked for before it joined is a bug', () => {
    const share = shared(1, {});
    expect(() => share.wants('a')).toThrow('a class joins first');
    expect(() => share.join('a', 0)).toThrow('a weight is positive');
    expect(() => share.join('a', 1, 0)).toThrow('in the slots that there are');
    expect(() => share.resize(0)).toThrow('at least one slot');
    expect(() => new TimeShare(0)).toThrow('at least one slot');
  });
});
