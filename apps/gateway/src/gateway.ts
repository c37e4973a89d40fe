/**
 * The HTTP edge: an app that turns requests into jobs and outcomes into answers, and its lifecycle.
 * Start reading at `submit.ts` (job API) or `infer.ts` (Open Inference Protocol).
 */
import type { Server } from 'node:http';

import { failure } from '@inferry/contracts';
import { sleep } from '@inferry/runtime';
import { Hono } from 'hono';

import { AnswerTime } from './admission/answer-time.ts';
import { createBackground } from './background.ts';
import type { GatewayDeps, GatewayParts } from './deps.ts';
import { BodyMemory } from './http/body-memory.ts';
import { type Exchange, type GatewayEnv, problem } from './http/exchange.ts';
import { closeServer, createNodeServer, listen } from './http/node-server.ts';
import { ArrivingBytes } from './http/read-body.ts';
import { requestIdOf } from './http/request-id.ts';
import { HeldRequests } from './results/held-requests.ts';
import { healthRoutes } from './routes/health.ts';
import { inferenceRoutes } from './routes/inference.ts';
import { jobRoutes } from './routes/jobs.ts';
import { modelRoutes } from './routes/models.ts';
import { pageRoutes } from './routes/pages.ts';
import { register, type Route } from './routes/routes.ts';

export interface Gateway {
  readonly app: Hono<GatewayEnv>;
  /** Learns the models, then takes connections. Rejects when the address cannot be had. */
  listen(address: { readonly host: string; readonly port: number }): Promise<{ port: number }>;
  /** Whether work is taken, for a probe on another port. */
  readiness(): { readonly ready: boolean; readonly reason?: string };
  /**
   * Refuses new work, answers held waits (those of the job API at once; infer requests get a fifth of
   * the drain time for their results), and resolves when no request is open.
   */
  drain(): Promise<void>;
  /** Stops listening and all background work. */
  close(): Promise<void>;
}

/** The route of requests that have none, in metrics. */
const unmatched = 'unmatched';
/** The part of the drain time that infer requests have for their results. */
const drainGraceShare = 0.2;

export function createGateway(deps: GatewayDeps): Gateway {
  const load = { isDraining: false, waitingTotal: 0 };
  const parts: GatewayParts = {
    ...deps,
    load,
    arriving: new ArrivingBytes(),
    bodyMemory: new BodyMemory(),
    held: new HeldRequests(deps),
    answerTime: new AnswerTime(),
  };
  const open = new OpenRequests();
  const app = createApp(parts, open);
  const background = createBackground(parts);
  let server: Server | undefined;
  return {
    app,
    async listen(address) {
      await background.round();
      background.start();
      server = createNodeServer((request, env) => app.fetch(request, env), parts);
      return listen(server, address);
    },
    readiness: () =>
      load.isDraining ? { ready: false, reason: 'the server is shutting down' } : { ready: true },
    async drain() {
      load.isDraining = true;
      parts.held.drain('polite');
      const graceOver = new AbortController();
      const graceMs = parts.limits.drainMs * drainGraceShare;
      const grace = sleep(parts.clock, graceMs, graceOver.signal).then(() =>
        parts.held.drain('needed'),
      );
      await open.none();
      graceOver.abort();
      await grace;
    },
    async close() {
      background.stop();
      if (server !== undefined) await closeServer(server, parts.clock);
    },
  };
}

function allRoutes(parts: GatewayParts): readonly Route[] {
  return [
    ...pageRoutes(parts),
    ...healthRoutes(parts),
    ...inferenceRoutes(parts),
    ...modelRoutes(parts),
    ...jobRoutes(parts),
  ];
}

function createApp(parts: GatewayParts, open: OpenRequests): Hono<GatewayEnv> {
  const { clock, telemetry, tracing, log, load } = parts;
  const app = new Hono<GatewayEnv>();
  app.use('*', async (c, next) => {
    const startedAtMs = clock.nowMs();
    const exchange: Exchange = {
      requestId: requestIdOf(c.req.header('request-id') ?? c.req.header('x-request-id'), parts),
      startedAtMs,
      surface: /^\/v2(?:\/|$)/u.test(c.req.path) ? 'v2' : 'v1',
      elapsedMs: () => clock.nowMs() - startedAtMs,
      isLast: () => load.isDraining,
      route: unmatched,
      code: null,
      span: tracing?.request(c.req, startedAtMs),
      priority: 'normal',
    };
    c.set('exchange', exchange);
    telemetry.requestOpened();
    const close = open.add();
    try {
      await next();
    } finally {
      close();
      const { method } = c.req;
      const seconds = exchange.elapsedMs() / 1000;
      const { status } = c.res;
      const { code, route, requestId, span } = exchange;
      telemetry.requestClosed({ method, route, status, seconds });
      span?.end({
        route: route === unmatched ? null : route,
        status,
        code,
        endedAtMs: clock.nowMs(),
      });
      const trace_id = span?.traceId;
      log.debug({ request_id: requestId, trace_id, method, route, status, seconds }, 'answered');
    }
  });
  register(app, allRoutes(parts));
  app.notFound((c) => problem(c, failure('route_not_found', `There is no route ${c.req.path}.`)));
  app.onError((cause, c) => {
    const { requestId, route, span } = c.get('exchange');
    const trace_id = span?.traceId;
    log.error({ err: cause, request_id: requestId, trace_id, route }, 'a request failed');
    const detail = `The request failed; the logs know it as ${requestId}.`;
    return problem(c, failure('internal', detail));
  });
  return app;
}

/** Counts open requests and tells when there is none. */
class OpenRequests {
  #count = 0;
  readonly #waiters = new Set<() => void>();

  add(): () => void {
    this.#count += 1;
    return () => {
      this.#count -= 1;
      if (this.#count > 0) return;
      for (const resolve of this.#waiters) resolve();
      this.#waiters.clear();
    };
  }

  none(): Promise<void> {
    if (this.#count === 0) return Promise.resolve();
    return new Promise((resolve) => this.#waiters.add(resolve));
  }
}
