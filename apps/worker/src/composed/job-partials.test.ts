/** What programs of composed models tell before the end of their jobs. */
import { classOf, defaultLimits, type Tensor } from '@inferry/contracts';
import { ok } from '@inferry/runtime';
import { expect, test } from 'vitest';
import { advance, virtualFixture } from '../worker.fixture.ts';
import { ensembleOf, openLanes } from './lane.fixture.ts';
import type { Program, ProgramContext } from './program.ts';

const talker = ensembleOf('talker', []);
const cls = classOf('talker', '1');
const start = { epoch: 0, number: 0 };

function part(value: number): readonly Tensor[] {
  const bytes = new Uint8Array(new Float32Array([value]).buffer);
  return [{ name: 'y', datatype: 'FP32', shape: [1, 1], bytes }];
}

async function talking(run: (context: ProgramContext) => Promise<readonly Tensor[]>) {
  const fixture = virtualFixture({});
  await fixture.worker.start();
  const { clock, queue } = fixture;
  const program: Program = {
    run: async (_inputs, context) => ok(await run(context)),
    close: () => Promise.resolve(),
  };
  const lanes = await openLanes({ clock, queue, composed: [talker], programOf: () => program });
  return {
    ...fixture,
    async told(id: Awaited<ReturnType<typeof fixture.submit>>): Promise<readonly number[]> {
      const follower = queue.partials.follow({ id, class: cls }, () => undefined);
      const read = await follower.read(start);
      follower.stop();
      if (!read.ok) throw new Error(read.error.detail);
      return read.value.partials.map(({ output }) => {
        const bytes = output.form === 'tensors' ? output.tensors[0]?.bytes : undefined;
        return new Float32Array(bytes?.slice().buffer ?? new ArrayBuffer(0))[0] ?? NaN;
      });
    },
    async stop() {
      for (const step of [lanes.stop, () => fixture.worker.close()]) {
        const stopping = step();
        await advance(clock, 3_000);
        await stopping;
      }
    },
  };
}

test('parts are kept in the order in which they were told, also those that nobody awaited', async () => {
  const fixture = await talking(async ({ emit }) => {
    for (const value of [1, 2, 3]) void emit(part(value));
    return Promise.resolve(part(6));
  });
  const id = await fixture.submit(0, { class: cls });
  await advance(fixture.clock, 100);
  expect((await fixture.record(id)).status).toBe('succeeded');
  expect(await fixture.told(id)).toEqual([1, 2, 3]);
  await fixture.stop();
});

test('a program that tells more than a job may fails with what the limit is', async () => {
  const { partialsPerJobMax } = defaultLimits;
  const fixture = await talking(async ({ emit }) => {
    for (let i = 0; i <= partialsPerJobMax; i += 1) await emit(part(i));
    return part(0);
  });
  const id = await fixture.submit(0, { class: cls });
  await advance(fixture.clock, 100);
  const { outcome } = await fixture.record(id);
  expect(outcome?.error).toMatchObject({
    code: 'output_too_large',
    detail: expect.stringContaining(`${partialsPerJobMax} partial outputs`) as string,
  });
  await fixture.stop();
});

test('a program whose job was canceled tells nothing more, and is told so', async () => {
  const refused: unknown[] = [];
  const fixture = await talking(async ({ emit, signal }) => {
    await emit(part(1));
    await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }));
    await emit(part(2)).catch((cause: unknown) => refused.push(cause));
    return part(0);
  });
  const id = await fixture.submit(0, { class: cls });
  await advance(fixture.clock, 100);
  await fixture.queue.cancel(id, 'enough');
  await advance(fixture.clock, 5_000);
  expect(refused).toHaveLength(1);
  expect(await fixture.told(id)).toEqual([1]);
  await fixture.stop();
});

test('while the queue is full a program waits with its part', async () => {
  let isFull = true;
  const fixture = await talking(async ({ emit }) => {
    await emit(part(1));
    return part(2);
  });
  const { partials } = fixture.queue;
  const emit = partials.emit.bind(partials);
  partials.emit = (...given) =>
    isFull
      ? Promise.resolve({
          ok: false,
          error: { code: 'storage_exhausted', detail: 'Redis has reached its memory limit.' },
        })
      : emit(...given);
  const id = await fixture.submit(0, { class: cls });
  await advance(fixture.clock, 1_000);
  expect((await fixture.record(id)).status).toBe('running');
  isFull = false;
  await advance(fixture.clock, 1_000);
  expect(await fixture.told(id)).toEqual([1]);
  expect((await fixture.record(id)).status).toBe('succeeded');
  await fixture.stop();
});
