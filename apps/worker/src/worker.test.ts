/** What becomes of jobs on a worker, on the memory queue and a virtual clock. */
import { classOf, type JobId } from '@inferry/contracts';
import { describe, expect, test } from 'vitest';
import {
  advance,
  answerOf,
  claimByOther,
  type Fixture,
  modelManifest,
  virtualFixture,
} from './worker.fixture.ts';

async function submitAll(
  fixture: Pick<Fixture<never>, 'submit'>,
  values: readonly (number | null)[],
) {
  const ids: JobId[] = [];
  for (const value of values) ids.push(await fixture.submit(value));
  return ids;
}

async function started(...args: Parameters<typeof virtualFixture>) {
  const fixture = virtualFixture(...args);
  expect(await fixture.worker.start()).toMatchObject({ ok: true });
  return fixture;
}

const echo = classOf('echo', '1');
const other = classOf('other', '1');
const valuesOf = (fixture: Pick<Fixture<never>, 'runs'>) => fixture.runs.map((run) => run.values);

describe('batches', () => {
  test('what arrives while the slot is busy runs together, in order of arrival', async () => {
    const fixture = await started();
    // The first run teaches nothing; the second says how long the third will take.
    for (const restMs of [50, 50, 5]) {
      await submitAll(fixture, [0]);
      await advance(fixture.clock, restMs);
    }
    const ids = await submitAll(fixture, [1, 2, 3, 4, 5]);
    await advance(fixture.clock, 100);
    expect(valuesOf(fixture)).toEqual([[0], [0], [0], [1, 2, 3, 4], [5]]);
    const records = await Promise.all(ids.map((id) => fixture.record(id)));
    expect(records.map(answerOf)).toEqual([1, 2, 3, 4, 5]);
    expect(records.map((record) => record.outcome?.batchRows)).toEqual([4, 4, 4, 4, 1]);
    await fixture.worker.close();
  });

  test('a job whose time ran out before its turn is counted by the worker whose claim ends it', async () => {
    const fixture = await started({ limits: { sweepMs: 1_000 } });
    // One runs, and one is claimed ahead.
    for (let i = 0; i < 2; i += 1) {
      await submitAll(fixture, [0]);
      await advance(fixture.clock, 2);
    }
    const late = { queueTimeoutMs: 5, priority: 'high' } as const;
    const id = await fixture.submit(1, late);
    await advance(fixture.clock, 60);
    expect((await fixture.record(id)).status).toBe('expired');
    const counted = fixture.events.filter(({ name }) => name === 'jobsSwept');
    expect(counted.map(({ args }) => args)).toEqual([
      ['echo@1', [{ id, priority: 'high', status: 'expired' }]],
    ]);
    await fixture.worker.close();
  });

  test('a model without a batch dimension runs one job at a time', async () => {
    const single = { ...modelManifest, maxBatchSize: 0 };
    const fixture = virtualFixture({ manifests: [single] });
    await submitAll(fixture, [1, 2]);
    await fixture.worker.start();
    await advance(fixture.clock, 60);
    expect(valuesOf(fixture)).toEqual([[1], [2]]);
    await fixture.worker.close();
  });

  test('a free slot waits at most the time to linger for a fuller batch', async () => {
    const fixture = await started({
      manifests: [{ ...modelManifest, linger: { mode: 'defer', maxMs: 12 } }],
    });
    await submitAll(fixture, [1]);
    await advance(fixture.clock, 8);
    await submitAll(fixture, [2]);
    await advance(fixture.clock, 30);
    expect(valuesOf(fixture)).toEqual([[1, 2]]);
    const [run] = fixture.runs;
    const [first] = fixture.events.filter((event) => event.name === 'released');
    expect(first?.args).toEqual(['echo', 'linger']);
    expect(run?.startedAtMs).toBeLessThanOrEqual(1_700_000_000_000 + 12);
    await fixture.worker.close();
  });

  test('a full batch does not linger', async () => {
    const fixture = virtualFixture({
      manifests: [{ ...modelManifest, linger: { mode: 'defer', maxMs: 500 } }],
    });
    await submitAll(fixture, [1, 2, 3, 4]);
    await fixture.worker.start();
    await advance(fixture.clock, 2);
    expect(valuesOf(fixture)).toEqual([[1, 2, 3, 4]]);
    await advance(fixture.clock, 30);
    await fixture.worker.close();
  });

  test('a batch that becomes full departs soon, however long it might have lingered', async () => {
    const linger = { mode: 'defer', maxMs: 2_000 } as const;
    const fixture = await started({ manifests: [{ ...modelManifest, linger }] });
    await submitAll(fixture, [1]);
    await advance(fixture.clock, 5);
    await submitAll(fixture, [2, 3, 4]);
    await advance(fixture.clock, 15);
    expect(valuesOf(fixture)).toEqual([[1, 2, 3, 4]]);
    await advance(fixture.clock, 30);
    await fixture.worker.close();
  });

  test('nor does one that has as many rows as are enough for the model', async () => {
    const linger = { mode: 'defer', maxMs: 500, rowsEnough: 2 } as const;
    const fixture = virtualFixture({ manifests: [{ ...modelManifest, linger }] });
    await submitAll(fixture, [1, 2, 3]);
    await fixture.worker.start();
    await advance(fixture.clock, 2);
    expect(valuesOf(fixture)).toEqual([[1, 2, 3]]);
    await advance(fixture.clock, 30);
    await fixture.worker.close();
  });

  test('the next batch is claimed and prepared before the run in progress ends', async () => {
    const fixture = virtualFixture();
    await submitAll(fixture, [1, 2, 3, 4]);
    const ahead = await fixture.submit(5);
    await fixture.worker.start();
    await advance(fixture.clock, 10);
    expect(fixture.runs).toHaveLength(1);
    expect((await fixture.record(ahead)).status).toBe('running');
    await advance(fixture.clock, 60);
    const [first, second] = fixture.runs;
    expect(second?.startedAtMs).toBe(first?.endedAtMs);
    await fixture.worker.close();
  });

  test('once run times are known the next batch is claimed just in time', async () => {
    const fixture = await started({ manifests: [{ ...modelManifest, warmupRows: [1, 4] }] });
    await submitAll(fixture, [1, 2, 3, 4]);
    await advance(fixture.clock, 30);
    await submitAll(fixture, [1, 2, 3, 4]);
    await advance(fixture.clock, 2);
    const late = await fixture.submit(5);
    await advance(fixture.clock, 8);
    expect((await fixture.record(late)).status).toBe('queued');
    await advance(fixture.clock, 9);
    expect((await fixture.record(late)).status).toBe('running');
    await advance(fixture.clock, 30);
    await fixture.worker.close();
  });
});

