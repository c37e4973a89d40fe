/**
 * The socket side: limits on headers and on the time a request may take to arrive, and problem
 * documents also for what never becomes a request.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo, Server as NetServer } from 'node:net';
import type { Duplex } from 'node:stream';

import { getRequestListener, RequestError } from '@hono/node-server';
import { type Failure, failure, type Limits } from '@inferry/contracts';
import { problemDocument } from '@inferry/protocols';
import type { Clock, Random } from '@inferry/runtime';
import type { Logger } from '@inferry/telemetry';

import { requestIdOf } from './request-id.ts';

export interface NodeServerDeps {
  readonly clock: Clock;
  readonly random: Random;
  readonly limits: Limits;
  readonly log: Logger;
}

/** Connections that answer nothing any more are cut when this has passed after `close`. */
const closeMsMax = 1_000;
/** Longer than the idle time of usual proxies, so that they close first and lose no request. */
const keepAliveMs = 75_000;

export function createNodeServer(
  fetch: (request: Request, env: object) => Response | Promise<Response>,
  deps: NodeServerDeps,
): Server {
  const receiveMs = deps.limits.requestReceiveMsMax;
  const answerRequest = getRequestListener(fetch, {
    errorHandler: (cause) => unreadable(cause, deps),
  });
  const handle = (incoming: IncomingMessage, outgoing: ServerResponse): void => {
    // HTTP/1.0 may leave it out, and probes of load balancers do.
    if (incoming.httpVersionMinor === 0) incoming.headers.host ??= 'localhost';
    void answerRequest(incoming, outgoing);
  };
  const server = createServer(
    {
      // A missing Host is refused by the listener, with a problem document; Node's own answer has no body.
      requireHostHeader: false,
      requestTimeout: receiveMs,
      headersTimeout: receiveMs,
      // How often the two times above are looked at; a request is cut at most this much later.
      connectionsCheckingInterval: Math.min(1_000, receiveMs),
      keepAliveTimeout: keepAliveMs,
      maxHeaderSize: deps.limits.headerBytesMax,
    },
    handle,
  );
  // The body is asked for when it is read: what is refused before never has to be sent.
  server.on('checkContinue', handle);
  // Without this, Node answers an expectation it does not know by itself, with a bare 417.
  server.on('checkExpectation', handle);
  server.on('connect', (_incoming, socket) => {
    const detail = 'This server is no proxy; it does not take CONNECT.';
    refuseConnection(failure('method_not_allowed', detail), socket, deps);
  });
  server.on('clientError', (cause: NodeJS.ErrnoException, socket) => {
    if (cause.code === 'ECONNRESET' || !socket.writable) socket.destroy();
    else refuseConnection(connectionFailure(cause, deps.limits), socket, deps);
  });
  return server;
}

export function listen(
  server: NetServer,
  address: { readonly host: string; readonly port: number },
): Promise<{ readonly port: number }> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(address.port, address.host, () => {
      server.off('error', reject);
      // A TCP server that listens has an address with a port.
      resolve({ port: (server.address() as AddressInfo).port });
    });
  });
}

export function closeServer(server: Server, clock: Clock): Promise<void> {
  if (!server.listening) return Promise.resolve();
  return new Promise((resolve) => {
    const cancel = clock.after(closeMsMax, () => server.closeAllConnections());
    server.close(() => {
      cancel();
      resolve();
    });
    server.closeIdleConnections();
  });
}

/** A request whose target or Host is not valid, or a bug outside the app's own error handling. */
function unreadable(cause: unknown, deps: NodeServerDeps): Response {
  const isTheirs = cause instanceof RequestError;
  if (!isTheirs) deps.log.error({ err: cause }, 'a request failed outside the app');
  const answer = problemOf(
    isTheirs
      ? failure('invalid_header', 'The request target or the Host header is not valid.')
      : failure('internal', 'The request failed.'),
    deps,
  );
  return new Response(answer.body, { status: answer.status, headers: answer.headers });
}

function refuseConnection(reason: Failure, socket: Duplex, deps: NodeServerDeps): void {
  const { status, headers, body } = problemOf(reason, deps);
  const lines = Object.entries({
    ...headers,
    'Content-Length': String(Buffer.byteLength(body)),
    Connection: 'close',
  }).map(([name, value]) => `${name}: ${value}`);
  socket.end(`HTTP/1.1 ${status} Refused\r\n${lines.join('\r\n')}\r\n\r\n${body}`, () => {
    socket.destroy();
  });
}

function connectionFailure(cause: NodeJS.ErrnoException, limits: Limits): Failure {
  switch (cause.code) {
    case 'HPE_HEADER_OVERFLOW': {
      const detail = `The request headers are larger than ${limits.headerBytesMax} bytes.`;
      return failure('headers_too_large', detail, {
        extras: { limit_bytes: limits.headerBytesMax },
      });
    }
    case 'ERR_HTTP_REQUEST_TIMEOUT': {
      const detail = `The request did not arrive completely within ${limits.requestReceiveMsMax} ms.`;
      return failure('request_timeout', detail);
    }
    default:
      return failure('invalid_header', 'The request is not valid HTTP/1.1.');
  }
}

/** What is known of such a request is its refusal: no path, and no time since its headers. */
function problemOf(reason: Failure, deps: NodeServerDeps) {
  const requestId = requestIdOf(undefined, deps);
  const context = { requestId, instance: '', surface: 'v1' } as const;
  const { status, headers, body } = problemDocument(reason, context);
  const all = {
    ...headers,
    'Cache-Control': 'no-store',
    'Request-Id': requestId,
    'Server-Timing': 'total;dur=0',
  };
  return { status, headers: all, body: JSON.stringify(body) };
}
