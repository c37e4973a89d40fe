/**
 * The durable queue: BullMQ's keys and scripts on Redis, one BullMQ queue a class. A batch is taken with
 * one call and settled with one. What a job goes through is in lua-gateway.ts and lua-worker.ts; the sides carry arguments in and
 * replies out.
 */
import { defaultLimits } from '@inferry/contracts';
import type { JobQueue } from '../port.ts';
import { BullmqKeys } from './bullmq-keys.ts';
import { bullmqOrders } from './bullmq-orders.ts';
import { bullmqPartials } from './bullmq-partials.ts';
import { waitingConnection } from './connection.ts';
import { gatewaySide } from './gateway-side.ts';
import { type BullmqQueueOptions, openContext } from './queue-context.ts';
import { redisChecks } from './redis-inspection.ts';
import { registry } from './registry.ts';
import { WorkSignal } from './work-signal.ts';
import { workerSide } from './worker-side.ts';

/** Connects in the background: calls fail as unavailable until Redis answers. */
export function createBullmqQueue(
  given: Pick<BullmqQueueOptions, 'url' | 'prefix' | 'clock' | 'processId'> &
    Partial<BullmqQueueOptions>,
): JobQueue {
  const options: BullmqQueueOptions = {
    leaseMs: defaultLimits.leaseMs,
    sweepMs: defaultLimits.sweepMs,
    inlinePayloadBytesMax: defaultLimits.inlinePayloadBytesMax,
    resultBytesPerClassMax: defaultLimits.resultBytesPerClassMax,
    tombstoneMs: defaultLimits.tombstoneMs,
    partialsPerJobMax: defaultLimits.partialsPerJobMax,
    partialBytesPerJobMax: defaultLimits.partialBytesPerJobMax,
    scripts: {},
    ...given,
  };
  const context = openContext(options);
  const { clock } = options;
  const work = new WorkSignal({
    clock,
    commands: context.commands,
    connect: () => waitingConnection(options, 'wake', context.events),
    markerOf: context.names.marker,
    wakeKeyOf: context.names.wake,
  });
  return {
    kind: 'bullmq',
    events: context.events,
    keys: new BullmqKeys(context.commands, context.names, clock),
    partials: bullmqPartials(context),
    ...gatewaySide(context),
    ...workerSide(context, work),
    ...registry(context),
    ...bullmqOrders(context),
    inspect: () => redisChecks(context.commands, options.prefix, clock),
    async ping() {
      const startMs = clock.nowMs();
      try {
        await Promise.all([context.commands.ping(), context.blobs.ping()]);
        return clock.nowMs() - startMs;
      } catch {
        return undefined;
      }
    },
    close() {
      work.close();
      context.close();
      return Promise.resolve();
    },
  };
}
