/** One request and its answer, over whichever protocol it came, and what is told of it when it is over. */
import type { ErrorCode, ModelManifest, Priority } from '@inferry/contracts';
import type { Surface } from '@inferry/protocols';
import type { RequestSpan } from '@inferry/telemetry';

import type { GatewayParts } from './deps.ts';
import { requestIdOf } from './http/request-id.ts';

export interface Exchange {
  readonly requestId: string;
  /** Request headers read. */
  readonly startedAtMs: number;
  /** In whose words problems are told. */
  surface: Surface;
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
  /** Of a submit: the version that it gets, once its model is known. */
  model?: Pick<ModelManifest, 'name' | 'version'>;
}

interface Arriving {
  readonly method: string;
  readonly surface: Exchange['surface'];
  readonly header: (name: string) => string | undefined;
}

export interface OpenExchange {
  readonly exchange: Exchange;
  /** Once, with the status of HTTP that the answer has or would have. */
  readonly end: (status: number) => void;
}

/** The route of requests that have none, in metrics. */
const unmatched = 'unmatched';

/** The headers have just been read. Until `end`, a drain waits for it. */
export function openExchange(
  { method, surface, header }: Arriving,
  parts: GatewayParts,
): OpenExchange {
  const { clock, telemetry, tracing, log, load, open } = parts;
  const startedAtMs = clock.nowMs();
  const exchange: Exchange = {
    requestId: requestIdOf(header('request-id') ?? header('x-request-id'), parts),
    startedAtMs,
    surface,
    elapsedMs: () => clock.nowMs() - startedAtMs,
    isLast: () => load.isDraining,
    route: unmatched,
    code: null,
    span: tracing?.request({ method, header }, startedAtMs),
    priority: 'normal',
  };
  telemetry.requestOpened();
  const close = open.add();
  const end = (status: number): void => {
    close();
    const seconds = exchange.elapsedMs() / 1000;
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
  };
  return { exchange, end };
}

/** Counts open requests and tells when there is none. */
export class OpenRequests {
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
