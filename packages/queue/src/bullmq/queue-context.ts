/** What the sides of the durable queue share: one process's connections and settings. */
import type { ClassId, JobId } from '@inferry/contracts';
import { type Clock, Emitter, err, ok, type Result } from '@inferry/runtime';
import type { Redis } from 'ioredis';
import type { PartialLimits } from '../partials.ts';
import type { Change, QueueEvents, Unavailable } from '../port.ts';
import { unavailable } from '../refusals.ts';
import { BlobConnection } from './blob-connection.ts';
import {
  causeOf,
  commandConnection,
  type ConnectionOptions,
  waitingConnection,
} from './connection.ts';
import { Followers } from './followers.ts';
import { type Keys, keysOf } from './keys.ts';
import { OutcomeWaiters } from './outcome-waiters.ts';
import { type RunScript, scriptRunner, type Scripts } from './script-runner.ts';

export interface BullmqQueueOptions extends ConnectionOptions, PartialLimits {
  readonly clock: Clock;
  /** Names this process's outcome channel; unique among all processes on this Redis. */
  readonly processId: string;
  readonly leaseMs: number;
  readonly sweepMs: number;
  readonly inlinePayloadBytesMax: number;
  readonly resultBytesPerClassMax: number;
  readonly tombstoneMs: number;
  /** Other texts for some scripts: tests break them to show that a broken rule is found. */
  readonly scripts: Partial<Scripts>;
}

export interface QueueContext {
  readonly options: BullmqQueueOptions;
  readonly names: Keys;
  readonly commands: Redis;
  /** Apart from the commands, so that small ones never wait behind a large one. */
  readonly blobs: BlobConnection;
  readonly run: RunScript;
  readonly waiters: OutcomeWaiters;
  readonly followers: Followers;
  readonly events: Emitter<QueueEvents>;
  /** Emits a change; one with the number 0 did not happen. */
  readonly changed: (
    cls: ClassId,
    what: Change['what'],
    number: number | undefined,
    atUs: number | undefined,
    ids: readonly JobId[],
  ) => void;
  /** Resolves once this process hears of outcomes on its own channel; throws while Redis is away. */
  readonly subscribe: () => Promise<void>;
  readonly close: () => void;
}

export function openContext(options: BullmqQueueOptions): QueueContext {
  const events = new Emitter<QueueEvents>();
  const names = keysOf(options.prefix);
  const commands = commandConnection(options, events);
  const run = scriptRunner(commands, names.ofClass, options.scripts);
  const blobs = new BlobConnection(options, events);
  const followers = new Followers(options.clock);
  const waiters = new OutcomeWaiters({
    clock: options.clock,
    onNews: (id) => followers.wake(id),
    fetch: (jobs: readonly { readonly cls: ClassId; readonly id: JobId }[]) =>
      blobs.get(jobs.map(({ cls, id }) => names.outcome(cls, id))),
  });

  let subscriber: Redis | undefined;
  let subscribed: Promise<void> | undefined;
  const openSubscriber = async (): Promise<void> => {
    // The subscription would wait for ever for a Redis that is away; this fails at once instead.
    if (commands.status !== 'ready') await commands.ping();
    if (subscriber === undefined) {
      subscriber = waitingConnection(options, 'outcomes', events);
      subscriber.on('messageBuffer', (_channel: Buffer, message: Buffer) => {
        void waiters.onMessage(message);
      });
      // ioredis subscribes again by itself; what was published meanwhile is looked up.
      subscriber.on('ready', () => {
        void waiters.repair(0);
        followers.wakeAll();
      });
    }
    await subscriber.subscribe(names.outcomeChannel + options.processId);
  };

  return {
    options,
    names,
    commands,
    blobs,
    run,
    waiters,
    followers,
    events,
    changed(cls, what, number = 0, atUs = 0, ids) {
      if (number === 0) return;
      events.emit('changed', { class: cls, number, what, atMs: atUs / 1_000, ids });
    },
    subscribe() {
      subscribed ??= openSubscriber().catch((cause: unknown) => {
        subscribed = undefined;
        throw cause;
      });
      return subscribed;
    },
    close() {
      waiters.close();
      followers.close();
      subscriber?.disconnect();
      blobs.close();
      commands.disconnect();
    },
  };
}

/** Runs a call on Redis; an outage becomes a value, a bug of ours stays an exception. */
export async function guard<T>(call: () => Promise<T>): Promise<Result<T, Unavailable>> {
  try {
    return ok(await call());
  } catch (cause) {
    if (causeOf(cause) === 'bug') throw cause;
    return err(unavailable());
  }
}

/** The same bytes as a Buffer, not a copy: what ioredis takes as binary. */
export function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
