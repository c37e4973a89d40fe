import { cp, readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { loadRepository } from '@inferry/models';
import { repositoryPath, type S3Server, startS3Server } from '@inferry/testkit';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { sha256 } from '../pull/pull.fixture.ts';
import { openS3 } from './open-s3.ts';
import { manifestText, parseManifest, type PushedVersion } from './pushed-version.ts';
import { type FaultyWay, S3Place, startFaultyWay } from './s3.fixture.ts';
import { uploadFile } from './s3-upload.ts';

const iris = await readFile(repositoryPath('models/iris/1/model.onnx'));
const other = await readFile(
  repositoryPath('packages/testkit/fixtures/models/matrix/1/model.onnx'),
);
const yaml = 'max_batch_size: 8\n';
const mib = 1024 ** 2;

let server: S3Server;
let way: FaultyWay;
let place: S3Place;
beforeAll(async () => {
  server = await startS3Server();
});
afterAll(() => server[Symbol.asyncDispose]());
beforeEach(async () => {
  way = await startFaultyWay(server.url);
  place = await S3Place.make(server);
  place.env = { ...server.env, AWS_ENDPOINT_URL: way.url };
  await place.here.write('own', {
    'iris/1/model.onnx': iris,
    'iris/model.yaml': yaml,
    'iris/versions.yaml': 'labels: {stable: "1"}\n',
  });
});
afterEach(async () => {
  await way.close();
  await place.remove();
});

function parsed(text: string): PushedVersion {
  const pushed = parseManifest(text);
  if (!pushed.ok) throw new Error(pushed.error);
  return pushed.value;
}

describe('a version that is pushed', () => {
  test('is pulled with everything but labels, every file checked by its SHA-256', async () => {
    await place.here.write('own', { 'iris/2/model.onnx': iris });
    const pushed = await place.push('own', 'iris');
    expect(pushed).toEqual({
      code: 0,
      told: '',
      out: ['1', '2']
        .map((v) => `${place.where('models/iris')}@${v} (2 files, 652 bytes)\n`)
        .join(''),
    });
    const pulled = await place.pull('models/iris', { json: '' });
    expect(JSON.parse(pulled.out)).toMatchObject({
      name: 'iris',
      checked: { sha256: ['1/model.onnx', 'model.yaml', '2/model.onnx'] },
      warnings: [],
    });
    const files = ['iris/1/model.onnx', 'iris/2/model.onnx', 'iris/model.yaml'];
    expect(await place.here.landed()).toEqual(files);
    expect(await readFile(join(place.here.models, 'iris/1/model.onnx'))).toEqual(iris);
    // Named in each of the ways.
    for (const [path, flags] of [
      ['models/iris/2', {}],
      ['models', { name: 'iris', version: '2' }],
      ['models', {}],
      ['models/iris', { name: 'flower', version: '1' }],
    ] as const) {
      const again = await place.pull(path, { ...flags, replace: '' });
      expect(again).toMatchObject({ code: 0, told: '' });
    }
    expect(await place.here.landed()).toContain('flower/1/model.onnx');
  });

  test('stays as it is: the same again is nothing, other content needs --force', async () => {
    await place.push('own', 'iris@1');
    const puts = way.asked.filter((one) => one.startsWith('PUT')).length;
    expect((await place.push('own', 'iris@1')).out).toMatch(/ was there already\n$/u);
    expect(way.asked.filter((one) => one.startsWith('PUT'))).toHaveLength(puts);
    await place.here.write('own', { 'iris/model.yaml': 'max_batch_size: 4\n' });
    const refused = await place.push('own', 'iris@1');
    expect(refused).toMatchObject({
      code: 1,
      out: '',
      told: `inferry: ${place.where('models/iris')}@1 is already there with other content; --force replaces it\n`,
    });
    expect(await place.push('own', 'iris@1', { force: '' })).toMatchObject({ code: 0 });
    await place.pull('models/iris');
    const landed = await readFile(join(place.here.models, 'iris/model.yaml'), 'utf8');
    expect(landed).toBe('max_batch_size: 4\n');
  });

  test('is pulled as it is now, where a pull of what it was broke off', async () => {
    await place.push('own', 'iris@1');
    const { files } = parsed(await place.bucket.text('models/iris/.inferry/1/manifest.json'));
    const last = files.at(-1)?.sha256 ?? '';
    way.fault = (asked) =>
      asked.includes(last)
        ? { answer: (response) => void response.writeHead(403).end() }
        : undefined;
    expect(await place.pull('models/iris')).toMatchObject({ code: 1 });
    way.fault = () => undefined;
    await place.here.write('new', { 'iris/1/model.onnx': other });
    expect(await place.push('new', 'iris@1', { force: '' })).toMatchObject({ code: 0 });
    expect(await place.pull('models/iris')).toMatchObject({ code: 0 });
    expect(await readFile(join(place.here.models, 'iris/1/model.onnx'))).toEqual(other);
  });

  test('is not seen before all of it is there, and the same command goes on', async () => {
    way.fault = (asked) =>
      asked.startsWith('PUT') && asked.endsWith('manifest.json')
        ? { answer: (response) => void response.writeHead(403).end() }
        : undefined;
    const broken = await place.push('own', 'iris');
    expect(broken.code).toBe(1);
    expect(broken.told).toContain(
      'the credentials must be allowed to list, read and, to push, write',
    );
    expect(await place.bucket.keys()).toHaveLength(2);
    expect(await place.manage('models list')).toBe('');
    expect((await place.pull('models/iris')).told).toContain('holds nothing');
    expect((await place.pull('models/iris/1')).told).toContain('holds nothing');
    way.fault = () => undefined;
    const begun = way.asked.length;
    expect(await place.push('own', 'iris')).toMatchObject({ code: 0 });
    const puts = way.asked.slice(begun).filter((one) => one.startsWith('PUT'));
    expect(puts).toEqual([`PUT /${place.bucket.name}/models/iris/.inferry/1/manifest.json`]);
  });

  test('of two pushes at a time one wins whole, and the other is told', async () => {
    await place.here.write('theirs', { 'iris/1/model.onnx': other });
    // Both have looked, and found nothing, before either writes what makes it a version.
    let waiting = 0;
    let both: () => void = () => undefined;
    const until = new Promise<void>((resolve) => void (both = resolve));
    way.fault = (asked) => {
      if (!asked.startsWith('PUT') || !asked.endsWith('manifest.json')) return undefined;
      waiting += 1;
      if (waiting === 2) both();
      return { until };
    };
    const all = await Promise.all([place.push('own', 'iris'), place.push('theirs', 'iris')]);
    expect(new Set(all.map(({ code }) => code))).toEqual(new Set([0, 1]));
    const lost = all.find(({ code }) => code === 1);
    expect(lost?.told).toContain('was pushed by somebody else meanwhile, with other content');
    expect(await place.pull('models/iris')).toMatchObject({ code: 0, told: '' });
    const won = all[0].code === 0 ? iris : other;
    expect(await readFile(join(place.here.models, 'iris/1/model.onnx'))).toEqual(won);
  });

  test('must be one that would be served', async () => {
    await place.here.write('own', { 'iris/3/model.onnx': 'no model' });
    expect((await place.push('own', 'iris')).told).toMatch(/^inferry: iris\/3\/model\.onnx: /u);
    expect((await place.push('own', 'iris@7')).told).toContain('has no version 7; it has: 1, 3');
    expect((await place.push('own', 'rose')).told).toContain('rose does not exist');
    expect(await place.bucket.keys()).toEqual([]);
  });
});

describe('a pushed version that was tampered with', () => {
  const manifest = 'models/iris/.inferry/1/manifest.json';
  beforeEach(() => place.push('own', 'iris'));
  afterEach(async () => expect(await place.here.landed()).toEqual([]));

  test('a file is another', async () => {
    const key = (await place.bucket.keys()).find((one) => one.includes('/files/')) ?? '';
    await place.bucket.put(key, 'another');
    const pulled = await place.pull('models/iris');
    expect(pulled.code).toBe(1);
    expect(pulled.told).toMatch(/the SHA-256 is [0-9a-f]{64}, not the|is larger than \d+ bytes/u);
  });

  test('a file is missing', async () => {
    const key = (await place.bucket.keys()).find((one) => one.includes('/files/')) ?? '';
    await place.bucket.remove(key);
    expect((await place.pull('models/iris')).told).toContain('answered 404 NoSuchKey');
  });

  test('the manifest is no manifest, or of another version', async () => {
    const read = parseManifest(await place.bucket.text(manifest));
    await place.bucket.put(manifest, '{}');
    expect((await place.pull('models/iris')).told).toContain('is no manifest of a pushed version');
    if (!read.ok) throw new Error(read.error);
    await place.bucket.put(manifest, manifestText({ ...read.value, version: '2' }));
    expect((await place.pull('models/iris')).told).toContain('is that of version 2');
  });
});

describe('a large file', () => {
  const big = Buffer.alloc(20 * mib, 'weights');
  beforeEach(() => place.here.write('own', { 'iris/1/weights.bin': big }));

  test('is sent in parts, and arrives', async () => {
    expect(await place.push('own', 'iris')).toMatchObject({ code: 0, told: '' });
    expect(way.asked.filter((one) => one.startsWith('POST'))).toHaveLength(2);
    expect(await place.pull('models/iris')).toMatchObject({ code: 0, told: '' });
    const arrived = await readFile(join(place.here.models, 'iris/1/weights.bin'));
    expect(arrived.equals(big)).toBe(true);
  });

  test('leaves no part behind when one fails, or when somebody stops it', async () => {
    let parts = 0;
    const stop = new AbortController();
    const isPart = (asked: string): boolean => {
      const isBlob = asked.startsWith('PUT') && asked.includes('/files/');
      parts += isBlob ? 1 : 0;
      return isBlob && parts % 3 === 2;
    };
    way.fault = (asked) =>
      isPart(asked) ? { answer: (response) => void response.writeHead(403).end() } : undefined;
    const failed = await place.push('own', 'iris');
    expect(failed.told).toContain('answered 403');
    way.fault = (asked) => {
      if (isPart(asked)) stop.abort();
      return undefined;
    };
    const stopped = await place.push('own', 'iris', {}, { stop: stop.signal });
    expect(stopped).toMatchObject({ code: 1, out: '' });
    expect(stopped.told).toContain('was interrupted');
    expect(await place.bucket.unfinished()).toEqual([]);
  });

  test('that changes while it is pushed is not taken for what it was', async () => {
    const store = openS3(place.bucket.name, { env: place.env, idleMs: 5_000 });
    if (!store.ok) throw new Error(store.error);
    for (const [name, content] of Object.entries({ 'weights.bin': big, 'model.onnx': iris })) {
      const path = join(place.here.folder, 'own/iris/1', name);
      const upload = { key: name, path, bytes: content.length, sent: () => undefined };
      const uploaded = await uploadFile(store.value, {
        ...upload,
        sha256: sha256(Buffer.from('before')),
      });
      expect(uploaded).toEqual({
        ok: false,
        error: { kind: 'refused', text: 'has changed since it was read' },
      });
    }
    store.value.close();
    expect(await place.bucket.keys()).toEqual([]);
    expect(await place.bucket.unfinished()).toEqual([]);
  });

  test('that others sent in parts is checked by the MD5 of its parts', async () => {
    const store = openS3(place.bucket.name, { env: place.env, idleMs: 5_000 });
    if (!store.ok) throw new Error(store.error);
    const path = join(place.here.folder, 'own/iris/1/weights.bin');
    const key = 'plain/iris/1/weights.bin';
    const upload = { key, path, bytes: big.length, sent: () => undefined };
    await uploadFile(store.value, { ...upload, sha256: sha256(big) });
    store.value.close();
    await place.bucket.put('plain/iris/1/model.onnx', iris);
    const pulled = await place.pull('plain/iris');
    expect(pulled).toMatchObject({ code: 0, told: '' });
    expect(pulled.out).toContain('checked 2 files by MD5 (ETag)\n');
  });
});

describe('an ensemble', () => {
  const examples = repositoryPath('docs/examples/ensemble/models');

  test('is pushed and pulled like any model, where the models of its steps are', async () => {
    await cp(examples, join(place.here.folder, 'own'), { recursive: true });
    for (const model of ['photo', 'scale', 'light']) {
      expect(await place.push('own', model)).toMatchObject({ code: 0, told: '' });
    }
    const early = await place.pull('models/photo');
    expect(early.told).toContain('the repository serves no model "scale"');
    for (const model of ['scale', 'light', 'photo']) {
      expect(await place.pull(`models/${model}`)).toMatchObject({ code: 0, told: '' });
    }
    const { models, problems } = await loadRepository(place.here.models);
    expect(problems).toEqual([]);
    expect(models.map(({ name }) => name)).toEqual(['light', 'photo', 'scale']);
  });

  test('that others put there has a version by a file that only keeps its folder', async () => {
    for (const model of ['photo', 'scale', 'light']) {
      for (const { path, bytes } of await filesBelow(join(examples, model))) {
        await place.bucket.put(`triton/${model}/${path}`, bytes);
      }
    }
    for (const model of ['scale', 'light', 'photo']) {
      expect(await place.pull(`triton/${model}`)).toMatchObject({ code: 0, told: '' });
    }
  });
});

async function filesBelow(
  folder: string,
): Promise<readonly { readonly path: string; readonly bytes: Uint8Array }[]> {
  const entries = await readdir(folder, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile());
  return Promise.all(
    files.map(async (entry) => {
      const path = join(entry.parentPath, entry.name);
      return { path: path.slice(folder.length + 1), bytes: await readFile(path) };
    }),
  );
}
