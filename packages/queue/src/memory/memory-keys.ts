/** Idempotency keys in memory. Bounded by expiry: each pass drops what has run out. */
import type { JobId } from '@inferry/contracts';
import { type Clock, ok, type Result } from '@inferry/runtime';
import type { IdempotencyKeys, KeyBinding, Unavailable } from '../port.ts';

interface Entry {
  binding: KeyBinding;
  readonly untilMs: number;
}

export class MemoryKeys implements IdempotencyKeys {
  readonly #clock: Clock;
  readonly #entries = new Map<string, Entry>();

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  reserve(
    key: string,
    fingerprint: string,
    id: JobId,
    ttlMs: number,
  ): Promise<Result<{ readonly isNew: boolean; readonly binding: KeyBinding }, Unavailable>> {
    const nowMs = this.#clock.nowMs();
    for (const [old, { untilMs }] of this.#entries) {
      if (untilMs > nowMs) break;
      this.#entries.delete(old);
    }
    const there = this.#entries.get(key);
    if (there !== undefined && there.untilMs > nowMs) {
      const { binding } = there;
      return Promise.resolve(ok({ isNew: binding.id === id && !binding.isConfirmed, binding }));
    }
    const binding: KeyBinding = { id, fingerprint, isConfirmed: false, reservedAtMs: nowMs };
    this.#entries.set(key, { binding, untilMs: nowMs + ttlMs });
    return Promise.resolve(ok({ isNew: true, binding }));
  }

  confirm(key: string): Promise<Result<void, Unavailable>> {
    const there = this.#entries.get(key);
    if (there !== undefined) there.binding = { ...there.binding, isConfirmed: true };
    return Promise.resolve(ok(undefined));
  }

  release(key: string): Promise<Result<void, Unavailable>> {
    this.#entries.delete(key);
    return Promise.resolve(ok(undefined));
  }
}
