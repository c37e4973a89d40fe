import { existsSync } from 'node:fs';
import { mkdir, readFile, symlink, utimes, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { loadRepository } from '@inferry/models';
import { repositoryPath } from '@inferry/testkit';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { lockVersions } from '../repository/folders.ts';
import { archiveOf, PullPlace, sha256 } from './pull.fixture.ts';

const iris = await readFile(repositoryPath('models/iris/1/model.onnx'));
const other = await readFile(
  repositoryPath('packages/testkit/fixtures/models/matrix/1/model.onnx'),
);
const yaml = 'max_batch_size: 8\n';

let place: PullPlace;
beforeEach(async () => {
  place = await PullPlace.make();
});
afterEach(() => place.remove());

async function served(): Promise<readonly string[]> {
  const { models, problems } = await loadRepository(place.models);
  expect(problems).toEqual([]);
  return models.map(({ name, version }) => `${name}@${version}`);
}

describe('what a source may be', () => {
  test('a model file becomes version 1 of a model called as the file', async () => {
    const folder = await place.write('x', { 'flowers.onnx': iris });
    const pulled = await place.pull(join(folder, 'flowers.onnx'), {});
    expect(pulled).toEqual({
      code: 0,
      out: `${place.models}/flowers/1\nsha256 ${sha256(iris)}\n`,
      told: '',
    });
    expect(await place.landed()).toEqual(['flowers/1/model.onnx']);
    expect(await served()).toEqual(['flowers@1']);
  });

  test.each([
    ['the model folder itself', { '1/model.onnx': iris, 'model.yaml': yaml }],
    ['a folder around it', { 'named/1/model.onnx': iris, 'named/model.yaml': yaml }],
    ['the files of a version', { 'model.onnx': iris }],
    ['a model file of another name', { 'weights.onnx': iris }],
    ['forks of macOS beside it', { '1/model.onnx': iris, '._1': 'x', '1/._model.onnx': 'x' }],
  ])('an archive may hold %s', async (_, files) => {
    for (const kind of ['tar', 'tar.gz', 'tgz']) {
      const file = await place.archive(`named.${kind}`, files);
      expect(await place.pull(file, { replace: '' })).toMatchObject({ code: 0, told: '' });
    }
    expect(await served()).toEqual(['named@1']);
  });

  test('one model of a repository is taken by its name, a version by its', async () => {
    const files = { 'a/1/model.onnx': iris, 'b/1/model.onnx': iris, 'b/2/model.onnx': other };
    const folder = await place.write('all', files);
    const unclear = await place.pull(folder, {});
    expect(unclear.told).toContain('holds several folders, of which --name chooses one: a, b');
    expect(await place.pull(`file://${folder}`, { name: 'b', version: '2' })).toMatchObject({
      code: 0,
      out: `${place.models}/b/2\n`,
    });
    expect(await served()).toEqual(['b@2']);
    const missing = await place.pull(folder, { name: 'b', version: '7' });
    expect(missing.told).toBe('inferry: b has no version 7 there; it has: 1, 2\n');
  });

  test('as JSON it tells the digest that the model is served with', async () => {
    const folder = await place.write('flowers', { '1/model.onnx': iris });
    const { out } = await place.pull(folder, { json: '' });
    const [model] = (await loadRepository(place.models)).models;
    expect(JSON.parse(out)).toEqual({
      name: 'flowers',
      source: folder,
      sha256: null,
      versions: [{ version: '1', digest: model?.digest, file_bytes: iris.length }],
      warnings: [],
    });
  });
});

describe('what is there already', () => {
  beforeEach(async () => {
    const folder = await place.write('m', { '1/model.onnx': iris, 'model.yaml': yaml });
    expect((await place.pull(folder, {})).code).toBe(0);
  });

  test('another version lands beside the first, with its settings', async () => {
    const folder = await place.write('two', { 'm.onnx': iris });
    const pulled = await place.pull(join(folder, 'm.onnx'), { version: '2' });
    expect(pulled).toMatchObject({ code: 0, told: '' });
    expect(await place.landed()).toEqual(['m/1/model.onnx', 'm/2/model.onnx', 'm/model.yaml']);
    expect(await served()).toEqual(['m@1', 'm@2']);
  });

  test('a version that is there is refused, and replaced when asked', async () => {
    const folder = await place.write('again', { 'm.onnx': other });
    const file = join(folder, 'm.onnx');
    const refused = await place.pull(file, {});
    expect(refused).toMatchObject({
      code: 1,
      told: `inferry: ${place.models}/m already has version 1; --replace replaces it\n`,
    });
    expect(await readFile(join(place.models, 'm/1/model.onnx'))).toEqual(iris);
    await place.write('models', { 'm/model.yaml': '{}\n' });
    expect(await place.pull(file, { replace: '' })).toMatchObject({ code: 0, told: '' });
    expect(await readFile(join(place.models, 'm/1/model.onnx'))).toEqual(other);
  });

  test('settings that differ are refused, as other versions have them too, and replaced when asked', async () => {
    const files = { '2/model.onnx': iris, 'model.yaml': 'max_batch_size: 4\n' };
    const folder = await place.write('new', files);
    const refused = await place.pull(folder, { name: 'm' });
    expect(refused.told).toBe(
      `inferry: model.yaml would change for the versions that ${place.models}/m has; --replace replaces it\n`,
    );
    expect(await place.pull(folder, { name: 'm', replace: '' })).toMatchObject({ code: 0 });
    expect(await served()).toEqual(['m@1', 'm@2']);
    const { models } = await loadRepository(place.models);
    expect(models.map(({ maxBatchSize }) => maxBatchSize)).toEqual([4, 4]);
    expect(await place.landed()).toEqual(['m/1/model.onnx', 'm/2/model.onnx', 'm/model.yaml']);
  });
});

describe('what is refused leaves the repository as it was', () => {
  afterEach(async () => expect(await place.landed()).toEqual([]));

  test('a file that is no model', async () => {
    const folder = await place.write('bad', { '1/model.onnx': iris.subarray(0, 100) });
    const pulled = await place.pull(folder, {});
    expect(pulled.code).toBe(1);
    expect(pulled.told).toMatch(/^inferry: bad\/1\/model\.onnx: /u);
  });

  test('weights that are missing, settings that are wrong', async () => {
    const folder = await place.write('bad', {
      '1/model.onnx': iris,
      'model.yaml': 'colour: red\n',
    });
    expect((await place.pull(folder, {})).told).toMatch(/^inferry: bad\/model\.yaml:1: .*colour/u);
  });

  test.each([
    ['a path that leads out', { path: '../evil', type: 'File' }, 'leads out of the archive'],
    ['an absolute path', { path: '/evil', type: 'File' }, 'is absolute'],
    ['a backslash', { path: String.raw`..\evil`, type: 'File' }, 'is not taken'],
    ['a symbolic link', { path: 'a', type: 'SymbolicLink', linkpath: '/etc' }, 'a SymbolicLink'],
    ['a hard link', { path: 'a', type: 'Link', linkpath: '../b' }, 'is a Link'],
    ['a device', { path: 'a', type: 'CharacterDevice' }, 'is a CharacterDevice'],
    ['a pipe', { path: 'a', type: 'FIFO' }, 'is a FIFO'],
    ['a deep path', { path: 'd/'.repeat(17) + 'x', type: 'File' }, 'deeper than 16 folders'],
  ] as const)('an archive with %s', async (_, entry, told) => {
    const folder = await place.write('x', { 'm.tar': archiveOf(entry) });
    const pulled = await place.pull(join(folder, 'm.tar'), {});
    expect(pulled.code).toBe(1);
    expect(pulled.told).toContain(told);
    expect(existsSync(join(place.models, '.inferry', 'evil'))).toBe(false);
  });

  test('an archive that would unpack to more than is allowed', async () => {
    const entry = { path: 'big', type: 'File', size: 3 * 1024 ** 3 } as const;
    const folder = await place.write('x', { 'm.tar': archiveOf(entry) });
    const pulled = await place.pull(join(folder, 'm.tar'), { 'max-gib': '2' });
    expect(pulled.told).toContain('m.tar holds more than 2147483648 bytes (--max-gib)');
  });

  test('an archive of too many entries', async () => {
    const one = archiveOf({ path: 'a/', type: 'Directory' }).subarray(0, 512);
    const many = Buffer.concat([...Array.from({ length: 10_001 }, () => one), Buffer.alloc(1024)]);
    const folder = await place.write('x', { 'm.tar': many });
    const pulled = await place.pull(join(folder, 'm.tar'), {});
    expect(pulled.told).toContain('holds more than 10000 entries');
  });

  test.each(['tar', 'tgz'])('a .%s that is none, or is cut off after the model', async (kind) => {
    const noise = Buffer.from(Array.from({ length: 50_000 }, (_, i) => (i * i * 31) % 251));
    const files = { '1/model.onnx': iris, 'z.bin': noise };
    const whole = await readFile(await place.archive(`m.${kind}`, files));
    const half = kind === 'tar' ? whole.subarray(0, -30_000) : whole.subarray(0, -200);
    const folder = await place.write('x', { [`n.${kind}`]: 'no archive', [`h.${kind}`]: half });
    for (const name of ['n', 'h']) {
      const pulled = await place.pull(join(folder, `${name}.${kind}`), {});
      expect(pulled).toMatchObject({ code: 1 });
      expect(pulled.told).toContain('is no sound archive');
    }
  });

  test('a file whose digest is another, and a digest of a directory', async () => {
    const folder = await place.write('x', { 'm.onnx': iris });
    const wrong = await place.pull(join(folder, 'm.onnx'), { sha256: sha256(other) });
    expect(wrong.told).toContain(`the SHA-256 is ${sha256(iris)}, not the ${sha256(other)}`);
    const useless = await place.pull(folder, { sha256: sha256(iris) });
    expect(useless.told).toContain('--sha256 is that of a file');
  });

  test('a source that is not there, of another kind, or without a name', async () => {
    const folder = await place.write('x', {
      'model.onnx': iris,
      'm.zip': 'x',
      'a b/model.onnx': iris,
    });
    expect((await place.pull(join(folder, 'none'), {})).told).toContain('does not exist');
    expect((await place.pull(join(folder, 'm.zip'), {})).told).toContain('ends in .onnx, .tar');
    expect((await place.pull(join(folder, 'model.onnx'), {})).told).toContain(
      '--name must be given',
    );
    expect((await place.pull(join(folder, 'a b'), {})).told).toContain(
      '--name must be given: "a b"',
    );
  });

  test('a folder of links that go round', async () => {
    const folder = await place.write('x', { 'a/b': 'x' });
    await symlink(folder, join(folder, 'a', 'round'));
    expect((await place.pull(folder, {})).told).toContain('deeper than 16 folders');
  });
});

test('a model whose versions somebody changes is not replaced meanwhile', async () => {
  const settings = (text: string): Promise<string> =>
    place.archive('iris.tgz', { '1/model.onnx': iris, 'model.yaml': text });
  await place.pull(await settings(yaml), {});
  const lock = await lockVersions(join(place.models, 'iris'), 'iris');
  if (!lock.ok) throw new Error(lock.error);
  const file = await settings(`${yaml}\n`);
  const refused = await place.pull(file, { replace: '' });
  expect(refused).toMatchObject({ code: 1, out: '' });
  expect(refused.told).toContain('another process is changing the versions of iris');
  expect(await readFile(join(place.models, 'iris/model.yaml'), 'utf8')).toBe(yaml);
  await lock.value();
  expect(await place.pull(file, { replace: '' })).toMatchObject({ code: 0 });
  // No lock is carried over into the new folder.
  expect(await place.landed()).toEqual(['iris/1/model.onnx', 'iris/model.yaml']);
});

test('folders of pulls that were killed go after a week', async () => {
  const [old, young] = ['stage-old', 'stage-young'].map((one) =>
    join(place.models, '.inferry', one),
  );
  for (const path of [old!, young!]) await mkdir(path, { recursive: true });
  await writeFile(join(old!, 'file'), 'x');
  await utimes(old!, 0, 0);
  const folder = await place.write('m', { '1/model.onnx': iris });
  expect((await place.pull(folder, {})).code).toBe(0);
  expect([existsSync(old!), existsSync(young!)]).toEqual([false, true]);
});
