/**
 * The event engine: one heap of things to do, one virtual clock that jumps from one to the next. It is a
 * {@link Clock}, so that the parts under test live in the same time as the simulated world.
 *
 * A handler may be asynchronous: it is awaited before the next event fires, so that what it asks of an
 * asynchronous port is answered at the instant at which it asked. Events of one instant fire in the order
 * in which they were added; nothing depends on the order in which promises settle.
 */
import type { Clock } from '@inferry/runtime';

type Fire = () => void | Promise<void>;

interface Event {
  readonly atMs: number;
  readonly order: number;
  readonly fire: Fire;
  /** It does not keep the world going. */
  readonly isBackground: boolean;
  isCanceled: boolean;
}

export class Engine implements Clock {
  readonly #heap: Event[] = [];
  #nowMs = 0;
  #order = 0;
  /** Events to come that keep the world going. */
  #foreground = 0;

  nowMs(): number {
    return this.#nowMs;
  }

  /** Calls `fire` at `atMs`, or now when that is past. The returned function cancels it. */
  at(atMs: number, fire: Fire): () => void {
    const event = this.#add(atMs, fire, false);
    return () => {
      if (event.isCanceled) return;
      event.isCanceled = true;
      this.#foreground -= 1;
    };
  }

  after(delayMs: number, fire: Fire): () => void {
    return this.at(this.#nowMs + delayMs, fire);
  }

  /** Calls `fire` every `periodMs` for as long as something else goes on. */
  every(periodMs: number, fire: Fire): void {
    this.#add(
      this.#nowMs + periodMs,
      async () => {
        await fire();
        this.every(periodMs, fire);
      },
      true,
    );
  }

  /** Until nothing is left to do. The world must come to an end by itself. */
  async run(): Promise<void> {
    while (this.#foreground > 0) {
      const event = pop(this.#heap);
      if (event === undefined) return;
      if (event.isCanceled) continue;
      // An event that has fired is over: to cancel it then changes nothing.
      event.isCanceled = true;
      if (!event.isBackground) this.#foreground -= 1;
      this.#nowMs = event.atMs;
      const done = event.fire();
      if (done !== undefined) await done;
    }
  }

  #add(atMs: number, fire: Fire, isBackground: boolean): Event {
    const event = {
      atMs: Math.max(atMs, this.#nowMs),
      order: this.#order,
      fire,
      isBackground,
      isCanceled: false,
    };
    this.#order += 1;
    if (!isBackground) this.#foreground += 1;
    push(this.#heap, event);
    return event;
  }
}

function isBefore(a: Event, b: Event): boolean {
  return a.atMs < b.atMs || (a.atMs === b.atMs && a.order < b.order);
}

function push(heap: Event[], event: Event): void {
  let at = heap.length;
  heap.push(event);
  while (at > 0) {
    const parentAt = (at - 1) >> 1;
    const parent = heap[parentAt];
    if (parent === undefined || !isBefore(event, parent)) break;
    heap[at] = parent;
    at = parentAt;
  }
  heap[at] = event;
}

function pop(heap: Event[]): Event | undefined {
  const first = heap[0];
  const last = heap.pop();
  if (first === undefined || last === undefined || heap.length === 0) return first;
  let at = 0;
  for (;;) {
    let childAt = 2 * at + 1;
    let child = heap[childAt];
    if (child === undefined) break;
    const right = heap[childAt + 1];
    if (right !== undefined && isBefore(right, child)) {
      child = right;
      childAt += 1;
    }
    if (!isBefore(child, last)) break;
    heap[at] = child;
    at = childAt;
  }
  heap[at] = last;
  return first;
}
