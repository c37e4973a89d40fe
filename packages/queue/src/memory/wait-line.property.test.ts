import { classOf, type JobId, type Priority } from '@inferry/contracts';
import { queueRules as rules } from '@inferry/scheduling';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { aJob } from '../job-queue.contract.ts';
import { type Job, newJob } from './job.ts';
import { WaitLine } from './wait-line.ts';

const weights: Readonly<Record<Priority, number>> = { high: 8, normal: 4, low: 1 };

type Command =
  | {
      readonly do: 'arrive';
      readonly tenant: string;
      readonly priority: Priority;
      readonly rows: number;
    }
  | { readonly do: 'take'; readonly byAge: boolean }
  | { readonly do: 'restore' | 'drop' | 'end'; readonly pick: number }
  | { readonly do: 'prune' };

const pick = fc.nat(99);
const commands: fc.Arbitrary<readonly Command[]> = fc.array(
  fc.oneof(
    {
      weight: 4,
      arbitrary: fc.record({
        do: fc.constant('arrive'),
        tenant: fc.constantFrom('a', 'b'),
        priority: fc.constantFrom('high', 'low'),
        rows: fc.integer({ min: 1, max: 3 }),
      }),
    },
    { weight: 4, arbitrary: fc.record({ do: fc.constant('take'), byAge: fc.boolean() }) },
    {
      weight: 4,
      arbitrary: fc.record({ do: fc.constantFrom('restore', 'restore', 'drop', 'end'), pick }),
    },
    { weight: 1, arbitrary: fc.record({ do: fc.constant('prune') }) },
  ),
  { maxLength: 100, size: 'max' },
);

/** A line, and everything that is told of it counted anew from the jobs themselves. */
class Counted {
  readonly #line = new WaitLine(rules);
  readonly #jobs: Job[] = [];
  #waiting: Job[] = [];
  #active: Job[] = [];
  /** Taken for good, or claimed now. */
  readonly #gone = new Set<Job>();
  #takenFirst: Job[] = [];

  run(command: Command): void {
    switch (command.do) {
      case 'arrive':
        this.#arrive(command);
        break;
      case 'take':
        this.#take(command.byAge);
        break;
      case 'restore': {
        const job = this.#active[command.pick % Math.max(1, this.#active.length)];
        if (job === undefined) break;
        this.#active = this.#active.filter((other) => other !== job);
        this.#gone.delete(job);
        this.#line.restore(job);
        this.#waiting.push(job);
        break;
      }
      case 'drop': {
        const job = this.#waiting[command.pick % Math.max(1, this.#waiting.length)];
        if (job === undefined) break;
        this.#waiting = this.#waiting.filter((other) => other !== job);
        this.#line.drop(job);
        break;
      }
      case 'end':
        this.#active.splice(command.pick % Math.max(1, this.#active.length), 1);
        break;
      case 'prune':
        this.#line.prune([...this.#waiting, ...this.#active]);
        break;
    }
    this.#compare();
  }

  #arrive({ priority, rows, tenant }: Command & { do: 'arrive' }): void {
    const seq = this.#jobs.length + 1;
    // Ids without an order in time, so that ties fall either way.
    const id = `job_${((seq * 7_919) % 1_009).toString().padStart(4, '0')}` as JobId;
    const envelope = aJob(classOf('m', '1'), { id, tenant, priority, rows });
    const tag = this.#line.tagOf(envelope);
    const ahead = this.#line.aheadOf(tag);
    expect(ahead).toBe(this.#waiting.filter((job) => job.tag <= tag).length);
    const place = this.#line.arrive(envelope, weights[priority], seq);
    expect(place.tag).toBe(tag);
    const job = newJob(envelope, new Uint8Array(seq % 3), {
      seq,
      nowMs: seq,
      place,
      estimate: null,
      budget: null,
    });
    this.#line.add(job);
    this.#jobs.push(job);
    this.#waiting.push(job);
  }

  #take(byAge: boolean): void {
    const elder = byAge ? this.#line.elder(Infinity) : undefined;
    const job = elder ?? this.#line.first;
    if (job === undefined) return;
    const { tag, wasTaken } = job;
    if (elder !== undefined) expect(this.#waiting.some((other) => other.wasTaken)).toBe(false);
    // Whoever came back goes first, in the order in which they left first; a flow keeps its own order.
    const back = this.#takenFirst.find((other) => this.#waiting.includes(other));
    if (back !== undefined) expect(job).toBe(back);
    expect(this.#waiting.every((other) => other.flow !== job.flow || other.seq >= job.seq)).toBe(
      true,
    );
    const overtakers = [...this.#gone].filter(
      (other) => other.flow === job.flow && other.seq > job.seq,
    );
    expect(this.#line.overtakenBy(job)).toBe(overtakers.length);
    const before = this.#line.virtualTime;
    this.#line.take(job);
    const isInTurn = elder === undefined && !wasTaken;
    expect(this.#line.virtualTime).toBe(isInTurn ? Math.max(before, tag + 1) : before);
    this.#waiting = this.#waiting.filter((other) => other !== job);
    this.#active.push(job);
    this.#gone.add(job);
    if (!wasTaken) this.#takenFirst.push(job);
  }

  #compare(): void {
    const line = this.#line;
    const waiting = this.#waiting;
    const rows = waiting.reduce((sum, job) => sum + job.envelope.rows, 0);
    expect({
      jobs: line.jobs,
      rows: line.rows,
      bytes: line.bytes,
      ofA: line.jobsOf('a'),
      ofB: line.jobsOf('b'),
      isMixed: line.isMixed,
      rowsOfAll: line.rowsOfFirst(line.jobs),
      ranks: waiting.map((job) => line.rankOf(job)).toSorted((a, b) => a - b),
      oldest: line.oldest?.seq,
    }).toEqual({
      jobs: waiting.length,
      rows,
      bytes: waiting.reduce((sum, job) => sum + job.payload.length, 0),
      ofA: waiting.filter(({ envelope }) => envelope.tenant === 'a').length,
      ofB: waiting.filter(({ envelope }) => envelope.tenant === 'b').length,
      isMixed: new Set(waiting.map(({ flow }) => flow)).size > 1,
      rowsOfAll: rows,
      ranks: waiting.map((_, rank) => rank),
      oldest: waiting.map(({ seq }) => seq).toSorted((a, b) => a - b)[0],
    });
    if (line.first !== undefined) expect(line.rankOf(line.first)).toBe(0);
  }
}

test('the line counts what waits, whatever comes, leaves and comes back', () => {
  fc.assert(
    fc.property(commands, (sequence) => {
      const counted = new Counted();
      for (const command of sequence) counted.run(command);
    }),
    { numRuns: 400, seed: 20_261_121 },
  );
});
