/** Jobs of a processor on the memory queue, beside a simulated model: their steps share runs, and faults end in time. */
import { classOf, type JobId, type JobRecord } from '@inferry/contracts';
import { systemClock } from '@inferry/runtime';
import { afterEach, beforeEach, expect, test, vi } from 'vitest';
import { fixtureOn, type Fixture, modelManifest } from '../../worker.fixture.ts';
import { openLanes } from '../lane.fixture.ts';
import { type ProcessorFolder, processorFolder } from './processor.fixture.ts';

vi.setConfig({ testTimeout: 60_000 });

let model: ProcessorFolder;
let open: readonly (() => Promise<void>)[] = [];
beforeEach(async () => {
  model = await processorFolder();
});
afterEach(async () => {
  for (const close of open) await close();
  open = [];
  await model.close();
});

/** Real time: a thread keeps no other. Leases are short, since canceled jobs are heard of when they are renewed. */
async function started(
  text: string,
  executionTimeoutMs = 60_000,
): Promise<Fixture<typeof systemClock>> {
  await model.put('processor.ts', text);
  const manifest = {
    ...modelManifest,
    name: 'loop',
    backend: 'processor' as const,
    simulated: null,
    maxBatchSize: 0,
    concurrentMax: 8,
    executionTimeoutMs,
    inputs: [{ name: 'x', datatype: 'FP32' as const, shape: [-1, 1] }],
    outputs: [{ name: 'y', datatype: 'FP32' as const, shape: [-1, 1] }],
    processor: { file: `${model.folder}/processor.ts`, runs: ['echo'], stepsMax: 100 },
  };
  const program = await model.start(manifest);
  if (!program.ok) throw new Error(program.error);
  const limits = { leaseMs: 900, sweepMs: 300 };
  const fixture = fixtureOn({ clock: systemClock, limits });
  await fixture.worker.start();
  const lanes = await openLanes({
    clock: systemClock,
    queue: fixture.queue,
    composed: [manifest],
    limits,
    programOf: () => program.value,
  });
  open = [() => lanes.stop(), () => fixture.worker.close(), () => fixture.queue.close()];
  return fixture;
}

const ofLoop = { class: classOf('loop', '1') };

async function endOf({ queue }: Fixture<typeof systemClock>, id: JobId): Promise<JobRecord> {
  const record = await queue.outcome(id, AbortSignal.timeout(50_000));
  if (record === undefined) throw new Error('the job has not ended');
  return record;
}

const fiveSteps = `export async function generate({ inputs, run }) {
  let y = inputs.x;
  for (let i = 0; i < 5; i += 1) ({ y } = await run({ x: y }));
  return { y };
}`;

test('steps of jobs that are under way together share the runs of their model', async () => {
  const fixture = await started(fiveSteps);
  const ids = await Promise.all([1, 2, 3, 4].map((value) => fixture.submit(value, ofLoop)));
  const records = await Promise.all(ids.map((id) => endOf(fixture, id)));
  expect(records.map(({ status }) => status)).toEqual(ids.map(() => 'succeeded'));
  const rows = fixture.runs.map(({ values }) => values.length);
  expect(rows.reduce((sum, count) => sum + count, 0)).toBe(20);
  expect(fixture.runs.length).toBeLessThan(20);
});

test('a job that is canceled runs no more steps, and its neighbours go on', async () => {
  const fixture = await started(`export async function generate({ inputs, log, run, signal }) {
    const [value] = inputs.x.data;
    signal.addEventListener('abort', () => log('unwanted'));
    for (let i = 0; value === 1 || i < 5; i += 1) await run({ x: inputs.x });
    return { y: inputs.x };
  }`);
  const runsOf1 = (): number => fixture.runs.filter(({ values }) => values.includes(1)).length;
  const id = await fixture.submit(1, ofLoop);
  await expect.poll(runsOf1).toBeGreaterThan(2);
  await fixture.queue.cancel(id, 'not wanted');
  expect(await endOf(fixture, id)).toMatchObject({ status: 'canceled' });
  await expect.poll(() => JSON.stringify(model.lines), { timeout: 10_000 }).toContain('unwanted');
  const before = runsOf1();
  const neighbour = await fixture.submit(2, ofLoop);
  expect(await endOf(fixture, neighbour)).toMatchObject({ status: 'succeeded' });
  // One may have been claimed already.
  expect(runsOf1()).toBeLessThanOrEqual(before + 1);
});

test('a job that hangs ends alone: the others are started again and succeed', async () => {
  const fixture = await started(
    `export async function generate({ inputs, run }) {
      const { y } = await run({ x: inputs.x });
      if (inputs.x.data[0] === 3) for (;;);
      await run({ x: inputs.x });
      return { y };
    }`,
    2_000,
  );
  const ids = await Promise.all([1, 2, 3].map((value) => fixture.submit(value, ofLoop)));
  const records = await Promise.all(ids.map((id) => endOf(fixture, id)));
  expect(records.map(({ outcome, status }) => outcome?.error?.code ?? status)).toEqual([
    'succeeded',
    'succeeded',
    'execution_timeout',
  ]);
  expect(records.map(({ attempt }) => attempt)).toEqual([1, 1, 1]);
});
