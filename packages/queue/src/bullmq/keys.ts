/** The names of all keys and channels. See lua-parts.ts for what the keys of a class hold. */
import type { ClassId, JobId } from '@inferry/contracts';

export interface Keys {
  /** Prefix of a class's keys; its hash tag keeps them in one slot. This is BullMQ's own layout. */
  readonly ofClass: (cls: ClassId) => string;
  readonly meta: (cls: ClassId) => string;
  readonly marker: (cls: ClassId) => string;
  readonly payload: (cls: ClassId, id: JobId) => string;
  readonly outcome: (cls: ClassId, id: JobId) => string;
  /** id -> class, or `!deleted`; outlives the job so that its former existence is known. */
  readonly locator: (id: JobId) => string;
  readonly binding: (key: string) => string;
  readonly profile: (key: string) => string;
  readonly wake: (workerId: string) => string;
  readonly worker: (workerId: string) => string;
  readonly workers: string;
  readonly orders: string;
  /** Channel of a gateway's outcomes, without the gateway's id. */
  readonly outcomeChannel: string;
}

export function keysOf(prefix: string): Keys {
  const ofClass = (cls: ClassId): string => `${prefix}:{${cls}}:`;
  return {
    ofClass,
    meta: (cls) => `${ofClass(cls)}meta`,
    marker: (cls) => `${ofClass(cls)}marker`,
    payload: (cls, id) => `${ofClass(cls)}x:in:${id}`,
    outcome: (cls, id) => `${ofClass(cls)}x:res:${id}`,
    locator: (id) => `${prefix}:at:${id}`,
    binding: (key) => `${prefix}:idem:${key}`,
    profile: (key) => `${prefix}:profile:${key}`,
    wake: (workerId) => `${prefix}:wake:${workerId}`,
    worker: (workerId) => `${prefix}:worker:${workerId}`,
    workers: `${prefix}:workers`,
    orders: `${prefix}:orders`,
    outcomeChannel: `${prefix}:out:`,
  };
}
