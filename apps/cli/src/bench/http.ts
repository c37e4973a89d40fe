/**
 * The port through which everything is asked, and its implementation on undici: connections are kept
 * alive, one request is open on each at a time, and no wait is longer than it was given.
 */
import type { IncomingHttpHeaders } from 'node:http';
import { Agent, type Dispatcher } from 'undici';
import { type Clock, err, ok, type Result } from '@inferry/runtime';

export interface HttpRequest {
  readonly method: 'GET' | 'POST';
  /** Scheme, host and port. */
  readonly origin: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: Uint8Array | null;
}

export interface HttpAnswer {
  readonly status: number;
  /** The value of a header by its name in lower case; the first of several. */
  readonly header: (name: string) => string | undefined;
  readonly body: Uint8Array;
}

/** Why there is no answer. */
export interface HttpFault {
  /** `timeout`, or what the system calls it, such as `ECONNREFUSED`. */
  readonly code: string;
  readonly detail: string;
}

export interface HttpPort {
  /** The answer with all of its body. */
  send(request: HttpRequest, timeoutMs: number): Promise<Result<HttpAnswer, HttpFault>>;
  /** Ends the connections and whatever is open on them. */
  close(): Promise<void>;
}

/** Larger than any answer the server gives. */
const answerBytesMax = 256 * 1024 * 1024;

/** A port with at most `connections` connections to each origin. */
export function openHttp({
  clock,
  connections,
}: {
  readonly clock: Clock;
  readonly connections: number;
}): HttpPort {
  const agent = new Agent({
    connections,
    pipelining: 1,
    maxResponseSize: answerBytesMax,
    // Bounded below for the request as a whole.
    headersTimeout: 0,
    bodyTimeout: 0,
  });
  return {
    send: ({ method, origin, path, headers, body }, timeoutMs) =>
      new Promise((resolve) => {
        const exchange = new Exchange(resolve);
        exchange.onEnd = clock.after(timeoutMs, () => {
          exchange.end(err({ code: 'timeout', detail: `no answer within ${timeoutMs} ms` }));
        });
        agent.dispatch({ method, origin, path, headers, body }, exchange);
      }),
    close: () => agent.destroy(),
  };
}

/**
 * Collects one answer. undici's callbacks take two thirds of the CPU time that its promises and streams do,
 * and the client often shares the cores with what it measures.
 */
class Exchange implements Dispatcher.DispatchHandler {
  /** Called once, when there is an answer or will be none. */
  onEnd = (): void => undefined;
  readonly #resolve: (result: Result<HttpAnswer, HttpFault>) => void;
  readonly #chunks: Buffer[] = [];
  #controller: Dispatcher.DispatchController | undefined;
  #status = 0;
  #headers: Readonly<Record<string, string | string[] | undefined>> = {};
  #hasEnded = false;

  constructor(resolve: (result: Result<HttpAnswer, HttpFault>) => void) {
    this.#resolve = resolve;
  }

  /** Ends it with that result; what still comes is cut off. */
  end(result: Result<HttpAnswer, HttpFault>): void {
    if (this.#hasEnded) return;
    this.#hasEnded = true;
    this.onEnd();
    if (!result.ok) this.#controller?.abort(new Error(result.error.detail));
    this.#resolve(result);
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    this.#controller = controller;
    // The time was over before there was a connection.
    if (this.#hasEnded) controller.abort(new Error('it is too late'));
  }

  onResponseStart(
    _controller: Dispatcher.DispatchController,
    status: number,
    headers: IncomingHttpHeaders,
  ): void {
    this.#status = status;
    this.#headers = headers;
  }

  onResponseData(_controller: Dispatcher.DispatchController, chunk: Buffer): void {
    this.#chunks.push(chunk);
  }

  onResponseEnd(): void {
    const [status, headers] = [this.#status, this.#headers];
    const header = (name: string): string | undefined => {
      const value = headers[name];
      return typeof value === 'object' ? value[0] : value;
    };
    this.end(ok({ status, header, body: Buffer.concat(this.#chunks) }));
  }

  onResponseError(_controller: Dispatcher.DispatchController, error: Error): void {
    this.end(err(faultOf(error)));
  }
}

const told: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'nothing listens there (connection refused)',
  ENOTFOUND: 'there is no host of that name',
  UND_ERR_SOCKET: 'the connection was closed before the answer was there',
};

function faultOf(error: NodeJS.ErrnoException): HttpFault {
  const code = typeof error.code === 'string' ? error.code : error.name;
  return { code, detail: told[code] ?? (error.message || code) };
}
