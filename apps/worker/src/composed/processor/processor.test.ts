/** A processor in a real thread: what it is given, what it may do, and that its errors end its own job only. */
import { failure, joinBytes, type Tensor } from '@inferry/contracts';
import { err, ok } from '@inferry/runtime';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import {
  contextOf,
  fp32,
  numbersOf,
  type ProcessorFolder,
  processorFolder,
} from './processor.fixture.ts';

let model: ProcessorFolder;
beforeEach(async () => {
  model = await processorFolder();
});
afterEach(() => model.close());

const doubling = `
import type { GivenTensors, ProcessorContext } from 'inferry/processor';

export async function generate(ctx: ProcessorContext): Promise<GivenTensors> {
  let x = ctx.inputs.x!;
  for (let i = 0; i < 3; i += 1) x = (await ctx.run({ x })).y!;
  return { y: x };
}
`;

describe('a processor', () => {
  test('runs steps, each on what the last one gave, and its types are stripped', async () => {
    const program = await model.load(doubling);
    const context = contextOf();
    const end = await program.run([fp32('x', 1, 2)], context);
    expect(end.ok && end.value).toMatchObject([{ name: 'y', datatype: 'FP32', shape: [2] }]);
    expect(numbersOf(end.ok ? end.value[0] : undefined)).toEqual([8, 16]);
    expect(context.steps).toHaveLength(3);
    expect(context.steps[0]).toMatchObject({ model: 'twice', version: null });
    expect(context.steps[0]).not.toHaveProperty('outputs');
  });

  test('has many jobs under way, each with its own steps', async () => {
    const program = await model.load(doubling);
    const ends = await Promise.all(
      Array.from({ length: 8 }, (_, i) => program.run([fp32('x', i)], contextOf())),
    );
    expect(ends.map((end) => numbersOf(end.ok ? end.value[0] : undefined))).toEqual(
      Array.from({ length: 8 }, (_, i) => [i * 8]),
    );
  });

  test('may run steps at the same time, of any model of its list, version and outputs', async () => {
    const program = await model.load(`export async function generate(ctx) {
      const [a, b] = await Promise.all([
        ctx.run({ x: ctx.inputs.x }),
        ctx.run({ x: ctx.inputs.x }, { model: 'other', version: 'canary', outputs: ['y'] }),
      ]);
      return { y: { data: Float32Array.of(a.y.data[0], b.y.data[0]) } };
    }`);
    let open = (): void => undefined;
    const bothCame = new Promise<void>((resolve) => {
      open = resolve;
    });
    const context = contextOf({
      step: async (request) => {
        context.steps.push(request);
        if (context.steps.length === 2) open();
        await bothCame;
        return ok([fp32('y', context.steps.indexOf(request))]);
      },
    });
    const end = await program.run([fp32('x', 1)], context);
    expect(numbersOf(end.ok ? end.value[0] : undefined)).toEqual([0, 1]);
    expect(context.steps[1]).toMatchObject({ model: 'other', version: 'canary', outputs: ['y'] });
  });

  test('passes an input on without a copy, unless it may have written to it', async () => {
    const program = await model.load(`export async function generate({ inputs, run }) {
      await run({ renamed: inputs.x });
      inputs.x.data[0] = 7;
      return { y: (await run({ x: inputs.x })).y };
    }`);
    const context = contextOf();
    const x = fp32('x', 1);
    const end = await program.run([x], context);
    expect(context.steps[0]?.tensors[0]).toEqual({ ...x, name: 'renamed' });
    expect(context.steps[0]?.tensors[0]?.bytes).toBe(x.bytes);
    expect(numbersOf(context.steps[1]?.tensors[0])).toEqual([7]);
    expect(numbersOf(end.ok ? end.value[0] : undefined)).toEqual([14]);
    expect(numbersOf(x)).toEqual([1]);
  });

  test('sees 64-bit integers exactly, texts as texts, and other bytes as they are', async () => {
    const bytes = (...elements: readonly (string | Uint8Array)[]): Uint8Array =>
      joinBytes(elements.map((e) => (typeof e === 'string' ? new TextEncoder().encode(e) : e)));
    const inputs: Tensor[] = [
      {
        name: 'ids',
        datatype: 'INT64',
        shape: [1, 2],
        bytes: new Uint8Array(BigInt64Array.of(2n ** 60n + 1n, -1n).buffer),
      },
      { name: 'words', datatype: 'BYTES', shape: [2], bytes: bytes('grüß', '') },
      { name: 'file', datatype: 'BYTES', shape: [1], bytes: bytes(Uint8Array.of(0xff, 0xd8)) },
    ];
    const program = await model.load(
      `export async function generate({ inputs: { file, ids, words } }) {
        let told = '';
        try { file.data; } catch (cause) { told = cause.message; }
        return {
          sum: { data: BigInt64Array.of(ids.data[0] + ids.data[1]), shape: [] },
          texts: { data: [...words.data, told, file.elements[0]] },
          flags: { data: Uint8Array.of(1), datatype: 'BOOL' },
        };
      }`,
      {
        outputs: [
          { name: 'sum', datatype: 'INT64', shape: [] },
          { name: 'texts', datatype: 'BYTES', shape: [-1] },
          { name: 'flags', datatype: 'BOOL', shape: [1] },
        ],
      },
    );
    const end = await program.run(inputs, contextOf());
    const told = 'element 0 of "file" is no UTF-8 text: read its elements instead';
    expect(end).toEqual(
      ok([
        {
          name: 'sum',
          datatype: 'INT64',
          shape: [],
          bytes: new Uint8Array(BigInt64Array.of(2n ** 60n).buffer),
        },
        {
          name: 'texts',
          datatype: 'BYTES',
          shape: [4],
          bytes: bytes('grüß', '', told, Uint8Array.of(0xff, 0xd8)),
        },
        { name: 'flags', datatype: 'BOOL', shape: [1], bytes: Uint8Array.of(1) },
      ]),
    );
  });

  test('sends parts of its answer in order, and logs', async () => {
    const program = await model.load(`export async function generate({ emit, inputs, log }) {
      for (const value of inputs.x.data) await emit({ y: { data: Float32Array.of(value) } });
      log('all sent');
      console.log('printed');
      return { y: inputs.x };
    }`);
    const context = contextOf();
    expect(await program.run([fp32('x', 1, 2, 3)], context)).toMatchObject({ ok: true });
    expect(context.partials.map(([y]) => numbersOf(y))).toEqual([[1], [2], [3]]);
    expect(model.lines).toContainEqual({
      fields: { text: 'all sent' },
      text: 'the processor logs',
    });
  });

  test('is told when a part of its answer was not taken', async () => {
    const program = await model.load(`export async function generate({ emit, inputs }) {
      await emit({ y: inputs.x });
      return { y: inputs.x };
    }`);
    const context = contextOf({ emit: () => Promise.reject(new Error('too many parts')) });
    const detail = 'The processor failed: too many parts';
    expect(await program.run([fp32('x', 1)], context)).toEqual(err(failure('model_error', detail)));
  });
});

