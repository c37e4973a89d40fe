/** What requests may name, out of a repository and of what workers say. */
import type { ServedModel, WorkerAnnouncement } from '@inferry/contracts';
import { describe, expect, test } from 'vitest';
import { ModelCatalogue } from './catalogue.ts';
import { manifestOf } from './manifest-fixture.test.ts';

function served(
  version: string,
  state: ServedModel['state'],
  { name = 'iris', digest = 'd' } = {},
): ServedModel {
  const manifest = manifestOf(name, version, digest);
  return { manifest, state, provider: 'cpu', device: 'cpu', loadMs: 1 };
}

function worker(
  workerId: string,
  models: readonly ServedModel[],
  more: Partial<WorkerAnnouncement> = {},
): WorkerAnnouncement {
  return {
    v: 1,
    workerId,
    host: 'h',
    pid: 1,
    state: 'serving',
    startedAtMs: 1,
    models,
    ...more,
  };
}

function localOf(...versions: string[]) {
  const models = versions.map((version) => manifestOf('iris', version));
  return { directory: 'models', models, problems: [], warnings: [], routing: {}, choices: {} };
}

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
      worker('d', [served('1', 'failed')]),
      worker('e', [served('1', 'ready')], { state: 'draining' }),
    ]);
    expect(catalogue.list()).toMatchObject([{ state: 'ready', readyWorkers: 2 }]);
  });

  test('tells a version that loads from one that failed', () => {
    const catalogue = new ModelCatalogue();
    catalogue.replaceAnnounced([worker('a', [served('1', 'loading'), served('2', 'failed')])]);
    expect(catalogue.list()[0]?.versions).toMatchObject([
      { version: '1', state: 'loading' },
      { version: '2', state: 'unavailable' },
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
      catalogue.replaceAnnounced([worker('a', [served(String(i), 'ready')])]);
    }
    expect(catalogue.resolve('iris', '1')).toMatchObject({ ok: false });
    expect(catalogue.resolve('iris', '2')).toMatchObject({ ok: true });
    expect(catalogue.list()[0]?.versions).toHaveLength(1_001);
  });

  test('takes the repository at its word, else the worker that started last', () => {
    const catalogue = new ModelCatalogue();
    const young = worker('y', [served('1', 'ready', { digest: 'young' })], { startedAtMs: 2 });
    const old = worker('o', [served('1', 'ready', { digest: 'old' })]);
    catalogue.replaceAnnounced([young, old]);
    expect(catalogue.resolve('iris')).toMatchObject({ value: { digest: 'young' } });
    catalogue.replaceLocal(localOf('1'));
    expect(catalogue.resolve('iris')).toMatchObject({ value: { digest: 'd' } });
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
