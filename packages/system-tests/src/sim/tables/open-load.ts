/** C, D and G: callers that come whether or not they are answered. */
import { bursts, poisson } from '../clients.ts';
import { ours } from '../ours/ours.ts';
import { cork, earlyDrop, fixedDelay, greedy, workerFill } from '../policies/baselines.ts';
import type { Policy, World, WorldOptions } from '../world.ts';
import { withBudget } from './closed-loop.ts';
import * as columns from './columns.ts';
import {
  capacity,
  type Report,
  type Row,
  type Scale,
  tabulate,
  targetMs,
  together,
  world,
} from './rows.ts';

type Policies = Readonly<Record<string, (world: World) => Policy>>;

const oneWorkerMs = 400_000;
const severalWorkersMs = 120_000;
const burstsMs = 300_000;

const { answered, good, max, mean, overtakes, p99, refusal, refused } = columns;
const all = [refused, answered, good, mean, p99, max, refusal, overtakes];

const tritonDelay = fixedDelay({ delayMs: 100 });
const tritonTimeout = fixedDelay({ delayMs: 100, queueTimeoutMs: 500 });
/** A budget on the answer that says nothing of batches. */
const withoutCap = ours({ budgetMs: targetMs });

export async function openLoadTables(scale: Scale): Promise<Report> {
  return together([
    await oneWorker(oneWorkerMs * scale),
    await severalWorkers(severalWorkersMs * scale),
    await onAndOff(burstsMs * scale),
  ]);
}

function oneWorker(untilMs: number): Promise<Report> {
  const always: Policies = {
    'BentoML 1.4, 500 ms': cork('1.4', 500),
    'Triton, delay 100, queue timeout 500': tritonTimeout,
    'early drop, 500 ms': earlyDrop(500),
    'ours, budget 500': ours(withBudget),
  };
  const stable: Policies = {
    'BentoML 0.13, no limit': cork('0.13', Infinity),
    'greedy FIFO': greedy(),
    'ours, no budget': ours(),
  };
  const load = (share: number, policies: Policies): readonly Row[] =>
    rowsOf(`${share}`, policies, world(), share, untilMs);
  return tabulate(
    `C. One worker, independent callers at a share of its capacity for ${untilMs / 1_000} s`,
    all,
    [
      ...load(0.8, { ...stable, ...always }),
      ...load(0.95, { ...stable, ...always }),
      ...load(1.2, { 'BentoML 1.4, 60 s (its default)': cork('1.4', 60_000), ...always }),
      ...load(2, always),
    ],
  );
}

function severalWorkers(untilMs: number): Promise<Report> {
  const equal = world({ slowness: [1, 1, 1, 1] });
  const unequal = world({ slowness: [1, 1, 1, 2] });
  const shedding: Policies = {
    'BentoML 1.4, 500 ms': cork('1.4', 500),
    'early drop, 500 ms': earlyDrop(500),
    'ours, budget 500': ours(withBudget),
  };
  const waiting: Policies = {
    'worker-side fill, 100 ms': workerFill(100),
    'Triton, delay 100': tritonDelay,
  };
  const uncapped: Policies = { ...shedding, 'ours, budget 500, no latency target': withoutCap };
  return tabulate(
    `D. Four workers, or four of which one is twice as slow, for ${untilMs / 1_000} s`,
    all,
    [
      ...rowsOf('equal 0.9', { ...shedding, ...waiting }, equal, 0.9, untilMs),
      ...rowsOf('equal 1.2', shedding, equal, 1.2, untilMs),
      ...rowsOf('unequal 0.9', uncapped, unequal, 0.9, untilMs),
      ...rowsOf('unequal 1.2', uncapped, unequal, 1.2, untilMs),
    ],
  );
}

function onAndOff(untilMs: number): Promise<Report> {
  const policies: Policies = {
    'BentoML 0.13, no limit': cork('0.13', Infinity),
    'BentoML 1.4, 500 ms': cork('1.4', 500),
    'greedy FIFO': greedy(),
    'early drop, 500 ms': earlyDrop(500),
    'ours, budget 500': ours(withBudget),
    'ours, budget 2000': ours({ budgetMs: 2_000 }),
  };
  const clients = (served: World): void =>
    bursts(served, {
      quiet: { perSecond: 10, ms: 8_500 },
      loud: { perSecond: 120, ms: 1_500 },
      untilMs,
    });
  return tabulate(
    `G. One worker, 10 callers a second and 120 a second in 1.5 s of every 10 s, for ${untilMs / 1_000} s`,
    all,
    Object.entries(policies).map(([name, policy]) => ({
      name,
      experiment: { world: world(), policy, clients, targetMs },
    })),
  );
}

function rowsOf(
  label: string,
  policies: Policies,
  options: WorldOptions,
  share: number,
  untilMs: number,
): readonly Row[] {
  const clients = (served: World): void =>
    poisson(served, { perSecond: share * capacity(options), untilMs });
  return Object.entries(policies).map(([name, policy]) => ({
    name: `${label}: ${name}`,
    experiment: { world: options, policy, clients, targetMs },
  }));
}
