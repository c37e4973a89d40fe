/**
 * Places for event streams: a bounded number, apart from those of held requests, because streams stay open for
 * minutes. A drain tells each stream to end, and waits until it has.
 */
import { setMaxListeners } from 'node:events';

import { type Failure, failure, type Limits } from '@inferry/contracts';

import type { OpenRequests } from '../exchange.ts';
import type { GatewayTelemetry } from '../telemetry.ts';

const retryAfterMs = 1_000;

export interface StreamPlace {
  /** Aborts when the server is going. */
  readonly draining: AbortSignal;
  /** Once or more often. */
  readonly release: () => void;
}

export class StreamPlaces {
  readonly #deps: {
    readonly limits: Limits;
    readonly telemetry: GatewayTelemetry;
    readonly open: OpenRequests;
  };
  readonly #drain = new AbortController();
  #taken = 0;

  constructor(deps: {
    readonly limits: Limits;
    readonly telemetry: GatewayTelemetry;
    readonly open: OpenRequests;
  }) {
    this.#deps = deps;
    // Every stream waits for it, and every held request that is told parts of its answer.
    const { eventStreamsMax, heldRequestsMax } = deps.limits;
    setMaxListeners(eventStreamsMax + heldRequestsMax, this.#drain.signal);
  }

  /** A place for one stream, or undefined when all are taken. */
  reserve(): StreamPlace | undefined {
    const { limits, open, telemetry } = this.#deps;
    if (this.#taken >= limits.eventStreamsMax) return undefined;
    this.#taken += 1;
    telemetry.streaming(1);
    // The request is over for its exchange when its answer has begun.
    const close = open.add();
    let isReleased = false;
    const release = (): void => {
      if (isReleased) return;
      isReleased = true;
      this.#taken -= 1;
      telemetry.streaming(-1);
      close();
    };
    return { draining: this.#drain.signal, release };
  }

  /** Of a request for which there is no place: `queue_full`. */
  refusal(): Failure {
    const { eventStreamsMax } = this.#deps.limits;
    const detail = `This server holds ${eventStreamsMax} event streams open already (its limit).`;
    return failure('queue_full', detail, { retryAfterMs });
  }

  /** Aborts when the server is going. */
  get draining(): AbortSignal {
    return this.#drain.signal;
  }

  /** Ends all streams, now and from now on. */
  drain(): void {
    this.#drain.abort();
  }
}
