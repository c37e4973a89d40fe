/** What requests may name, out of a repository and of what workers say. */
import type {
  ControlOrder,
  ModelManifest,
  ModelRouting,
  WorkerAnnouncement,
} from '@inferry/contracts';
import { describe, expect, test } from 'vitest';
import { ModelCatalogue } from './catalogue.ts';
import { localOf, served, worker } from './catalogue-fixture.test.ts';

describe('the catalogue', () => {
  test('knows the models of the repository before any worker lives, as unavailable', () => {
    const catalogue = new ModelCatalogue();
    catalogue.replaceLocal(localOf('1', '2'));
    expect(catalogue.list()).toMatchObject([
      {
        name: 'iris',
        defaultVersion: '2',
        state: 'unavailable',
        readyWorkers: 0,
        versions: [{ version: '1' }, { version: '2' }],
      },
    ]);
    expect(catalogue.resolve('iris')).toMatchObject({ ok: true, value: { version: '2' } });
  });

  test('counts the workers that have a version ready, and not those that drain', () => {
    const catalogue = new ModelCatalogue();
    catalogue.replaceLocal(localOf('1'));
    catalogue.replaceAnnounced([
      worker('a', [served('1', 'ready')]),
      worker('b', [served('1', 'ready')]),
      worker('c', [served('1', 'loading')]),
      worker('d', [served('1', 'failed', { reason: 'no memory' })]),
      worker('e', [served('1', 'ready')], { state: 'draining' }),
    ]);
    expect(catalogue.list()).toMatchObject([
      { state: 'ready', readyWorkers: 2, versions: [{ failure: 'no memory' }] },
    ]);
  });

  test('tells a version that loads from one that failed', () => {
    const catalogue = new ModelCatalogue();
    const failed = (reason: string) => served('2', 'failed', { reason });
    catalogue.replaceAnnounced([
      worker('a', [served('1', 'loading'), failed('it is broken')]),
      worker('b', [failed('no memory')]),
      worker('c', [failed('it is broken')]),
    ]);
    expect(catalogue.list()[0]?.versions).toMatchObject([
      { version: '1', state: 'loading', failure: null },
      { version: '2', state: 'failed', failure: 'it is broken; no memory' },
    ]);
  });

  test('without a repository, switches to a new version when a worker has it ready', () => {
    const catalogue = new ModelCatalogue();
    const version = (): string | undefined => catalogue.list()[0]?.defaultVersion;
    catalogue.replaceAnnounced([worker('a', [served('1', 'ready'), served('2', 'loading')])]);
    expect(version()).toBe('1');
    catalogue.replaceAnnounced([worker('a', [served('1', 'ready'), served('2', 'ready')])]);
    expect(version()).toBe('2');
    catalogue.replaceAnnounced([worker('a', [served('1', 'ready')])]);
    expect(version()).toBe('1');
  });

  test('still finds an announced model after its last worker is gone', () => {
    const catalogue = new ModelCatalogue();
    catalogue.replaceAnnounced([worker('a', [served('1', 'ready')])]);
    catalogue.replaceAnnounced([]);
    expect(catalogue.resolve('iris', '1')).toMatchObject({ ok: true });
    expect(catalogue.list()).toMatchObject([{ state: 'unavailable', readyWorkers: 0 }]);
  });

  test('forgets the announced versions that are gone for longest, beyond a thousand', () => {
    const catalogue = new ModelCatalogue();
    for (let i = 1; i <= 1_002; i += 1) {
      catalogue.replaceAnnounced([worker(`w${i}`, [served(String(i), 'ready')])]);
    }
    expect(catalogue.resolve('iris', '1')).toMatchObject({ ok: false });
    expect(catalogue.resolve('iris', '2')).toMatchObject({ ok: true });
    expect(catalogue.list()[0]?.versions).toHaveLength(1_001);
  });

  test('takes the manifest of the worker that had it ready last, else that of the repository', () => {
    const catalogue = new ModelCatalogue();
    const said = (): unknown => {
      const found = catalogue.resolve('iris');
      return found.ok ? found.value.digest : found.error.code;
    };
    const at = (id: string, digest: string, startedAtMs: number, state = 'ready' as const) =>
      worker(id, [served('1', state, { digest })], { startedAtMs });
    catalogue.replaceAnnounced([at('young', 'y', 2), at('old', 'o', 1)]);
    expect(said()).toBe('y');
    catalogue.replaceLocal(localOf('1'));
    expect(said()).toBe('y');
    // The older one has changed it while it served.
    catalogue.replaceAnnounced([at('young', 'y', 2), at('old', 'new', 1)]);
    catalogue.replaceAnnounced([at('young', 'y', 2), at('old', 'new', 1)]);
    expect(said()).toBe('new');
    catalogue.replaceAnnounced([]);
    expect(said()).toBe('d');
  });

  test('says what there is when a name or version is not', () => {
    const catalogue = new ModelCatalogue();
    catalogue.replaceLocal(localOf('1'));
    expect(catalogue.resolve('digits')).toMatchObject({
      error: { code: 'model_not_found', detail: expect.stringContaining('iris') as string },
    });
    expect(catalogue.resolve('iris', '7')).toMatchObject({
      error: { code: 'model_version_not_found' },
    });
  });
});

