import { expect, test } from 'vitest';
import type { Supervised } from '../own-process.ts';
import { WorkerPool } from './worker-pool.ts';

function fixture() {
  const workers: { readonly signals: string[]; readonly end: (code: number) => void }[] = [];
  const gone: number[] = [];
  const pool = new WorkerPool({
    start: () => {
      let end: (code: number) => void = () => undefined;
      const ended = new Promise<number>((resolve) => (end = resolve));
      const signals: string[] = [];
      workers.push({ signals, end });
      const supervisor: Supervised = {
        stop: (signal) => void signals.push(signal),
        reread: () => void signals.push('reread'),
        ended,
      };
      return supervisor;
    },
    onReady: () => undefined,
    onGone: (code) => void gone.push(code),
  });
  return { pool, workers, gone };
}

test('the youngest are drained first, and each is told once', () => {
  const { pool, workers } = fixture();
  pool.resize(3);
  pool.resize(1);
  pool.resize(1);
  expect(workers.map(({ signals }) => signals)).toEqual([[], ['SIGTERM'], ['SIGTERM']]);
  expect([pool.workers, pool.draining]).toEqual([1, 2]);
});

test('every worker is told to read its files again', () => {
  const { pool, workers } = fixture();
  pool.resize(2);
  pool.reread();
  expect(workers.map(({ signals }) => signals)).toEqual([['reread'], ['reread']]);
});

test('those that drain are not taken back: others are started', async () => {
  const { pool, workers } = fixture();
  pool.resize(2);
  pool.resize(1);
  pool.resize(2);
  expect(workers.length).toBe(3);
  workers[1]?.end(0);
  await Promise.resolve();
  await Promise.resolve();
  expect([pool.workers, pool.draining]).toEqual([2, 0]);
});

test('a stop drains all, without ending those that drain; a second one ends them', async () => {
  const { pool, workers, gone } = fixture();
  pool.resize(2);
  pool.resize(1);
  pool.stop('SIGTERM');
  expect(workers.map(({ signals }) => signals)).toEqual([['SIGTERM'], ['SIGTERM']]);
  pool.stop('SIGINT');
  expect(workers.map(({ signals }) => signals.at(-1))).toEqual(['SIGINT', 'SIGINT']);
  workers[0]?.end(0);
  workers[1]?.end(1);
  expect(await pool.ended()).toBe(1);
  expect(gone).toEqual([]);
});

test('a worker that ends by itself is told, and is no worker any more', async () => {
  const { pool, workers, gone } = fixture();
  pool.resize(2);
  workers[0]?.end(2);
  await Promise.resolve();
  await Promise.resolve();
  expect(gone).toEqual([2]);
  expect(pool.workers).toBe(1);
});
