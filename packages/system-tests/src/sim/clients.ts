/** Who sends requests: each sets the world's `onEnd` or feeds it, and stops by itself. */
import type { Request, World } from './world.ts';

/** A client that was told nothing comes back after so long. */
const retryMsDefault = 250;
/** Clients of a closed loop begin within this time. */
const startSpreadMs = 5;

export interface ClosedLoop {
  readonly clients: number;
  /** Answers wanted, of all clients together. */
  readonly requests: number;
  /**
   * After a refusal: `give_up` and want the next thing at once, as load generators do, or `retry` the
   * same thing when told to, until it is answered.
   */
  readonly onRefusal: 'give_up' | 'retry';
}

/** Clients that wait for the end of one request before they send the next. */
export function closedLoop(world: World, { clients, onRefusal, requests }: ClosedLoop): void {
  let begun = 0;
  const begin = (): void => {
    if (begun === requests) return;
    begun += 1;
    world.send('default');
  };
  world.onEnd = (request: Request): void => {
    if (request.end === 'answered' || onRefusal === 'give_up') begin();
    else world.engine.after(retryMs(request), () => world.send(request.tenant, request));
  };
  // No two clients come back at the very same instant.
  const retryMs = ({ retryAfterMs }: Request): number =>
    (retryAfterMs ?? retryMsDefault) + world.draws.uniform(0, 1);
  for (let i = 0; i < clients; i += 1) {
    world.engine.at(world.draws.uniform(0, startSpreadMs), begin);
  }
}

/** Independent callers of one tenant at a mean rate, for a time; a refused one does not return. */
export function poisson(
  world: World,
  {
    perSecond,
    tenant = 'default',
    untilMs,
  }: {
    readonly perSecond: number;
    readonly tenant?: string;
    readonly untilMs: number;
  },
): void {
  arrivals(world, { rateAt: () => perSecond, tenant, untilMs });
}

/** Callers in bursts: a quiet time, then a loud one, and so on. */
export function bursts(
  world: World,
  {
    loud,
    quiet,
    untilMs,
  }: {
    readonly quiet: { readonly perSecond: number; readonly ms: number };
    readonly loud: { readonly perSecond: number; readonly ms: number };
    readonly untilMs: number;
  },
): void {
  const rateAt = (nowMs: number): number =>
    nowMs % (quiet.ms + loud.ms) < quiet.ms ? quiet.perSecond : loud.perSecond;
  arrivals(world, { rateAt, tenant: 'default', untilMs });
}

function arrivals(
  world: World,
  {
    rateAt,
    tenant,
    untilMs,
  }: {
    readonly rateAt: (nowMs: number) => number;
    readonly tenant: string;
    readonly untilMs: number;
  },
): void {
  const next = (): void => {
    const nowMs = world.engine.nowMs();
    const atMs = nowMs + world.draws.exponential(1_000 / rateAt(nowMs));
    if (atMs > untilMs) return;
    world.engine.at(atMs, () => {
      world.send(tenant);
      next();
    });
  };
  next();
}
