/** One HTTP exchange as the handlers see it, and the two ways to end it: an answer or a problem. */
import type { HttpBindings } from '@hono/node-server';
import type { ErrorCode, Failure, ModelManifest, Priority } from '@inferry/contracts';
import { problemDocument } from '@inferry/protocols';
import type { RequestSpan } from '@inferry/telemetry';
import type { Context } from 'hono';

export interface Exchange {
  readonly requestId: string;
  /** Request headers read. */
  readonly startedAtMs: number;
  readonly surface: 'v1' | 'v2';
  readonly elapsedMs: () => number;
  /** The server is going: the connection is closed after this answer. */
  readonly isLast: () => boolean;
  /** Pattern of the route, for metrics and traces. */
  route: string;
  /** Of the problem it is answered with; null where it is answered with something else. */
  code: ErrorCode | null;
  /** Undefined where tracing is off. */
  readonly span: RequestSpan | undefined;
  /** Of the work that is submitted, once it was read; `normal` before, and where none is told. */
  priority: Priority;
  /** The model that a body named, once it was read. */
  model?: Pick<ModelManifest, 'name' | 'version'>;
}

/** `incoming` is there on a real connection, and absent in tests that call the app directly. */
export interface GatewayEnv {
  Bindings: Partial<HttpBindings>;
  Variables: { exchange: Exchange };
}

export type GatewayContext = Context<GatewayEnv>;

export interface Answer {
  readonly status: number;
  readonly body: string | Uint8Array | null;
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
