/**
 * How many messages may be arriving at a time. Each may become as large as the limit; those that wait for
 * their turn are not read, so that their senders wait too, and one that does not arrive gives up its turn. A
 * message has arrived when its caller has said that it was the last: the library holds it until then.
 */
import { type ServerInterceptor, ServerInterceptingCall, status } from '@grpc/grpc-js';
import type { Limits } from '@inferry/contracts';
import type { Clock } from '@inferry/runtime';

type Inner = ConstructorParameters<typeof ServerInterceptingCall>[0];

interface Deps {
  readonly clock: Clock;
  readonly limits: Limits;
}

/** For calls of one message: a stream waits for its caller between messages, and has bounds of its own. */
export function readGate(width: number, deps: Deps): ServerInterceptor {
  const gate = new Gate(width);
  return (method, call) =>
    method.requestStream ? new ServerInterceptingCall(call) : new GatedCall(call, gate, deps);
}

class GatedCall extends ServerInterceptingCall {
  readonly #gate: Gate;
  #leave: (() => void) | undefined;

  constructor(inner: Inner, gate: Gate, { clock, limits }: Deps) {
    let leave = (): void => undefined;
    super(inner, {
      start: (next) =>
        next({
          onReceiveMetadata: (metadata, go) => go(metadata),
          onReceiveHalfClose: (go) => {
            leave();
            go();
          },
          onCancel: () => leave(),
        }),
    });
    this.#gate = gate;
    const receiveMs = limits.requestReceiveMsMax;
    const details = `The request did not arrive completely within ${receiveMs} ms.`;
    const cancel = clock.after(receiveMs, () => {
      leave();
      this.sendStatus({ code: status.DEADLINE_EXCEEDED, details });
    });
    leave = () => {
      cancel();
      this.#leave?.();
    };
  }

  override startRead(): void {
    // After the message the end of the call is read in the same way, in the same turn.
    if (this.#leave === undefined) this.#leave = this.#gate.enter(() => super.startRead());
    else super.startRead();
  }
}

class Gate {
  #free: number;
  readonly #waiting = new Set<() => void>();

  constructor(width: number) {
    this.#free = width;
  }

  /** Calls `begin` when it is its turn. The turn, or the place in line, is given up with what is returned. */
  enter(begin: () => void): () => void {
    const waiter = (): void => {
      this.#free -= 1;
      hasBegun = true;
      begin();
    };
    let hasBegun = false;
    let hasLeft = false;
    if (this.#free > 0) waiter();
    else this.#waiting.add(waiter);
    return () => {
      if (hasLeft) return;
      hasLeft = true;
      this.#waiting.delete(waiter);
      if (!hasBegun) return;
      this.#free += 1;
      const [next] = this.#waiting;
      if (next === undefined) return;
      this.#waiting.delete(next);
      next();
    };
  }
}
