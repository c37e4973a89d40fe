/** How long a claimed job of the memory queue belongs to its worker. */

export interface Lease {
  readonly fence: string;
  readonly untilMs: number;
  /** When a sweep first saw that it had run out; null while it holds. */
  lapsedAtMs: number | null;
}

export function leaseUntil(fence: string, untilMs: number): Lease {
  return { fence, untilMs, lapsedAtMs: null };
}

/**
 * Whether the holder is gone. That a lease ran out proves nothing: a process that stood still (stopped,
 * suspended) may sweep before it renews. So it is given one more renewal period, a third of a lease.
 */
export function isAbandoned(lease: Lease | null, nowMs: number, leaseMs: number): boolean {
  if (lease === null || lease.untilMs > nowMs) return false;
  lease.lapsedAtMs ??= nowMs;
  return nowMs - lease.lapsedAtMs >= leaseMs / 3;
}
