/** One gRPC call as an exchange: who calls, how long it may take, and the two ways to end it. */
import { Metadata, type ServerErrorResponse } from '@grpc/grpc-js';
import { type Failure, failure } from '@inferry/contracts';
import { grpcStatusOf, problemDocument } from '@inferry/protocols';

import type { GatewayParts } from '../deps.ts';
import { type Exchange, openExchange } from '../exchange.ts';

/** What calls of one message and streams have in common. */
export interface SurfaceCall {
  readonly cancelled: boolean;
  readonly metadata: Metadata;
  getDeadline(): Date | number;
  getPath(): string;
  on(event: 'cancelled', listener: () => void): unknown;
}

export interface CallAnswer {
  readonly message: Uint8Array;
  /** Metadata behind the answer, beside the id of the request. */
  readonly trailers?: Readonly<Record<string, string>>;
}

export type CallEnd =
  | { readonly ok: true; readonly answer: CallAnswer }
  | { readonly ok: false; readonly reason: Failure; readonly trailers?: CallAnswer['trailers'] };

/**
 * Counts and traces what `run` does as one request, a POST of the method's path with the status that it would
 * have over HTTP, which is what gRPC is on the wire. Whatever is thrown, also by the library as it writes the answer,
 * becomes `internal`.
 */
export async function answerCall(
  call: SurfaceCall,
  parts: GatewayParts,
  run: (exchange: Exchange) => Promise<CallEnd>,
  /** Gets the answer on its way; resolves when it is. */
  send: (end: CallEnd, exchange: Exchange) => void | Promise<void>,
): Promise<void> {
  const { exchange, end } = openExchange(
    { method: 'POST', surface: 'v2', header: (name) => header(call.metadata, name) },
    parts,
  );
  exchange.route = call.getPath();
  let status = 200;
  const tell = async (ended: CallEnd): Promise<void> => {
    if (!ended.ok) {
      exchange.code = ended.reason.code;
      ({ status } = documentOf(ended.reason, exchange));
    }
    await send(ended, exchange);
  };
  try {
    await run(exchange)
      .then(tell)
      .catch((cause: unknown) => tell(unexpected(cause, exchange, parts)));
  } finally {
    end(status);
  }
}

function unexpected(cause: unknown, exchange: Exchange, { log }: GatewayParts): CallEnd {
  const { requestId, route, span } = exchange;
  const trace_id = span?.traceId;
  log.error({ err: cause, request_id: requestId, trace_id, route }, 'a request failed');
  const detail = `The request failed; the logs know it as ${requestId}.`;
  return { ok: false, reason: failure('internal', detail) };
}

/** As HTTP tells it, so that a caller reads the same words over both. */
export function documentOf(
  reason: Failure,
  { requestId, route }: Exchange,
): {
  readonly status: number;
  readonly detail: string;
  readonly headers: Readonly<Record<string, string>>;
} {
  const context = { requestId, instance: route, surface: 'v2' } as const;
  const { body, headers, status } = problemDocument(reason, context);
  return { status, detail: String(body['detail']), headers };
}

export function errorOf(
  { reason, trailers }: CallEnd & { readonly ok: false },
  exchange: Exchange,
): Partial<ServerErrorResponse> {
  const { detail, headers } = documentOf(reason, exchange);
  const retryAfter = headers['Retry-After-Ms'];
  const metadata = trailersOf(exchange, {
    ...trailers,
    'inferry-code': reason.code,
    ...(retryAfter === undefined ? {} : { 'retry-after-ms': retryAfter }),
  });
  return { code: grpcStatusOf(reason.code), details: detail, metadata };
}

export function trailersOf({ requestId }: Exchange, more: CallAnswer['trailers'] = {}): Metadata {
  const metadata = new Metadata();
  metadata.set('request-id', requestId);
  for (const [name, value] of Object.entries(more)) metadata.set(name.toLowerCase(), value);
  return metadata;
}

export function header(metadata: Metadata, name: string): string | undefined {
  const [value] = metadata.get(name);
  return typeof value === 'string' ? value : undefined;
}

/** When the caller gives up by itself, on the clock of this process; undefined where it never does. */
export function giveUpAtMs(call: Pick<SurfaceCall, 'getDeadline'>): number | undefined {
  const deadline = Number(call.getDeadline());
  return Number.isFinite(deadline) ? deadline : undefined;
}

/**
 * How much earlier than here a deadline may pass for the caller, which tells it without the time on its way, and
 * some clients rounded up. It then cancels the call, most often before the server ends it.
 */
const deadlineSlackMs = 100;

/**
 * Aborts when the caller has canceled the call or is gone. Not when its deadline has passed: that is the job's
 * too, which ends by it and is counted as such.
 */
export function goneSignal(
  call: Pick<SurfaceCall, 'cancelled' | 'getDeadline' | 'on'>,
  { clock }: Pick<GatewayParts, 'clock'>,
): AbortSignal {
  const gone = new AbortController();
  const until = (giveUpAtMs(call) ?? Infinity) - deadlineSlackMs;
  const check = (): void => {
    if (clock.nowMs() < until) gone.abort();
  };
  if (call.cancelled) check();
  call.on('cancelled', check);
  return gone.signal;
}
