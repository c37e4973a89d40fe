import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { systemClock } from '@inferry/runtime';
import { repositoryPath } from '@inferry/testkit';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { PullPlace, type Pulled } from '../pull/pull.fixture.ts';
import { parsePushOptions } from './options.ts';
import { pushModel } from './push.ts';

const iris = await readFile(repositoryPath('models/iris/1/model.onnx'));

let place: PullPlace;
beforeEach(async () => {
  place = await PullPlace.make();
  await place.write('own', {
    'iris/1/model.onnx': iris,
    'iris/2/model.onnx': iris,
    'iris/model.yaml': 'max_batch_size: 8\n',
    'iris/versions.yaml': 'labels: {stable: "1"}\n',
  });
});
afterEach(() => place.remove());

/** Into the directory of this place. */
async function push(
  operands: readonly string[],
  flags: Record<string, string> = {},
): Promise<Pulled> {
  const models = join(place.folder, 'own');
  const given = new Map(Object.entries({ models, ...flags }));
  const parsed = parsePushOptions({ operands, flags: given });
  if (!parsed.ok) return { code: 2, out: '', told: parsed.error.join('\n') };
  let [out, told] = ['', ''];
  const code = await pushModel(parsed.value, {
    clock: systemClock,
    env: {},
    print: (text) => void (out += text),
    complain: (text) => void (told += text),
    progress: () => undefined,
  });
  return { code, out, told };
}

test('into a directory it lands as a pull does, without labels, and only once', async () => {
  const lines = ['1', '2'].map((version) => `${place.models}/iris/${version} (2 files, 652 bytes)`);
  const first = await push(['iris', place.models]);
  expect(first).toEqual({ code: 0, told: '', out: `${lines.join('\n')}\n` });
  const files = ['iris/1/model.onnx', 'iris/2/model.onnx', 'iris/model.yaml'];
  expect(await place.landed()).toEqual(files);
  const again = await push(['iris@2', place.models]);
  expect(again).toEqual({ code: 0, told: '', out: `${lines[1]} was there already\n` });
});

test('what is there with other content stays without --force', async () => {
  await push(['iris', place.models]);
  await place.write('own', { 'iris/model.yaml': 'max_batch_size: 4\n' });
  const refused = await push(['iris@1', place.models]);
  expect(refused).toMatchObject({ code: 1, out: '' });
  expect(refused.told).toBe(
    `inferry: ${place.models}/iris already has version 1; --force replaces it\n`,
  );
  expect(await push(['iris', place.models], { force: '' })).toMatchObject({ code: 0, told: '' });
  const { out } = await push(['iris@1', place.models], { json: '' });
  expect(JSON.parse(out)).toMatchObject({
    name: 'iris',
    versions: [{ was_there: true, files: 2 }],
  });
});

test.each([
  [['', '/x'], 'MODEL must be a name, as in digits, or digits@2, not ""'],
  [['iris', ''], 'TARGET must be s3://bucket/folder or a directory, not ""'],
  [['iris', 'https://a/b'], 'TARGET must be s3://bucket/folder or a directory, not "https://a/b"'],
  [['iris', 's3://a:1/b'], 'the address of the server goes into AWS_ENDPOINT_URL'],
])('%o is refused', async (operands, told) => {
  const refused = await push(operands);
  expect(refused.code).toBe(2);
  expect(refused.told).toContain(told);
});
