/**
 * The HTTP edge: an app that turns requests into jobs and outcomes into answers, and its lifecycle.
 * Start reading at `submit.ts` (job API) or `infer.ts` (all other protocols).
 */
import type { Server } from 'node:http';

import { failure } from '@inferry/contracts';
import { inferenceSurface } from '@inferry/protocols';
import { StatisticsTally } from '@inferry/queue';
import { sleep } from '@inferry/runtime';
import { Hono } from 'hono';

import { AnswerTime } from './admission/answer-time.ts';
import { createBackground } from './background.ts';
import type { GatewayDeps, GatewayParts } from './deps.ts';
import { openExchange, OpenRequests } from './exchange.ts';
import type { GrpcServer } from './grpc/grpc-server.ts';
import { BodyMemory } from './http/body-memory.ts';
import { type GatewayEnv, problem } from './http/exchange.ts';
import { closeServer, createNodeServer, listen } from './http/node-server.ts';
import { ArrivingBytes } from './http/read-body.ts';
import { type ControlSettings, ModelControl } from './model-control.ts';
import { ResponseCache } from './response-cache.ts';
import { HeldRequests } from './results/held-requests.ts';
import { bentoRoutes } from './routes/bento.ts';
import { healthRoutes } from './routes/health.ts';
import { inferenceRoutes } from './routes/inference.ts';
import { jobRoutes } from './routes/jobs.ts';
import { modelRoutes } from './routes/models.ts';
import { pageRoutes } from './routes/pages.ts';
import { repositoryRoutes } from './routes/repository.ts';
import { register, type Route } from './routes/routes.ts';
import { servingRoutes } from './routes/serving.ts';
import { StreamPlaces } from './streaming/stream-places.ts';

interface Address {
  readonly host: string;
  readonly port: number;
}

export interface Gateway {
  readonly app: Hono<GatewayEnv>;
  /** Learns the models, then takes connections. Rejects when the address cannot be had. */
  listen(address: Address): Promise<{ port: number }>;
  /** The same for the gRPC inference service; once `listen` has resolved. */
  listenGrpc(address: Address): Promise<{ port: number }>;
  /** Whether work is taken, for a probe on another port. */
  readiness(): { readonly ready: boolean; readonly reason?: string };
  /**
   * Refuses new work, ends event streams, answers held waits (those of the job API at once; infer requests get a fifth of
   * the drain time for their results), and resolves when no request is open.
   */
  drain(): Promise<void>;
  /** Stops listening and all background work. */
  close(): Promise<void>;
}

const noControl: ControlSettings = { isAllowed: false, waitMs: 0 };

/** The part of the drain time that infer requests have for their results. */
const drainGraceShare = 0.2;

export function createGateway(deps: GatewayDeps): Gateway {
  const load = { isDraining: false, waitingTotal: 0 };
  const open = new OpenRequests();
  const held = new HeldRequests(deps);
  const statistics = new StatisticsTally(deps.queue);
  const parts: GatewayParts = {
    ...deps,
    load,
    arriving: new ArrivingBytes(),
    bodyMemory: new BodyMemory(),
    held,
    control: new ModelControl({ ...deps, held }, deps.modelControl ?? noControl),
    streams: new StreamPlaces({ ...deps, open }),
    open,
    answerTime: new AnswerTime(),
    statistics,
    cache: new ResponseCache(deps.cacheBytesMax ?? 0, { ...deps, statistics }),
  };
  const app = createApp(parts);
  const background = createBackground(parts);
  let server: Server | undefined;
  let grpc: GrpcServer | undefined;
  return {
    app,
    async listen(address) {
      await background.round();
      background.start();
      server = createNodeServer((request, env) => app.fetch(request, env), parts);
      return listen(server, address);
    },
    async listenGrpc(address) {
      // Not loaded where it is not wanted.
      const [{ GrpcServer }, { grpcHandlers }] = await Promise.all([
        import('./grpc/grpc-server.ts'),
        import('./grpc/methods.ts'),
      ]);
      grpc = new GrpcServer(grpcHandlers(parts), parts);
      return grpc.listen(address);
    },
    readiness: () =>
      load.isDraining ? { ready: false, reason: 'the server is shutting down' } : { ready: true },
    async drain() {
      load.isDraining = true;
      parts.control.drain();
      parts.held.drain('polite');
      parts.streams.drain();
      const graceOver = new AbortController();
      const graceMs = parts.limits.drainMs * drainGraceShare;
      const grace = sleep(parts.clock, graceMs, graceOver.signal).then(() =>
        parts.held.drain('needed'),
      );
      await parts.open.none();
      graceOver.abort();
      await grace;
    },
    async close() {
      await background.stop();
      await Promise.all([
        server === undefined ? undefined : closeServer(server, parts.clock),
        grpc?.close(),
      ]);
    },
  };
}

function allRoutes(parts: GatewayParts): readonly Route[] {
  return [
    ...pageRoutes(parts),
    ...healthRoutes(parts),
    ...inferenceRoutes(parts),
    ...repositoryRoutes(parts),
    // Before the routes of models, whose name would match a name with a verb behind it.
    ...servingRoutes(parts),
    ...modelRoutes(parts),
    ...bentoRoutes(parts),
    ...jobRoutes(parts),
  ];
}

function createApp(parts: GatewayParts): Hono<GatewayEnv> {
  const { compat = 'none', log } = parts;
  const app = new Hono<GatewayEnv>();
  app.use('*', async (c, next) => {
    const { exchange, end } = openExchange(
      {
        method: c.req.method,
        surface: /^\/v2(?:\/|$)/u.test(c.req.path) ? inferenceSurface(compat) : 'v1',
        header: (name) => c.req.header(name),
      },
      parts,
    );
    c.set('exchange', exchange);
    try {
      await next();
    } finally {
      end(c.res.status);
    }
  });
  register(app, allRoutes(parts));
  app.notFound((c) => {
    // What other servers have there is asked for by their clients, which read the problem in `error`.
    if (/^\/(?:v1\/models|bento)(?:\/|$)/u.test(c.req.path)) c.get('exchange').surface = 'serving';
    return problem(c, failure('route_not_found', `There is no route ${c.req.path}.`));
  });
  app.onError((cause, c) => {
    const { requestId, route, span } = c.get('exchange');
    const trace_id = span?.traceId;
    log.error({ err: cause, request_id: requestId, trace_id, route }, 'a request failed');
    const detail = `The request failed; the logs know it as ${requestId}.`;
    return problem(c, failure('internal', detail));
  });
  return app;
}
