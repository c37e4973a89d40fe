/** Steps whose job two workers had under way for a moment: one has lost it, and has not heard of it yet. */
import { classOf, defaultLimits, type JobId, newJobId, type Outcome } from '@inferry/contracts';
import { type Claim, createMemoryQueue } from '@inferry/queue';
import { ok, seededRandom, VirtualClock } from '@inferry/runtime';
import { queueRules } from '@inferry/scheduling';
import { expect, test } from 'vitest';
import { HeldJob } from '../held-job.ts';
import { QueueClock } from '../queue-clock.ts';
import { modelManifest } from '../worker.fixture.ts';
import { JobSteps } from './steps.ts';

const echo = classOf('echo', '1');

function twoWorkers() {
  const clock = new VirtualClock();
  const queue = createMemoryQueue({ clock, rules: queueRules });
  const parent = { id: newJobId(1, seededRandom(2)), metadata: {}, priority: 'normal' };
  const claim = { job: parent, deadlineAtMs: clock.nowMs() + 1e6 } as unknown as Claim;
  const at = (gatewayId: string) => {
    const stop = new AbortController();
    const job = new HeldJob(claim);
    job.onGone = () => stop.abort();
    const steps = new JobSteps(
      { job, signal: stop.signal },
      {
        queue,
        gatewayId,
        clock,
        queueClock: new QueueClock(clock),
        random: seededRandom(3),
        limits: defaultLimits,
        resolve: () => ok(modelManifest),
      },
    );
    const x = { name: 'x', datatype: 'FP32', shape: [1, 1], bytes: new Uint8Array(4) } as const;
    const run = (key: string | undefined) =>
      steps.run({
        model: 'echo',
        version: null,
        tensors: [x],
        ...(key === undefined ? {} : { key }),
      });
    return { job, stop, run, send: () => run('0'), steps };
  };
  const waiting = async () => (await queue.stats([echo]))[0]?.waiting;
  return { owner: at('owner'), other: at('other'), queue, waiting };
}

test.each(['isLost', 'isGoingBack'] as const)(
  'a job that somebody else has by now (%s) does not take the step along that the other sent',
  async (why) => {
    const { other, owner, waiting } = twoWorkers();
    void owner.send();
    await expect.poll(waiting).toBe(1);
    const found = other.send();
    other.job[why] = true;
    expect(await found).toMatchObject({ ok: false });
    await other.steps.idle();
    expect(await waiting()).toBe(1);
  },
);

test('a job that ends takes along the step that it found as well as one that it sent', async () => {
  const { other, owner, waiting } = twoWorkers();
  void other.send();
  await expect.poll(waiting).toBe(1);
  const found = owner.send();
  owner.stop.abort();
  expect(await found).toMatchObject({ ok: false });
  expect(await waiting()).toBe(0);
});

test.each([
  [undefined, { found: 'gone', reason: 'deleted' }],
  ['0', { found: 'record' }],
])('what is left of a step with the key %s, once it was read', async (key, left) => {
  const { owner, queue, waiting } = twoWorkers();
  const running = owner.run(key);
  await expect.poll(waiting).toBe(1);
  const request = {
    workerId: 'w',
    rowsMax: 1,
    rowsMin: 1,
    takeSuspect: false,
    freeInMs: [0],
    agingMs: 1,
  };
  const { claims } = await queue.claim(echo, request);
  const outcome: Outcome = {
    status: 'succeeded',
    output: { form: 'tensors', tensors: [] },
    error: null,
    batchRows: 1,
    timings: null,
    readyAtMs: 0,
    overtakenBy: 0,
  };
  await queue.settle(
    echo,
    claims.map((claim) => ({ claim, outcome })),
  );
  expect(await running).toEqual(ok([]));
  const id = claims[0]?.job.id as JobId;
  await expect.poll(() => queue.find(id)).toMatchObject(ok(left));
});