test('what is retiring is known to what runs it, until an order unloads it', () => {
  const catalogue = new ModelCatalogue();
  const workers = [
    worker('a', [served('1', 'retiring'), served('2', 'retiring'), served('3', 'ready')]),
  ];
  const retiring = (version?: string) => catalogue.retiring('iris', version)?.version;
  catalogue.replaceAnnounced(workers);
  expect([retiring(), retiring('1'), retiring('3')]).toEqual(['2', '1', undefined]);
  catalogue.replaceAnnounced(workers, [{ model: 'iris', number: 1, want: 'unloaded', atMs: 1 }]);
  expect([retiring(), retiring('1')]).toEqual([undefined, undefined]);
});

test('a version is not waited for at a worker whose device it has no instances for', () => {
  const catalogue = new ModelCatalogue();
  const local = localOf('1', '2');
  const onGpu = (gpus?: readonly number[]) =>
    local.models.map((manifest): ModelManifest => {
      const group = { kind: 'cuda', count: 1, ...(gpus === undefined ? {} : { gpus }) } as const;
      return manifest.version === '1' ? manifest : { ...manifest, instances: [group] };
    });
  const at = (id: string, device: string, ...versions: string[]) =>
    worker(
      id,
      versions.map((version) => ({ ...served(version, 'ready'), device })),
    );
  const now = (gpus: readonly number[] | undefined, ...workers: WorkerAnnouncement[]) => {
    catalogue.replaceLocal({ ...local, models: [...onGpu(gpus)] });
    catalogue.replaceAnnounced(workers.map((one) => withInstances(one, gpus)));
    return catalogue.list()[0]?.defaultVersion;
  };
  const withInstances = (one: WorkerAnnouncement, gpus?: readonly number[]) => ({
    ...one,
    models: one.models.map((model) => {
      const manifest = onGpu(gpus).find(({ version }) => version === model.manifest.version);
      return { ...model, manifest: manifest ?? model.manifest };
    }),
  });
  expect(now(undefined, at('a', 'cuda:0', '1'), at('c', 'cpu', '1'))).toBe('1');
  expect(now(undefined, at('a', 'cuda:0', '1', '2'), at('b', 'cuda:1', '1'))).toBe('1');
  expect(now(undefined, at('a', 'cuda:0', '1', '2'), at('c', 'cpu', '1'))).toBe('2');
  expect(now([1], at('b', 'cuda:1', '1'), at('c', 'cpu', '1'))).toBe('1');
  expect(now([1], at('b', 'cuda:1', '1', '2'), at('a', 'cuda:0', '1'))).toBe('2');
});

