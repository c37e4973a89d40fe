import { failure } from '@inferry/contracts';
import { err, ok } from '@inferry/runtime';
import { describe, expect, test } from 'vitest';

import { BodyMemory, giveBackAfter } from './body-memory.ts';

const kilobyte = 1024;
const megabyte = 1024 * kilobyte;

describe('memory for bodies', () => {
  test('is used again once it was given back, and not before', () => {
    const memory = new BodyMemory();
    const first = memory.lend();
    const one = first.allocate(200 * kilobyte);
    const two = memory.lend().allocate(200 * kilobyte);
    expect(two.buffer).not.toBe(one.buffer);
    first.giveBack();
    const again = memory.lend().allocate(220 * kilobyte);
    expect(again).toHaveLength(220 * kilobyte);
    expect(again.buffer).toBe(one.buffer);
    expect(memory.keptBytes).toBe(0);
  });

  test('is given back once, however often that is said', () => {
    const memory = new BodyMemory();
    const lent = memory.lend();
    lent.allocate(64 * kilobyte);
    lent.giveBack();
    lent.giveBack();
    expect(memory.keptBytes).toBe(64 * kilobyte);
    const other = memory.lend();
    expect(other.allocate(64 * kilobyte).buffer).not.toBe(other.allocate(64 * kilobyte).buffer);
  });

  test('is used again while its request still holds other pieces, where one is released', () => {
    const memory = new BodyMemory();
    const lent = memory.lend();
    const [smaller, larger] = [lent.allocate(64 * kilobyte), lent.allocate(128 * kilobyte)];
    lent.release(smaller);
    lent.release(smaller);
    lent.release(new Uint8Array(64 * kilobyte));
    expect(memory.keptBytes).toBe(64 * kilobyte);
    expect(memory.lend().allocate(64 * kilobyte).buffer).toBe(smaller.buffer);
    lent.giveBack();
    expect(memory.keptBytes).toBe(128 * kilobyte);
    expect(memory.lend().allocate(128 * kilobyte).buffer).toBe(larger.buffer);
  });

  test('is not wasted on bodies that are much smaller', () => {
    const memory = new BodyMemory();
    const lent = memory.lend();
    lent.allocate(8 * megabyte);
    lent.giveBack();
    memory.lend().allocate(100 * kilobyte);
    expect(memory.keptBytes).toBe(8 * megabyte);
    memory.lend().allocate(5 * megabyte);
    expect(memory.keptBytes).toBe(0);
  });

  test('is kept up to 32 MiB in 64 pieces; small pieces are not', () => {
    const memory = new BodyMemory();
    const lent = memory.lend();
    for (let i = 0; i < 100; i += 1) lent.allocate(5 * megabyte);
    lent.giveBack();
    expect(memory.keptBytes).toBe(30 * megabyte);
    for (let i = 0; i < 100; i += 1) lent.allocate(64 * kilobyte);
    lent.allocate(kilobyte);
    lent.giveBack();
    expect(memory.keptBytes).toBe(64 * 64 * kilobyte);
  });

  test.each([
    ['the job is in the queue', ok(1), true],
    ['it was refused', err(failure('queue_full', 'full')), true],
    [
      'the queue was lost, which may still be sending it',
      err(failure('queue_unavailable', '')),
      false,
    ],
  ])('is used again after a request when %s: %s', (_, placed, isGivenBack) => {
    const memory = new BodyMemory();
    const lent = memory.lend();
    lent.allocate(64 * kilobyte);
    giveBackAfter(placed, lent);
    expect(memory.keptBytes > 0).toBe(isGivenBack);
  });
});
