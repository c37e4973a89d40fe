/** What every queue promises of orders, as tests; a part of the contract of the queue. */
import { expect, test } from 'vitest';
import { orderedModelsMax } from './orders.ts';
import type { JobQueue } from './port.ts';

export function testOrders(
  queues: () => { readonly queue: JobQueue; readonly other: JobQueue },
): void {
  test('the last order of each model stands, for every process', async () => {
    const { queue, other } = queues();
    expect(await other.orders()).toEqual([]);
    const first = await queue.order({ model: 'resnet', want: 'unloaded' });
    const second = await other.order({ model: 'iris', want: 'loaded' });
    const third = await queue.order({ model: 'resnet', want: 'loaded' });
    const given = [first, second, third].flatMap((each) => (each.ok ? [each.value] : []));
    expect(given).toMatchObject([
      { model: 'resnet', want: 'unloaded' },
      { model: 'iris', want: 'loaded' },
      { model: 'resnet', want: 'loaded' },
    ]);
    const numbers = given.map(({ number }) => number);
    expect(numbers).toEqual([...new Set(numbers)].toSorted((a, b) => a - b));
    expect(await other.orders()).toEqual(given.slice(1));
  });

  test('orders are kept for a bounded number of models: the oldest is forgotten first, of those to load', async () => {
    const { queue, other } = queues();
    await queue.order({ model: 'gone', want: 'unloaded' });
    const names = Array.from({ length: orderedModelsMax + 2 }, (_, i) => `m${i}`);
    for (const model of names) await queue.order({ model, want: 'loaded' });
    // Given again, m2 is the newest.
    await queue.order({ model: 'm2', want: 'unloaded' });
    await queue.order({ model: 'new', want: 'loaded' });
    const kept = (await other.orders()).map(({ model }) => model);
    expect(kept).toEqual(['gone', ...names.slice(5), 'm2', 'new']);
  });
}
