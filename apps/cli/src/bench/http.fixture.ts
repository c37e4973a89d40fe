/** A server for tests that is told what to answer, at the port through which everything is asked. */
import { type Clock, err, ok, sleep } from '@inferry/runtime';
import type { HttpAnswer, HttpFault, HttpPort, HttpRequest } from './http.ts';

export interface ScriptedAnswer {
  readonly status?: number;
  readonly headers?: Readonly<Record<string, string>>;
  /** Text as it is; anything else as JSON. */
  readonly body?: unknown;
  /** On the clock of the test. */
  readonly afterMs?: number;
  /** Instead of an answer. */
  readonly fault?: HttpFault;
}

export interface FakeServer extends HttpPort {
  /** What was sent, in order, with the time that the sender would have waited. */
  readonly sent: readonly (HttpRequest & { readonly timeoutMs: number })[];
}

/** Answers by `script`; what takes longer than the sender waits is a timeout, as in the real port. */
export function fakeServer(
  clock: Clock,
  script: (request: HttpRequest) => ScriptedAnswer,
): FakeServer {
  const sent: (HttpRequest & { readonly timeoutMs: number })[] = [];
  return {
    sent,
    async send(request, timeoutMs) {
      sent.push({ ...request, timeoutMs });
      const { status = 200, headers = {}, body = {}, afterMs = 0, fault } = script(request);
      if (afterMs > 0) await sleep(clock, Math.min(afterMs, timeoutMs));
      if (afterMs > timeoutMs) return err({ code: 'timeout', detail: 'no answer' });
      if (fault !== undefined) return err(fault);
      return ok(httpAnswer(status, headers, body));
    },
    close: () => Promise.resolve(),
  };
}

function httpAnswer(
  status: number,
  headers: Readonly<Record<string, string>>,
  body: unknown,
): HttpAnswer {
  const text = typeof body === 'string' ? body : JSON.stringify(body);
  return { status, header: (name) => headers[name], body: Buffer.from(text) };
}
