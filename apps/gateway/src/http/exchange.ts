/** One HTTP exchange as the handlers see it, and the two ways to end it: an answer or a problem. */
import type { HttpBindings } from '@hono/node-server';
import type { Failure } from '@inferry/contracts';
import { problemDocument } from '@inferry/protocols';
import type { Context } from 'hono';

import type { Exchange } from '../exchange.ts';

/** `incoming` is there on a real connection, and absent in tests that call the app directly. */
export interface GatewayEnv {
  Bindings: Partial<HttpBindings>;
  Variables: { exchange: Exchange };
}

export type GatewayContext = Context<GatewayEnv>;

export interface Answer {
  readonly status: number;
  readonly body: string | Uint8Array | ReadableStream<Uint8Array> | null;
  readonly headers?: Readonly<Record<string, string>>;
  /** Stages of `Server-Timing`, already written, in front of `total`. */
  readonly timing?: string;
}

/** Every answer goes through here, so that each carries `Request-Id` and `Server-Timing`. */
export function answer(c: GatewayContext, { status, body, headers, timing }: Answer): Response {
  const exchange = c.get('exchange');
  const total = `total;dur=${exchange.elapsedMs().toFixed(3)}`;
  return new Response(body, {
    status,
    headers: {
      'Cache-Control': 'no-store',
      'X-Content-Type-Options': 'nosniff',
      ...headers,
      ...(exchange.isLast() ? { Connection: 'close' } : {}),
      'Request-Id': exchange.requestId,
      'Server-Timing': timing === undefined ? total : `${timing}, ${total}`,
    },
  });
}

export function answerJson(
  c: GatewayContext,
  value: unknown,
  { status = 200, headers = {} }: Partial<Pick<Answer, 'status' | 'headers'>> = {},
): Response {
  const body = JSON.stringify(value);
  return answer(c, { status, body, headers: { 'Content-Type': 'application/json', ...headers } });
}

/** The problem document of a failure. `more` adds headers. */
export function problem(
  c: GatewayContext,
  failure: Failure,
  more: Readonly<Record<string, string>> = {},
): Response {
  const exchange = c.get('exchange');
  exchange.code = failure.code;
  const { requestId, surface } = exchange;
  const instance = c.req.path;
  const { status, headers, body } = problemDocument(failure, { requestId, instance, surface });
  return answer(c, { status, body: JSON.stringify(body), headers: { ...headers, ...more } });
}

/** What the headers say of the body's size; 0 where they do not. */
export function bodyBytesOf(c: GatewayContext): number {
  return Number(c.req.header('content-length') ?? 0);
}

/** Calls back once the answer was handed to the socket; never where the caller went away. */
export function onSentOf(c: GatewayContext): (callback: () => void) => void {
  // Absent where the app is called without a server.
  const env: GatewayEnv['Bindings'] | undefined = c.env;
  return (callback) => void env?.outgoing?.once('finish', callback);
}
