/**
 * Capacity for runs: one slot a loaded instance. A run has a time limit; a run that exceeds it keeps its
 * slot until it returns, and when it does not return within a grace nothing but the end of the
 * process frees the slot, because a busy compute thread cannot be ended.
 */
import { type Failure, failure } from '@inferry/contracts';
import type { ModelInstance, RunItem, RunOutput, ThreadPreparer } from '@inferry/inference';
import { type Clock, err, invariant, type Result, sleep } from '@inferry/runtime';
import type { IdleTime } from './idle-time.ts';

/** How a run came out within its time limit, or that it did not. */
export type TimedRun =
  | {
      readonly kind: 'returned';
      readonly result: Result<RunOutput, Failure>;
      /** What its items took to be prepared in the slot before, ms; 0 where they came as tensors. */
      readonly preparedMs: number;
      /** No run of so many rows succeeded before in this session. */
      readonly isFirst: boolean;
      /** For how long the device did nothing before, ms. */
      readonly idleMs: number;
    }
  /** `isBack` resolves true when the run returned after all, false when the grace is over. */
  | { readonly kind: 'overdue'; readonly isBack: Promise<boolean> };

export interface SlotsOptions {
  readonly clock: Clock;
  /** Of the device, which several classes may share. */
  readonly idleTime: IdleTime;
  readonly graceMs: number;
  /** The grace of a run is over, or the time to prepare: the process has to be replaced. */
  readonly onStuck: (what: string) => void;
  /** A run that was overdue has returned; its result is of no use. */
  readonly onLateReturn: (items: number) => void;
}

export class Slot {
  readonly #instance: ModelInstance;
  readonly #options: SlotsOptions;
  readonly #onChange: () => void;
  /** Row counts that ran. */
  readonly #sizesRan: Set<number>;
  /** The run in progress; what is prepared in the slot belongs to it. */
  running: { readonly startedAtMs: number; readonly rows: number } | null = null;
  isOverdue = false;
  /** What was prepared here last, for the runs that follow; none where items come as tensors. */
  #prepared = { rowMs: 0, idleMs: 0 };

  constructor(instance: ModelInstance, options: SlotsOptions, onChange: () => void) {
    this.#instance = instance;
    this.#sizesRan = new Set(instance.warmupRuns.map((run) => run.rows));
    this.#options = options;
    this.#onChange = onChange;
  }

  /** False when the tensors went into a run, or were lost with the thread that held them. */
  canRun(item: RunItem | null): boolean {
    if (item === null) return false;
    return 'tensors' in item || this.preparer?.holds(item.held.batch) === true;
  }

  /** Null where items come as tensors. */
  get preparer(): ThreadPreparer | null {
    return this.#instance.preparer;
  }

