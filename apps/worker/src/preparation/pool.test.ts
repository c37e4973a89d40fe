/** Real preparation threads. */
import { classOf, encodeInput, newJobId } from '@inferry/contracts';
import { invariant, seededRandom, systemClock, VirtualClock } from '@inferry/runtime';
import { afterEach, describe, expect, test } from 'vitest';
import { modelManifest, silent } from '../worker.fixture.ts';
import { type PoolOptions, startPreparationPool } from './pool.ts';
import type { Preparation, PreparationItem } from './preparation.ts';

const echo = classOf('echo', '1');
const random = seededRandom(1);
const chunkMsMax = 60_000;
const healthy = {
  clock: systemClock,
  onStuck: () => invariant(false, 'these threads answer'),
};
const opened: Preparation[] = [];

afterEach(async () => {
  for (const pool of opened.splice(0)) await pool.close();
});

async function startPool(
  threads: number,
  { clock, onStuck }: Pick<PoolOptions, 'clock' | 'onStuck'> = healthy,
): Promise<Preparation> {
  const pool = await startPreparationPool({
    manifests: new Map([[echo, modelManifest]]),
    payloadReaderOptions: null,
    jpegDecoder: 'auto',
    threads,
    clock,
    logger: silent,
    chunkMsMax,
    onStuck,
  });
  opened.push(pool);
  return pool;
}

function itemOf(name: string, payload?: Uint8Array | null): PreparationItem {
  const tensor = { name, datatype: 'FP32', shape: [1, 1], bytes: new Uint8Array(4) } as const;
  const encoded = encodeInput({ form: 'tensors', tensors: [tensor] });
  return { id: newJobId(0, random), rows: 1, payload: payload === undefined ? encoded : payload };
}

describe('the preparation pool', () => {
  test('a batch comes back in order, each item on its own', async () => {
    const pool = await startPool(2);
    const items = [
      itemOf('x'),
      itemOf('unknown'),
      itemOf('x', new Uint8Array([9, 9])),
      itemOf('x', null),
      itemOf('x'),
    ];
    const prepared = await pool.prepare(echo, items);
    expect(prepared.map((one) => one.prepared.kind)).toEqual([
      'ready',
      'refused',
      'refused',
      'gone',
      'ready',
    ]);
    const [first] = prepared;
    expect(first?.prepared).toMatchObject({
      run: { rows: 1, tensors: [{ name: 'x', bytes: new Uint8Array(4) }] },
    });
    expect(first?.fetchedAtMs).toBeLessThanOrEqual(first?.preparedAtMs ?? 0);
  });

  test('payloads stay usable, so that a batch can be prepared again', async () => {
    const pool = await startPool(1);
    const item = itemOf('x');
    await pool.prepare(echo, [item]);
    const [again] = await pool.prepare(echo, [item]);
    expect(again?.prepared.kind).toBe('ready');
  });

  test('more batches than threads are prepared one after the other', async () => {
    const pool = await startPool(1);
    const all = await Promise.all(
      Array.from({ length: 5 }, () => pool.prepare(echo, [itemOf('x'), itemOf('x')])),
    );
    expect(all.flat().every((one) => one.prepared.kind === 'ready')).toBe(true);
  });

  test('a thread that does not answer in time is said to be stuck', async () => {
    const clock = new VirtualClock();
    let stuck = 0;
    const pool = await startPool(1, { clock, onStuck: () => (stuck += 1) });
    await pool.prepare(echo, [itemOf('x')]);
    await clock.advance(chunkMsMax);
    expect(stuck).toBe(0);
    const late = pool.prepare(echo, [itemOf('x')]);
    await clock.advance(chunkMsMax);
    expect(stuck).toBe(1);
    await late;
  });

  test('a thread that breaks fails its own chunk and is replaced', async () => {
    const pool = await startPool(1);
    const [broken] = await pool.prepare(classOf('unknown', '1'), [itemOf('x')]);
    expect(broken?.prepared.kind).toBe('refused');
    const [next] = await pool.prepare(echo, [itemOf('x')]);
    expect(next?.prepared.kind).toBe('ready');
  });
});
