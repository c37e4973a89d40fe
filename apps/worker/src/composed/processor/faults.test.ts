/** A processor's thread that hangs or breaks: whose fault it is, what becomes of the others, and that work goes on. */
import { readFile } from 'node:fs/promises';
import { failure } from '@inferry/contracts';
import { err, ok } from '@inferry/runtime';
import { afterEach, beforeEach, describe, expect, test, vi } from 'vitest';
import {
  contextOf,
  fp32,
  numbersOf,
  type ProcessorFolder,
  processorFolder,
} from './processor.fixture.ts';

// Each starts threads anew, and waits for limits to pass.
vi.setConfig({ testTimeout: 60_000 });

let model: ProcessorFolder;
beforeEach(async () => {
  model = await processorFolder();
});
afterEach(() => model.close());

/** No job of these tests has that much to do, on however busy a machine. */
const limit = { executionTimeoutMs: 2_000 };

const text = `export async function generate({ inputs, run }) {
  const [how] = inputs.x.data;
  const { y } = await run({ x: inputs.x });
  if (how === 1) for (;;);
  if (how === 2) await new Promise(() => undefined);
  if (how === 3) await new Promise(() => setTimeout(() => { for (;;); }));
  if (how === 4) await new Promise(() => setTimeout(() => { throw new Error('in a timer'); }));
  if (how === 5) process.exit(3);
  return { y };
}`;

const timeout = failure(
  'execution_timeout',
  'The processor did nothing but its own work for 2000 ms, its limit.',
);
/** A job whose step is answered when it is let go. */
function waiting(): { readonly context: ReturnType<typeof contextOf>; readonly letGo: () => void } {
  let letGo = (): void => undefined;
  const isFree = new Promise<void>((resolve) => {
    letGo = resolve;
  });
  const context = contextOf({
    step: async () => {
      context.steps.push({ model: 'twice', version: null, tensors: [] });
      await isFree;
      return ok([fp32('y', 0)]);
    },
  });
  return { context, letGo };
}

describe('a thread that hangs', () => {
  test('ends the job whose code it runs, and gives the others back unharmed', async () => {
    const program = await model.load(text, limit);
    const { context } = waiting();
    const other = program.run([fp32('x', 0)], context);
    await expect.poll(() => context.steps.length).toBe(1);
    const hanging = program.run([fp32('x', 1)], contextOf());
    expect(await hanging).toEqual(err(timeout));
    expect(await other).toEqual(err({ code: 'program_lost', asSuspect: false }));
    const next = await program.run([fp32('x', 4.5)], contextOf());
    expect(numbersOf(next.ok ? next.value[0] : undefined)).toEqual([9]);
  });

  test('gives all back as suspects where nobody knows whose code it runs; a suspect is alone', async () => {
    const program = await model.load(text, limit);
    const { context } = waiting();
    const other = program.run([fp32('x', 0)], context);
    const hanging = program.run([fp32('x', 3)], contextOf());
    const lost = err({ code: 'program_lost', asSuspect: true });
    expect(await Promise.all([other, hanging])).toEqual([lost, lost]);
    const suspects = await Promise.all([
      program.run([fp32('x', 3)], contextOf({ isSuspect: true })),
      program.run([fp32('x', 0)], contextOf({ isSuspect: true })),
      program.run([fp32('x', 0)], contextOf()),
    ]);
    expect(suspects.map((end) => (end.ok ? 'succeeded' : end.error))).toEqual([
      timeout,
      'succeeded',
      'succeeded',
    ]);
  });
});

describe('a suspect', () => {
  const counting = `import { appendFileSync } from 'node:fs';
    appendFileSync(new URL('loads', import.meta.url), '.');
    ${text}`;

  test('runs beside a few others; one that nobody wants any more when its turn comes gets no thread', async () => {
    const program = await model.load(counting, limit);
    const first = Array.from({ length: 4 }, waiting);
    const running = first.map(({ context }) =>
      program.run([fp32('x', 0)], { ...context, isSuspect: true }),
    );
    const begun = () => first.map(({ context }) => context.steps.length);
    await expect.poll(begun, { timeout: 20_000 }).toEqual([1, 1, 1, 1]);
    const leaving = new AbortController();
    const suspect = (signal = new AbortController().signal) =>
      program.run([fp32('x', 0)], contextOf({ isSuspect: true, signal }));
    const unwanted = suspect(leaving.signal);
    leaving.abort();
    const later = Array.from({ length: 4 }, () => suspect());
    for (const { letGo } of first) letGo();
    const ends = await Promise.all([...running, ...later, unwanted]);
    expect(ends.map((end) => end.ok)).toEqual([...Array(8).fill(true), false]);
    expect(await readFile(`${model.folder}/loads`, 'utf8')).toBe('.'.repeat(9));
  });
});

