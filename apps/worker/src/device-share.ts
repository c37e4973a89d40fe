/**
 * The device of a worker, as its classes share it. A class asks for a turn before it claims; whose turn it
 * is follows from the run time each has had (TimeShare), so that a model with long runs gets no more of the
 * device than one with short ones. At most `capacity` batches run at a time, in order of claim. A class
 * claims one batch more than it has slots, and where as many are claimed as run, one more is claimed in
 * all: the jobs of the others wait in the queue, where any worker can take them.
 *
 * Where all slots fit on the device nobody is kept waiting: a turn then comes when a class's own slots ask
 * for it.
 */
import type { ClassId } from '@inferry/contracts';
import { type Clock, invariant } from '@inferry/runtime';
import { claimAheadAtMs, type RunningView, TimeShare } from '@inferry/scheduling';

/** A batch is claimed so much earlier than the expected end of a run says. */
const aheadPolicy = { marginMs: 2, shareMin: 0.02, shareMax: 0.2 };

/** A class on the device. */
export interface Sharer {
  readonly cls: ClassId;
  /** Share of the device's time against the other classes, while all have work. */
  readonly weight: number;
  /** Its slots: most of its batches that run at a time. */
  readonly slots: number;
  /**
   * When its own slots ask for the next batch: negative infinity when one is free, infinity until something
   * changes.
   */
  readonly claimAtMs: () => number;
  /** Expected time from a claim to a prepared batch, ms; undefined while nothing is known. */
  readonly prepareMs: () => number | undefined;
  /** Its runs in progress. */
  readonly running: () => readonly RunningView[];
  /** Expected duration of a run of so many rows, of a full batch where none are given, ms; 0 while unknown. */
  readonly expectedMs: (rows?: number) => number;
}

/** Leave to claim one batch, and to run it. Either `giveBack`, or `claimed`, `mayRun` and `end`, in order. */
export interface Turn {
  /** No other batch was under way on the device when it was granted. */
  readonly foundIdle: boolean;
  /** Nothing was claimed. */
  giveBack(): void;
  claimed(rows: number): void;
  /** Resolves when the batch may run. */
  mayRun(): Promise<void>;
  /** The batch needs the device no longer, whether it ran or not. */
  end(): void;
}

interface Seat {
  readonly sharer: Sharer;
  /** Its turns granted and not ended. */
  unfinished: number;
  /** Set while the class waits for a turn. */
  grant: ((turn: Turn | undefined) => void) | null;
}

export class DeviceShare {
  #capacity: number;
  readonly #clock: Clock;
  readonly #seats = new Map<ClassId, Seat>();
  /** Of classes that have joined anew since, for as long as batches of theirs are under way. */
  readonly #left = new Set<Seat>();
  readonly #share: TimeShare;
  #turns = 0;
  #runs = 0;
  /** Batches that are ready to run, in order of claim. */
  #ready: { readonly order: number; readonly go: () => void }[] = [];
  #cancelLook = (): void => undefined;

  /** `capacity`: runs at a time, at least 1; infinity where every slot has room. */
  constructor(capacity: number, clock: Clock) {
    this.#capacity = capacity;
    this.#clock = clock;
    this.#share = new TimeShare(capacity);
  }

