import { createHash } from 'node:crypto';
import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { freePort, repositoryPath, type S3Server, startS3Server, waitFor } from '@inferry/testkit';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { sha256 } from '../pull/pull.fixture.ts';
import { type FaultyWay, S3Place, startFaultyWay } from './s3.fixture.ts';

const iris = await readFile(repositoryPath('models/iris/1/model.onnx'));
const other = await readFile(
  repositoryPath('packages/testkit/fixtures/models/matrix/1/model.onnx'),
);
const config = 'max_batch_size: 8\n';

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
});
afterEach(async () => {
  await way.close();
  await place.remove();
});

/** Bytes of the file that is being fetched, which is the last that was begun. */
async function hasArrived(bytes: number): Promise<void> {
  const folder = join(place.here.models, '.inferry', 'partial');
  await waitFor(async () => {
    const names = (await readdir(folder)).filter((name) => name.endsWith('.partial'));
    const sizes = await Promise.all(names.map(async (one) => (await stat(join(folder, one))).size));
    return sizes.includes(bytes);
  });
}

describe('what others put into a bucket', () => {
  test('a Triton repository, of which one model is named', async () => {
    const pbtxt = 'backend: "onnxruntime"\nmax_batch_size: 8\n';
    await place.bucket.put('triton/iris/config.pbtxt', pbtxt);
    await place.bucket.put('triton/iris/1/model.onnx', iris);
    await place.bucket.put('triton/other/1/model.onnx', iris);
    const unclear = await place.pull('triton');
    expect(unclear.told).toContain(
      'holds several folders, of which --name chooses one: iris, other',
    );
    const pulled = await place.pull('triton/iris');
    expect(pulled).toEqual({
      code: 0,
      told: '',
      out: `${place.here.models}/iris/1\nchecked 2 files by MD5 (ETag)\n`,
    });
    expect(await place.here.landed()).toEqual(['iris/1/model.onnx', 'iris/config.pbtxt']);
    expect(await place.pull('triton', { name: 'other' })).toMatchObject({ code: 0 });
  });

  test('one version, with what its model has beside it', async () => {
    for (const version of ['1', '2']) {
      await place.bucket.put(`m/iris/${version}/model.onnx`, iris);
    }
    await place.bucket.put('m/iris/model.yaml', config);
    await place.bucket.put('m/iris/versions.yaml', 'labels: {stable: "1"}\n');
    expect(await place.pull('m/iris/2')).toMatchObject({ code: 0, told: '' });
    expect(await place.here.landed()).toEqual(['iris/2/model.onnx', 'iris/model.yaml']);
    const contrary = await place.pull('m/iris/2', { version: '1' });
    expect(contrary.told).toContain('is that of version 2, and --version says 1');
    expect(await place.pull('m/iris', { version: '1' })).toMatchObject({ code: 0 });
  });

  test('one file, by its SHA-256 where that is given', async () => {
    await place.bucket.put('iris.onnx', iris);
    const wrong = await place.pull('iris.onnx', { sha256: 'a'.repeat(64) });
    expect(wrong).toMatchObject({ code: 1, out: '' });
    expect(wrong.told).toContain(`the SHA-256 is ${sha256(iris)}, not the ${'a'.repeat(64)}`);
    const { out } = await place.pull('iris.onnx', { sha256: sha256(iris), json: '' });
    expect(JSON.parse(out)).toMatchObject({
      source: `s3://${place.bucket.name}/iris.onnx`,
      sha256: sha256(iris),
      checked: { sha256: ['iris.onnx'] },
    });
  });

  test.each([
    ['CRC32', 'CRC-32'],
    ['CRC32C', 'CRC-32C'],
    ['CRC64NVME', 'CRC-64/NVME'],
    ['SHA1', 'SHA-1'],
    ['SHA256', 'SHA-256'],
  ] as const)('a file with a %s', async (algorithm, name) => {
    await place.bucket.put('iris.onnx', iris, { ChecksumAlgorithm: algorithm });
    const pulled = await place.pull('iris.onnx');
    expect(pulled.out).toContain(`checked 1 file by ${name}\n`);
  });

  test('what arrived otherwise than S3 says is refused, and nothing is kept', async () => {
    const checksum = createHash('sha256').update('another').digest('base64');
    await place.bucket.put('iris.onnx', iris, {
      ChecksumSHA256: checksum,
      ChecksumAlgorithm: 'SHA256',
    });
    const pulled = await place.pull('iris.onnx');
    expect(pulled).toMatchObject({ code: 1, out: '' });
    expect(pulled.told).toContain(`and S3 says ${checksum}; nothing is kept`);
    expect(await place.here.landed()).toEqual([]);
  });

  test('nothing there, an empty bucket, and a model that would not be served', async () => {
    expect((await place.pull('')).told).toContain('is empty');
    expect((await place.pull('models/none')).told).toContain(
      'holds nothing: it must be the folder',
    );
    await place.bucket.put('bad/1/model.onnx', 'no model');
    expect((await place.pull('bad')).told).toMatch(/^inferry: bad\/1\/model\.onnx: /u);
    await place.bucket.put(String.raw`odd/a\b`, 'x');
    expect((await place.pull('odd')).told).toContain('is not taken');
    expect(await place.here.landed()).toEqual([]);
  });
});

