/** What every queue promises of partial outputs, as tests; a part of the contract of the queue. */
import {
  type ClassId,
  classOf,
  defaultLimits,
  defaultTenant,
  type JobEnvelope,
  type JobOutput,
  newJobId,
  type Outcome,
} from '@inferry/contracts';
import { systemRandom } from '@inferry/runtime';
import { waitFor } from '@inferry/testkit';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { PartialMark, PartialOutput, PartialsRead } from './partials.ts';
import type { Claim, JobQueue } from './port.ts';

interface Queues {
  readonly queue: JobQueue;
  readonly other: JobQueue;
}

const start: PartialMark = { epoch: 0, number: 0 };
const foreverMs = 600_000;
let classes = 0;

function text(value: string): JobOutput {
  return { form: 'rows', rows: [value] };
}

function textOf({ output }: PartialOutput): unknown {
  return output.form === 'rows' ? output.rows[0] : output.tensors;
}

const outcome: Outcome = {
  status: 'succeeded',
  output: { form: 'rows', rows: ['whole'] },
  error: null,
  batchRows: 1,
  timings: null,
  readyAtMs: null,
  overtakenBy: 0,
};

async function enqueue(queue: JobQueue, over: Partial<JobEnvelope> = {}): Promise<JobEnvelope> {
  classes += 1;
  const job: JobEnvelope = {
    v: 1,
    id: newJobId(1_763_000_000_000, systemRandom),
    class: classOf(`parts${classes}`, '1'),
    tenant: defaultTenant,
    priority: 'normal',
    rows: 1,
    payloadBytes: 1,
    mode: 'async',
    gateway: null,
    requestId: 'req_1',
    admissionMs: 0,
    deadlineMs: foreverMs,
    queueTimeoutMs: foreverMs,
    executionTimeoutMs: foreverMs,
    attemptsMax: 9,
    retentionMs: foreverMs,
    metadata: {},
    ...over,
  };
  const terms = { depthMax: 9, bytesMax: 999, tenantDepthMax: null, weight: 4, budget: null };
  await queue.enqueue(job, new Uint8Array(1), terms);
  return job;
}

async function claim(queue: JobQueue, cls: ClassId, workerId = 'w1'): Promise<Claim> {
  const { claims } = await queue.claim(cls, {
    workerId,
    rowsMax: 1,
    rowsMin: 1,
    takeSuspect: true,
    freeInMs: [0],
    agingMs: foreverMs,
  });
  const [taken] = claims;
  if (taken === undefined) throw new Error('no job to claim');
  return taken;
}

async function read(queue: JobQueue, job: JobEnvelope, mark: PartialMark): Promise<PartialsRead> {
  const follower = queue.partials.follow(job, () => undefined);
  const told = await follower.read(mark);
  follower.stop();
  if (!told.ok) throw new Error(told.error.detail);
  return told.value;
}

/** Reads until there is nothing more, as a caller does that forgets what a reset makes void. */
class Reader {
  readonly seen: unknown[] = [];
  mark = start;

  async readOn(queue: JobQueue, job: JobEnvelope): Promise<PartialsRead> {
    for (;;) {
      const told = await read(queue, job, this.mark);
      if (told.isReset) {
        this.seen.length = 0;
        this.mark = start;
      }
      for (const partial of told.partials) {
        this.seen.push(textOf(partial));
        this.mark = partial.mark;
      }
      if (!told.hasMore) return told;
    }
  }
}

