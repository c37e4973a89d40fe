/** Who may be active in the process. */
import { setImmediate } from 'node:timers/promises';
import { describe, expect, test } from 'vitest';
import { ExclusiveGate } from './exclusive.ts';

const never = new AbortController().signal;

describe('ExclusiveGate', () => {
  test('shared holders are inside together, the exclusive one alone', async () => {
    const gate = new ExclusiveGate();
    const first = await gate.shared(never);
    const second = await gate.shared(never);
    const entered: string[] = [];
    const exclusive = gate.exclusive(never).then((release) => {
      entered.push('exclusive');
      return release;
    });
    void gate.shared(never).then(() => entered.push('shared'));
    first?.();
    await setImmediate();
    expect(entered).toEqual([]);
    second?.();
    await setImmediate();
    expect(entered).toEqual(['exclusive']);
    (await exclusive)?.();
    await setImmediate();
    expect(entered).toEqual(['exclusive', 'shared']);
  });

  test('who gives up waiting holds nobody off', async () => {
    const gate = new ExclusiveGate();
    await gate.shared(never);
    const impatient = new AbortController();
    const exclusive = gate.exclusive(impatient.signal);
    const later = gate.shared(never);
    impatient.abort();
    expect(await exclusive).toBeUndefined();
    expect(await later).toBeDefined();
  });

  test('releasing twice lets nobody in twice', async () => {
    const gate = new ExclusiveGate();
    const first = await gate.shared(never);
    await gate.shared(never);
    first?.();
    first?.();
    let isInside = false;
    void gate.exclusive(never).then(() => (isInside = true));
    await setImmediate();
    expect(isInside).toBe(false);
  });
});