describe('what ends one job of a processor and no other', () => {
  const failing = `export async function generate({ emit, inputs, run }) {
    switch (inputs.x.data[0]) {
      case 1: throw new Error('no such word');
      case 2: return 5;
      case 3: return {};
      case 4: return { y: inputs.x, z: inputs.x };
      case 5: return { y: { data: new Float64Array(1) } };
      case 6: await run({ x: inputs.x }, { model: 'secret' });
      case 7: for (;;) await run({ x: inputs.x });
      case 8: await run({ x: [1, 2] });
      case 9: await run({ x: { data: new Float32Array(3), shape: [2, 2] } });
      case 10: await Promise.all(Array.from({ length: 65 }, () => run({ x: inputs.x })));
      case 11: return { y: { data: new Float32Array(9_000_000) } };
      case 12: await emit({ z: inputs.x });
      case 13: await run({ x: { data: [1, 2] } });
      case 14: throw Object.create(null);
      case 15: throw Object.assign(new Error(), { message: 5, stack: () => 1 });
      case 16: throw { get name() { throw 1; }, toString() { throw 2; } };
      case 17: throw new Proxy(new Error('no'), { get() { throw 3; } });
      case 18: await run({ x: inputs.x }, { version: 1 });
      case 19: await run({ x: inputs.x }, { outputs: 'y' });
      case 20: await run({ x: inputs.x }, { outputs: [1] });
      case 21: await import(new URL('words.ts', import.meta.url));
      default: return { y: inputs.x };
    }
  }`;
  const cases: readonly (readonly [number, string])[] = [
    [1, 'The processor failed: no such word'],
    [2, 'The processor failed: generate must return an object with the outputs: y'],
    [3, 'The processor failed: generate must return the output "y" as well'],
    [4, 'The processor failed: "z" is no output of the model; it has: y'],
    [5, 'The processor failed: output "y" is declared as FP32[-1]; it was given FP64[1]'],
    [6, 'The processor failed: "secret" is not among the models of processor.runs: twice, other'],
    [7, 'The processor failed: a job has at most 5 steps (processor.max_steps)'],
    [8, 'The processor failed: "x" must be a tensor: {data, shape}'],
    [9, 'The processor failed: "x": shape [2, 2] does not fit 3 elements of data'],
    [10, 'The processor failed: a job has at most 64 steps at a time'],
    [11, 'The outputs have 36000000 bytes; at most 33554432 are allowed.'],
    [12, 'The processor failed: "z" is no output of the model; it has: y'],
    [
      13,
      'The processor failed: "x": an array must hold texts or bytes; numbers need a typed array',
    ],
    [14, 'The processor failed: what it threw is no text'],
    [15, 'The processor failed: 5'],
    [16, 'The processor failed: what it threw is no text'],
    [17, 'The processor failed: what it threw is no text'],
    [18, 'The processor failed: the version of a step must be a text'],
    [19, 'The processor failed: the outputs of a step must be an array of names'],
    [20, 'The processor failed: the outputs of a step must be an array of names'],
    [21, "The processor failed: Cannot find module 'words.ts' imported from processor.ts"],
  ];

  test('is what it does wrong, told in words', async () => {
    const stepsMax = { 10: 100 } as Readonly<Record<number, number>>;
    const usual = await model.load(failing);
    const generous = await model.load(failing, {
      processor: { file: `${model.folder}/processor.ts`, runs: ['twice', 'other'], stepsMax: 100 },
    });
    for (const [value, detail] of cases) {
      const program = stepsMax[value] === undefined ? usual : generous;
      const [end, beside] = await Promise.all([
        program.run([fp32('x', value)], contextOf()),
        program.run([fp32('x', 0)], contextOf()),
      ]);
      const code = value === 11 ? 'output_too_large' : 'model_error';
      expect(end, detail).toEqual(err(failure(code, detail)));
      expect(beside.ok).toBe(true);
    }
    expect(JSON.stringify(model.lines)).toContain('processor.ts:3');
  });

  test('is a step that fails, with the code of the step, unless the processor catches it', async () => {
    const program = await model.load(`export async function generate({ inputs, run }) {
      try {
        return { y: (await run({ x: inputs.x })).y };
      } catch (error) {
        if (inputs.x.data[0] === 1) throw error;
        const told = error.name === 'StepError' && error.model === 'twice';
        return { y: { data: Float32Array.of(told && error.code === 'queue_timeout' ? 2 : 0) } };
      }
    }`);
    const late = failure('queue_timeout', 'twice: the job was not started in time');
    const context = contextOf({ step: () => Promise.resolve(err(late)) });
    expect(await program.run([fp32('x', 1)], context)).toEqual(err(late));
    const caught = await program.run([fp32('x', 0)], context);
    expect(numbersOf(caught.ok ? caught.value[0] : undefined)).toEqual([2]);
  });

  test('is that nobody wants it any more: its step and its signal tell it', async () => {
    const program = await model.load(`export async function generate({ inputs, run, signal }) {
      if (inputs.x.data[0] === 1) await run({ x: inputs.x }).catch(() => undefined);
      console.log(signal.aborted ? 'heard of it' : 'not aborted');
      return { y: inputs.x };
    }`);
    const leaving = new AbortController();
    const canceled = program.run(
      [fp32('x', 1)],
      contextOf({
        signal: leaving.signal,
        step: () => {
          leaving.abort();
          return new Promise(() => undefined);
        },
      }),
    );
    const detail = 'Nobody waits for this job any more.';
    expect(await canceled).toEqual(err(failure('canceled_by_user', detail)));
    expect(await program.run([fp32('x', 0)], contextOf())).toMatchObject({ ok: true });
    await expect.poll(() => JSON.stringify(model.lines)).toContain('heard of it');
  });
});
