/** The digits model, measured through its own pipeline. */
import { readFileSync } from 'node:fs';
import { encodeInput, type ModelManifest } from '@inferry/contracts';
import { createBackend } from '@inferry/inference';
import { loadRepository } from '@inferry/models';
import { invariant, seededRandom, systemClock } from '@inferry/runtime';
import { createLogger } from '@inferry/telemetry';
import { repositoryPath } from '@inferry/testkit';
import { beforeAll, expect, test } from 'vitest';
import { zerosFeed } from './batch-feeds.ts';
import { type BatchSample, MeasuredModel, type MeasuredModelOptions } from './measured-model.ts';

let digits: ModelManifest;
beforeAll(async () => {
  const { models } = await loadRepository(repositoryPath('models'));
  const found = models.find(({ name }) => name === 'digits');
  invariant(found !== undefined, 'the repository has digits');
  digits = found;
});

function imagePayload(bytes: Uint8Array): Uint8Array {
  return encodeInput({ form: 'pipeline', rows: [{ image: bytes }] });
}

const seven = new Uint8Array(readFileSync(repositoryPath('models/digits/samples/seven.png')));

function open(changes: Partial<MeasuredModelOptions>) {
  return MeasuredModel.open({
    backend: createBackend({ clock: systemClock, abort: () => process.abort() }),
    manifest: digits,
    device: { kind: 'cpu', index: 0 },
    instances: 1,
    cores: 1,
    prepareIn: 'auto',
    jpegDecoder: 'auto',
    payloads: [imagePayload(seven)],
    clock: systemClock,
    random: seededRandom(1),
    logger: createLogger({ role: 'worker', level: 'error', destination: process.stderr }),
    ...changes,
  });
}

async function samplesOf(
  changes: Partial<MeasuredModelOptions>,
): Promise<{ readonly preparedIn: string | null; readonly samples: readonly BatchSample[] }> {
  const opened = await open(changes);
  invariant(opened.ok, 'digits loads');
  const { preparedIn } = opened.value;
  const samples = await opened.value.run(3, ({ length }) => length >= 6);
  await opened.value.close();
  invariant(samples.ok, 'digits runs');
  return { preparedIn, samples: samples.value };
}

test.each([
  ['compute', 1],
  ['threads', 4],
])(
  'inputs are prepared where a worker would: %s, of one instance on %d cores',
  async (where, cores) => {
    const { preparedIn, samples } = await samplesOf({ cores });
    expect(preparedIn).toBe(where);
    expect(samples.length).toBeGreaterThanOrEqual(6);
    for (const { computeMs, cycleMs, prepareMs } of samples) {
      expect(prepareMs).toBeGreaterThan(0);
      expect(computeMs).toBeGreaterThan(0);
      // In the same thread the one follows the other.
      if (where === 'compute') expect(cycleMs).toBeGreaterThanOrEqual(prepareMs + computeMs - 0.5);
    }
  },
);

test('without inputs the model itself is run', async () => {
  const { preparedIn, samples } = await samplesOf({ payloads: [], instances: 2 });
  expect(preparedIn).toBeNull();
  for (const { computeMs, prepareMs } of samples) {
    expect(prepareMs).toBe(0);
    expect(computeMs).toBeGreaterThan(0);
  }
});

test.each([1, 4])('an input that the pipeline refuses is told (%d cores)', async (cores) => {
  const opened = await open({ cores, payloads: [imagePayload(new Uint8Array([1, 2, 3]))] });
  invariant(opened.ok, 'digits loads');
  const refused = await opened.value.run(1, () => true);
  await opened.value.close();
  expect(refused).toMatchObject({
    ok: false,
    error: expect.stringContaining('an input is refused'),
  });
});

test('a model that cannot be loaded is told', async () => {
  const opened = await open({ manifest: { ...digits, file: '/nonexistent/model.onnx' } });
  expect(opened).toMatchObject({ ok: false, error: expect.stringContaining('cannot be loaded') });
});

test('zeros have the dimensions of the warm-up of the model where they vary', async () => {
  const x = { name: 'x', datatype: 'FP32' } as const;
  const feed = zerosFeed({
    ...digits,
    maxBatchSize: 8,
    inputs: [{ ...x, shape: [-1, -1, 3] }],
    preprocess: { kind: 'none' },
    warmupSamples: [{ rows: 2, count: 1, inputs: [{ ...x, shape: [2, 5, 3], data: 'zero' }] }],
  });
  const batch = await feed.next(undefined as never, 4);
  expect(batch).toMatchObject({
    value: { items: [{ rows: 4, tensors: [{ name: 'x', shape: [4, 5, 3] }] }] },
  });
});
