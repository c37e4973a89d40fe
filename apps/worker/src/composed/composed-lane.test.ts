/** What becomes of jobs of composed models, on the memory queue and a virtual clock. */
import { classOf, type JobEnvelope, type JobId } from '@inferry/contracts';
import { err } from '@inferry/runtime';
import { describe, expect, test } from 'vitest';
import {
  advance,
  answerOf,
  type Fixture,
  modelManifest,
  replacing,
  virtualFixture,
} from '../worker.fixture.ts';
import { ensembleOf, type LanesOptions, openLanes } from './lane.fixture.ts';

async function started(
  options: Partial<LanesOptions>,
  worker: Parameters<typeof virtualFixture>[0] = {},
) {
  const fixture = virtualFixture(worker);
  await fixture.worker.start();
  const { clock, queue } = fixture;
  const lanes = await openLanes({ clock, queue, composed: [twice], ...options });
  return { ...fixture, lanes };
}

async function stopped({ lanes, worker, clock }: Awaited<ReturnType<typeof started>>) {
  const stopping = lanes.stop();
  await advance(clock, 3_000);
  await stopping;
  const closing = worker.close();
  await advance(clock, 100);
  await closing;
}

/** x -> echo -> echo -> y. */
const twice = ensembleOf('twice', [
  { inputs: { x: 'x' }, outputs: { y: 'middle' } },
  { inputs: { x: 'middle' }, outputs: { y: 'y' } },
]);
const ofTwice = { class: classOf('twice', '1') };
const echo = classOf('echo', '1');
const valuesOf = ({ runs }: Pick<Fixture<never>, 'runs'>) => runs.map((run) => run.values);

test('a job of an ensemble is answered with what its steps made, each of them a job', async () => {
  const fixture = await started({});
  const id = await fixture.submit(5, ofTwice);
  await advance(fixture.clock, 100);
  const record = await fixture.record(id);
  expect(record).toMatchObject({ status: 'succeeded', attempt: 1 });
  expect(answerOf(record)).toBe(5);
  expect(record.outcome).toMatchObject({ batchRows: 1, output: { tensors: [{ name: 'y' }] } });
  expect(record.outcome?.timings?.computeMs).toBeGreaterThanOrEqual(40);
  expect(valuesOf(fixture)).toEqual([[5], [5]]);
  await stopped(fixture);
});

test('steps of several jobs share a run, with jobs of others too', async () => {
  const fixture = await started({});
  // The first run teaches nothing; the second says how long the third will take. Meanwhile the others gather.
  for (const restMs of [50, 50, 5]) {
    await fixture.submit(0);
    await advance(fixture.clock, restMs);
  }
  const ids = [await fixture.submit(1, ofTwice), await fixture.submit(2, ofTwice)];
  await advance(fixture.clock, 2);
  ids.push(await fixture.submit(3));
  await advance(fixture.clock, 200);
  expect(valuesOf(fixture).filter((values) => values.length === 3)).toEqual([[1, 2, 3]]);
  for (const id of ids) expect((await fixture.record(id)).status).toBe('succeeded');
  await stopped(fixture);
});

test('steps that need nothing of each other run at the same time, and a tensor may go to several', async () => {
  const diamond = ensembleOf('diamond', [
    { inputs: { x: 'x' }, outputs: { y: 'top' } },
    { model: 'left', inputs: { x: 'top' }, outputs: { y: 'l' } },
    { model: 'right', inputs: { x: 'top' }, outputs: { y: 'r' } },
    { model: 'pair', inputs: { x: 'l', z: 'r' }, outputs: { y: 'y' } },
  ]);
  const named = (name: string) => ({ ...modelManifest, name });
  const second = { name: 'z', datatype: 'FP32', shape: [-1, 1] } as const;
  const pair = { ...named('pair'), inputs: [...modelManifest.inputs, second] };
  const models = [modelManifest, named('left'), named('right'), pair];
  const fixture = await started({ composed: [diamond], models }, { manifests: models });
  const id = await fixture.submit(7, { class: classOf('diamond', '1') });
  await advance(fixture.clock, 200);
  expect(answerOf(await fixture.record(id))).toBe(7);
  const [top, left, right, joined, ...more] = fixture.runs;
  expect(more).toEqual([]);
  expect([top?.model, joined?.model]).toEqual(['echo', 'pair']);
  expect(new Set([left?.model, right?.model])).toEqual(new Set(['left', 'right']));
  expect(left?.startedAtMs).toBeLessThan(right?.endedAtMs ?? 0);
  expect(right?.startedAtMs).toBeLessThan(left?.endedAtMs ?? 0);
  expect(joined?.values).toEqual([7, 7]);
  await stopped(fixture);
});

