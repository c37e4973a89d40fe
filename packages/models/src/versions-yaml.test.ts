/** versions.yaml: which versions are served, and what is refused, for both kinds of repository. */
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { problemText } from './file-problem.ts';
import { loadRepository, type Repository } from './load-repository.ts';
import { writeOnnx } from './onnx-writer.test.ts';
import { versionsYamlJsonSchema } from './versions-yaml-schema.ts';

let folder = '';
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'inferry-versions-'));
  const rows = writeOnnx({
    inputs: [{ name: 'x', type: 1, shape: [null, 4] }],
    outputs: [{ name: 'y', type: 1, shape: [null, 3] }],
  });
  for (const version of ['1', '2', '10']) await put(`m/${version}/model.onnx`, rows);
});
afterEach(() => rm(folder, { recursive: true }));

async function put(path: string, content: string | Uint8Array): Promise<void> {
  const file = join(folder, path);
  await mkdir(dirname(file), { recursive: true });
  await writeFile(file, content);
}

async function load(text: string): Promise<Repository> {
  await put('m/versions.yaml', text);
  return loadRepository(folder);
}

async function problemsOf(text: string): Promise<string[]> {
  const { models, problems } = await load(text);
  expect(models).toEqual([]);
  return problems.map((problem) => problemText(problem).replace(`${folder}/`, ''));
}

const versionsOf = ({ models }: Repository): string[] => models.map(({ version }) => version);

test.each([
  ['labels: {stable: 2.0}', 'labels.stable: 2.0 is the number 2 in YAML; write "2.0", in quotes'],
  ['labels: {stable: 0x2}', 'labels.stable: 0x2 is the number 2 in YAML; write "0x2", in quotes'],
  ['traffic: {1.10: 90}', 'traffic.1.1: 1.10 is the number 1.1 in YAML; write "1.10", in quotes'],
  [
    'policy: {specific: ["1", 02]}',
    'policy.specific.1: 02 is the number 2 in YAML; write "02", in quotes',
  ],
])('a name that YAML reads as another is refused: %s', async (text, problem) => {
  expect(await problemsOf(text)).toEqual([`m/versions.yaml:1: ${problem}`]);
});

const triton = `max_batch_size: 8
input { name: "x" data_type: TYPE_FP32 dims: 4 }
output { name: "y" data_type: TYPE_FP32 dims: 3 }
`;

describe('which versions are served', () => {
  test.each([
    ['', ['1', '2', '10'], 'all'],
    ['policy: all', ['1', '2', '10'], 'all (versions.yaml)'],
    ['policy: {latest: 1}', ['10'], 'latest 1 (versions.yaml)'],
    ['policy: {latest: 2}', ['2', '10'], 'latest 2 (versions.yaml)'],
    ['policy: {latest: 9}', ['1', '2', '10'], 'latest 9 (versions.yaml)'],
    ['policy: {specific: [2, "1"]}', ['1', '2'], 'specific 1, 2 (versions.yaml)'],
    ['{policy: {latest: 1}, labels: {stable: 1}}', ['1', '10'], 'latest 1 (versions.yaml)'],
    ['{policy: {latest: 1}, traffic: {2: 1}}', ['2', '10'], 'latest 1 (versions.yaml)'],
  ])('%j', async (text, served, policy) => {
    const repository = await load(text);
    expect(repository.problems).toEqual([]);
    expect(versionsOf(repository)).toEqual(served);
    expect(repository.choices['m']?.policy).toBe(policy);
  });

  test.each([
    ['', '', ['10'], 'latest 1 (config.pbtxt)'],
    ['', 'labels: {stable: 1}', ['1', '10'], 'latest 1 (config.pbtxt)'],
    ['', 'policy: all', ['1', '2', '10'], 'all (versions.yaml)'],
    ['version_policy { all { } }', 'policy: {latest: 1}', ['10'], 'latest 1 (versions.yaml)'],
    // What does not count cannot be wrong.
    [
      'version_policy { specific { versions: 7 } }',
      'policy: {latest: 1}',
      ['10'],
      'latest 1 (versions.yaml)',
    ],
    [
      'version_policy { specific { versions: 2 } }',
      'traffic: {1: 5}',
      ['1', '2'],
      'specific 2 (config.pbtxt)',
    ],
  ])('with config.pbtxt %j and %j', async (config, text, served, policy) => {
    await put('m/config.pbtxt', triton + config);
    const repository = await load(text);
    expect(repository.problems).toEqual([]);
    expect(versionsOf(repository)).toEqual(served);
    expect(repository.choices['m']?.policy).toBe(policy);
  });

  test('those of the policy, and those left out, are told', async () => {
    const { choices } = await load('{policy: {latest: 1}, labels: {canary: 2}}');
    expect(choices).toEqual({
      m: { policy: 'latest 1 (versions.yaml)', byPolicy: ['10'], unserved: ['1'] },
    });
  });

  test.each([
    ['model.yaml', 'policy: {latest: 1}'],
    ['config.pbtxt', ''],
  ])(
    'that can be read are preferred where %s is given the latest: a broken one leaves the one before',
    async (config, yaml) => {
      if (config === 'config.pbtxt') await put('m/config.pbtxt', triton);
      await put('m/10/model.onnx', 'no model');
      const broken = await load(yaml);
      expect(versionsOf(broken)).toEqual(['2']);
      expect(broken.problems.map(({ version }) => version)).toEqual(['10']);
      expect(broken.choices['m']).toMatchObject({
        byPolicy: ['10'],
        unserved: ['1'],
        instead: '2',
      });
      // And so is one that somebody knows to be broken.
      const without = await loadRepository(folder, { m: ['2'] });
      expect(versionsOf(without)).toEqual(['1']);
      expect(without.problems.map(({ version }) => version)).toEqual(['10']);
    },
  );

  test.each(['policy: {specific: ["10"]}', '{policy: {latest: 1}, labels: {stable: 2}}'])(
    'that are named are served or none in their place: %s',
    async (yaml) => {
      await put('m/10/model.onnx', 'no model');
      await put('m/2/model.onnx', 'no model');
      expect(versionsOf(await load(yaml))).toEqual(yaml.includes('stable') ? ['1'] : []);
    },
  );
});

