/**
 * Two workers and two gateways follow a repository that changes at random, each as late as it likes: versions come, go,
 * change in place and break. Whoever names no version is answered, whatever happens.
 */
import { setImmediate, setTimeout } from 'node:timers/promises';
import { classOf, type JobId, type ModelManifest } from '@inferry/contracts';
import { createSimulatedBackend, type InferenceBackend } from '@inferry/inference';
import { ModelCatalogue } from '@inferry/models';
import { createMemoryQueue } from '@inferry/queue';
import { seededRandom, sleep, VirtualClock } from '@inferry/runtime';
import { queueRules } from '@inferry/scheduling';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { echo } from './model-switch.fixture.ts';
import { fixtureOn } from './worker.fixture.ts';

const limits = { leaseMs: 500 };
const stepMs = 5;
const loadMs = 300;
/** Gateways learn of workers this often, and workers' grace is two leases. */
const lookMs = 200;

const lagMs = fc.integer({ min: 0, max: 1_500 });
const change = fc.record({
  afterMs: fc.integer({ min: 0, max: 2_500 }),
  versions: fc.uniqueArray(
    fc.record({
      version: fc.constantFrom('1', '2', '3'),
      content: fc.constantFrom('a', 'b'),
      isBroken: fc.boolean(),
    }),
    { minLength: 1, selector: ({ version }) => version },
  ),
  lagsMs: fc.tuple(lagMs, lagMs, lagMs, lagMs),
});
type Change = typeof change extends fc.Arbitrary<infer T> ? T : never;

function backendOn(clock: VirtualClock): InferenceBackend {
  const simulated = createSimulatedBackend({ clock, abort: () => undefined });
  return {
    async load(manifest, device, preparation) {
      await sleep(clock, loadMs);
      const isBroken = manifest.digest.endsWith('!');
      return simulated.load(
        isBroken ? { ...manifest, simulated: null } : manifest,
        device,
        preparation,
      );
    },
  };
}

function manifestsOf({ versions }: Change): readonly ModelManifest[] {
  return versions
    .toSorted((a, b) => (a.version < b.version ? -1 : 1))
    .map(({ content, isBroken, version }) =>
      echo(version, `${version}${content}${isBroken ? '!' : ''}`),
    );
}

async function play(changes: readonly Change[]): Promise<readonly string[]> {
  const clock = new VirtualClock();
  const queue = createMemoryQueue({ clock, rules: queueRules });
  const manifests = [echo('1', '1a')];
  const workers = ['a', 'b'].map((workerId) =>
    fixtureOn({ clock, manifests, queue, limits, deps: { workerId, backend: backendOn(clock) } }),
  );
  const run = async (ms: number): Promise<void> => {
    for (let passed = 0; passed < ms; passed += stepMs) {
      await clock.advance(stepMs);
      await setImmediate();
    }
  };
  // What decodes images is opened in real time.
  const until = async (what: Promise<unknown>): Promise<void> => {
    const over = { isSo: false };
    void what.finally(() => (over.isSo = true));
    for (let i = 0; i < 5_000 && !over.isSo; i += 1) {
      await run(10);
      await setTimeout(1);
    }
    expect(over.isSo).toBe(true);
  };
  await until(Promise.all(workers.map(({ worker }) => worker.start())));
  expect(workers.every(({ worker }) => worker.isReady)).toBe(true);
  const gateways = [new ModelCatalogue(), new ModelCatalogue()];
  for (const gateway of gateways) gateway.replaceLocal({ models: manifests, routing: {} });
  const random = seededRandom(3);
  const asked: { readonly id: JobId; readonly of: string }[] = [];
  const refused: string[] = [];
  let askedTimes = 0;
  const ask = async (): Promise<void> => {
    for (const gateway of gateways) {
      const chosen = gateway.choose('echo', undefined, random);
      askedTimes += 1;
      if (!chosen.ok) refused.push(chosen.error.detail);
      else {
        const { version } = chosen.value;
        const id = await workers[0]?.submit(askedTimes % 500, { class: classOf('echo', version) });
        if (id !== undefined) asked.push({ id, of: version });
      }
    }
  };
  const serveFor = async (ms: number): Promise<void> => {
    for (let passed = 0; passed < ms; passed += lookMs) {
      const told = await queue.workers();
      for (const gateway of gateways) gateway.replaceAnnounced(told);
      await ask();
      await run(lookMs / 2);
      await ask();
      await run(lookMs / 2);
    }
  };
  await serveFor(lookMs);
  for (const one of changes) {
    const models = manifestsOf(one);
    const [first, second, third, fourth] = one.lagsMs;
    [first, second].forEach((ms, i) =>
      clock.after(ms, () => void workers[i]?.worker.apply({ manifests: models, routing: {} })),
    );
    [third, fourth].forEach((ms, i) =>
      clock.after(ms, () => gateways[i]?.replaceLocal({ models, routing: {} })),
    );
    await serveFor(one.afterMs);
  }
  await serveFor(5_000);
  await until(Promise.all(workers.map(({ worker }) => worker.close())));
  const ends = await Promise.all(
    asked.map(async ({ id, of }) => {
      const record = await workers[0]?.record(id);
      return record?.status === 'succeeded' ? null : `${of} ${record?.status ?? 'gone'}`;
    }),
  );
  expect(clock.pendingTimers).toBe(0);
  return [...refused, ...ends.filter((end) => end !== null)];
}

test('whatever becomes of versions, each request that names none is answered', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(change, { minLength: 1, maxLength: 5 }), async (changes) => {
      expect(await play(changes)).toEqual([]);
    }),
    { numRuns: 15, endOnFailure: true },
  );
}, 60_000);