describe('a version that is dropped', () => {
  test('is not to be requested while its workers serve what waits, and is forgotten then', () => {
    const catalogue = new ModelCatalogue();
    catalogue.replaceAnnounced([worker('a', [served('1', 'ready'), served('2', 'ready')])]);
    catalogue.replaceAnnounced([worker('a', [served('1', 'retiring'), served('2', 'ready')])]);
    expect(catalogue.list()[0]?.versions).toMatchObject([{ state: 'retiring' }, { version: '2' }]);
    expect(catalogue.resolve('iris', '1')).toMatchObject({
      error: { code: 'model_version_not_found', detail: expect.stringMatching(/it has: 2$/u) },
    });
    catalogue.replaceAnnounced([worker('a', [served('2', 'ready')])]);
    expect(catalogue.list()[0]?.versions).toMatchObject([{ version: '2' }]);
  });

  test('is served as long as one worker keeps it', () => {
    const catalogue = new ModelCatalogue();
    catalogue.replaceAnnounced([
      worker('a', [served('1', 'retiring')]),
      worker('b', [served('1', 'ready')]),
    ]);
    expect(catalogue.resolve('iris', '1')).toMatchObject({ ok: true });
  });

  test('is forgotten when a worker that lives has dropped it, though another died with it', () => {
    const catalogue = new ModelCatalogue();
    const having = [served('1', 'ready'), served('2', 'ready')];
    catalogue.replaceAnnounced([worker('a', having), worker('b', having)]);
    catalogue.replaceAnnounced([worker('a', [served('2', 'ready')]), worker('b', having)]);
    catalogue.replaceAnnounced([worker('a', [served('2', 'ready')])]);
    expect(catalogue.resolve('iris', '1')).toMatchObject({ ok: false });
  });

  test('can be requested again when it is loaded again', () => {
    const catalogue = new ModelCatalogue();
    catalogue.replaceAnnounced([worker('a', [served('1', 'retiring')])]);
    catalogue.replaceAnnounced([worker('a', [served('1', 'ready')])]);
    expect(catalogue.resolve('iris')).toMatchObject({ ok: true });
  });
});

describe('an unloaded model', () => {
  const order = (want: ControlOrder['want']): ControlOrder => {
    return { number: 1, model: 'iris', want, atMs: 1 };
  };
  const unloaded = { error: { code: 'model_unavailable', detail: 'Model "iris" was unloaded.' } };

  test.each([
    ['of the repository', localOf('1')],
    ['of workers alone', localOf()],
  ])('%s is served until it retires, shown then, and served again after it was loaded', (...of) => {
    const catalogue = new ModelCatalogue();
    catalogue.replaceLocal(of[1]);
    catalogue.replaceAnnounced([worker('a', [served('1', 'ready')])], [order('unloaded')]);
    expect(catalogue.resolve('iris')).toMatchObject({ ok: true });
    for (const models of [[served('1', 'retiring')], []]) {
      catalogue.replaceAnnounced([worker('a', models)], [order('unloaded')]);
      expect(catalogue.resolve('iris')).toMatchObject(unloaded);
      expect(catalogue.resolve('iris', '1')).toMatchObject(unloaded);
    }
    expect(catalogue.list()).toMatchObject([{ state: 'unloaded', defaultVersion: '1' }]);
    // The worker dies, and the next one holds to the order.
    catalogue.replaceAnnounced([], [order('unloaded')]);
    expect(catalogue.resolve('iris')).toMatchObject(unloaded);
    catalogue.replaceAnnounced([worker('b', [served('1', 'ready')])], [order('loaded')]);
    expect(catalogue.resolve('iris')).toMatchObject({ ok: true });
  });

  test('is told from one that nobody knows, also by a gateway that never saw it', () => {
    const catalogue = new ModelCatalogue();
    catalogue.replaceAnnounced([], [order('unloaded')]);
    expect(catalogue.resolve('iris')).toMatchObject(unloaded);
    expect(catalogue.resolve('digits')).toMatchObject({ error: { code: 'model_not_found' } });
  });
});

