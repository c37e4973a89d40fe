/**
 * The port for operators: `/metrics`, `/livez`, `/readyz` (also `/healthz`). A server of its own, so
 * that it answers while the gateway's is saturated or refuses work. No route takes a body.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { MetricsRegistry } from './metrics.ts';

export interface Health {
  /** False when only a restart helps. */
  readonly livez: () => boolean;
  /** Whether work is taken now, and if not, why. */
  readonly readyz: () => { readonly ready: boolean; readonly reason?: string };
}

export interface MetricsServerOptions {
  readonly host: string;
  /** 0 picks a free port. */
  readonly port: number;
  readonly metrics: MetricsRegistry;
  readonly health: Health;
}

export interface MetricsServer {
  /** The port it really listens on. */
  readonly port: number;
  /** Refuses new connections and ends those that are open. */
  close(): Promise<void>;
}

/** Resolves once it listens; rejects with the system's error (EADDRINUSE and the like) otherwise. */
export async function startMetricsServer(options: MetricsServerOptions): Promise<MetricsServer> {
  const server = createServer(
    { requestTimeout: 5_000, headersTimeout: 5_000, maxHeaderSize: 8 * 1024 },
    (request, response) => {
      void answer(options, request, response).catch((cause: unknown) => {
        // The exposition itself failed: a bug, told to the scraper rather than to the process.
        send(response, 500, 'text/plain; charset=utf-8', `${String(cause)}\n`);
      });
    },
  );
  server.maxConnections = 100;
  const port = await listening(server, options);
  return {
    port,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

function listening(server: Server, { host, port }: MetricsServerOptions): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(port, host, () => {
      server.off('error', reject);
      const address = server.address();
      resolve(address === null || typeof address === 'string' ? port : address.port);
    });
  });
}

async function answer(
  { metrics, health }: MetricsServerOptions,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  if (request.method !== 'GET' && request.method !== 'HEAD') {
    response.setHeader('allow', 'GET, HEAD');
    return sendJson(response, 405, { error: 'only GET and HEAD are answered here' });
  }
  const path = (request.url ?? '/').split('?', 1)[0];
  switch (path) {
    case '/metrics':
      return send(response, 200, metrics.contentType, await metrics.text());
    case '/livez': {
      const isAlive = health.livez();
      return sendJson(response, isAlive ? 200 : 503, { live: isAlive });
    }
    case '/readyz':
    case '/healthz': {
      const state = health.readyz();
      return sendJson(response, state.ready ? 200 : 503, state);
    }
    default:
      return sendJson(response, 404, { error: 'try /metrics, /livez or /readyz' });
  }
}

function sendJson(response: ServerResponse, status: number, body: object): void {
  send(response, status, 'application/json', `${JSON.stringify(body)}\n`);
}

function send(response: ServerResponse, status: number, type: string, body: string): void {
  if (response.headersSent) return;
  response.writeHead(status, {
    'content-type': type,
    'content-length': Buffer.byteLength(body),
    'cache-control': 'no-store',
  });
  response.end(body);
}
