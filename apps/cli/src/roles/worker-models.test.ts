/** What a worker is told of changes of the repository and of orders. */
import type { CarriedOut, ControlOrder, ModelManifest } from '@inferry/contracts';
import type { Repository } from '@inferry/models';
import { createMemoryQueue, type JobQueue } from '@inferry/queue';
import { VirtualClock } from '@inferry/runtime';
import { queueRules } from '@inferry/scheduling';
import type { Logger } from '@inferry/telemetry';
import { testManifest } from '@inferry/testkit';
import type { ApplyReport, WantedModels } from '@inferry/worker';
import { expect, test } from 'vitest';
import { WorkerModels } from './worker-models.ts';

const model = (name: string, version = '1'): ModelManifest => testManifest({ name, version });

function repositoryOf(...models: readonly ModelManifest[]): Repository {
  return { directory: 'models', models, problems: [], warnings: [], routing: {}, choices: {} };
}

interface FixtureOptions {
  readonly only?: readonly string[];
  readonly orders?: JobQueue['orders'];
  readonly before?: (queue: JobQueue) => Promise<unknown>;
  /** How the worker's start ended. */
  readonly started?: ApplyReport;
}

async function fixture(first: Repository, options: FixtureOptions = {}) {
  const clock = new VirtualClock();
  const queue = createMemoryQueue({ clock, rules: queueRules });
  await options.before?.(queue);
  const logger = { info: () => undefined, error: () => undefined } as unknown as Logger;
  let onDisk = first;
  let current = first;
  const reread = (): Promise<Repository> => Promise.resolve((current = onDisk));
  const watch = { current: () => current, reread };
  const orders = options.orders ?? (() => queue.orders());
  const { only = null } = options;
  const opening = WorkerModels.open({ watch, queue: { orders }, clock, logger, only });
  await clock.advance(1_000);
  const models = await opening;
  const applied: WantedModels[] = [];
  const told: Readonly<Record<string, CarriedOut>>[] = [];
  const worker = {
    isReady: true,
    report: [] as ApplyReport,
    apply(wanted: WantedModels) {
      applied.push(wanted);
      return Promise.resolve(worker.report);
    },
    tellCarriedOut: (byModel: Readonly<Record<string, CarriedOut>>) => void told.push(byModel),
  };
  const stop = models.follow(worker, options.started ?? []);
  const names = (wanted: WantedModels | undefined): readonly string[] | undefined =>
    wanted?.manifests.map(({ name }) => name);
  return {
    clock,
    queue,
    models,
    worker,
    applied,
    told,
    stop,
    started: names(models.wanted()),
    last: () => names(applied.at(-1)),
    write: (...written: readonly ModelManifest[]) => (onDisk = repositoryOf(...written)),
    break: (problem: Repository['problems'][number]) => {
      onDisk = { ...onDisk, problems: [problem] };
    },
    order: async (name: string, want: ControlOrder['want']): Promise<ControlOrder> => {
      const order = await queue.order({ model: name, want });
      if (!order.ok) throw new Error('a queue in memory takes orders');
      await clock.advance(500);
      return order.value;
    },
    reread,
  };
}

test('a model that is ordered away goes, and comes back when that is ordered', async () => {
  const { last, order, told } = await fixture(repositoryOf(model('a'), model('b')));
  expect(told).toEqual([{}]);
  const away = await order('a', 'unloaded');
  expect(last()).toEqual(['b']);
  expect(told.at(-1)).toEqual({ a: { number: away.number, problem: null } });
  const back = await order('a', 'loaded');
  expect(last()).toEqual(['a', 'b']);
  expect(told.at(-1)).toEqual({ a: { number: back.number, problem: null } });
});