export function testPartials(queues: () => Queues): void {
  test('what a claim tells is read in order from any place, by every process, also after the end', async () => {
    const { queue, other } = queues();
    const job = await enqueue(queue);
    expect(await read(other, job, start)).toMatchObject({ state: 'queued', partials: [] });
    const held = await claim(queue, job.class);
    expect(await read(other, job, start)).toMatchObject({ state: 'running', attempt: 1 });
    for (const [i, word] of ['a', 'b', 'c'].entries()) {
      const told = await queue.partials.emit(job.class, held, i + 1, text(word));
      expect(told).toEqual({ ok: true, value: 'told' });
    }
    const marks = [1, 2, 3].map((number) => ({ epoch: 1, number }));
    const all = await read(other, job, start);
    expect(all.partials.map(({ mark }) => mark)).toEqual(marks);
    expect(all.partials.map(textOf)).toEqual(['a', 'b', 'c']);
    await queue.settle(job.class, [{ claim: held, outcome }]);
    const rest = await read(other, job, { epoch: 1, number: 1 });
    expect(rest).toMatchObject({ state: 'ended', isReset: false, hasMore: false });
    expect(rest.partials.map(textOf)).toEqual(['b', 'c']);
  });

  test('tensors are told as they are', async () => {
    const { queue } = queues();
    const job = await enqueue(queue);
    const held = await claim(queue, job.class);
    const tensors = [
      {
        name: 'x',
        datatype: 'FP32',
        shape: [1, 2],
        bytes: Uint8Array.of(0, 0, 128, 63, 0, 0, 0, 64),
      },
    ] as const;
    await queue.partials.emit(job.class, held, 1, { form: 'tensors', tensors });
    const told = await read(queue, job, start);
    expect(told.partials.map(textOf)).toEqual([
      tensors.map((tensor) => ({ ...tensor, bytes: expect.anything() as unknown })),
    ]);
    const [first] = told.partials.map(textOf) as [{ bytes: Uint8Array }[]];
    expect([...(first[0]?.bytes ?? [])]).toEqual([0, 0, 128, 63, 0, 0, 0, 64]);
  });

  test('followers are woken by a start, a partial output and the end, those of another process too', async () => {
    const { queue, other } = queues();
    const job = await enqueue(queue);
    const wakes = { own: 0, other: 0 };
    const followers = [
      queue.partials.follow(job, () => void (wakes.own += 1)),
      other.partials.follow(job, () => void (wakes.other += 1)),
    ];
    for (const follower of followers) await follower.read(start);
    const isWoken = async (act: () => Promise<unknown>): Promise<void> => {
      const before = { ...wakes };
      await act();
      await waitFor(() => wakes.own > before.own && wakes.other > before.other, {
        timeoutMs: 5_000,
      });
    };
    let held: Claim | undefined;
    await isWoken(async () => (held = await claim(queue, job.class)));
    await isWoken(() => queue.partials.emit(job.class, held!, 1, text('a')));
    await isWoken(() => queue.settle(job.class, [{ claim: held!, outcome }]));
    for (const follower of followers) follower.stop();
  });

  test('a claim that was lost tells nothing more, and what it told is void once another tells', async () => {
    const { queue } = queues();
    const job = await enqueue(queue);
    const lost = await claim(queue, job.class);
    await queue.partials.emit(job.class, lost, 1, text('old'));
    const { mark } = (await read(queue, job, start)).partials[0]!;
    await queue.giveBack(job.class, [lost], false);
    const now = await claim(queue, job.class, 'w2');
    expect(await queue.partials.emit(job.class, lost, 2, text('late'))).toEqual({
      ok: true,
      value: 'lost',
    });
    // The same attempt as before: it was given back.
    expect(now.attempt).toBe(1);
    expect(await read(queue, job, mark)).toMatchObject({ isReset: false, partials: [] });
    await queue.partials.emit(job.class, now, 1, text('new'));
    const told = await read(queue, job, mark);
    expect(told.isReset).toBe(true);
    expect(told.partials.map(textOf)).toEqual(['new']);
  });

  test('partial outputs of a claim that did not end the job go with its end', async () => {
    const { queue } = queues();
    const job = await enqueue(queue);
    const lost = await claim(queue, job.class);
    await queue.partials.emit(job.class, lost, 1, text('old'));
    await queue.giveBack(job.class, [lost], false);
    await queue.cancel(job.id, 'enough');
    const told = await read(queue, job, { epoch: 1, number: 1 });
    expect(told).toMatchObject({ state: 'ended', isReset: true, partials: [] });
  });

  test('a job tells so many partial outputs, and so many bytes, and no more', async () => {
    const { queue } = queues();
    const { partialBytesPerJobMax, partialsPerJobMax } = defaultLimits;
    const many = await enqueue(queue);
    const held = await claim(queue, many.class);
    for (let number = 1; number <= partialsPerJobMax; number += 1) {
      await queue.partials.emit(many.class, held, number, text('x'));
    }
    const over = await queue.partials.emit(many.class, held, partialsPerJobMax + 1, text('x'));
    expect(over).toMatchObject({
      ok: false,
      error: {
        code: 'output_too_large',
        detail: expect.stringContaining(`${partialsPerJobMax}`) as string,
      },
    });
    const large = await enqueue(queue);
    const other = await claim(queue, large.class);
    const half = text('y'.repeat(partialBytesPerJobMax / 2));
    await queue.partials.emit(large.class, other, 1, half);
    const heavy = await queue.partials.emit(large.class, other, 2, half);
    expect(heavy).toMatchObject({
      ok: false,
      error: { detail: expect.stringContaining(`${partialBytesPerJobMax}`) as string },
    });
    // What does not fit takes no room.
    const light = await queue.partials.emit(large.class, other, 2, text('z'));
    expect(light).toEqual({ ok: true, value: 'told' });
  });

  test('large partial outputs are read a few at a time', async () => {
    const { queue, other } = queues();
    const job = await enqueue(queue);
    const held = await claim(queue, job.class);
    const words = ['a', 'b', 'c', 'd', 'e'].map((letter) => letter.repeat(150_000));
    for (const [i, word] of words.entries()) {
      await queue.partials.emit(job.class, held, i + 1, text(word));
    }
    const first = await read(other, job, start);
    expect(first).toMatchObject({ hasMore: true });
    expect(first.partials).toHaveLength(2);
    const reader = new Reader();
    await reader.readOn(other, job);
    expect(reader.seen).toEqual(words);
  });

  test('partial outputs count as bytes of the outcome, and go when it is removed', async () => {
    const { queue } = queues();
    const job = await enqueue(queue);
    const held = await claim(queue, job.class);
    await queue.partials.emit(job.class, held, 1, text('y'.repeat(20_000)));
    await queue.partials.emit(job.class, held, 2, text('y'.repeat(20_000)));
    await queue.settle(job.class, [{ claim: held, outcome }]);
    expect((await queue.stats([job.class]))[0]!.resultBytes).toBeGreaterThan(40_000);
    await queue.erase(job.id);
    expect((await queue.stats([job.class]))[0]!.resultBytes).toBe(0);
    expect(await read(queue, job, start)).toMatchObject({ state: 'gone', partials: [] });
  });

  test('a job that nobody knows is gone', async () => {
    const { queue } = queues();
    const job = { id: newJobId(0, systemRandom), class: classOf('nobody', '1') };
    const told = await read(queue, job as JobEnvelope, start);
    expect(told).toMatchObject({ state: 'gone', partials: [], isReset: false });
  });

  test('a reader that comes and goes as it likes sees what the last start told, each once', async () => {
    const step = fc.oneof(
      { weight: 6, arbitrary: fc.constant('emit' as const) },
      { weight: 1, arbitrary: fc.constant('burst' as const) },
      { weight: 1, arbitrary: fc.constant('emitAgain' as const) },
      { weight: 1, arbitrary: fc.constant('emitLate' as const) },
      { weight: 4, arbitrary: fc.constant('read' as const) },
      { weight: 3, arbitrary: fc.constant('readElsewhere' as const) },
      { weight: 1, arbitrary: fc.constant('restart' as const) },
    );
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 30 }), async (steps) => {
        const { queue, other } = queues();
        const job = await enqueue(queue);
        const reader = new Reader();
        const old: Claim[] = [];
        let held = await claim(queue, job.class);
        let told: string[] = [];
        let number = 0;
        let isTold = false;
        const emit = async (): Promise<void> => {
          number += 1;
          if (!isTold) told = [];
          isTold = true;
          const word = `${held.fence}/${number}`;
          told.push(word);
          await queue.partials.emit(job.class, held, number, text(word));
        };
        for (const what of steps) {
          switch (what) {
            case 'emit':
              await emit();
              break;
            case 'burst':
              for (let i = 0; i < 70; i += 1) await emit();
              break;
            case 'emitAgain':
              if (isTold) await queue.partials.emit(job.class, held, number, text('again'));
              break;
            case 'emitLate':
              for (const lost of old) await queue.partials.emit(job.class, lost, 99, text('late'));
              break;
            case 'read':
              await reader.readOn(queue, job);
              expect(reader.seen).toEqual(told);
              break;
            case 'readElsewhere':
              await reader.readOn(other, job);
              expect(reader.seen).toEqual(told);
              break;
            case 'restart':
              old.push(held);
              await queue.giveBack(job.class, [held], false);
              held = await claim(queue, job.class);
              number = 0;
              isTold = false;
          }
        }
        await queue.settle(job.class, [{ claim: held, outcome }]);
        expect(await reader.readOn(other, job)).toMatchObject({ state: 'ended' });
        expect(reader.seen).toEqual(isTold ? told : []);
      }),
      { numRuns: 40 },
    );
  });
}
