/**
 * Measures one setting: batch after batch of one size, then the next size, until nothing more is to be
 * learned, the model refuses, memory would run out, or the time is over. Decides nothing by itself: what
 * comes next is the pure {@link nextRows}, what is enough is {@link isEnough}.
 */
import type { Clock } from '@inferry/runtime';
import type { MeasuredModel } from '@inferry/worker';
import { type Goal, nextRows } from './choose.ts';
import { type CurveEnd, type CurvePoint, pointOf, type Setup } from './curve.ts';
import { batchesLeast, isEnough } from './enough.ts';

export interface MeasureDeps {
  readonly clock: Clock;
  readonly model: Pick<MeasuredModel, 'run'>;
  readonly memory: {
    /** Resident memory of this process now. */
    readonly usedBytes: () => number;
    /** What it may become. */
    readonly bytesMax: number;
  };
  readonly onPoint: (point: CurvePoint) => void;
}

export interface Measured {
  /** By rows; empty when not even one row could be measured. */
  readonly points: readonly CurvePoint[];
  readonly end: CurveEnd;
}

/** A size takes at most this share of the time that is left. */
const sizeShare = 1 / 5;

/** `msMax`: for all sizes together. */
export async function measureSetup(
  setup: Setup,
  goal: Goal,
  msMax: number,
  { clock, memory, model, onPoint }: MeasureDeps,
): Promise<Measured> {
  const endAtMs = clock.nowMs() + msMax;
  const used: { readonly rows: number; readonly bytes: number }[] = [];
  let points: readonly CurvePoint[] = [];
  for (;;) {
    const next = nextRows(setup, points, goal);
    if ('end' in next) return { points, end: next.end };
    const { rows } = next;
    const startedAtMs = clock.nowMs();
    const leftMs = endAtMs - startedAtMs;
    if (points.length > 0 && leftMs < batchesLeast * expectedMs(points, rows)) {
      return { points, end: { kind: 'time' } };
    }
    if (expectedBytes(used, rows) > memory.bytesMax) return { points, end: { kind: 'memory' } };
    const samples = await model.run(rows, (taken) =>
      isEnough(taken, setup.instances, {
        spentMs: clock.nowMs() - startedAtMs,
        sizeMs: leftMs * sizeShare,
        leftMs,
      }),
    );
    if (!samples.ok) return { points, end: { kind: 'failed', rows, reason: samples.error } };
    const point = pointOf(rows, samples.value);
    points = [...points, point].toSorted((a, b) => a.rows - b.rows);
    used.push({ rows, bytes: memory.usedBytes() });
    onPoint(point);
  }
}

/** A larger batch takes longer by its rows at most. */
function expectedMs(points: readonly CurvePoint[], rows: number): number {
  const below = points.findLast((point) => point.rows <= rows) ?? points[0];
  return below === undefined ? 0 : below.meanMs * Math.max(1, rows / below.rows);
}

/** What the last two sizes say of the next: memory grows with the rows of a batch. */
function expectedBytes(
  used: readonly { readonly rows: number; readonly bytes: number }[],
  rows: number,
): number {
  const [last, previous] = used.toReversed();
  if (last === undefined) return 0;
  if (previous === undefined || last.rows <= previous.rows) return last.bytes;
  const rowBytes = Math.max(0, (last.bytes - previous.bytes) / (last.rows - previous.rows));
  return last.bytes + rowBytes * Math.max(0, rows - last.rows);
}
