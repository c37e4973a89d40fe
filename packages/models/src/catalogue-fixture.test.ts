/** Announcements and a repository for the tests of the catalogue. */
import type { ModelManifest, ServedModel, WorkerAnnouncement } from '@inferry/contracts';
import { expect, test } from 'vitest';
import type { Repository } from './load-repository.ts';
import { manifestOf } from './manifest-fixture.test.ts';

const made = new Map<string, ModelManifest>();

/** Made once: the properties ask for thousands. */
function manifest(name: string, version: string, digest = 'd'): ModelManifest {
  const key = [name, version, digest].join(' ');
  const known = made.get(key) ?? manifestOf(name, version, digest);
  made.set(key, known);
  return known;
}

export function served(
  version: string,
  state: ServedModel['state'],
  { name = 'iris', digest = 'd', reason }: { name?: string; digest?: string; reason?: string } = {},
): ServedModel {
  const why = reason === undefined ? {} : { reason };
  return {
    manifest: manifest(name, version, digest),
    state,
    provider: 'cpu',
    device: 'cpu',
    loadMs: 1,
    ...why,
  };
}

export function worker(
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

/** Versions of `iris`. */
export function localOf(...versions: string[]): Pick<Repository, 'models' | 'routing'> {
  return { models: versions.map((version) => manifest('iris', version)), routing: {} };
}

test('the announcements of the fixture are of the version that was asked for', () => {
  expect(worker('w', [served('3', 'failed', { reason: 'why' })])).toMatchObject({
    workerId: 'w',
    models: [{ manifest: { name: 'iris', version: '3' }, state: 'failed', reason: 'why' }],
  });
});
