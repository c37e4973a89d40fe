/**
 * What a gateway does beside its requests, once in a round: learns which workers live and what they
 * serve, looks at the load, sweeps each class (returns the jobs of dead workers, ends those whose
 * time ran out), and adds to the statistics. Any number of gateways may do so at once.
 */
import { every, sleep } from '@inferry/runtime';

import type { GatewayParts } from './deps.ts';

type BackgroundParts = Pick<
  GatewayParts,
  | 'catalogue'
  | 'clock'
  | 'control'
  | 'limits'
  | 'load'
  | 'log'
  | 'looks'
  | 'queue'
  | 'statistics'
  | 'telemetry'
>;

export interface Background {
  /** One round, now. Never rejects: what cannot be done is logged and tried again in the next round. */
  readonly round: () => Promise<void>;
  readonly start: () => void;
  /** No more rounds; what was counted since the last one is added to the statistics, if the queue is there. */
  readonly stop: () => Promise<void>;
}

/** A queue that answers nothing must not keep the rounds from going on. */
const stepMsMax = 2_000;

export function createBackground(parts: BackgroundParts): Background {
  let stopTicking: (() => void) | undefined;
  let isQueueLost = false;
  const round = async (): Promise<void> => {
    const steps = [
      () => learn(parts),
      () => weigh(parts),
      () => sweepAll(parts),
      () => parts.statistics.flush(),
    ];
    try {
      for (const step of steps) await withinMs(parts, step());
      if (isQueueLost) parts.log.info({}, 'the queue is back');
      isQueueLost = false;
    } catch (cause) {
      // Said once, not with every round of an outage.
      if (!isQueueLost) parts.log.warn({ err: cause }, 'the queue cannot be looked after');
      isQueueLost = true;
    }
  };
  return {
    round,
    start() {
      stopTicking?.();
      stopTicking = every(parts.clock, parts.limits.sweepMs, round);
    },
    async stop() {
      stopTicking?.();
      try {
        await withinMs(parts, parts.statistics.flush());
      } catch (cause) {
        parts.log.warn({ err: cause }, 'the last statistics are lost');
      }
    },
  };
}

async function learn({ queue, catalogue, control }: BackgroundParts): Promise<void> {
  const workers = await queue.workers();
  // After the announcements: an order that they tell of is among these.
  const orders = await queue.orders();
  catalogue.replaceAnnounced(workers, orders);
  control.look(workers, orders);
}

async function weigh({ load, looks }: BackgroundParts): Promise<void> {
  const sights = await looks.look();
  load.waitingTotal = sights.reduce((sum, { stats }) => sum + stats.waiting, 0);
}

async function sweepAll(parts: BackgroundParts): Promise<void> {
  const { looks, queue, statistics, telemetry, log } = parts;
  for (const [cls, { name: model }] of looks.classes) {
    const { returned, failed, expired } = await queue.sweep(cls);
    telemetry.swept(cls, [...failed, ...expired]);
    statistics.swept(cls, [...failed, ...expired]);
    if (returned.length + failed.length > 0) {
      telemetry.stalled(model, returned.length + failed.length);
      const lost = { returned, failed: failed.map(({ id }) => id) };
      log.warn({ model, ...lost }, 'jobs of lost workers were returned or failed');
    }
  }
}

async function withinMs({ clock }: BackgroundParts, step: Promise<void>): Promise<void> {
  const stop = new AbortController();
  const late = sleep(clock, stepMsMax, stop.signal).then(() => 'late');
  try {
    const first = await Promise.race([step, late]);
    if (first === 'late') throw new Error(`the queue did not answer within ${stepMsMax} ms`);
  } finally {
    stop.abort();
  }
}
