/**
 * How evenly the flows of a class were served in the last minute, from looks at what waits and at the rows
 * that were taken so far. Keeps what was taken at a dozen instants and no more, however often it looks: at
 * most three numbers a tenant for each.
 *
 * Jain's index over flows by their weight, not over tenants: one that sends low priority alone is meant to
 * get less than one that sends high priority. Source: Jain, Chiu, Hawe, "A Quantitative Measure of Fairness"
 * (DEC TR-301, 1984).
 */
import type { FlowStats } from '@inferry/queue';

export interface Fairness {
  /**
   * 1 where rows by weight are even, down to 1/n where one of n flows got all. Of those that had jobs waiting
   * at every look, and were due {@link dueRowsMin} rows at least; 1 with fewer than two of them.
   */
  readonly index: number;
  /** Largest share of all rows that one tenant got; 0 when none ran. */
  readonly shareMax: number;
}

/** What a flow got in the window. */
interface Share {
  readonly rows: number;
  readonly weight: number;
}

interface Mark {
  readonly atMs: number;
  readonly takenRows: ReadonlyMap<string, number>;
}

const windowMs = 60_000;
const markEveryMs = 5_000;
/** Shares come in whole rows: of fewer, whose turn it happens to be decides, and slow models would look unfair. */
const dueRowsMin = 2;

export class FairnessWindow {
  readonly #weightOf: (flow: FlowStats) => number;
  /** What had been taken at some instants of the last minute; the first is where the window begins. */
  #marks: Mark[] = [];
  #flows: ReadonlyMap<string, FlowStats> = new Map();
  /** Flows that have had jobs waiting at every look since. */
  #waitingSinceMs: ReadonlyMap<string, number> = new Map();

  constructor(weightOf: (flow: FlowStats) => number) {
    this.#weightOf = weightOf;
  }

  /** To be called with every look, in order of time. */
  add(atMs: number, stats: readonly FlowStats[]): void {
    const flows = new Map(stats.map((flow) => [`${flow.tenant}/${flow.priority}`, flow]));
    if (this.#hasFallen(flows)) this.#marks = [];
    const before = this.#waitingSinceMs;
    this.#flows = flows;
    this.#waitingSinceMs = new Map(
      [...flows].flatMap(([name, { waiting }]) =>
        waiting > 0 ? [[name, before.get(name) ?? atMs] as const] : [],
      ),
    );
    this.#marks = this.#marks.filter((mark) => atMs - mark.atMs <= windowMs);
    const last = this.#marks.at(-1);
    if (last === undefined || atMs - last.atMs >= markEveryMs) {
      const takenRows = new Map([...flows].map(([name, flow]) => [name, flow.takenRows]));
      this.#marks.push({ atMs, takenRows });
    }
  }

  get fairness(): Fairness {
    const [start] = this.#marks;
    const rowsOf = new Map<string, number>();
    const waiting: Share[] = [];
    let rowsTotal = 0;
    for (const [name, flow] of this.#flows) {
      const rows = flow.takenRows - (start?.takenRows.get(name) ?? 0);
      rowsTotal += rows;
      rowsOf.set(flow.tenant, (rowsOf.get(flow.tenant) ?? 0) + rows);
      const sinceMs = this.#waitingSinceMs.get(name) ?? Infinity;
      if (start !== undefined && sinceMs <= start.atMs) {
        waiting.push({ rows, weight: this.#weightOf(flow) });
      }
    }
    const most = Math.max(0, ...rowsOf.values());
    return {
      index: jainIndex(waiting),
      shareMax: rowsTotal === 0 ? 0 : most / rowsTotal,
    };
  }

  /** The queue has lost its memory, or is another one. */
  #hasFallen(flows: ReadonlyMap<string, FlowStats>): boolean {
    return [...this.#flows].some(
      ([name, { takenRows }]) => (flows.get(name)?.takenRows ?? 0) < takenRows,
    );
  }
}

function jainIndex(shares: readonly Share[]): number {
  const rows = shares.reduce((sum, share) => sum + share.rows, 0);
  const weights = shares.reduce((sum, { weight }) => sum + weight, 0);
  const parts = shares
    .filter(({ weight }) => (rows * weight) / weights >= dueRowsMin)
    .map((share) => share.rows / share.weight);
  const sum = parts.reduce((total, part) => total + part, 0);
  const squares = parts.reduce((total, part) => total + part * part, 0);
  return parts.length < 2 || squares === 0 ? 1 : sum ** 2 / (parts.length * squares);
}
