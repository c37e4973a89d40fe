import { readFile } from 'node:fs/promises';
import { repositoryPath, type S3Server, startS3Server } from '@inferry/testkit';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import { S3Place } from './s3.fixture.ts';

const iris = await readFile(repositoryPath('models/iris/1/model.onnx'));

let server: S3Server;
let place: S3Place;
beforeAll(async () => {
  server = await startS3Server();
});
afterAll(() => server[Symbol.asyncDispose]());
beforeEach(async () => {
  place = await S3Place.make(server);
  await place.here.write('own', {
    'iris/1/model.onnx': iris,
    'iris/model.yaml': 'max_batch_size: 8\n',
  });
  await place.push('own', 'iris');
  await place.bucket.put('models/plain/1/model.onnx', iris);
});
afterEach(() => place.remove());

test('a repository in a bucket is listed, with what was pushed and what was not', async () => {
  const { digest } = JSON.parse(
    await place.bucket.text('models/iris/.inferry/1/manifest.json'),
  ) as { readonly digest: string };
  expect(await place.manage('models list')).toBe(`MODEL  VERSION  FORM        FILES  BYTES  DIGEST
iris   1        model.yaml  2      652    ${digest.slice(0, 12)}
plain  1        plain       1      634    -
`);
  const shown = await place.manage('models show', ['iris']);
  expect(shown).toContain(`  digest     ${digest}\n`);
  expect(shown).toMatch(/^ {2}1\/model\.onnx +634 +[0-9a-f]{64}$/mu);
  expect(await place.manage('models show', ['rose'])).toContain(
    'no model is called "rose"; there are: iris, plain',
  );
});

test('a repository in a bucket loses a model or version when somebody says so', async () => {
  await place.here.write('own', { 'iris/2/model.onnx': iris });
  await place.push('own', 'iris@2');
  expect(await place.manage('models rm', ['iris@1'])).toBe(
    `inferry: would remove ${place.where('models')}/iris@1 (652 bytes); --yes does it\n`,
  );
  await place.manage('models rm', ['iris@1'], { yes: '' });
  expect((await place.pull('models/iris/1')).told).toContain('holds nothing');
  expect(await place.pull('models/iris')).toMatchObject({ code: 0 });
  await place.manage('models rm', ['iris'], { yes: '' });
  await place.manage('models rm', ['plain'], { yes: '' });
  expect(await place.bucket.keys()).toEqual([]);
});

test('a repository in a bucket loses no version that its labels, traffic or policy name', async () => {
  const file = 'models/iris/versions.yaml';
  for (const [text, uses] of [
    ['labels: {stable: "1"}\ntraffic: {1: 1}', 'the label stable and a share of the traffic'],
    ['policy: {specific: [1]}', 'a place in the policy'],
  ] as const) {
    await place.bucket.put(file, text);
    const told = await place.manage('models rm', ['iris@1'], { yes: '', force: '' });
    const at = place.where(file);
    expect(told).toBe(`inferry: ${at} gives version 1 ${uses}; take that away first\n`);
  }
  await place.bucket.put(file, 'labels: {stable: "2"}\n');
  expect(await place.manage('models rm', ['iris@1'], { yes: '' })).toMatch(/: removed/u);
});

test('a repository in a bucket takes no command that changes files of a directory', async () => {
  expect(await place.manage('models label', ['iris@1', 'stable'])).toMatch(/must be a directory/u);
});
