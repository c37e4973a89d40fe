/** The queue of a role: in Redis where there is one, in memory otherwise. */
import { newId } from '@inferry/contracts';
import {
  createBullmqQueue,
  createMemoryQueue,
  type JobQueue,
  type PayloadReaderOptions,
  type QueueCheck,
} from '@inferry/queue';
import { type Clock, every, sleep } from '@inferry/runtime';
import { queueRules } from '@inferry/scheduling';
import type { GatewayMetrics, Logger, WorkerMetrics } from '@inferry/telemetry';
import type { Config } from '../config.ts';
import type { RoleDeps } from './role.ts';

export interface OpenQueue {
  readonly queue: JobQueue;
  /** Names this process in the queue. */
  readonly processId: string;
  /** How threads reach payloads; null where the queue has them in this process. */
  readonly payloadReaderOptions: PayloadReaderOptions | null;
}

/** Opens the queue without waiting for it: a role that starts before Redis waits for it. */
export function openQueue(config: Config, { clock, random }: RoleDeps): OpenQueue {
  const { limits, redisUrl } = config;
  const processId = newId(config.role, clock.nowMs(), random);
  const { leaseMs, sweepMs, inlinePayloadBytesMax, resultBytesPerClassMax, tombstoneMs } = limits;
  if (redisUrl === null) {
    const bounds = { leaseMs, resultBytesPerClassMax, tombstoneMs };
    const queue = createMemoryQueue({ clock, rules: queueRules, ...bounds });
    return { queue, processId, payloadReaderOptions: null };
  }
  const connection = { url: redisUrl, prefix: config.redisPrefix };
  const queue = createBullmqQueue({
    ...connection,
    clock,
    processId,
    leaseMs,
    sweepMs,
    inlinePayloadBytesMax,
    resultBytesPerClassMax,
    tombstoneMs,
  });
  return { queue, processId, payloadReaderOptions: connection };
}

export interface QueueWatch {
  /** The last probe was answered. False before the first. */
  readonly isReachable: () => boolean;
  readonly stop: () => void;
}

const probePeriodMs = 1_000;
/** A connection that stands within this time is waited for, so that a start beside a live Redis is a quiet one. */
const firstConnectMsMax = 1_000;

/** Probes the queue every second, and counts and logs connections that come and go. */
export async function watchQueue(
  queue: JobQueue,
  {
    clock,
    logger,
    metrics,
  }: {
    readonly clock: Clock;
    readonly logger: Logger;
    readonly metrics: Pick<GatewayMetrics | WorkerMetrics, 'redisConnected' | 'redisReconnects'>;
  },
): Promise<QueueWatch> {
  const lost = new Set<string>();
  queue.events.on('connected', ({ client }) => {
    metrics.redisConnected.set({ client }, 1);
    // Known from now on: a series that begins with the first loss would hide it from a rate.
    metrics.redisReconnects.add({ client }, 0);
    if (!lost.delete(client)) return;
    metrics.redisReconnects.add({ client });
    logger.info({ client }, 'the connection to the queue is back');
  });
  queue.events.on('disconnected', ({ client }) => {
    metrics.redisConnected.set({ client }, 0);
    if (lost.has(client)) return;
    lost.add(client);
    logger.warn({ client }, 'the connection to the queue is lost, trying again');
  });
  await firstConnection(queue, clock, firstConnectMsMax);
  let isReachable = false;
  const probe = async (): Promise<void> => {
    const roundTripMs = await queue.ping().catch(() => undefined);
    isReachable = roundTripMs !== undefined;
  };
  await probe();
  const stop = every(clock, probePeriodMs, probe);
  return { isReachable: () => isReachable, stop };
}

const inspectionPeriodMs = 10_000;

/** Those that can lose or refuse jobs; what is only slow or far off in time has metrics of its own. */
const toldChecks: readonly QueueCheck['name'][] = [
  'version',
  'role',
  'maxmemory_policy',
  'persistence',
  'headroom',
  'write_probe',
];

/** Tells whether what holds the queue is fit for it, and logs what is not when that is news. */
export function watchFitness(
  queue: Pick<JobQueue, 'inspect'>,
  {
    clock,
    logger,
    metrics,
  }: {
    readonly clock: Clock;
    readonly logger: Logger;
    readonly metrics: Pick<GatewayMetrics, 'redisConfigOk'>;
  },
): () => void {
  const unfit = new Set<string>();
  /** It may not be asked how it is. */
  let isBlind = false;
  const look = async (): Promise<void> => {
    const checks = await queue.inspect().catch((cause: unknown) => {
      if (isBlind || !String(cause).includes('NOPERM')) return undefined;
      isBlind = true;
      const remedy = 'give the user of REDIS_URL the rights that infra/redis/make-users.mjs writes';
      logger.warn({ err: cause, remedy }, 'it is not known whether Redis is fit to hold queues');
      return undefined;
    });
    if (checks === undefined) {
      // That it is away is told elsewhere; whether it is fit is not known then.
      for (const check of toldChecks) metrics.redisConfigOk.remove({ check });
      return;
    }
    for (const { detail, name, remedy, verdict } of checks) {
      if (!toldChecks.includes(name)) continue;
      metrics.redisConfigOk.set({ check: name }, verdict === 'bad' ? 0 : 1);
      if (verdict !== 'bad') unfit.delete(name);
      else if (!unfit.has(name)) {
        unfit.add(name);
        logger.warn({ check: name, detail, remedy }, 'Redis is not fit to hold queues');
      }
    }
  };
  void look();
  return every(clock, inspectionPeriodMs, look);
}

/** Waits for it, `msMax` at most. Each connection that stands is a reason to look whether all of them do. */
export async function firstConnection(queue: JobQueue, clock: Clock, msMax: number): Promise<void> {
  if (queue.kind === 'memory') return;
  const stood = new AbortController();
  const look = async (): Promise<void> => {
    if ((await queue.ping()) !== undefined) stood.abort();
  };
  const forget = queue.events.on('connected', () => void look());
  await sleep(clock, msMax, stood.signal);
  forget();
}