test('a step has the rows, the tenant, the priority and what is left of the time of its job', async () => {
  const fixture = await started({});
  const seen: JobEnvelope[] = [];
  const queue = replacing(fixture.queue, {
    enqueue: (job, payload, terms) => {
      seen.push({ ...job, metadata: { weight: String(terms.weight) } });
      return fixture.queue.enqueue(job, payload, terms);
    },
  });
  await fixture.lanes.stop();
  const lanes = await openLanes({ clock: fixture.clock, queue, composed: [twice] });
  const job = { ...ofTwice, rows: 3, tenant: 'acme', tenantWeight: 5, priority: 'high' } as const;
  const id = await fixture.submit(9, { ...job, deadlineMs: 10_000, requestId: 'req-9' });
  await advance(fixture.clock, 100);
  expect((await fixture.record(id)).outcome).toMatchObject({ batchRows: 3 });
  expect(seen).toMatchObject([
    { class: echo, rows: 3, tenant: 'acme', priority: 'high', requestId: 'req-9', mode: 'held' },
    { class: echo, rows: 3, tenant: 'acme', metadata: { weight: '40' }, gateway: 'composer' },
  ]);
  const [first, second] = seen.map(({ deadlineMs }) => deadlineMs);
  expect(first).toBeLessThanOrEqual(10_000);
  expect(second).toBeLessThanOrEqual((first ?? 0) - 20);
  await stopped({ ...fixture, lanes });
});

describe('a job of an ensemble ends', () => {
  test('with the failure of a step, which names the step and its model', async () => {
    const fixture = await started({});
    const id = await fixture.submit(666, ofTwice);
    await advance(fixture.clock, 100);
    const { outcome, status } = await fixture.record(id);
    expect(status).toBe('failed');
    expect(outcome?.error?.code).toBe('model_error');
    expect(outcome?.error?.detail).toMatch(/^Step 1: Model "echo", version 1: /u);
    await stopped(fixture);
  });

  test('at once where a step fails, and the other steps are canceled', async () => {
    const fork = ensembleOf('fork', [
      { inputs: { x: 'x' }, outputs: { y: 'y' } },
      { model: 'nobody', inputs: { x: 'x' }, outputs: { y: 'unused' } },
    ]);
    const models = [modelManifest, { ...modelManifest, name: 'nobody' }];
    const fixture = await started({ composed: [fork], models });
    const id = await fixture.submit(666, { class: classOf('fork', '1') });
    await advance(fixture.clock, 10);
    const nobody = classOf('nobody', '1');
    expect(await fixture.queue.stats([nobody])).toMatchObject([{ waiting: 1 }]);
    await advance(fixture.clock, 60);
    expect((await fixture.record(id)).status).toBe('failed');
    expect(await fixture.queue.stats([nobody])).toMatchObject([{ waiting: 0 }]);
    await stopped(fixture);
  });

  test('for lack of a model that is not there, which is no matter of the name that was asked for', async () => {
    const lost = ensembleOf('lost', [{ model: 'gone', inputs: { x: 'x' }, outputs: { y: 'y' } }]);
    const fixture = await started({ composed: [lost] });
    const id = await fixture.submit(1, { class: classOf('lost', '1') });
    await advance(fixture.clock, 20);
    expect((await fixture.record(id)).outcome?.error).toEqual({
      code: 'model_unavailable',
      detail: 'Step 1: there is no such model',
    });
    await stopped(fixture);
  });

  test('when it is canceled, with its steps', async () => {
    const fixture = await started({}, { manifests: [{ ...modelManifest, name: 'idle' }] });
    const id = await fixture.submit(1, ofTwice);
    await advance(fixture.clock, 10);
    expect(await fixture.queue.stats([echo])).toMatchObject([{ waiting: 1 }]);
    await fixture.queue.cancel(id, 'not wanted');
    // It is learned with the next renewal.
    await advance(fixture.clock, 2_000);
    expect(await fixture.queue.stats([echo])).toMatchObject([{ waiting: 0 }]);
    expect((await fixture.record(id)).status).toBe('canceled');
    await stopped(fixture);
  });

  test('at its deadline, with its steps', async () => {
    const fixture = await started({}, { manifests: [{ ...modelManifest, name: 'idle' }] });
    const id = await fixture.submit(1, { ...ofTwice, deadlineMs: 300, queueTimeoutMs: 300 });
    await advance(fixture.clock, 400);
    const { outcome, status } = await fixture.record(id);
    expect(status).toBe('failed');
    expect(['deadline_exceeded', 'queue_timeout']).toContain(outcome?.error?.code);
    expect(await fixture.queue.stats([echo])).toMatchObject([{ waiting: 0, active: 0 }]);
    await stopped(fixture);
  });

  test('where models are composed in a circle, at a depth and not never', async () => {
    const through = (model: string) => [{ model, inputs: { x: 'x' }, outputs: { y: 'y' } }];
    const a = ensembleOf('a', through('b'), { concurrentMax: 20 });
    const b = ensembleOf('b', through('a'), { concurrentMax: 20 });
    const fixture = await started({ composed: [a, b] });
    const id = await fixture.submit(1, { class: classOf('a', '1') });
    await advance(fixture.clock, 200);
    const { error } = (await fixture.record(id)).outcome ?? {};
    expect(error?.code).toBe('model_error');
    expect(error?.detail).toContain('more than 16 levels deep');
    await stopped(fixture);
  });
});