describe('what the worker does wrong over a step', () => {
  test.each([
    [
      'at once',
      () => {
        throw new Error('a bug');
      },
    ],
    ['later', () => Promise.reject(new Error('a bug'))],
  ])('%s ends the job, and the others of its thread go on', async (_, step) => {
    const program = await model.load(text, limit);
    const { context, letGo } = waiting();
    const other = program.run([fp32('x', 0)], context);
    const detail = 'The worker failed to serve this job.';
    expect(await program.run([fp32('x', 0)], contextOf({ step }))).toEqual(
      err(failure('internal', detail)),
    );
    letGo();
    expect(await other).toMatchObject({ ok: true });
  });
});

describe('a step, or a part of the answer, that nobody waits for', () => {
  test.each([
    ['a step beside another', 'const a = run({ x }); const b = run({ x }); await a; await b;'],
    ['a part of the answer', 'const sent = emit({ y: x }); await run({ x });'],
    ['a part that is wrong', 'const next = run({ x }); emit({ z: x }).then(() => 0); await next;'],
  ])('takes no other job along when the job is canceled: %s', async (_, doing) => {
    const program = await model.load(
      `export async function generate({ emit, inputs: { x }, run }) { ${doing} return { y: x }; }`,
      limit,
    );
    const { context, letGo } = waiting();
    const other = program.run([fp32('x', 0)], context);
    const leaving = new AbortController();
    const never = (): Promise<never> => new Promise(() => undefined);
    let asked = 0;
    const step = (): Promise<never> => {
      asked += 1;
      return never();
    };
    const canceled = program.run(
      [fp32('x', 0)],
      contextOf({ signal: leaving.signal, step, emit: never }),
    );
    await expect.poll(() => asked).toBeGreaterThan(0);
    leaving.abort();
    expect(await canceled).toMatchObject({ ok: false });
    expect(await program.run([fp32('x', 0)], contextOf())).toMatchObject({ ok: true });
    letGo();
    expect(await other).toMatchObject({ ok: true });
  });
});

describe('a job that waits for nothing', () => {
  test('ends at its limit, and the others of its thread go on', async () => {
    const program = await model.load(text, limit);
    const { context, letGo } = waiting();
    // Its step takes longer than the limit, which counts its own work only.
    const other = program.run([fp32('x', 0)], context);
    expect(await program.run([fp32('x', 2)], contextOf())).toEqual(err(timeout));
    letGo();
    expect(await other).toMatchObject({ ok: true });
  });

  test('and never comes back uses its thread up, which is replaced once the others have ended', async () => {
    const program = await model.load(text, limit);
    const { context, letGo } = waiting();
    const other = program.run([fp32('x', 0)], context);
    const stuck = Array.from({ length: 16 }, () => program.run([fp32('x', 2)], contextOf()));
    expect(await Promise.all(stuck)).toEqual(stuck.map(() => err(timeout)));
    expect(await program.run([fp32('x', 0)], contextOf())).toMatchObject({ ok: true });
    letGo();
    expect(await other).toMatchObject({ ok: true });
  });
});

describe('a thread that breaks', () => {
  test('ends the job that was alone in it, and is replaced', async () => {
    const program = await model.load(text, limit);
    const broken = 'The thread of the processor broke: in a timer';
    expect(await program.run([fp32('x', 4)], contextOf())).toEqual(
      err(failure('model_error', broken)),
    );
    expect(await program.run([fp32('x', 0)], contextOf())).toMatchObject({ ok: true });
    expect(model.lines.map((line) => line.text)).toContain(
      'the thread of a processor broke; it is replaced',
    );
  });

  test('ends the job that ended it', async () => {
    const program = await model.load(text, limit);
    const { context } = waiting();
    const other = program.run([fp32('x', 0)], context);
    await expect.poll(() => context.steps.length).toBe(1);
    expect(await program.run([fp32('x', 5)], contextOf())).toEqual(
      err(failure('model_error', 'The thread of the processor broke: it ended with 3')),
    );
    expect(await other).toEqual(err({ code: 'program_lost', asSuspect: false }));
  });

  test('whose file is broken by now tells it to its jobs, until it is mended', async () => {
    const program = await model.load(text, limit);
    await model.put('processor.ts', 'const =');
    await program.run([fp32('x', 5)], contextOf());
    expect(await program.run([fp32('x', 0)], contextOf())).toMatchObject({
      error: { code: 'model_error', detail: expect.stringMatching(/processor\.ts:1: /u) },
    });
    await model.put('processor.ts', text);
    expect(await program.run([fp32('x', 0)], contextOf())).toMatchObject({ ok: true });
  });
});