describe('a way that breaks', () => {
  beforeEach(() => place.bucket.put('m/iris/1/model.onnx', iris));

  test('only the rest is asked for', async () => {
    let cuts = 0;
    way.fault = (asked) => {
      if (!asked.startsWith('GET') || !asked.includes('model.onnx') || cuts >= 2) return undefined;
      cuts += 1;
      const before = (cuts - 1) * 100;
      return { cutAfter: 100, hasArrived: (bytes) => hasArrived(before + bytes) };
    };
    expect(await place.pull('m/iris')).toMatchObject({ code: 0 });
    const path = `GET /${place.bucket.name}/m/iris/1/model.onnx`;
    expect(way.asked.filter((one) => one.startsWith(path))).toEqual([
      path,
      `${path} bytes=100-`,
      `${path} bytes=200-`,
    ]);
    expect(await readFile(join(place.here.models, 'iris/1/model.onnx'))).toEqual(iris);
  });

  test('the same command goes on, and files that had arrived are not asked for again', async () => {
    await place.bucket.put('m/iris/1/weights.bin', 'w'.repeat(500));
    way.fault = (asked) => {
      if (!asked.startsWith('GET') || !asked.includes('weights.bin')) return undefined;
      const isFirst = !asked.includes('bytes=');
      return isFirst
        ? { cutAfter: 100, hasArrived }
        : { answer: (response) => void response.destroy() };
    };
    const first = await place.pull('m/iris');
    expect(first.code).toBe(1);
    expect(first.told).toMatch(/100 bytes are kept, the same command goes on\n$/u);
    way.fault = () => undefined;
    const begun = way.asked.length;
    expect(await place.pull('m/iris')).toMatchObject({ code: 0, told: '' });
    const gets = way.asked.slice(begun).filter((one) => /^GET .*\/1\//u.test(one));
    expect(gets).toEqual([`GET /${place.bucket.name}/m/iris/1/weights.bin bytes=100-`]);
  });

  test('an object that is another one meanwhile is not put together with the first', async () => {
    let cuts = 0;
    way.fault = (asked) => {
      if (!asked.startsWith('GET') || !asked.includes('model.onnx') || cuts > 0) return undefined;
      cuts += 1;
      const replace = async (bytes: number): Promise<void> => {
        await hasArrived(bytes);
        await place.bucket.put('m/iris/1/model.onnx', other);
      };
      return { cutAfter: 100, hasArrived: replace };
    };
    const pulled = await place.pull('m/iris');
    expect(pulled.code).toBe(1);
    expect(pulled.told).toContain('has another object now');
    expect(await place.here.landed()).toEqual([]);
    way.fault = () => undefined;
    expect(await place.pull('m/iris')).toMatchObject({ code: 0 });
    expect(await readFile(join(place.here.models, 'iris/1/model.onnx'))).toEqual(other);
  });

  test('errors that pass are waited for', async () => {
    let refusals = 0;
    way.fault = () => {
      refusals += 1;
      return refusals > 2
        ? undefined
        : {
            answer: (response) =>
              void response.writeHead(503).end('<Error><Code>SlowDown</Code></Error>'),
          };
    };
    expect(await place.pull('m/iris')).toMatchObject({ code: 0 });
  });

  test('silence is ended', async () => {
    way.fault = (asked) =>
      asked.includes('model.onnx') ? { until: new Promise(() => undefined) } : undefined;
    const pulled = await place.pull('m/iris', {}, 100);
    expect(pulled.code).toBe(1);
    expect(pulled.told).toContain('does not answer in time');
  });
});

describe('what S3 refuses is told with what to set, and no secret is', () => {
  const secret = 'a-secret-that-nobody-knows';

  async function told(env: Record<string, string>, path = 'm/iris'): Promise<string> {
    place.env = { ...place.env, ...env };
    const pulled = await place.pull(path);
    expect(pulled).toMatchObject({ code: 1, out: '' });
    expect(pulled.told).not.toContain(secret);
    return pulled.told;
  }

  test('a wrong secret, an unknown key', async () => {
    expect(await told({ AWS_SECRET_ACCESS_KEY: secret })).toContain(
      'does not take the credentials (SignatureDoesNotMatch): AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY must be a pair',
    );
    expect(await told({ AWS_ACCESS_KEY_ID: 'nobody' })).toContain('(InvalidAccessKeyId)');
  });

  test('a key without its secret', async () => {
    expect(await told({ AWS_SECRET_ACCESS_KEY: '' })).toContain(
      'AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY must be set together',
    );
  });

  test('a bucket that is not there', async () => {
    const { told: text } = await place.here.pull('s3://no-such-bucket/m', {}, 5_000, place.env);
    expect(text).toContain(`${way.url} has no bucket no-such-bucket`);
  });

  test('a server that is not there', async () => {
    const url = `http://127.0.0.1:${await freePort()}`;
    expect(await told({ AWS_ENDPOINT_URL: url })).toContain(
      `no connection to ${url} (ECONNREFUSED); AWS_ENDPOINT_URL says where it is`,
    );
  });
});