describe('while the queue refuses for a while', () => {
  test.each(['storage_exhausted', 'queue_unavailable', 'queue_full'] as const)(
    'with %s, a step is sent again, and runs once',
    async (code) => {
      const fixture = await started({});
      await fixture.lanes.stop();
      let left = 2;
      const queue = replacing(fixture.queue, {
        async enqueue(job, payload, terms) {
          left -= 1;
          // The reply of the second is lost.
          if (left === 0) await fixture.queue.enqueue(job, payload, terms);
          return left >= 0 ? err({ code, detail: '' }) : fixture.queue.enqueue(job, payload, terms);
        },
      });
      const lanes = await openLanes({ clock: fixture.clock, queue, composed: [twice] });
      const id = await fixture.submit(3, ofTwice);
      await advance(fixture.clock, 1_500);
      expect(answerOf(await fixture.record(id))).toBe(3);
      expect(valuesOf(fixture)).toEqual([[3], [3]]);
      await stopped({ ...fixture, lanes });
    },
  );
});

test('what is given back at the end of a drain goes to its place, and its steps are canceled', async () => {
  const fixture = await started({}, { manifests: [{ ...modelManifest, name: 'idle' }] });
  const id = await fixture.submit(1, ofTwice);
  await advance(fixture.clock, 10);
  const { lanes } = fixture;
  const cls = classOf('twice', '1');
  for (const lane of lanes.lanes) lane.stopClaiming();
  const held = [...(lanes.leases.held().get(cls) ?? [])];
  expect(held).toHaveLength(1);
  await lanes.settler.giveBack(cls, held, false);
  await advance(fixture.clock, 5);
  expect(await fixture.record(id)).toMatchObject({ status: 'queued' });
  expect(await fixture.queue.stats([echo])).toMatchObject([{ waiting: 0 }]);
  await stopped(fixture);
});

test('a worker has at most so many jobs of an ensemble under way as the model says', async () => {
  const narrow = { ...twice, concurrentMax: 2 };
  const fixture = await started({ composed: [narrow] });
  for (const value of [1, 2, 3]) await fixture.submit(value, ofTwice);
  await advance(fixture.clock, 5);
  expect(await fixture.queue.stats([ofTwice.class])).toMatchObject([{ waiting: 1, active: 2 }]);
  await advance(fixture.clock, 300);
  expect(await fixture.queue.stats([ofTwice.class])).toMatchObject([{ waiting: 0, active: 0 }]);
  await stopped(fixture);
});

test('ensembles in ensembles with room for one job each do not wait for each other for ever', async () => {
  const inner = ensembleOf('inner', twice.ensemble?.steps ?? [], { concurrentMax: 1 });
  const step = { model: 'inner', inputs: { x: 'x' }, outputs: { y: 'm' } };
  const again = { model: 'inner', inputs: { x: 'm' }, outputs: { y: 'y' } };
  const outer = ensembleOf('outer', [step, again], { concurrentMax: 1 });
  const fixture = await started({ composed: [outer, inner] });
  const ids: JobId[] = [];
  for (const value of [1, 2, 3])
    ids.push(await fixture.submit(value, { class: classOf('outer', '1') }));
  ids.push(await fixture.submit(8, { class: classOf('inner', '1') }));
  await advance(fixture.clock, 600);
  const records = await Promise.all(ids.map((id) => fixture.record(id)));
  expect(records.map(answerOf)).toEqual([1, 2, 3, 8]);
  await stopped(fixture);
});

test('a job sticks to the version that its first step got, and the next job gets the new one', async () => {
  const fixture = await started(
    {},
    { manifests: [modelManifest, { ...modelManifest, version: '2' }] },
  );
  const classes: string[] = [];
  const { clock } = fixture;
  const queue = replacing(fixture.queue, {
    enqueue: (job, payload, terms) => {
      classes.push(job.class);
      return fixture.queue.enqueue(job, payload, terms);
    },
  });
  await fixture.lanes.stop();
  const lanes = await openLanes({ clock, queue, composed: [twice] });
  await fixture.submit(1, ofTwice);
  await advance(clock, 10);
  lanes.know([modelManifest, { ...modelManifest, version: '2' }]);
  await advance(clock, 100);
  await fixture.submit(2, ofTwice);
  await advance(clock, 10);
  // The version of the job is about to go: its next step goes elsewhere.
  lanes.know([modelManifest]);
  await advance(clock, 100);
  expect(classes).toEqual(['echo@1', 'echo@1', 'echo@2', 'echo@1']);
  await stopped({ ...fixture, lanes });
});
