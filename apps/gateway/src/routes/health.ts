/** Probes. Readiness is the queue and the drain, never the workers: jobs are accepted without them. */
import { type Failure, failure } from '@inferry/contracts';
import { readinessSurface } from '@inferry/protocols';
import { err, ok, type Result } from '@inferry/runtime';

import type { GatewayParts } from '../deps.ts';
import { answerJson, type GatewayContext, problem } from '../http/exchange.ts';
import type { Route } from './routes.ts';

const retryAfterMs = 1_000;

export function healthRoutes(parts: GatewayParts): readonly Route[] {
  const ready = async (c: GatewayContext): Promise<Response> => {
    const readiness = await checkReady(parts);
    return readiness.ok ? answerJson(c, { ready: true }) : problem(c, readiness.error);
  };
  const surface = readinessSurface(parts.compat ?? 'none');
  return [
    { method: 'GET', path: '/livez', answer: live },
    { method: 'GET', path: '/readyz', answer: ready },
    { method: 'GET', path: '/healthz', answer: ready },
    { method: 'GET', path: '/v2/health/live', answer: live },
    { method: 'GET', path: '/v2/health/ready', surface, answer: ready },
  ];
}

function live(c: GatewayContext): Response {
  return answerJson(c, { live: true });
}

/** Errors: `draining`, `queue_unavailable`. */
export async function checkReady({ load, queue }: GatewayParts): Promise<Result<void, Failure>> {
  if (load.isDraining) {
    return err(failure('draining', 'This server is shutting down.', { retryAfterMs }));
  }
  if ((await queue.ping()) !== undefined) return ok(undefined);
  return err(failure('queue_unavailable', 'The queue cannot be reached.', { retryAfterMs }));
}
