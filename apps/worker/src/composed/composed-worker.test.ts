/** Composed models on a worker that serves the models of their steps too. */
import { classOf, type JobId } from '@inferry/contracts';
import { expect, test } from 'vitest';
import { sleep } from '@inferry/runtime';
import { advance, answerOf, modelManifest, replacing, virtualFixture } from '../worker.fixture.ts';
import { ensembleOf } from './lane.fixture.ts';

const aModel = { state: 'ready', provider: 'cpu', device: 'cpu', loadMs: 1 } as const;
const aWorker = {
  v: 1,
  workerId: 'other',
  host: 'h',
  pid: 2,
  state: 'serving',
  startedAtMs: 1,
} as const;
const twice = ensembleOf('twice', [
  { inputs: { x: 'x' }, outputs: { y: 'middle' } },
  { inputs: { x: 'middle' }, outputs: { y: 'y' } },
]);
const twiceClass = classOf('twice', '1');
const ofTwice = { class: twiceClass };
const outer = ensembleOf(
  'outer',
  [
    { model: 'twice', inputs: { x: 'x' }, outputs: { y: 'm' } },
    { model: 'twice', inputs: { x: 'm' }, outputs: { y: 'y' } },
  ],
  { concurrentMax: 1 },
);
const ofOuter = { class: classOf('outer', '1') };

async function started(options: Parameters<typeof virtualFixture>[0] = {}) {
  const fixture = virtualFixture({ manifests: [modelManifest, twice, outer], ...options });
  expect(await fixture.worker.start()).toMatchObject({ ok: true });
  return fixture;
}

async function close({ worker, clock }: Awaited<ReturnType<typeof started>>): Promise<void> {
  const closing = worker.close();
  await advance(clock, 2_000);
  await closing;
}

test('they are served beside the models of their steps, on a worker of any device', async () => {
  const fixture = await started({ deps: { device: { kind: 'cpu', index: 0 } } });
  const ids = [await fixture.submit(5, ofTwice), await fixture.submit(6, ofOuter)];
  await advance(fixture.clock, 300);
  const records = await Promise.all(ids.map((id) => fixture.record(id)));
  expect(records.map(answerOf)).toEqual([5, 6]);
  expect(fixture.countOf('modelLoaded')).toBe(3);
  const [announced] = await fixture.queue.workers();
  expect(announced?.models.map(({ manifest, state }) => [manifest.name, state])).toEqual([
    ['echo', 'ready'],
    ['twice', 'ready'],
    ['outer', 'ready'],
  ]);
  await close(fixture);
});

test('what they did is counted: a job is a run of its rows', async () => {
  const fixture = await started();
  await fixture.submit(5, { ...ofTwice, rows: 3 });
  await fixture.submit(666, ofTwice);
  await advance(fixture.clock, 1_500);
  const [sums] = await fixture.queue.statistics([twiceClass]);
  expect(sums?.counters).toMatchObject({
    succeeded: 1,
    rows: 3,
    runs: 1,
    '3:runs': 1,
    backendJobs: 1,
  });
  expect(fixture.events.filter(({ name }) => name === 'settled').map(({ args }) => args)).toEqual(
    expect.arrayContaining([
      [twiceClass, 'normal', 'succeeded'],
      [twiceClass, 'normal', 'failed'],
    ]),
  );
  await close(fixture);
});

test('only the outputs that are asked for count against the limit of an answer', async () => {
  const [y] = modelManifest.outputs;
  const both = { ...twice, outputs: [y!, { ...y!, name: 'middle' }] };
  const fixture = await started({
    limits: { outputBytesMax: 6 },
    manifests: [modelManifest, both],
  });
  const x = { name: 'x', datatype: 'FP32', shape: [1, 1], bytes: new Uint8Array(4) } as const;
  const statuses: string[] = [];
  for (const outputs of [['y'], ['middle', 'y']]) {
    const id = await fixture.submit(1, ofTwice, { form: 'tensors', tensors: [x], outputs });
    await advance(fixture.clock, 100);
    const { outcome, status } = await fixture.record(id);
    statuses.push(outcome?.error?.code ?? status);
  }
  expect(statuses).toEqual(['succeeded', 'output_too_large']);
  await close(fixture);
});

test('a worker that drains finishes them, also ensembles of ensembles, and claims for them what they run', async () => {
  const fixture = await started();
  const ids: JobId[] = [];
  for (const value of [1, 2]) ids.push(await fixture.submit(value, ofTwice));
  ids.push(await fixture.submit(3, ofOuter));
  await advance(fixture.clock, 5);
  const draining = fixture.worker.drain();
  await advance(fixture.clock, 5);
  const late = await fixture.submit(4, ofOuter);
  await advance(fixture.clock, 300);
  await draining;
  const records = await Promise.all(ids.map((id) => fixture.record(id)));
  expect(records.map(({ status }) => status)).toEqual(['succeeded', 'succeeded', 'succeeded']);
  expect(await fixture.record(late)).toMatchObject({ status: 'queued' });
  await close(fixture);
});