test('orders that stand when a worker starts hold for it, and are told as carried out', async () => {
  const before = async (queue: JobQueue): Promise<void> => {
    await queue.order({ model: 'a', want: 'unloaded' });
    await queue.order({ model: 'gone', want: 'loaded' });
  };
  const first = repositoryOf(model('a'), model('b'));
  const { applied, clock, queue, started, told } = await fixture(first, { before });
  expect(started).toEqual(['b']);
  const [away, back] = await queue.orders();
  expect(told).toEqual([
    {
      a: { number: away?.number, problem: null },
      gone: { number: back?.number, problem: 'is not in the repository' },
    },
  ]);
  await clock.advance(5_000);
  expect(applied).toEqual([]);
});

test('an order to load that stands when a worker starts has what its start could not load as its problem', async () => {
  const { told } = await fixture(repositoryOf(model('a', '1'), model('a', '2')), {
    before: (queue) => queue.order({ model: 'a', want: 'loaded' }),
    started: [
      { model: 'a', version: '1', result: 'loaded' },
      { model: 'a', version: '2', result: 'failed', reason: 'no memory' },
    ],
  });
  expect(told).toMatchObject([{ a: { problem: 'version 2: no memory' } }]);
});

test('loading reads the repository again, and tries again what could not be loaded', async () => {
  const { applied, last, order, told, worker, write } = await fixture(repositoryOf(model('a')));
  write(model('a'), model('b', '1'), model('b', '2'));
  worker.report = [
    { model: 'a', version: '1', result: 'failed', reason: 'another model' },
    { model: 'b', version: '1', result: 'kept' },
    { model: 'b', version: '2', result: 'failed', reason: 'no memory' },
  ];
  await order('b', 'loaded');
  expect(last()).toEqual(['a', 'b', 'b']);
  expect(applied.at(-1)?.retry).toEqual(['b']);
  expect(told.at(-1)?.['b']?.problem).toBe('version 2: no memory');
});

test('a model that cannot be read is told as a problem, though it is served as it was', async () => {
  const watched = await fixture(repositoryOf(model('a')));
  watched.break({ model: 'a', version: null, file: 'a/model.yaml', line: 3, message: 'is odd' });
  await watched.order('a', 'loaded');
  expect(watched.last()).toEqual(['a']);
  expect(watched.told.at(-1)?.['a']?.problem).toBe('a/model.yaml:3: is odd');
});

test('orders for models that are no matter of this worker are carried out by doing nothing', async () => {
  const { last, order, told } = await fixture(repositoryOf(model('a')), { only: ['a'] });
  const { number } = await order('other', 'loaded');
  expect(last()).toEqual(['a']);
  expect(told.at(-1)).toEqual({ other: { number, problem: null } });
});

test('a repository that has changed is applied once, without what was ordered away', async () => {
  const { applied, clock, last, order, reread, write } = await fixture(repositoryOf(model('a')));
  await order('b', 'unloaded');
  write(model('a'), model('b'), model('c'));
  await reread();
  await clock.advance(2_000);
  expect(last()).toEqual(['a', 'c']);
  expect(applied).toHaveLength(2);
});

test('while the queue is away what was ordered last holds, and files are still followed', async () => {
  let isAway = true;
  let hangs = false;
  const { applied, clock, last, reread, started, stop, write } = await fixture(
    repositoryOf(model('a')),
    {
      orders: () => {
        if (hangs) return new Promise(() => undefined);
        return isAway ? Promise.reject(new Error('away')) : Promise.resolve([]);
      },
    },
  );
  expect(started).toEqual(['a']);
  write(model('b'));
  await reread();
  await clock.advance(500);
  expect(last()).toEqual(['b']);
  isAway = false;
  hangs = true;
  await clock.advance(500);
  stop();
  await clock.advance(5_000);
  expect(applied).toHaveLength(1);
});

test('a worker that drains tells of no order that it did not carry out', async () => {
  const { order, told, worker } = await fixture(repositoryOf(model('a')));
  worker.isReady = false;
  await order('a', 'unloaded');
  expect(told).toEqual([{}]);
});
