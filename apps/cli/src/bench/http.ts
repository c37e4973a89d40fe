/**
 * The port through which everything is asked, and its implementation on undici: connections are kept
 * alive, one request is open on each at a time, and no wait is longer than it was given.
 */
import { Agent } from 'undici';
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
    async send({ method, origin, path, headers, body }, timeoutMs) {
      const stop = new AbortController();
      const cancel = clock.after(timeoutMs, () => stop.abort());
      try {
        const response = await agent.request({
          method,
          origin,
          path,
          headers,
          body,
          signal: stop.signal,
        });
        const bytes = new Uint8Array(await response.body.arrayBuffer());
        const header = (name: string): string | undefined => {
          const value = response.headers[name];
          return typeof value === 'string' ? value : value?.[0];
        };
        return ok({ status: response.statusCode, header, body: bytes });
      } catch (cause) {
        if (stop.signal.aborted) {
          return err({ code: 'timeout', detail: `no answer within ${timeoutMs} ms` });
        }
        return err(faultOf(cause));
      } finally {
        cancel();
      }
    },
    close: () => agent.destroy(),
  };
}

const told: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'nothing listens there (connection refused)',
  ENOTFOUND: 'there is no host of that name',
  UND_ERR_SOCKET: 'the connection was closed before the answer was there',
};

function faultOf(cause: unknown): HttpFault {
  const error = cause as NodeJS.ErrnoException;
  const code = typeof error.code === 'string' ? error.code : error.name;
  return { code, detail: told[code] ?? (error.message || code) };
}
