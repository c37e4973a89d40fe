import { setImmediate } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { defaultLimits, type EnsembleStep, newJobId, type Tensor } from '@inferry/contracts';
import type { Claim } from '@inferry/queue';
import { ok, seededRandom, VirtualClock } from '@inferry/runtime';
import { expect, test } from 'vitest';
import { HeldJob } from '../held-job.ts';
import { QueueClock } from '../queue-clock.ts';
import { modelManifest } from '../worker.fixture.ts';
import { ensembleProgram } from './ensemble.ts';
import type { StepRequest } from './program.ts';
import { JobSteps, type StepRunnerDeps } from './steps.ts';

setFlagsFromString('--expose-gc');
const collectGarbage = runInNewContext('gc') as () => void;

const signal = new AbortController().signal;
const emit = () => Promise.resolve();

function tensor(name: string, shape: readonly number[]): Tensor {
  return { name, datatype: 'FP32', shape, bytes: new Uint8Array(4) };
}

function program(steps: readonly EnsembleStep[], outputShape: readonly number[]) {
  const outputs = [{ name: 'out', datatype: 'FP32', shape: outputShape } as const];
  return ensembleProgram({ ...modelManifest, outputs, ensemble: { steps } });
}

const one = { model: 'm', version: null, inputs: { x: 'in' }, outputs: { y: 'out' } };

test('a step is asked for the outputs that are used, under the names of its model', async () => {
  const asked: StepRequest[] = [];
  const step = (request: StepRequest) => {
    asked.push(request);
    return Promise.resolve(ok([tensor('y', [1, 1]), tensor('unasked', [1])]));
  };
  const ran = await program([{ ...one, version: '3' }], [-1, 1]).run([tensor('in', [1, 1])], {
    signal,
    isSuspect: false,
    emit,
    step,
  });
  expect(asked).toMatchObject([
    { model: 'm', version: '3', tensors: [{ name: 'x', shape: [1, 1] }], outputs: ['y'] },
  ]);
  expect(ran).toMatchObject({ ok: true, value: [{ name: 'out' }] });
});

test('an answer of one row is told without it, where the ensemble has no rows', async () => {
  const step = () => Promise.resolve(ok([tensor('y', [1, 1])]));
  const ran = await program([one], [1]).run([tensor('in', [1])], {
    signal,
    isSuspect: false,
    emit,
    step,
  });
  expect(ran).toMatchObject({ value: [{ name: 'out', shape: [1] }] });
});

test('an output that no step gave is an error, and not a wait', async () => {
  const step = () => Promise.resolve(ok([]));
  const ran = await program([one], [1]).run([tensor('in', [1])], {
    signal,
    isSuspect: false,
    emit,
    step,
  });
  expect(ran).toMatchObject({
    error: { code: 'model_error', detail: expect.stringContaining('"out"') },
  });
});

test('a tensor is let go when the last step that takes it was sent', async () => {
  const middle = { ...one, outputs: { y: 'middle' } };
  const last = { ...one, inputs: { x: 'middle' } };
  const clock = new VirtualClock();
  const record = (bytes: Uint8Array) =>
    ({
      outcome: { output: { form: 'tensors', tensors: [{ ...tensor('y', [1]), bytes }] } },
    }) as const;
  const payloads: WeakRef<Uint8Array>[] = [];
  const answers: ((answer: object) => void)[] = [];
  const queue = {
    enqueue: async (_: unknown, payload: unknown) => {
      payloads.push(new WeakRef((payload as Uint8Array[]).at(-1) ?? new Uint8Array()));
      return ok({});
    },
    outcome: () => new Promise((resolve) => answers.push(resolve)),
  } as unknown as StepRunnerDeps['queue'];
  const job = { id: newJobId(1, seededRandom(2)), metadata: {}, priority: 'normal' };
  const claim = { job, deadlineAtMs: clock.nowMs() + 1e6 };
  const steps = new JobSteps(
    { job: new HeldJob(claim as unknown as Claim), signal },
    {
      queue,
      gatewayId: 'g',
      clock,
      queueClock: new QueueClock(clock),
      random: seededRandom(1),
      limits: defaultLimits,
      resolve: () => ok({ ...modelManifest, maxBatchSize: 0 }),
    },
  );
  const large = () => new Uint8Array(1_000_000);
  const ran = program([middle, last], [1]).run([{ ...tensor('in', [1]), bytes: large() }], {
    signal,
    isSuspect: false,
    emit,
    step: (request) => steps.run(request),
  });
  await settled();
  const held = () => payloads.map((payload) => payload.deref() !== undefined);
  collectGarbage();
  expect(held()).toEqual([false]);
  answers.shift()?.(record(large()));
  await settled();
  collectGarbage();
  expect(held()).toEqual([false, false]);
  answers.shift()?.(record(large()));
  expect(await ran).toMatchObject({ ok: true, value: [{ name: 'out' }] });
});

/** Everything that is ready to happen has happened. */
async function settled(): Promise<void> {
  for (let turn = 0; turn < 3; turn += 1) await setImmediate();
}
