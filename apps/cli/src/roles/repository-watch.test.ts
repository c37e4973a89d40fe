/** A model repository that changes under a running role. */
import {
  cpSync,
  mkdirSync,
  mkdtempSync,
  renameSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { loadRepository, type Repository } from '@inferry/models';
import { VirtualClock } from '@inferry/runtime';
import type { LogFields, Logger } from '@inferry/telemetry';
import { repositoryPath, waitFor } from '@inferry/testkit';
import { afterEach, beforeEach, expect, onTestFinished, test } from 'vitest';
import { fingerprintOf } from './fingerprint.ts';
import { type RepositoryWatch, watchRepository } from './repository-watch.ts';

const pollMs = 100;
const fixture = repositoryPath('packages/testkit/fixtures/models/identity_fp32/1/model.onnx');

let folder = '';
let stop: () => void = () => undefined;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'inferry-watch-'));
});
afterEach(() => {
  stop();
  rmSync(folder, { recursive: true });
});

function version(model: string, name: string, from = fixture): void {
  mkdirSync(join(folder, model, name), { recursive: true });
  cpSync(from, join(folder, model, name, 'model.onnx'));
}

interface Watched {
  readonly watch: RepositoryWatch;
  readonly changes: readonly Repository[];
  readonly logged: readonly string[];
  /** Lets the watch look at the files once. */
  readonly look: () => Promise<void>;
}

async function watched(
  options: { pollMs?: number; only?: readonly string[]; load?: typeof loadRepository } = {},
): Promise<Watched> {
  const clock = new VirtualClock();
  const logged: string[] = [];
  const note = (fields: LogFields, message: string): void =>
    void logged.push(`${message}: ${String(fields['problem'] ?? fields['model'])}`);
  const logger = { info: note, warn: note, error: note } as unknown as Logger;
  const watch = watchRepository({
    repository: await loadRepository(folder),
    modelsDir: folder,
    only: options.only ?? null,
    ...(options.load === undefined ? {} : { load: options.load }),
    pollMs: options.pollMs ?? pollMs,
    clock,
    logger,
  });
  ({ stop } = watch);
  const changes: Repository[] = [];
  watch.events.on('changed', (repository) => changes.push(repository));
  const look = async (): Promise<void> => {
    await clock.advance(pollMs);
    await waitFor(() => clock.pendingTimers === 1, { what: 'the end of a look' });
  };
  return { watch, changes, logged, look };
}

const served = (repository: Repository | undefined): readonly string[] | undefined =>
  repository?.models.map(({ name, version }) => `${name}@${version}`);

test('a version that appears is read once two looks saw the same, and nothing is told before', async () => {
  version('m', '1');
  const { changes, look, watch } = await watched();
  await look();
  await look();
  expect(changes).toEqual([]);
  version('m', '2');
  await look();
  expect(changes).toEqual([]);
  await look();
  expect(changes.map(served)).toEqual([['m@1', 'm@2']]);
  expect(served(watch.current())).toEqual(['m@1', 'm@2']);
  await look();
  expect(changes).toHaveLength(1);
});

test('a copy that is under way is not read, however many looks it takes', async () => {
  version('m', '1');
  const { changes, logged, look } = await watched();
  await look();
  await look();
  mkdirSync(join(folder, 'm/2'));
  for (const part of ['a', 'ab', 'abc']) {
    writeFileSync(join(folder, 'm/2/model.onnx'), part);
    await look();
  }
  version('m', '2');
  await look();
  expect([changes, logged]).toEqual([[], []]);
  await look();
  expect(changes.map(served)).toEqual([['m@1', 'm@2']]);
  expect(logged).toEqual([]);
});

test('what changed while the role started is seen', async () => {
  version('m', '1');
  const { changes, look } = await watched();
  version('m', '2');
  await look();
  await look();
  expect(changes.map(served)).toEqual([['m@1', 'm@2']]);
});

test('a model that breaks stays as it was, its neighbours change, and that is told once', async () => {
  version('bad', '1');
  version('good', '1');
  const { changes, logged, look } = await watched();
  const before = (await loadRepository(folder)).models.find(({ name }) => name === 'bad');
  writeFileSync(join(folder, 'bad/model.yaml'), 'no_such_key: 1\n');
  version('good', '2');
  await look();
  await look();
  expect(changes.map(served)).toEqual([['bad@1', 'good@1', 'good@2']]);
  expect(changes[0]?.models[0]).toEqual(before);
  expect(changes[0]?.problems.map(({ model }) => model)).toEqual(['bad']);
  version('good', '3');
  await look();
  await look();
  expect(logged).toHaveLength(1);
  expect(logged[0]).toContain('no_such_key');
  rmSync(join(folder, 'bad/model.yaml'));
  await look();
  await look();
  expect(changes.at(-1)?.problems).toEqual([]);
  expect(logged.at(-1)).toBe('can be read again: bad');
});

test('a broken version takes no other one away, and keeps nobody from naming another one', async () => {
  version('m', '1');
  version('m', '2');
  writeFileSync(join(folder, 'm/versions.yaml'), 'policy: {latest: 1}\n');
  const { look, watch } = await watched();
  const route = async (text: string): Promise<void> => {
    writeFileSync(join(folder, 'm/versions.yaml'), `policy: {latest: 1}\n${text}`);
    await look();
    await look();
  };
  expect(served(watch.current())).toEqual(['m@2']);
  mkdirSync(join(folder, 'm/3'));
  writeFileSync(join(folder, 'm/3/model.onnx'), 'no model');
  await route('');
  expect(served(watch.current())).toEqual(['m@2']);
  expect(watch.current().problems.map((problem) => problem.version)).toEqual(['3']);
  await route('labels: {stable: "1"}\n');
  expect(served(watch.current())).toEqual(['m@1', 'm@2']);
  expect(watch.current().routing['m']?.labels).toEqual({ stable: '1' });
  // What is not there to be served is not sent to.
  await route('labels: {stable: "3"}\n');
  expect(watch.current().routing['m']?.labels).toEqual({ stable: '1' });
  rmSync(join(folder, 'm/3'), { recursive: true });
  await route('');
  expect(served(watch.current())).toEqual(['m@2']);
  expect(watch.current().routing).toEqual({});
});