describe('labels', () => {
  const routed = (routing: Partial<ModelRouting>, ...versions: string[]) => {
    const set = { labels: {}, traffic: [], ...routing };
    return { ...localOf(...versions), routing: { iris: set } };
  };

  test('stand for their version, which an exact one comes before', () => {
    const catalogue = new ModelCatalogue();
    catalogue.replaceLocal(routed({ labels: { canary: '2', old: '1' } }, '1', '2', 'old'));
    expect(catalogue.resolve('iris', 'canary')).toMatchObject({ value: { version: '2' } });
    expect(catalogue.resolve('iris', 'old')).toMatchObject({ value: { version: 'old' } });
    expect(catalogue.resolve('iris', 'constructor')).toMatchObject({
      error: { detail: expect.stringMatching(/it has: canary, old, old, 1, 2$/u) },
    });
  });

  test('that are stable say what requests without a version get', () => {
    const catalogue = new ModelCatalogue();
    catalogue.replaceLocal(routed({ labels: { stable: '1' } }, '1', '2'));
    expect(catalogue.resolve('iris')).toMatchObject({ value: { version: '1' } });
    // One that names what is not there says nothing.
    catalogue.replaceLocal(routed({ labels: { stable: '7' } }, '1', '2'));
    expect(catalogue.list()).toMatchObject([{ defaultVersion: '2', labels: {} }]);
  });

  test('go over to another version once it is ready, and stay where it cannot be loaded', () => {
    const catalogue = new ModelCatalogue();
    const both = (state: 'loading' | 'failed' | 'ready') =>
      catalogue.replaceAnnounced([worker('a', [served('1', 'ready'), served('2', state)])]);
    const now = () =>
      catalogue.list().map(({ labels, defaultVersion }) => [labels, defaultVersion]);
    catalogue.replaceLocal(routed({ labels: { stable: '1' } }, '1', '2'));
    both('loading');
    catalogue.replaceLocal(routed({ labels: { stable: '2' } }, '1', '2'));
    expect(now()).toEqual([[{ stable: '1' }, '1']]);
    both('failed');
    expect(now()).toEqual([[{ stable: '1' }, '1']]);
    // Ready at one, which is not left alone with it.
    catalogue.replaceAnnounced([
      worker('a', [served('1', 'ready'), served('2', 'ready')]),
      worker('b', [served('1', 'ready')]),
    ]);
    expect(now()).toEqual([[{ stable: '1' }, '1']]);
    both('ready');
    expect(now()).toEqual([[{ stable: '2' }, '2']]);
  });

  test('of workers count where the repository does not know the model: the last to start is heard', () => {
    const catalogue = new ModelCatalogue();
    const models = [served('1', 'ready'), served('2', 'ready')];
    const saying = (id: string, startedAtMs: number, stable: string) =>
      worker(id, models, {
        startedAtMs,
        routing: { iris: { labels: { stable }, traffic: [] } },
      });
    catalogue.replaceAnnounced([saying('young', 2, '1'), saying('old', 1, '2')]);
    expect(catalogue.resolve('iris', 'stable')).toMatchObject({ value: { version: '1' } });
    expect(catalogue.resolve('iris')).toMatchObject({ value: { version: '1' } });
    // While all are gone, what was said holds.
    catalogue.replaceAnnounced([]);
    expect(catalogue.resolve('iris')).toMatchObject({ value: { version: '1' } });
    catalogue.replaceLocal(localOf('1', '2'));
    expect(catalogue.list()).toMatchObject([{ defaultVersion: '2', labels: {} }]);
  });
});

describe('traffic', () => {
  const split = { labels: {}, traffic: [share('1', 3), share('2', 1), share('3', 4)] };
  const local = { ...localOf('1', '2', '3'), routing: { iris: split } };

  test('goes to the versions that are ready, the others keep their proportion', () => {
    const catalogue = new ModelCatalogue();
    catalogue.replaceLocal(local);
    catalogue.replaceAnnounced([
      worker('a', [served('1', 'ready'), served('2', 'ready'), served('3', 'loading')]),
    ]);
    expect(catalogue.list()).toMatchObject([{ shares: [share('1', 3), share('2', 1)] }]);
    const at = (unit: number): unknown => {
      const found = catalogue.choose('iris', undefined, { unit: () => unit });
      return found.ok ? found.value.version : undefined;
    };
    expect([0, 0.74, 0.76, 0.999].map(at)).toEqual(['1', '1', '2', '2']);
  });

  test('goes to the default where none is ready, and a named version is never exchanged', () => {
    const catalogue = new ModelCatalogue();
    catalogue.replaceLocal(local);
    expect(catalogue.list()).toMatchObject([{ shares: [share('3', 1)] }]);
    const random = { unit: () => 0 };
    expect(catalogue.choose('iris', '2', random)).toMatchObject({ value: { version: '2' } });
    expect(catalogue.choose('digits', undefined, random)).toMatchObject({
      error: { code: 'model_not_found' },
    });
  });
});

function share(version: string, weight: number) {
  return { version, weight };
}
