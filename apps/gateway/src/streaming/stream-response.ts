/**
 * An event stream as the answer of an HTTP request. What its caller has not read is bounded: then no more is
 * read for it, and one that reads nothing for a while is cut off. A stream whose caller can come back and go on
 * ends at the latest when it has its age, or the server goes.
 */
import { eventStreamType, pingText, retryText } from '@inferry/protocols';
import { every } from '@inferry/runtime';

import type { GatewayParts } from '../deps.ts';
import { answer, type GatewayContext, type GatewayEnv } from '../http/exchange.ts';
import type { StreamPlace } from './stream-places.ts';

/** How long a caller waits before it comes back: usually, and to a server that is going. */
const retryMs = 2_000;
const drainRetryMs = 500;

/** What is written is handed on in pieces of so many bytes at most: a caller that reads them slowly is seen to read. */
const pieceBytesMax = 16 * 1024;

const encoder = new TextEncoder();

/** Texts of events, until there are no more or the signal aborts. */
export type Events = (signal: AbortSignal) => AsyncIterable<string>;

/** Without `draining` the caller cannot come back: the stream goes on for as long as there are events. */
type TakenPlace = Pick<StreamPlace, 'release'> & Partial<StreamPlace>;

/** Takes the place over and releases it when the stream is over. */
export function streamResponse(
  c: GatewayContext,
  place: TakenPlace,
  events: Events,
  parts: GatewayParts,
  headers: Readonly<Record<string, string>> = {},
): Response {
  const writer = new StreamWriter(c, place, parts);
  void writer.run(events);
  return answer(c, {
    status: 200,
    body: writer.body,
    headers: {
      'Content-Type': eventStreamType,
      // Proxies neither keep, nor pack, nor collect what they pass on.
      'Cache-Control': 'no-store, no-transform',
      'X-Accel-Buffering': 'no',
      ...headers,
    },
  });
}

class StreamWriter {
  readonly body: ReadableStream<Uint8Array>;
  readonly #c: GatewayContext;
  readonly #place: TakenPlace;
  readonly #parts: GatewayParts;
  /** Aborts when nothing is to be written any more. */
  readonly #stop = new AbortController();
  #controller: ReadableStreamDefaultController<Uint8Array> | undefined;
  #room: () => void = () => undefined;

  constructor(c: GatewayContext, place: TakenPlace, parts: GatewayParts) {
    this.#c = c;
    this.#place = place;
    this.#parts = parts;
    const gone = (): void => this.#stop.abort();
    this.body = new ReadableStream<Uint8Array>(
      {
        start: (controller) => {
          this.#controller = controller;
        },
        pull: () => this.#room(),
        cancel: gone,
      },
      new ByteLengthQueuingStrategy({ highWaterMark: parts.limits.streamBufferBytesMax }),
    );
    c.req.raw.signal.addEventListener('abort', gone, { once: true });
    this.#stop.signal.addEventListener('abort', () => this.#room(), { once: true });
  }

  /** Never rejects. */
  async run(events: Events): Promise<void> {
    const { clock, limits, log } = this.#parts;
    const { draining } = this.#place;
    const onDrain = (): void => this.#end(drainRetryMs);
    const stopPings = every(clock, limits.streamPingMs, () => {
      if (this.#hasRoom) this.#write(pingText);
    });
    const cancelAge = draining && clock.after(limits.streamAgeMsMax, () => this.#end(undefined));
    draining?.addEventListener('abort', onDrain, { once: true });
    try {
      if (draining !== undefined) this.#write(retryText(retryMs));
      if (draining?.aborted === true) onDrain();
      const { signal } = this.#stop;
      if (!signal.aborted) {
        for await (const text of events(signal)) {
          if (signal.aborted) break;
          this.#write(text);
          await this.#drained();
        }
      }
      this.#end(undefined);
    } catch (cause) {
      const { requestId, route } = this.#c.get('exchange');
      log.error({ err: cause, request_id: requestId, route }, 'a stream failed');
      this.#cut();
    } finally {
      cancelAge?.();
      stopPings();
      draining?.removeEventListener('abort', onDrain);
      this.#place.release();
    }
  }

  /** Bytes that may still be written; below 0 where there are more than may wait. */
  get #roomBytes(): number {
    return this.#controller?.desiredSize ?? 0;
  }

  get #hasRoom(): boolean {
    return this.#roomBytes > 0;
  }

  #write(text: string): void {
    if (this.#stop.signal.aborted) return;
    const bytes = encoder.encode(text);
    for (let at = 0; at < bytes.length; at += pieceBytesMax) {
      this.#controller?.enqueue(bytes.subarray(at, at + pieceBytesMax));
    }
  }

  /** Ends the stream after what was written; `thenMs`: when its caller is to come back, if not as told before. */
  #end(thenMs: number | undefined): void {
    if (this.#stop.signal.aborted) return;
    if (thenMs !== undefined) this.#write(retryText(thenMs));
    this.#stop.abort();
    this.#controller?.close();
  }

  /** Ends the stream and its connection: what was written is of no use. */
  #cut(): void {
    if (this.#stop.signal.aborted) return;
    this.#stop.abort();
    // Absent where the app is called without a server.
    const env: GatewayEnv['Bindings'] | undefined = this.#c.env;
    if (env?.outgoing === undefined) this.#controller?.error(new Error('the stream was cut off'));
    else env.outgoing.destroy();
  }

  /** Until the caller has read enough; one that reads nothing for too long is cut off. */
  async #drained(): Promise<void> {
    if (this.#hasRoom || this.#stop.signal.aborted) return;
    const { clock, limits, log } = this.#parts;
    let roomBytes = this.#roomBytes;
    const stopLooks = every(clock, limits.streamStallMsMax, () => {
      const before = roomBytes;
      roomBytes = this.#roomBytes;
      if (roomBytes !== before) return;
      const { requestId, route } = this.#c.get('exchange');
      log.debug({ request_id: requestId, route }, 'a stream that nobody reads was cut off');
      this.#cut();
    });
    await new Promise<void>((resolve) => {
      this.#room = resolve;
    });
    this.#room = () => undefined;
    stopLooks();
  }
}