describe('failures', () => {
  test('an input that cannot be used fails alone, and its neighbours are answered', async () => {
    const fixture = virtualFixture();
    const ids = await submitAll(fixture, [1, null, 3]);
    await fixture.worker.start();
    await advance(fixture.clock, 50);
    const records = await Promise.all(ids.map((id) => fixture.record(id)));
    expect(records.map((record) => record.status)).toEqual(['succeeded', 'failed', 'succeeded']);
    expect(records[1]?.outcome?.error?.code).toBe('input_rejected');
    expect(records[1]?.outcome?.batchRows).toBeNull();
    expect(valuesOf(fixture)).toEqual([[1, 3]]);
    await fixture.worker.close();
  });

  test('when the model fails on one item of a batch, that job alone fails', async () => {
    const fixture = virtualFixture();
    const ids = await submitAll(fixture, [1, 2, 666, 4]);
    await fixture.worker.start();
    await advance(fixture.clock, 200);
    const records = await Promise.all(ids.map((id) => fixture.record(id)));
    expect(records.map(answerOf)).toEqual([1, 2, undefined, 4]);
    expect(records[2]?.outcome?.error?.code).toBe('model_error');
    expect(fixture.countOf('isolated')).toBe(1);
    await fixture.worker.close();
  });

  test('a job that hangs alone fails when its time is over, and the process is replaced', async () => {
    const fixture = virtualFixture({ limits: { stuckRunGraceMs: 100 } });
    const id = await fixture.submit(777);
    await fixture.worker.start();
    await advance(fixture.clock, 10);
    const waiting = await fixture.submit(1);
    await advance(fixture.clock, 1_000);
    const record = await fixture.record(id);
    expect(record.status).toBe('failed');
    expect(record.outcome?.error?.code).toBe('execution_timeout');
    expect(fixture.kills()).toBe(0);
    await advance(fixture.clock, 110);
    expect(fixture.kills()).toBe(1);
    expect((await fixture.record(waiting)).status).toBe('queued');
    expect(await fixture.queue.workers()).toEqual([]);
    expect(fixture.worker.isReady).toBe(false);
  });

  test('a batch that hangs goes back as suspects', async () => {
    const fixture = virtualFixture({ limits: { stuckRunGraceMs: 100 } });
    const ids = await submitAll(fixture, [1, 777, 3]);
    await fixture.worker.start();
    await advance(fixture.clock, 1_200);
    expect(fixture.kills()).toBe(1);
    const claimed = await fixture.queue.claim(echo, { ...claimByOther, takeSuspect: true });
    expect(claimed.claims.map((claim) => claim.job.id)).toEqual([ids[0]]);
    expect(claimed.claims[0]?.isSuspect).toBe(true);
  });

  test('a run that is late but returns within the grace frees its slot', async () => {
    const slow = { runMs: 1_050, rowMs: 0, failOn: null, hangOn: null, crashOn: null };
    const fixture = virtualFixture({ manifests: [{ ...modelManifest, simulated: slow }] });
    const first = await fixture.submit(1);
    await fixture.worker.start();
    await advance(fixture.clock, 1_060);
    expect((await fixture.record(first)).outcome?.error?.code).toBe('execution_timeout');
    const second = await fixture.submit(2, { executionTimeoutMs: 5_000 });
    await advance(fixture.clock, 1_100);
    expect(answerOf(await fixture.record(second))).toBe(2);
    expect(fixture.kills()).toBe(0);
    expect(fixture.countOf('resultDropped')).toBe(1);
    await fixture.worker.close();
  });

  test('suspects run one at a time, with nothing else active in the process', async () => {
    const second = { ...modelManifest, name: 'other' };
    const fixture = virtualFixture({ manifests: [modelManifest, second] });
    const ids = await submitAll(fixture, [1, 2]);
    const { claims } = await fixture.queue.claim(echo, claimByOther);
    await fixture.queue.giveBack(echo, claims, true);
    for (let i = 0; i < 12; i += 1) await fixture.submit(100 + i, { class: other });
    await fixture.worker.start();
    await advance(fixture.clock, 300);
    const records = await Promise.all(ids.map((id) => fixture.record(id)));
    expect(records.map(answerOf)).toEqual([1, 2]);
    const suspects = fixture.runs.filter((run) => run.model === 'echo');
    expect(suspects.map((run) => run.values)).toEqual([[1], [2]]);
    for (const suspect of suspects) {
      const beside = fixture.runs.filter(
        (run) =>
          run !== suspect &&
          run.startedAtMs < (suspect.endedAtMs ?? Infinity) &&
          (run.endedAtMs ?? Infinity) > suspect.startedAtMs,
      );
      expect(beside).toEqual([]);
    }
    expect(fixture.runs.flatMap((run) => run.values)).toHaveLength(14);
    await fixture.worker.close();
  });

  test('a job whose deadline passes while it waits for the slot is not run', async () => {
    const fixture = await started();
    await submitAll(fixture, [1]);
    await advance(fixture.clock, 3);
    const brief = await fixture.submit(2, { deadlineMs: 8, queueTimeoutMs: 8 });
    await advance(fixture.clock, 60);
    expect((await fixture.record(brief)).status).toBe('expired');
    expect(valuesOf(fixture)).toEqual([[1]]);
    await fixture.worker.close();
  });

  test('a job canceled while it runs stays canceled', async () => {
    const fixture = await started();
    const id = await fixture.submit(1);
    await advance(fixture.clock, 5);
    await fixture.queue.cancel(id, 'no longer wanted');
    await advance(fixture.clock, 60);
    expect((await fixture.record(id)).status).toBe('canceled');
    expect(fixture.countOf('resultDropped')).toBe(1);
    await fixture.worker.close();
  });
});
