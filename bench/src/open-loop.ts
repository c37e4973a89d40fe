/** Requests at a steady rate, whatever becomes of them: a server that stalls is asked all the same. */
import { Agent, request } from 'node:http';

export interface Exchange {
  /** When it was to be sent, on the clock of `performance.now()`. */
  readonly dueAtMs: number;
  /** From then to the whole answer. */
  readonly ms: number;
  /** 0: there was none. */
  readonly status: number;
  readonly version: string;
}

export interface OpenLoop {
  /** Ended exchanges, in the order in which they ended. */
  readonly exchanges: readonly Exchange[];
  /** Sends no more; resolves when all have ended. */
  stop(): Promise<void>;
}

const timeoutMs = 30_000;

/** `perSecond` copies of an infer request. Latency counts from the instant at which each was due. */
export function openLoop({
  body,
  perSecond,
  url,
}: {
  readonly url: string;
  readonly body: string;
  readonly perSecond: number;
}): OpenLoop {
  const agent = new Agent({ keepAlive: true });
  const exchanges: Exchange[] = [];
  const underWay = new Set<Promise<void>>();
  const startMs = performance.now();
  let sent = 0;
  const timed = async (dueAtMs: number): Promise<void> => {
    const answer = await ask(url, body, agent);
    exchanges.push({ ...answer, dueAtMs, ms: performance.now() - dueAtMs });
  };
  const timer = setInterval(() => {
    const due = Math.floor(((performance.now() - startMs) * perSecond) / 1_000);
    for (; sent < due; sent += 1) {
      const dueAtMs = startMs + (sent * 1_000) / perSecond;
      const exchange = timed(dueAtMs).finally(() => underWay.delete(exchange));
      underWay.add(exchange);
    }
  }, 1);
  return {
    exchanges,
    async stop() {
      clearInterval(timer);
      await Promise.all(underWay);
      agent.destroy();
    },
  };
}

function ask(
  url: string,
  body: string,
  agent: Agent,
): Promise<Pick<Exchange, 'status' | 'version'>> {
  return new Promise((resolve) => {
    const none = { status: 0, version: '' };
    const headers = {
      'content-type': 'application/json',
      'content-length': Buffer.byteLength(body),
    };
    const sent = request(url, { method: 'POST', agent, headers, timeout: timeoutMs }, (answer) => {
      let text = '';
      answer.setEncoding('utf8');
      answer.on('data', (part: string) => (text += part));
      answer.on('error', () => resolve(none));
      answer.on('end', () => {
        const version = /"model_version":"([^"]*)"/u.exec(text)?.[1] ?? '';
        resolve({ status: answer.statusCode ?? 0, version });
      });
    });
    sent.on('timeout', () => sent.destroy());
    sent.on('error', () => resolve(none));
    sent.end(body);
  });
}
