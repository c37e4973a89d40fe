/** E: does it pay to wait with a free worker? A model whose fixed cost dominates, where it should. */
import type { LingerSpec } from '@inferry/contracts';
import { poisson } from '../clients.ts';
import { ours } from '../ours/ours.ts';
import { cork, deferred, fixedDelay, greedy } from '../policies/baselines.ts';
import { type Policy, smallModel, type World } from '../world.ts';
import * as columns from './columns.ts';
import { capacity, type Report, type Row, type Scale, tabulate, world } from './rows.ts';

const requests = 20_000;
const deferMs = 25;
const loads = [
  { workers: 1, share: 0.1 },
  { workers: 1, share: 0.6 },
  { workers: 4, share: 0.3 },
  { workers: 4, share: 0.6 },
  { workers: 4, share: 0.9 },
];
const auto: LingerSpec = { mode: 'auto', maxMs: 20 };
const defer: LingerSpec = { mode: 'defer', maxMs: deferMs };

const policies: Readonly<Record<string, (world: World) => Policy>> = {
  'greedy FIFO': greedy(),
  'fixed 2 ms': fixedDelay({ delayMs: 2 }),
  'fixed 10 ms': fixedDelay({ delayMs: 10 }),
  'BentoML 1.4': cork('1.4', 60_000),
  'deferred, 25 ms': deferred(deferMs),
  'ours, linger none': ours(),
  'ours, linger auto': ours({ linger: auto }),
  'ours, linger defer, 25 ms': ours({ linger: defer, latencyTargetMs: deferMs }),
};

export function lingerTable(scale: Scale): Promise<Report> {
  const { busy, max, mean, overtakes, p50, p99, rows } = columns;
  return tabulate(
    'E. A small model, 5 ms a run and 0.2 ms a row, batches of 32; no network',
    [mean, p50, p99, max, busy, rows, overtakes],
    loads.flatMap(({ share, workers }) => load(workers, share, requests * scale)),
  );
}

function load(workers: number, share: number, count: number): readonly Row[] {
  const slowness = Array.from({ length: workers }, () => 1);
  const options = world({ device: smallModel, slowness, rowsMax: 32, networkMs: 0 });
  const perSecond = share * capacity(options);
  const untilMs = (1_000 * count) / perSecond;
  return Object.entries(policies).map(([name, policy]) => ({
    name: `${workers} at ${share}: ${name}`,
    experiment: {
      world: options,
      policy,
      clients: (served) => poisson(served, { perSecond, untilMs }),
      targetMs: deferMs,
    },
  }));
}