  /** Most runs at a time of a class with so many slots. */
  runsOf(slots: number): number {
    return Math.min(slots, this.#capacity);
  }

  /** More or fewer runs at a time from now on, as for the constructor; those that are under way end as they are. */
  resize(capacity: number): void {
    this.#capacity = capacity;
    this.#share.resize(capacity);
    this.#startReady();
    this.changed();
  }

  /** A class that joins again, with other slots, claims nothing more through the ones before. */
  join(sharer: Sharer): void {
    const before = this.#seats.get(sharer.cls);
    invariant((before?.grant ?? null) === null, 'a class that waits for a turn is not replaced');
    if (before !== undefined && before.unfinished > 0) this.#left.add(before);
    this.#share.join(sharer.cls, sharer.weight, sharer.slots);
    this.#seats.set(sharer.cls, { sharer, unfinished: 0, grant: null });
  }

  /** The class claims nothing more. */
  leave(cls: ClassId): void {
    this.#share.rests(cls);
    this.changed();
  }

  /** The class is not known any more, unless it has joined anew; only when none of its batches is under way. */
  part(sharer: Sharer): void {
    const seat = this.#seats.get(sharer.cls);
    if (seat?.sharer !== sharer) return;
    invariant(seat.unfinished === 0, 'a class parts when it has nothing');
    this.#seats.delete(sharer.cls);
    this.#share.part(sharer.cls);
    this.changed();
  }

  /** Resolves when the class may claim; undefined when `signal` aborts first. One call a class at a time. */
  turn(cls: ClassId, signal: AbortSignal): Promise<Turn | undefined> {
    if (signal.aborted) return Promise.resolve(undefined);
    const seat = this.#seat(cls);
    invariant(seat.grant === null, 'a class asks for one turn at a time');
    return new Promise((resolve) => {
      const leave = (): void => {
        seat.grant = null;
        resolve(undefined);
        this.leave(cls);
      };
      seat.grant = (turn) => {
        signal.removeEventListener('abort', leave);
        seat.grant = null;
        resolve(turn);
      };
      signal.addEventListener('abort', leave, { once: true });
      this.changed();
    });
  }

  /** A turn at once, for a class that has the process to itself. */
  exclusiveTurn(cls: ClassId): Turn {
    return this.#begin(this.#seat(cls));
  }

  /** To be called when something has changed that the functions of a {@link Sharer} tell. */
  changed(): void {
    this.#cancelLook();
    const lookAtMs = this.#capacity === Infinity ? this.#grantAll() : this.#grantInTurn();
    if (lookAtMs === Infinity) return;
    const delayMs = Math.max(0, lookAtMs - this.#clock.nowMs());
    this.#cancelLook = this.#clock.after(delayMs, () => this.changed());
  }

  /** How much longer than they are the runs of the class seem, because others have the device in between. */
  stretch(cls: ClassId): number {
    return this.#share.stretch(cls);
  }

  /** Every class decides for itself; returns when to look again. */
  #grantAll(): number {
    let lookAtMs = Infinity;
    for (const seat of this.#seats.values()) {
      if (seat.grant === null) continue;
      const atMs = seat.sharer.claimAtMs();
      if (atMs <= this.#clock.nowMs()) seat.grant(this.#begin(seat));
      else lookAtMs = Math.min(lookAtMs, atMs);
    }
    return lookAtMs;
  }

  /** The class that is furthest behind goes first; returns when to look again. */
  #grantInTurn(): number {
    let lookAtMs = Infinity;
    for (const { grant, sharer } of this.#seats.values()) {
      if (grant !== null) this.#share.wants(sharer.cls);
    }
    for (;;) {
      const nowMs = this.#clock.nowMs();
      // Who is held up by its own slots for longer than by the device is passed over.
      const cls = this.#share.next((name) => {
        const seat = this.#seats.get(name as ClassId);
        if (seat === undefined || seat.grant === null) return true;
        const atMs = seat.sharer.claimAtMs();
        if (atMs > nowMs) lookAtMs = Math.min(lookAtMs, atMs);
        return atMs <= Math.max(nowMs, this.#opensAtMs(seat.sharer));
      });
      const seat = cls === null ? undefined : this.#seats.get(cls as ClassId);
      // A claim that is not answered yet keeps its class's place: it is about to ask again.
      if (seat === undefined || seat.grant === null) return lookAtMs;
      const opensAtMs = this.#opensAtMs(seat.sharer);
      if (opensAtMs > nowMs) return Math.min(lookAtMs, opensAtMs);
      this.#share.takes(seat.sharer.cls);
      seat.grant(this.#begin(seat));
    }
  }

  /** When the device has room for a batch of the class; see {@link Sharer.claimAtMs}. */
  #opensAtMs(sharer: Sharer): number {
    const seats = this.#everySeat();
    // A batch claimed ahead of its class's slots leaves the room to others until one of those is free.
    const busy = seats.reduce((sum, seat) => sum + Math.min(seat.unfinished, seat.sharer.slots), 0);
    if (busy < this.#capacity) return -Infinity;
    if (this.#unfinished > this.#capacity) return Infinity;
    const running = seats.flatMap((seat) => seat.sharer.running());
    // A batch is still being prepared: its run, once it starts, says when the next is due.
    if (running.length < this.#unfinished) return Infinity;
    return nextClaimAtMs(running, sharer.prepareMs());
  }

  get #unfinished(): number {
    return this.#everySeat().reduce((sum, { unfinished }) => sum + unfinished, 0);
  }

  #everySeat(): readonly Seat[] {
    return [...this.#seats.values(), ...this.#left];
  }

  #begin(seat: Seat): Turn {
    const { sharer } = seat;
    const { cls } = sharer;
    const share = this.#share;
    const foundIdle = this.#unfinished === 0;
    this.#turns += 1;
    const order = this.#turns;
    seat.unfinished += 1;
    let chargedMs = 0;
    const chargeInAll = (ms: number): void => {
      share.charge(cls, ms - chargedMs);
      chargedMs = ms;
    };
    chargeInAll(sharer.expectedMs());
    let startedAtMs: number | null = null;
    return {
      foundIdle,
      giveBack: () => {
        chargeInAll(0);
        share.rests(cls);
        seat.unfinished -= 1;
        this.changed();
      },
      claimed: (rows) => chargeInAll(sharer.expectedMs(rows)),
      mayRun: async () => {
        await this.#place(order);
        startedAtMs = this.#clock.nowMs();
      },
      end: () => {
        chargeInAll(startedAtMs === null ? 0 : this.#clock.nowMs() - startedAtMs);
        if (startedAtMs !== null) this.#runs -= 1;
        seat.unfinished -= 1;
        if (seat.unfinished === 0) this.#left.delete(seat);
        this.#startReady();
        this.changed();
      },
    };
  }

  #place(order: number): Promise<void> {
    return new Promise((go) => {
      this.#ready.push({ order, go });
      this.#ready.sort((a, b) => a.order - b.order);
      this.#startReady();
    });
  }

  #startReady(): void {
    while (this.#runs < this.#capacity) {
      const first = this.#ready.shift();
      if (first === undefined) return;
      this.#runs += 1;
      first.go();
    }
  }

  #seat(cls: ClassId): Seat {
    const seat = this.#seats.get(cls);
    invariant(seat !== undefined, 'a class joins first');
    return seat;
  }
}

/**
 * When to claim the next batch, so that it is prepared when the first of these runs ends; negative infinity
 * while nobody knows what they take.
 */
export function nextClaimAtMs(
  running: readonly RunningView[],
  prepareMs: number | undefined,
): number {
  return claimAheadAtMs({ slotsFree: 0, running, prepareMs }, aheadPolicy, -Infinity);
}

/**
 * Runs at a time on a device that has so many slots, by class: as many as the machine has cores, or one
 * class has slots, unless `wanted` says otherwise. Infinity where all of them fit.
 */
export function capacityOf(
  slots: readonly number[],
  { cores, wanted }: { readonly cores: number; readonly wanted: number | null },
): number {
  const capacity = wanted ?? Math.max(cores, ...slots);
  const together = slots.reduce((sum, count) => sum + count, 0);
  return together <= capacity ? Infinity : capacity;
}
