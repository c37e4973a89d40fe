import { mkdir, readdir, readFile, rename, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { systemClock } from '@inferry/runtime';
import { createLogger } from '@inferry/telemetry';
import { repositoryPath, type S3Server, startS3Server } from '@inferry/testkit';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { Mirror } from './mirror.ts';
import { openS3 } from './open-s3.ts';
import { type FaultyWay, S3Place, startFaultyWay } from './s3.fixture.ts';

const iris = await readFile(repositoryPath('models/iris/1/model.onnx'));
const yaml = 'max_batch_size: 8\n';

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
  });
});
afterEach(async () => {
  await way.close();
  await place.remove();
});

async function withMirror(act: (mirror: Mirror) => Promise<void>, key = 'models'): Promise<void> {
  const store = openS3(place.bucket.name, { env: place.env, idleMs: 5_000 });
  if (!store.ok) throw new Error(store.error);
  const logger = createLogger({ role: 'test', level: 'fatal', destination: process.stderr });
  const location = { bucket: place.bucket.name, key };
  const directory = place.here.models;
  await act(new Mirror({ store: store.value, location, directory, clock: systemClock, logger }));
  store.value.close();
}

async function gets(act: () => Promise<unknown>): Promise<readonly string[]> {
  const before = way.asked.length;
  await act();
  const isFile = /^GET .*\/(?:files\/|model\.)/u;
  return way.asked.slice(before).filter((one) => isFile.test(one));
}

test('models come, change and go, and only what has changed is fetched', () =>
  withMirror(async (mirror) => {
    await place.push('own', 'iris@1');
    await place.bucket.put('models/iris/versions.yaml', 'labels: {stable: "1"}\n');
    await place.bucket.put('models/plain/1/model.onnx', iris);
    expect(await mirror.hasSynced()).toBe(false);
    expect(await mirror.sync()).toEqual({ ok: true, value: ['iris', 'plain'] });
    const first = ['iris/1/model.onnx', 'iris/model.yaml', 'iris/versions.yaml'];
    const states = ['.inferry/whole', 'iris/.synced.json'];
    const plain = ['plain/.synced.json', 'plain/1/model.onnx'];
    expect(await place.here.landed()).toEqual([...states, ...first, ...plain]);
    expect(await gets(() => mirror.sync())).toEqual([]);

    const before = await stat(join(place.here.models, 'iris/1/model.onnx'));
    await place.here.write('own', { 'iris/2/model.onnx': iris });
    await place.push('own', 'iris@2');
    await place.bucket.remove('models/plain/1/model.onnx');
    // As a console leaves it.
    await place.bucket.put('models/plain/', ' ');
    const asked = await gets(async () => {
      expect(await mirror.sync()).toEqual({ ok: true, value: ['iris', 'plain'] });
    });
    // The file of the new version; what was there stays the same file, so that nobody reads it again.
    expect(asked).toHaveLength(1);
    const after = await stat(join(place.here.models, 'iris/1/model.onnx'));
    expect([after.ino, after.mtimeMs]).toEqual([before.ino, before.mtimeMs]);
    const landed = ['iris/1/model.onnx', 'iris/2/model.onnx', ...first.slice(1)];
    expect(await place.here.landed()).toEqual([...states, ...landed]);
    expect(await readdir(join(place.here.models, '.inferry'))).toEqual(['whole']);
  }));

test('what breaks on the way leaves what is there, and the next look goes on', () =>
  withMirror(async (mirror) => {
    await place.push('own', 'iris@1');
    await mirror.sync();
    await place.here.write('models/.inferry/stage-killed', { file: 'x' });
    await place.here.write('own', {
      'iris/1/model.onnx': Buffer.concat([iris]),
      'iris/model.yaml': `${yaml}\n`,
    });
    await place.push('own', 'iris@1', { force: '' });
    way.fault = (asked) =>
      asked.includes('/files/')
        ? { answer: (response) => void response.writeHead(403).end() }
        : undefined;
    expect(await mirror.sync()).toMatchObject({ ok: false });
    expect(await readFile(join(place.here.models, 'iris/model.yaml'), 'utf8')).toBe(yaml);
    way.fault = () => undefined;
    expect(await mirror.sync()).toEqual({ ok: true, value: ['iris'] });
    expect(await readFile(join(place.here.models, 'iris/model.yaml'), 'utf8')).toBe(`${yaml}\n`);
    expect(await readdir(join(place.here.models, '.inferry'))).toEqual(['whole']);
  }));

test('a model that was being swapped when its process was killed is there again, also without the bucket', () =>
  withMirror(async (mirror) => {
    await place.push('own', 'iris@1');
    await mirror.sync();
    const aside = join(place.here.models, '.inferry/aside-killed');
    await mkdir(aside);
    await rename(join(place.here.models, 'iris'), join(aside, 'iris'));
    way.fault = () => ({ answer: (response) => void response.writeHead(403).end() });
    expect(await mirror.sync()).toMatchObject({ ok: false });
    expect(await readFile(join(place.here.models, 'iris/model.yaml'), 'utf8')).toBe(yaml);
    expect(await readdir(join(place.here.models, '.inferry'))).toEqual(['whole']);
    // What the folder itself tells is what is compared: it was swapped with it.
    way.fault = () => undefined;
    expect(await mirror.sync()).toEqual({ ok: true, value: [] });
    await rm(join(place.here.models, 'iris'), { recursive: true });
    expect(await mirror.sync()).toEqual({ ok: true, value: ['iris'] });
  }));

test('a model that cannot be fetched keeps back none of the others, and is told', () =>
  withMirror(async (mirror) => {
    await place.push('own', 'iris@1');
    await place.bucket.put('models/ant/.inferry/1/manifest.json', '{');
    const problem = `s3://${place.bucket.name}/models/ant/.inferry/1/manifest.json is no manifest of a pushed version`;
    expect(await mirror.sync()).toEqual({ ok: false, error: problem });
    expect(await readFile(join(place.here.models, 'iris/1/model.onnx'))).toEqual(iris);
    // Nothing that a process could start with.
    expect(await mirror.hasSynced()).toBe(false);
    await place.bucket.remove('models/ant/.inferry/1/manifest.json');
    expect(await mirror.sync()).toEqual({ ok: true, value: [] });
    expect(await mirror.hasSynced()).toBe(true);
  }));

test('two processes that share a directory fetch once', () =>
  withMirror(async (mirror) => {
    await place.push('own', 'iris@1');
    await withMirror(async (other) => {
      const asked = await gets(async () => {
        const both = await Promise.all([mirror.sync(), other.sync()]);
        expect(both.flatMap((one) => (one.ok ? one.value : []))).toEqual(['iris']);
      });
      expect(asked).toHaveLength(2);
    });
  }));

test('a model itself, or nothing, is no repository', async () => {
  await place.push('own', 'iris@1');
  for (const key of ['models/iris', 'none']) {
    await withMirror(async (mirror) => {
      expect(await mirror.sync()).toEqual({
        ok: false,
        error: `s3://${place.bucket.name}/${key} is no folder of models, as in s3://bucket/models`,
      });
    }, key);
  }
});
