/** A and B: more clients than the device can answer in time, each of which waits for its answer. */
import { loop } from '../simulate.ts';
import { ours, type OursOptions } from '../ours/ours.ts';
import { adaptiveLifo, cork, earlyDrop, fixedDelay, greedy } from '../policies/baselines.ts';
import type { Policy, World, WorldOptions } from '../world.ts';
import * as columns from './columns.ts';
import { type Report, type Row, type Scale, tabulate, targetMs, together, world } from './rows.ts';

const clients = 50;
const requests = 4_500;

/** Ours with a budget of the target, which bounds the batches too. */
export const withBudget: Partial<OursOptions> = { budgetMs: targetMs, latencyTargetMs: targetMs };

export async function closedLoopTables(scale: Scale): Promise<Report> {
  const count = Math.round(requests * scale);
  return together([await givingUp(count), await retrying(count)]);
}

function givingUp(count: number): Promise<Report> {
  const row = (
    name: string,
    policy: (world: World) => Policy,
    options: Partial<WorldOptions> = {},
  ): Row => ({
    name,
    experiment: {
      world: world(options),
      policy,
      clients: loop({ clients, requests: count, onRefusal: 'give_up' }),
      targetMs,
    },
  });
  const { answered, max, mean, overtakes, p50, p99, refusal, refused } = columns;
  return tabulate(
    `A. ${clients} clients in a closed loop, ${count} requests; a client that is refused wants the next thing at once`,
    [refused, answered, mean, p50, p99, max, refusal, overtakes],
    [
      row('BentoML 0.13, no limit', cork('0.13', Infinity)),
      row('BentoML 0.13, no limit, batches of 20', cork('0.13', Infinity), { rowsMax: 20 }),
      row('BentoML 0.13, 500 ms, 15 ms to read a request', cork('0.13', 500), { ingestMs: 15 }),
      row('BentoML 1.4, 500 ms', cork('1.4', 500)),
      row(
        'Triton, delay 100, queue timeout 500',
        fixedDelay({ delayMs: 100, queueTimeoutMs: 500 }),
      ),
      row('early drop, 500 ms', earlyDrop(500)),
      row('adaptive LIFO + CoDel', adaptiveLifo()),
      row('greedy FIFO', greedy()),
      row('ours, no budget', ours()),
      row('ours, budget 500', ours(withBudget)),
    ],
  );
}

function retrying(count: number): Promise<Report> {
  const row = (name: string, policy: (world: World) => Policy): Row => ({
    name,
    experiment: {
      world: world(),
      policy,
      clients: loop({ clients, requests: count, onRefusal: 'retry' }),
      targetMs,
    },
  });
  const { answered, attempts, goodShare, jobs, max, overtakes, refusal } = columns;
  const { logicalMax, logicalMean, logicalP99 } = columns;
  return tabulate(
    `B. The same clients, ${count} answers; what is refused is tried again until it is answered`,
    [
      attempts,
      answered,
      goodShare,
      max,
      logicalMean,
      logicalP99,
      logicalMax,
      refusal,
      jobs,
      overtakes,
    ],
    [
      row('BentoML 0.13, no limit', cork('0.13', Infinity)),
      row('BentoML 1.4, 500 ms', cork('1.4', 500)),
      row('Triton, delay 100, queue size 16', fixedDelay({ delayMs: 100, waitingMax: 16 })),
      row(
        'Triton, delay 100, queue timeout 500',
        fixedDelay({ delayMs: 100, queueTimeoutMs: 500 }),
      ),
      row('early drop, 500 ms', earlyDrop(500)),
      row('adaptive LIFO + CoDel', adaptiveLifo()),
      row('ours, budget 500, Retry-After', ours(withBudget)),
      row(
        'ours, budget 500, on_infeasible accept',
        ours({ ...withBudget, onInfeasible: 'accept' }),
      ),
      row('ours, no budget', ours()),
    ],
  );
}