  /**
   * Lets the slot's own thread prepare `rows` rows, at least 1; each row counts with its share of the time in
   * every run that follows, so that a run is known with what a batch of its size would take to prepare. When
   * it does not return within `limitMs`, nothing but the end of the process frees the slot.
   */
  async prepare<T>(rows: number, limitMs: number, act: () => Promise<T>): Promise<T> {
    invariant(this.running === null, 'a slot prepares when nothing runs in it');
    const { clock, idleTime } = this.#options;
    const idleMs = idleTime.runStarts();
    const startedAtMs = clock.nowMs();
    this.running = { startedAtMs, rows };
    this.#onChange();
    const cancelLimit = clock.after(limitMs, () => this.#options.onStuck('a preparation'));
    try {
      return await act();
    } finally {
      cancelLimit();
      this.#prepared = { rowMs: (clock.nowMs() - startedAtMs) / rows, idleMs };
      this.#returned();
    }
  }

  /**
   * Waits for a run that began with its preparation, where nobody asked for it: all its jobs ended before.
   * Like any other it has a limit, past which nothing but the end of the process frees the slot.
   */
  async endUnwanted(limitMs: number): Promise<void> {
    const over = this.preparer?.unwanted() ?? null;
    if (over === null) return;
    const { clock, onStuck } = this.#options;
    this.running = { startedAtMs: clock.nowMs(), rows: 1 };
    const cancelLimit = clock.after(limitMs, () => onStuck('a run'));
    await over;
    cancelLimit();
    this.running = null;
  }

  /** Runs items once, with a limit. Tensors that came with them are gone afterwards, whatever happens. */
  async run(
    items: readonly RunItem[],
    outputs: readonly string[],
    limitMs: number,
  ): Promise<TimedRun> {
    invariant(this.running === null, 'a slot runs one batch at a time');
    const { clock, idleTime } = this.#options;
    const rows = items.reduce((sum, item) => sum + item.rows, 0);
    const preparedMs = rows * this.#prepared.rowMs;
    const idleMs = Math.max(idleTime.runStarts(), this.#prepared.idleMs);
    this.#prepared.idleMs = 0;
    this.running = { startedAtMs: clock.nowMs() - preparedMs, rows };
    this.#onChange();
    const returned = this.#instance.run(items, outputs).catch(broken);
    const limit = alarm(clock, limitMs);
    const result = await Promise.race([returned, limit.rings]);
    if (result !== undefined) {
      limit.cancel();
      this.#returned();
      const isFirst = !this.#sizesRan.has(rows);
      if (result.ok) this.#sizesRan.add(rows);
      return { kind: 'returned', result, preparedMs, isFirst, idleMs };
    }
    this.isOverdue = true;
    return { kind: 'overdue', isBack: this.#awaitReturn(returned, items.length) };
  }

  async #awaitReturn(returned: Promise<unknown>, items: number): Promise<boolean> {
    const grace = alarm(this.#options.clock, this.#options.graceMs);
    const back = returned.then(() => {
      this.#returned();
      this.isOverdue = false;
      this.#onChange();
      this.#options.onLateReturn(items);
      return true;
    });
    const isBack = await Promise.race([back, grace.rings.then(() => false)]);
    grace.cancel();
    if (!isBack) this.#options.onStuck('a run');
    return isBack;
  }

  #returned(): void {
    this.running = null;
    this.#options.idleTime.runEnds();
  }

  close(): Promise<void> {
    invariant(this.running === null, 'a slot is closed when nothing runs in it');
    return this.#instance.close();
  }
}

/** The slots of one class, handed out in the order in which they are asked for. */
export class Slots {
  readonly all: readonly Slot[];
  readonly #free: Slot[];
  readonly #waiting: ((slot: Slot) => void)[] = [];
  #onChange = (): void => undefined;

  constructor(instances: readonly ModelInstance[], options: SlotsOptions) {
    invariant(instances.length > 0, 'a class that is served has an instance');
    this.all = instances.map((instance) => new Slot(instance, options, () => this.#onChange()));
    this.#free = [...this.all];
  }

  /** `onChange` is called when a run starts, and when an overdue one has returned. */
  watch(onChange: () => void): void {
    this.#onChange = onChange;
  }

  acquire(): Promise<Slot> {
    const slot = this.#free.shift();
    if (slot !== undefined) return Promise.resolve(slot);
    return new Promise((resolve) => this.#waiting.push(resolve));
  }

  /** A slot whose run never returned is not handed out again. */
  release(slot: Slot): void {
    if (slot.isOverdue) return;
    const next = this.#waiting.shift();
    if (next === undefined) this.#free.push(slot);
    else next(slot);
  }

  /** Whether items are prepared in the slots, and not before. */
  get prepare(): boolean {
    return this.all.every((slot) => slot.preparer !== null);
  }

  get hasOverdue(): boolean {
    return this.all.some((slot) => slot.isOverdue);
  }
}

/** A compute thread that broke is our fault and not the input's; the backend replaces the thread. */
function broken(cause: unknown): Result<RunOutput, Failure> {
  const reason = cause instanceof Error ? cause.message : String(cause);
  return err(failure('internal', `The compute thread failed: ${reason}`));
}

function alarm(
  clock: Clock,
  delayMs: number,
): { readonly rings: Promise<undefined>; readonly cancel: () => void } {
  const over = new AbortController();
  const rings = sleep(clock, delayMs, over.signal).then(() => undefined);
  return { rings, cancel: () => over.abort() };
}
