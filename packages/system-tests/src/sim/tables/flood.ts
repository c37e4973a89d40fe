/** F: one tenant asks for twice what the device can do, three others for a little. */
import { poisson } from '../clients.ts';
import { ours } from '../ours/ours.ts';
import { greedy } from '../policies/baselines.ts';
import type { Result } from '../simulate.ts';
import { milliseconds, percent } from '../table.ts';
import type { World } from '../world.ts';
import { withBudget } from './closed-loop.ts';
import {
  type Column,
  type Report,
  type Row,
  type Scale,
  tabulate,
  targetMs,
  world,
} from './rows.ts';

const floodMs = 180_000;
const perSecond: Readonly<Record<string, number>> = { flood: 60, one: 2, two: 2, three: 2 };
const light = Object.keys(perSecond).filter((tenant) => tenant !== 'flood');
const weights = Object.fromEntries(Object.keys(perSecond).map((tenant) => [tenant, 1]));

const columns: readonly Column[] = [
  { name: 'flood p99', cell: ({ of }) => milliseconds(of('flood').answers.p99) },
  { name: 'flood refused %', cell: ({ of }) => percent(of('flood').refusedShare) },
  { name: 'flood ok/s', cell: ({ of }) => of('flood').answeredPerSecond.toFixed(1) },
  { name: 'light p50', cell: worst(({ p50 }) => p50) },
  { name: 'light p99', cell: worst(({ p99 }) => p99) },
  { name: 'light max', cell: worst(({ max }) => max) },
  { name: 'light refused %', cell: ({ of }) => percent(mostOf((name) => of(name).refusedShare)) },
  { name: 'overtakes', cell: ({ of }) => String(mostOf((name) => of(name).overtakesMax)) },
];

export function floodTable(scale: Scale): Promise<Report> {
  const untilMs = floodMs * scale;
  const clients = (served: World): void => {
    for (const [tenant, rate] of Object.entries(perSecond)) {
      poisson(served, { perSecond: rate, tenant, untilMs });
    }
  };
  const row = (name: string, policy: Row['experiment']['policy']): Row => ({
    name,
    experiment: { world: world(), policy, clients, targetMs },
  });
  return tabulate(
    `F. One tenant with 60 requests a second, three with 2, for ${untilMs / 1_000} s; of the three, the worst`,
    columns,
    [
      row('greedy FIFO', greedy()),
      row('ours, tenants not told apart', ours()),
      row('ours, tenants not told apart, budget 500', ours(withBudget)),
      row('ours, tenants', ours({ weights })),
      row('ours, tenants, budget 500', ours({ ...withBudget, weights })),
    ],
  );
}

function mostOf(value: (tenant: string) => number): number {
  return Math.max(...light.map(value));
}

function worst(value: (spread: ReturnType<Result['of']>['answers']) => number): Column['cell'] {
  return ({ of }) => milliseconds(mostOf((tenant) => value(of(tenant).answers)));
}