describe('routing', () => {
  test('has labels and shares, of models that have some', async () => {
    await put('other/1/model.onnx', await readFile(join(folder, 'm/1/model.onnx')));
    const { routing } = await load(
      '{labels: {stable: "2", canary: 10}, traffic: {10: 1, "2": 99}}',
    );
    expect(routing).toEqual({
      m: {
        labels: { stable: '2', canary: '10' },
        traffic: [
          { version: '2', weight: 99 },
          { version: '10', weight: 1 },
        ],
      },
    });
  });

  test('is no part of a manifest: what changes it reloads nothing', async () => {
    const before = await loadRepository(folder);
    const after = await load('{labels: {stable: 2}, traffic: {1: 1, 2: 1}, previous: {stable: 7}}');
    expect(after.models).toEqual(before.models);
  });
});

describe('refused, with its line', () => {
  test.each([
    ['polcy: all', '1: polcy: is not known; did you mean "policy"?'],
    ['\npolicy: some', '2: policy: must be all, {latest: N} (1 to 1000)'],
    ['policy: {latest: 0}', '1: policy.latest: expected number to be >=1'],
    ['labels:\n  stable: 3', '2: labels.stable: there is no version "3"; there is: 1, 2, 10'],
    ['traffic:\n  1: 1\n  3: 1', '3: traffic.3: there is no version "3"'],
    ['traffic: {1: 0}', '1: traffic.1: expected number to be >=1'],
    ['traffic: {1: 1.5}', '1: traffic.1: expected int, received number'],
    ['policy: {specific: [1, 3]}', '1: policy.specific.1: there is no version "3"'],
    ['labels: {stable: [1]}', '1: labels.stable: must be the name of a version, as in "2"'],
    ['labels: {"7": 1}', '1: labels.7: a label is called by 1 to 64 letters'],
    ['labels: {a@b: 1}', '1: labels.a@b: a label is called by 1 to 64 letters'],
    ['labels: {x: 1', '1: '],
  ])('%j', async (text, message) => {
    expect(await problemsOf(text)).toEqual([expect.stringContaining(`m/versions.yaml:${message}`)]);
  });

  test('a label that is the name of a version', async () => {
    await put('m/old/model.onnx', await readFile(join(folder, 'm/1/model.onnx')));
    expect(await problemsOf('labels: {old: 1}')).toEqual([
      'm/versions.yaml:1: labels.old: is the name of a version, and cannot be a label',
    ]);
  });

  test('more than 100 labels', async () => {
    const labels = Array.from({ length: 101 }, (_, i) => `l${i}: 1`).join(', ');
    expect(await problemsOf(`labels: {${labels}}`)).toEqual([
      'm/versions.yaml:1: labels: has more than 100 entries',
    ]);
  });

  test('also beside a config.pbtxt', async () => {
    await put('m/config.pbtxt', triton);
    expect(await problemsOf('labels: {stable: 3}')).toEqual([
      'm/versions.yaml:1: labels.stable: there is no version "3"; there is: 1, 2, 10',
    ]);
  });
});

test('versions.schema.json is what the code accepts', async () => {
  const file = new URL('../versions.schema.json', import.meta.url);
  const write = `node --conditions=@inferry/source --import tsx --input-type=module -e "
    import { versionsYamlJsonSchema } from '@inferry/models';
    import { writeFileSync } from 'node:fs';
    writeFileSync('packages/models/versions.schema.json', JSON.stringify(versionsYamlJsonSchema()));
    " && npx oxfmt packages/models/versions.schema.json`;
  const committed: unknown = JSON.parse(await readFile(file, 'utf8'));
  expect(committed, `the schema has changed; write it anew with:\n${write}`).toEqual(
    versionsYamlJsonSchema(),
  );
});