test('what cannot end in the time to drain goes back to its place, and its steps are canceled', async () => {
  const slow = { runMs: 3_000, rowMs: 0, failOn: null, hangOn: null, crashOn: null };
  const echo = { ...modelManifest, executionTimeoutMs: 20_000, simulated: slow };
  const fixture = await started({ limits: { drainMs: 100 }, manifests: [echo, twice] });
  const id = await fixture.submit(1, ofTwice);
  await advance(fixture.clock, 10);
  const draining = fixture.worker.drain();
  await advance(fixture.clock, 2_500);
  await draining;
  expect(await fixture.record(id)).toMatchObject({ status: 'queued' });
  expect(await fixture.queue.stats([classOf('echo', '1')])).toMatchObject([{ waiting: 0 }]);
  await advance(fixture.clock, 3_000);
  await close(fixture);
});

test('what is claimed for them when the time to drain is over goes back too', async () => {
  const simulated = { runMs: 3_000, rowMs: 0, failOn: null, hangOn: null, crashOn: null };
  const other = { ...modelManifest, name: 'other', executionTimeoutMs: 20_000, simulated };
  let isSlow = false;
  const fixture = virtualFixture({
    limits: { drainMs: 100 },
    manifests: [other, twice],
    // The reply to a claim is on its way when all is given back.
    wrapQueue: (queue) =>
      replacing(queue, {
        async claim(cls, request) {
          const claimed = await queue.claim(cls, request);
          if (isSlow && cls === classOf('other', '1')) await sleep(fixture.clock, 300);
          return claimed;
        },
      }),
  });
  await fixture.worker.start();
  // Its step is a job of a model that nobody serves.
  await fixture.queue.announce({ ...aWorker, models: [{ ...aModel, manifest: modelManifest }] });
  await advance(fixture.clock, 600);
  await fixture.submit(1, ofTwice);
  await advance(fixture.clock, 10);
  const draining = fixture.worker.drain();
  isSlow = true;
  const id = await fixture.submit(2, { class: classOf('other', '1') });
  await advance(fixture.clock, 1_500);
  await draining;
  expect(await fixture.record(id)).toMatchObject({ status: 'queued', attempt: 0 });
  expect(fixture.worker.state).toBe('draining');
  await close(fixture);
});

test('a step that took a worker with it runs alone, while its job waits for it here', async () => {
  const fixture = virtualFixture({ manifests: [modelManifest, twice] });
  const { clock, queue } = fixture;
  // Another worker claimed the step and was lost under it.
  await fixture.worker.start();
  const id = await fixture.submit(9, ofTwice);
  const suspect = await fixture.submit(8);
  await queue.claim(classOf('echo', '1'), {
    workerId: 'dead',
    rowsMax: 4,
    rowsMin: 1,
    takeSuspect: false,
    freeInMs: [],
    agingMs: 60_000,
  });
  for (let i = 0; i < 40; i += 1) await advance(clock, 500);
  expect((await fixture.record(suspect)).status).toBe('succeeded');
  expect((await fixture.record(id)).status).toBe('succeeded');
  await close(fixture);
});

test('a new content takes the place of the old one, and the jobs of the old one end as they began', async () => {
  const once = ensembleOf('twice', [{ inputs: { x: 'x' }, outputs: { y: 'y' } }]);
  const fixture = await started({ manifests: [modelManifest, twice] });
  const before = await fixture.submit(1, ofTwice);
  await advance(fixture.clock, 5);
  const applying = fixture.worker.apply({ manifests: [modelManifest, once], routing: {} });
  await advance(fixture.clock, 50);
  expect(await applying).toMatchObject([
    { result: 'kept' },
    { model: 'twice', result: 'replaced' },
  ]);
  await advance(fixture.clock, 100);
  expect((await fixture.record(before)).status).toBe('succeeded');
  expect(fixture.runs).toHaveLength(2);
  const after = await fixture.submit(2, ofTwice);
  await advance(fixture.clock, 100);
  expect((await fixture.record(after)).status).toBe('succeeded');
  expect(fixture.runs).toHaveLength(3);
  await close(fixture);
});

test('a job that runs a version of its own choice ends, while both are retiring for newer ones', async () => {
  const slow = { runMs: 900, rowMs: 0, failOn: null, hangOn: null, crashOn: null };
  const echo = (version: string) => ({ ...modelManifest, version, simulated: slow });
  const pinned = (version: string) => {
    const steps = (twice.ensemble?.steps ?? []).map((step) => ({ ...step, version }));
    return { ...twice, version, ensemble: { steps } };
  };
  const fixture = await started({ manifests: [echo('1'), pinned('1')] });
  const id = await fixture.submit(1, ofTwice);
  await advance(fixture.clock, 5);
  void fixture.worker.apply({ manifests: [echo('2'), pinned('2')], routing: {} });
  await advance(fixture.clock, 6_000);
  expect(await fixture.record(id)).toMatchObject({ status: 'succeeded' });
  await advance(fixture.clock, 15_000);
  const [announced] = await fixture.queue.workers();
  expect(announced?.models.map(({ manifest }) => manifest.version)).toEqual(['2', '2']);
  await close(fixture);
});

test('an ensemble that nobody wants goes, and the worker serves on', async () => {
  const fixture = await started({ manifests: [modelManifest, twice] });
  const applying = fixture.worker.apply({ manifests: [modelManifest], routing: {} });
  await advance(fixture.clock, 50);
  expect(await applying).toMatchObject([
    { model: 'twice', result: 'retiring' },
    { result: 'kept' },
  ]);
  await advance(fixture.clock, 15_000);
  const [announced] = await fixture.queue.workers();
  expect(announced?.models.map(({ manifest }) => manifest.name)).toEqual(['echo']);
  await close(fixture);
});
