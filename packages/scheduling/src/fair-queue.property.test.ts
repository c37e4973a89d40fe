/** What fair queueing promises, over random histories of arrivals and turns. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { flowWeight, nextTag, startTag, timeAfter } from './fair-queue.ts';

interface Job {
  readonly flow: number;
  readonly seq: number;
  readonly tag: number;
  /** Waiting jobs of its own flow when it arrived. */
  readonly ownAhead: number;
}

/** The rules at work: jobs are added to flows, and the smallest (tag, seq) is taken. */
class Line {
  readonly #weights: readonly number[];
  readonly #flowTags: number[];
  readonly waiting: Job[] = [];
  readonly taken: Job[] = [];
  virtualTime = 0;
  #seq = 0;

  constructor(weights: readonly number[]) {
    this.#weights = weights;
    this.#flowTags = weights.map(() => 0);
  }

  add(flow: number, rows = 1): void {
    const tag = startTag(this.virtualTime, this.#flowTags[flow]!);
    this.#flowTags[flow] = nextTag(tag, rows, this.#weights[flow]!);
    const ownAhead = this.waiting.filter((job) => job.flow === flow).length;
    this.waiting.push({ flow, seq: this.#seq, tag, ownAhead });
    this.#seq += 1;
  }

  take(): Job | undefined {
    const [first] = this.waiting.toSorted((a, b) => a.tag - b.tag || a.seq - b.seq);
    if (first === undefined) return undefined;
    this.waiting.splice(this.waiting.indexOf(first), 1);
    this.virtualTime = timeAfter(this.virtualTime, first.tag);
    this.taken.push(first);
    return first;
  }
}

const priority = fc.constantFrom('high' as const, 'normal' as const, 'low' as const);

function weightsUpTo(max: number): fc.Arbitrary<readonly number[]> {
  const flow = fc.tuple(fc.integer({ min: 1, max }), priority);
  return fc
    .array(flow, { minLength: 2, maxLength: 5 })
    .map((flows) => flows.map(([tenant, priority]) => flowWeight(tenant, priority)));
}

/** Arrivals of one flow each, or turns (null). Flooders are likely: several arrivals come at a time. */
const steps = fc
  .array(
    fc.oneof(
      fc.record({ flow: fc.nat(4), times: fc.integer({ min: 1, max: 30 }) }),
      fc.record({ flow: fc.constant(null), times: fc.integer({ min: 1, max: 10 }) }),
    ),
    { minLength: 5, maxLength: 40 },
  )
  .map((bursts) => bursts.flatMap(({ flow, times }) => Array<number | null>(times).fill(flow)));

function played(weights: readonly number[], steps: readonly (number | null)[]): Line {
  const line = new Line(weights);
  for (const flow of steps) {
    if (flow === null) line.take();
    else line.add(flow % weights.length);
  }
  while (line.take() !== undefined);
  return line;
}

/** For every job: how many of another flow were taken while it waited, and how many may have been. */
function checkPreceding(
  weights: readonly number[],
  steps: readonly (number | null)[],
  mayPrecede: (ownAhead: number, own: number, other: number) => number,
): void {
  const line = new Line(weights);
  const preceding = new Map<number, number[]>();
  const check = (): void => {
    const job = line.take();
    if (job === undefined) return;
    for (const { seq } of line.waiting) preceding.get(seq)![job.flow]! += 1;
    for (const [other, count] of preceding.get(job.seq)!.entries()) {
      if (other === job.flow) expect(count).toBe(job.ownAhead);
      else {
        const most = mayPrecede(job.ownAhead, weights[job.flow]!, weights[other]!);
        expect(count).toBeLessThanOrEqual(most);
      }
    }
  };
  for (const flow of steps) {
    if (flow === null) check();
    else {
      line.add(flow % weights.length);
      const counts = weights.map(() => 0);
      preceding.set(line.waiting.at(-1)!.seq, counts);
    }
  }
  while (line.waiting.length > 0) check();
}

describe('fair queueing', () => {
  test('G3: a job with q of its own ahead waits for (q + 1) * w_other / w_own + 1 of another flow', () => {
    fc.assert(
      fc.property(weightsUpTo(10), steps, (weights, steps) => {
        checkPreceding(
          weights,
          steps,
          (ahead, own, other) => Math.floor(((ahead + 1) * other) / own) + 1,
        );
      }),
    );
  });

  test('G3 holds within 4 % for weights that do not divide a row', () => {
    fc.assert(
      fc.property(weightsUpTo(100), steps, (weights, steps) => {
        checkPreceding(
          weights,
          steps,
          (ahead, own, other) => Math.floor((1.04 * (ahead + 1) * other) / own) + 1,
        );
      }),
    );
  });

  test('with one flow jobs are taken in order of arrival', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 100 }), priority, steps, (tenant, priority, steps) => {
        const { taken } = played([flowWeight(tenant, priority)], steps);
        expect(taken.map(({ seq }) => seq)).toEqual(taken.map((_, at) => at));
      }),
    );
  });

  test('within a flow jobs are taken in order of arrival', () => {
    fc.assert(
      fc.property(weightsUpTo(100), steps, (weights, steps) => {
        const { taken } = played(weights, steps);
        for (const flow of weights.keys()) {
          const seqs = taken.filter((job) => job.flow === flow).map(({ seq }) => seq);
          expect(seqs).toEqual(seqs.toSorted((a, b) => a - b));
        }
      }),
    );
  });

  test('virtual time never falls, and is past the tag of every job that was taken in its turn', () => {
    fc.assert(
      fc.property(weightsUpTo(100), steps, (weights, steps) => {
        const line = new Line(weights);
        let before = 0;
        for (const flow of steps) {
          if (flow !== null) line.add(flow % weights.length);
          const job = flow === null ? line.take() : undefined;
          if (job !== undefined) expect(line.virtualTime).toBeGreaterThan(job.tag);
          expect(line.virtualTime).toBeGreaterThanOrEqual(before);
          before = line.virtualTime;
        }
      }),
    );
  });

  test('of any 100 turns while all have work waiting, each flow has its share, to a job or two', () => {
    fc.assert(
      fc.property(weightsUpTo(10), fc.nat(150), (weights, skipped) => {
        const line = new Line(weights);
        // Each keeps two jobs waiting: then all are backlogged throughout.
        for (const flow of weights.keys()) for (let i = 0; i < 2; i += 1) line.add(flow);
        const turns = Array.from({ length: skipped + 100 }, () => {
          const job = line.take();
          expect(job).toBeDefined();
          line.add(job!.flow);
          return job!.flow;
        }).slice(-100);
        const all = weights.reduce((sum, weight) => sum + weight, 0);
        for (const [flow, weight] of weights.entries()) {
          const share = weight / all;
          const had = turns.filter((turn) => turn === flow).length;
          expect(Math.abs(had - 100 * share)).toBeLessThanOrEqual(1 + weights.length * share);
        }
      }),
      { numRuns: 50 },
    );
  });
});
