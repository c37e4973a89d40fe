/** Idempotency keys on Redis: one string each, `SET NX` decides who was first. */
import type { JobId } from '@inferry/contracts';
import type { Clock, Result } from '@inferry/runtime';
import type { Redis } from 'ioredis';
import type { IdempotencyKeys, KeyBinding, Unavailable } from '../port.ts';
import type { Keys } from './keys.ts';
import { guard } from './queue-context.ts';

export class BullmqKeys implements IdempotencyKeys {
  readonly #redis: Redis;
  readonly #names: Keys;
  readonly #clock: Clock;

  constructor(redis: Redis, names: Keys, clock: Clock) {
    this.#redis = redis;
    this.#names = names;
    this.#clock = clock;
  }

  reserve(
    key: string,
    fingerprint: string,
    id: JobId,
    ttlMs: number,
  ): Promise<Result<{ readonly isNew: boolean; readonly binding: KeyBinding }, Unavailable>> {
    return guard(async () => {
      const name = this.#names.binding(key);
      const binding: KeyBinding = {
        id,
        fingerprint,
        isConfirmed: false,
        reservedAtMs: this.#clock.nowMs(),
      };
      for (;;) {
        const set = await this.#redis.set(name, JSON.stringify(binding), 'PX', ttlMs, 'NX');
        if (set === 'OK') return { isNew: true, binding };
        const there = await this.#redis.get(name);
        // Released between the two calls: try again to be the first.
        if (there === null) continue;
        const found = JSON.parse(there) as KeyBinding;
        // Our own id: this call had bound the key, was lost with the connection, and was sent again.
        return { isNew: found.id === id && !found.isConfirmed, binding: found };
      }
    });
  }

  confirm(key: string): Promise<Result<void, Unavailable>> {
    return guard(async () => {
      const name = this.#names.binding(key);
      const there = await this.#redis.get(name);
      if (there === null) return;
      const binding = { ...(JSON.parse(there) as KeyBinding), isConfirmed: true };
      await this.#redis.set(name, JSON.stringify(binding), 'KEEPTTL');
    });
  }

  release(key: string): Promise<Result<void, Unavailable>> {
    return guard(async () => {
      await this.#redis.unlink(this.#names.binding(key));
    });
  }
}