test('a model that goes away is gone; a directory that goes away changes nothing', async () => {
  version('a', '1');
  version('b', '1');
  const { look, watch } = await watched();
  rmSync(join(folder, 'a'), { recursive: true });
  await look();
  await look();
  expect(served(watch.current())).toEqual(['b@1']);
  renameSync(folder, `${folder}-away`);
  await look();
  await look();
  expect(served(watch.current())).toEqual(['b@1']);
  expect(watch.current().problems[0]?.message).toBe('does not exist');
  renameSync(`${folder}-away`, folder);
});

test('another content of the same size and time is seen, in the same file and behind a link that is swapped', async () => {
  const releases = mkdtempSync(join(tmpdir(), 'inferry-releases-'));
  onTestFinished(() => rmSync(releases, { recursive: true }));
  const release = (name: string, limitMs: number): void => {
    const file = join(releases, name, 'model.yaml');
    mkdirSync(join(releases, name, '1'), { recursive: true });
    cpSync(fixture, join(releases, name, '1/model.onnx'));
    writeFileSync(file, `execution_timeout_ms: ${limitMs}\n`);
    utimesSync(file, 1_000_000, 1_000_000);
  };
  release('a', 1_000);
  release('b', 3_000);
  symlinkSync(join(releases, 'a'), join(folder, 'm'));
  const { changes, look } = await watched();
  const limits = (): readonly unknown[] =>
    changes.map(({ models }) => models.map(({ executionTimeoutMs }) => executionTimeoutMs));
  await look();
  await look();
  release('a', 2_000);
  await look();
  await look();
  expect(limits()).toEqual([[2_000]]);
  symlinkSync(join(releases, 'b'), join(folder, '.m'));
  renameSync(join(folder, '.m'), join(folder, 'm'));
  await look();
  await look();
  expect(limits()).toEqual([[2_000], [3_000]]);
});

test('what changes while it is read is read again: a model that is being replaced is not given up', async () => {
  version('m', '1');
  version('n', '1');
  let reads = 0;
  const { changes, watch } = await watched({
    pollMs: 0,
    load: async (directory) => {
      reads += 1;
      if (reads > 1) return loadRepository(directory);
      renameSync(join(folder, 'm'), join(folder, '.m'));
      const read = await loadRepository(directory);
      version('m', '2');
      return read;
    },
  });
  expect(served(await watch.reread())).toEqual(['m@2', 'n@1']);
  expect([changes.length, reads]).toEqual([1, 2]);
  // One that changes all the time is read as it is.
  reads = 0;
  const busy = await watched({
    pollMs: 0,
    load: (directory) => {
      reads += 1;
      version('m', String(10 + reads));
      return loadRepository(directory);
    },
  });
  expect(served(await busy.watch.reread())).toContain('m@13');
  expect(reads).toBe(3);
});

test('what cannot be read for a reason that its files do not show is read again now and then', async () => {
  version('m', '1');
  let isOut = true;
  const { changes, look, watch } = await watched({
    load: async (directory) => {
      const read = await loadRepository(directory);
      const problem = { model: 'm', version: null, file: 'm', line: null, message: 'too many' };
      return isOut ? { ...read, models: [], problems: [problem] } : read;
    },
  });
  version('m', '2');
  await look();
  await look();
  expect(watch.current().problems).toHaveLength(1);
  isOut = false;
  for (let i = 0; i < 20; i += 1) await look();
  expect(served(changes.at(-1))).toEqual(['m@1', 'm@2']);
  expect(watch.current().problems).toEqual([]);
});

test('a reading that is asked for does not wait for a look, and is shared by those that ask together', async () => {
  version('m', '1');
  const { changes, watch } = await watched({ pollMs: 0 });
  version('m', '2');
  const [first, second] = [watch.reread(), watch.reread()];
  expect(second).toBe(first);
  expect(served(await first)).toEqual(['m@1', 'm@2']);
  version('m', '3');
  expect(served(await watch.reread())).toEqual(['m@1', 'm@2', 'm@3']);
  expect(changes).toHaveLength(2);
});

test('models that are not to be served, and what is staged, are left alone', async () => {
  version('m', '1');
  const { changes, look, watch } = await watched({ only: ['m'] });
  const before = await fingerprintOf(folder, ['m']);
  version('other', '1');
  version('.inferry', '1');
  expect(await fingerprintOf(folder, ['m'])).toBe(before);
  await look();
  await look();
  expect(changes).toEqual([]);
  expect(served(await watch.reread())).toEqual(['m@1']);
});

test('after the end nothing is told', async () => {
  version('m', '1');
  const { changes, watch } = await watched();
  version('m', '2');
  const reading = watch.reread();
  watch.stop();
  expect(served(await reading)).toEqual(['m@1']);
  expect(changes).toEqual([]);
});

test('more entries than a look may take have no fingerprint', async () => {
  version('m', '1');
  expect(await fingerprintOf(folder, null, 3)).not.toBeNull();
  expect(await fingerprintOf(folder, null, 2)).toBeNull();
});
