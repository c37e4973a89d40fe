/** What holds whatever workers announce, in whatever order repositories and orders change. */
import type { ModelRouting, ServedModel, WorkerAnnouncement } from '@inferry/contracts';
import { seededRandom } from '@inferry/runtime';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { type CatalogueModel, type CatalogueVersion, ModelCatalogue } from './catalogue.ts';
import { localOf, served, worker } from './catalogue-fixture.test.ts';

const versions = ['1', '2', '3', 'beta'] as const;
const labelNames = ['stable', 'canary', 'constructor'] as const;
const states: readonly ServedModel['state'][] = ['loading', 'ready', 'failed', 'retiring'];

const version = fc.constantFrom(...versions);
const routing: fc.Arbitrary<ModelRouting> = fc.record({
  labels: fc.dictionary(fc.constantFrom(...labelNames), version),
  traffic: fc.uniqueArray(fc.record({ version, weight: fc.integer({ min: 1, max: 9 }) }), {
    selector: (share) => share.version,
  }),
});
/** The versions that a worker announces, with their states. */
const models = fc.dictionary(version, fc.constantFrom(...states));
const workers: fc.Arbitrary<readonly WorkerAnnouncement[]> = fc
  .dictionary(
    fc.constantFrom('a', 'b', 'c'),
    fc.record({ models, routing: fc.option(routing), isDraining: fc.boolean() }),
  )
  .map((live) =>
    Object.entries(live).map(([id, said], startedAtMs) => {
      const all = Object.entries(said.models).map(([one, state]) => served(one, state));
      return worker(id, all, {
        startedAtMs,
        state: said.isDraining ? 'draining' : 'serving',
        ...(said.routing === null ? {} : { routing: { iris: said.routing } }),
      });
    }),
  );
const step = fc.oneof(
  { weight: 4, arbitrary: fc.record({ workers, isUnloaded: fc.boolean() }) },
  fc.record({ local: fc.uniqueArray(version), routing: fc.option(routing) }),
);
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

function take(catalogue: ModelCatalogue, change: Step): void {
  if ('workers' in change) {
    const { isUnloaded } = change;
    const order = { number: 1, model: 'iris', want: 'unloaded', atMs: 1 } as const;
    catalogue.replaceAnnounced(change.workers, isUnloaded ? [order] : []);
  } else {
    const set = change.routing === null ? {} : { iris: change.routing };
    catalogue.replaceLocal({ ...localOf(...change.local), routing: set });
  }
}

/** Calls `check` after each of many random changes. */
function afterEach(
  check: (
    now: ModelCatalogue,
    before: CatalogueModel | undefined,
    history: readonly Step[],
  ) => void,
): void {
  fc.assert(
    fc.property(fc.array(step, { minLength: 1, maxLength: 12 }), (steps) => {
      const catalogue = new ModelCatalogue();
      steps.forEach((change, i) => {
        const before = catalogue.list()[0];
        take(catalogue, change);
        check(catalogue, before, steps.slice(0, i + 1));
      });
    }),
    { numRuns: 500 },
  );
}

const isReady = ({ state }: CatalogueVersion): boolean => state === 'ready';
const isGone = ({ state }: CatalogueVersion): boolean =>
  state === 'retiring' || state === 'unloaded';

test('a request without a version gets one that a worker has ready, whenever there is any', () => {
  const random = seededRandom(1);
  afterEach((catalogue) => {
    const model = catalogue.list()[0];
    if (model?.versions.some(isReady) !== true) return;
    const ready = model.versions.filter(isReady).map((one) => one.version);
    const chosen = catalogue.choose('iris', undefined, random);
    expect(ready).toContain(chosen.ok ? chosen.value.version : chosen.error.code);
    expect(ready).toContain(model.defaultVersion);
    for (const share of model.shares) expect(ready).toContain(share.version);
  });
});

test('the default never moves to a version that nobody has ready while another is', () => {
  afterEach((catalogue, before) => {
    const now = catalogue.list()[0];
    if (now === undefined || now.defaultVersion === before?.defaultVersion) return;
    const isAnyReady = now.versions.some(isReady);
    expect(now.state === 'ready').toBe(isAnyReady);
  });
});

test('the default leaves a version that is ready only for one that no worker with another has to load', () => {
  afterEach((catalogue, before, history) => {
    const now = catalogue.list()[0];
    const last = history.findLast((one) => 'workers' in one);
    if (now === undefined || before === undefined || last === undefined) return;
    const old = now.versions.find((one) => one.version === before.defaultVersion);
    if (old?.state !== 'ready' || now.defaultVersion === old.version) return;
    for (const { models: held, state } of last.workers) {
      if (state === 'draining') continue;
      const of = (one: string) => held.find(({ manifest }) => manifest.version === one)?.state;
      const hasOther = held.some(
        ({ manifest, state: its }) =>
          its === 'ready' &&
          manifest.version !== now.defaultVersion &&
          !now.versions.some((one) => one.version === manifest.version && isGone(one)),
      );
      if (hasOther) expect(['ready', 'failed', 'retiring']).toContain(of(now.defaultVersion));
    }
  });
});

test('an exact version comes before a label, and what is found may be requested', () => {
  afterEach((catalogue) => {
    const model = catalogue.list()[0];
    for (const name of [...versions, ...labelNames, undefined]) {
      const found = catalogue.resolve('iris', name);
      const exact = model?.versions.find((one) => one.version === name && !isGone(one));
      if (exact !== undefined) expect(found).toMatchObject({ value: { version: name } });
      const codes = ['model_not_found', 'model_version_not_found', 'model_unavailable'];
      if (!found.ok) expect(codes).toContain(found.error.code);
      else {
        const of = model?.versions.find((one) => one.version === found.value.version);
        expect(of === undefined || isGone(of)).toBe(false);
        if (exact === undefined && name !== undefined) {
          expect(model?.labels[name]).toBe(found.value.version);
        }
      }
    }
    const isAny = model !== undefined && !model.versions.every(isGone);
    expect(catalogue.resolve('iris').ok).toBe(isAny);
  });
});

test('shares of traffic converge to their weights', () => {
  const weights = fc.uniqueArray(fc.record({ version, weight: fc.integer({ min: 1, max: 100 }) }), {
    minLength: 1,
    selector: (share) => share.version,
  });
  fc.assert(
    fc.property(weights, fc.integer(), (traffic, seed) => {
      const catalogue = new ModelCatalogue();
      const all = traffic.map((share) => share.version);
      catalogue.replaceLocal({ ...localOf(...all), routing: { iris: { labels: {}, traffic } } });
      catalogue.replaceAnnounced([
        worker(
          'a',
          all.map((one) => served(one, 'ready')),
        ),
      ]);
      const random = seededRandom(seed);
      const draws = 2_000;
      const counts = new Map<string, number>();
      for (let i = 0; i < draws; i += 1) {
        const chosen = catalogue.choose('iris', undefined, random);
        const got = chosen.ok ? chosen.value.version : 'none';
        counts.set(got, (counts.get(got) ?? 0) + 1);
      }
      const sum = traffic.reduce((total, { weight }) => total + weight, 0);
      for (const share of traffic) {
        const p = share.weight / sum;
        const deviation = Math.sqrt(draws * p * (1 - p));
        const off = Math.abs((counts.get(share.version) ?? 0) - draws * p);
        expect(off).toBeLessThanOrEqual(6 * deviation + 1);
      }
    }),
    { numRuns: 30 },
  );
});
