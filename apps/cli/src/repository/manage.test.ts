import { existsSync } from 'node:fs';
import { cp, mkdir, mkdtemp, readdir, readFile, rm, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { loadRepository } from '@inferry/models';
import { repositoryPath } from '@inferry/testkit';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { listModels, removeModel, showModel } from './manage.ts';

let models: string;
beforeEach(async () => {
  models = await mkdtemp(join(tmpdir(), 'inferry-manage-'));
  await cp(repositoryPath('models/iris'), join(models, 'iris'), { recursive: true });
  for (const version of ['1', '2']) {
    const from = repositoryPath('models/iris/1/model.onnx');
    await cp(from, join(models, 'plain', version, 'model.onnx'));
  }
});
afterEach(() => rm(models, { recursive: true }));

function words(
  operands: readonly string[] = [],
  flags: Record<string, string> = {},
): Parameters<typeof listModels>[0] {
  return { operands, flags: new Map(Object.entries({ models, ...flags })) };
}

async function digests(): Promise<readonly string[]> {
  return (await loadRepository(models)).models.map(({ digest }) => digest);
}

describe('list', () => {
  test('has a row for each version, with the bytes of its folder and its digest', async () => {
    await writeFile(join(models, 'plain', '2', 'extra'), '12345');
    const [iris, one, two] = (await digests()).map((digest) => digest.slice(0, 12));
    expect(await listModels(words())).toEqual({
      data: `MODEL  VERSION  FORM        BYTES  DIGEST        LABELS  TRAFFIC
iris   1        model.yaml  634    ${iris}  -       -
plain  1        plain       634    ${one}  -       -
plain  2        plain       639    ${two}  -       -
`,
      remarks: '',
      exitCode: 0,
    });
  });

  test('tells labels and shares of the traffic', async () => {
    const versions = 'labels: {stable: 1, old: 1}\ntraffic: {1: 3, 2: 1}\n';
    await writeFile(join(models, 'plain', 'versions.yaml'), versions);
    const { data } = await listModels(words());
    expect(data).toMatch(/^plain {2}1 .* stable,old {2}75 %$/mu);
    expect(data).toMatch(/^plain {2}2 .* - {11}25 %$/mu);
    const listed = await listModels(words([], { json: '' }));
    expect(JSON.parse(listed.data)).toMatchObject({
      routing: { plain: { labels: { stable: '1', old: '1' } } },
      choices: { plain: { policy: 'all' }, iris: { policy: 'all' } },
    });
  });

  test('tells Triton by its form', async () => {
    const fixtures = repositoryPath('packages/testkit/fixtures/triton');
    const { data } = await listModels(words([], { models: fixtures, json: '' }));
    const listed = JSON.parse(data) as { models: { name: string; form: string }[] };
    expect(listed.models.find(({ name }) => name === 'scores')?.form).toBe('config.pbtxt');
  });

  test('tells what is not served beside what is, and exits with 2', async () => {
    await mkdir(join(models, 'broken', '1'), { recursive: true });
    await writeFile(join(models, 'broken', '1', 'model.onnx'), 'no model');
    const report = await listModels(words());
    expect(report.data).toContain('iris');
    expect(report.remarks).toMatch(/^not served: .*\/broken\/1\/model\.onnx: .*\n$/u);
    expect(report.exitCode).toBe(2);
    const { data } = await listModels(words([], { json: '' }));
    expect(JSON.parse(data)).toMatchObject({
      models: [{ name: 'iris', files: 1 }, { name: 'plain' }, { name: 'plain' }],
      problems: [{ model: 'broken', version: '1' }],
    });
  });

  test('of no repository prints nothing to stdout', async () => {
    expect(await listModels(words([], { models: '/nonexistent/models' }))).toEqual({
      data: '',
      remarks: 'not served: /nonexistent/models: does not exist\n',
      exitCode: 2,
    });
  });
});

describe('show', () => {
  test('tells inputs, outputs, size and digest of every version, or of one', async () => {
    const all = await showModel(words(['plain']));
    const one = await showModel(words(['plain@2']));
    const digest = (await digests())[2];
    expect(one.ok && one.value.data).toMatch(/^plain 2\n/u);
    expect(one.ok && one.value.data).toContain(`  takes      input FP32[-1,4]
  gives      label INT64[-1], probabilities FP32[-1,3]
`);
    expect(one.ok && one.value.data).toContain(`  form       plain
  size       634 bytes
  digest     ${digest}
  served     policy all; all requests that name no version
`);
    expect(all.ok && all.value.data.match(/^plain \d$/gmu)).toEqual(['plain 1', 'plain 2']);
  });

  test('as JSON has the whole manifest', async () => {
    const told = await showModel(words(['iris'], { json: '' }));
    expect(JSON.parse(told.ok ? told.value.data : '')).toMatchObject({
      models: [{ name: 'iris', form: 'model.yaml', bytes: 634, inputs: [{ name: 'input' }] }],
      problems: [],
    });
  });

  test('of what is not there names what is, and exits with 1', async () => {
    expect(await showModel(words(['rose']))).toEqual({
      ok: true,
      value: {
        data: '',
        remarks: `inferry: ${models}: no model is called "rose"; there are: iris, plain\n`,
        exitCode: 1,
      },
    });
    const version = await showModel(words(['plain@7']));
    expect(version.ok && version.value.remarks).toContain('has no version "7"; it has: 1, 2');
  });

  test('of a broken model tells why, and exits with 2', async () => {
    await writeFile(join(models, 'plain', '2', 'model.onnx'), 'no model');
    const broken = await showModel(words(['plain@2']));
    expect(broken.ok && broken.value).toMatchObject({ data: '', exitCode: 2 });
    expect(broken.ok && broken.value.remarks).toContain('plain/2/model.onnx');
    const sound = await showModel(words(['plain@1']));
    expect(sound.ok && sound.value).toMatchObject({ remarks: '', exitCode: 0 });
  });
});

describe('rm', () => {
  test('without --yes says what would go, and changes nothing', async () => {
    expect(await removeModel(words(['plain']))).toMatchObject({
      value: {
        remarks: `inferry: would remove ${models}/plain (2 files, 1268 bytes); --yes does it\n`,
        exitCode: 1,
      },
    });
    expect((await readdir(models)).toSorted()).toEqual(['iris', 'plain']);
  });

  test('removes a model, and leaves nothing of it', async () => {
    expect(await removeModel(words(['plain'], { yes: '' }))).toEqual({
      ok: true,
      value: {
        data: `${models}/plain: removed (2 files, 1268 bytes)\n`,
        remarks: '',
        exitCode: 0,
      },
    });
    expect((await readdir(models)).toSorted()).toEqual(['.inferry', 'iris']);
    expect(await readdir(join(models, '.inferry'))).toEqual([]);
  });

  test('removes a version, but not the only one', async () => {
    const removed = await removeModel(words(['plain@1'], { yes: '', json: '' }));
    expect(JSON.parse(removed.ok ? removed.value.data : '')).toEqual({
      name: 'plain',
      version: '1',
      folder: join(models, 'plain', '1'),
      files: 1,
      bytes: 634,
    });
    expect(await readdir(join(models, 'plain'))).toEqual(['2']);
    expect(await removeModel(words(['plain@2'], { yes: '' }))).toMatchObject({
      value: {
        remarks: `inferry: 2 is the only version of ${models}/plain; remove the model: plain\n`,
        exitCode: 1,
      },
    });
    expect(await readdir(join(models, 'plain'))).toEqual(['2']);
  });

  test('removes a version that is asked for only with --force, and what asks for it', async () => {
    const file = join(models, 'plain', 'versions.yaml');
    const text =
      'labels: {stable: "2", x: "1"}\ntraffic: {"1": 3, "2": 1}\nprevious: {stable: "1"}\n';
    await writeFile(file, text);
    expect(await removeModel(words(['plain@1'], { yes: '' }))).toMatchObject({
      value: {
        remarks: `inferry: ${models}/plain/1 has the label x and a share of the traffic; --force takes that away with it\n`,
        exitCode: 1,
      },
    });
    expect(await readFile(file, 'utf8')).toBe(text);
    expect(await removeModel(words(['plain@1'], { yes: '', force: '' }))).toMatchObject({
      value: { exitCode: 0 },
    });
    const { problems, routing } = await loadRepository(models);
    expect(problems).toEqual([]);
    expect(routing['plain']).toEqual({
      labels: { stable: '2' },
      traffic: [{ version: '2', weight: 1 }],
    });
    expect(await readFile(file, 'utf8')).toContain('previous: {}');
  });

  test('of a version that the policy names is refused, with --force too', async () => {
    await writeFile(join(models, 'plain', 'versions.yaml'), 'policy: {specific: ["1"]}\n');
    const told = await removeModel(words(['plain@1'], { yes: '', force: '' }));
    expect(told.ok && told.value.remarks).toBe(
      'inferry: the policy of plain names 1; take it out of versions.yaml first\n',
    );
    expect((await loadRepository(models)).problems).toEqual([]);
  });

  test('removes a model that is broken', async () => {
    await writeFile(join(models, 'iris', 'model.yaml'), 'colour: red\n');
    expect(await removeModel(words(['iris'], { yes: '' }))).toMatchObject({
      value: { exitCode: 0 },
    });
    expect(existsSync(join(models, 'iris'))).toBe(false);
  });

  test('of a linked model removes the link, and not what it leads to', async () => {
    const linked = join(models, 'plain');
    await symlink(linked, join(models, 'link'));
    expect(await removeModel(words(['link'], { yes: '' }))).toMatchObject({
      value: { exitCode: 0 },
    });
    expect(existsSync(join(models, 'link'))).toBe(false);
    expect((await readdir(linked)).toSorted()).toEqual(['1', '2']);
  });

  test('leaves alone what is no model, is not there, or lies elsewhere', async () => {
    await mkdir(join(models, 'src', 'deep'), { recursive: true });
    const told = async (name: string): Promise<string> => {
      const result = await removeModel(words([name], { yes: '' }));
      return result.ok ? `${result.value.exitCode} ${result.value.remarks}` : result.error;
    };
    expect(await told('src')).toBe(`1 inferry: ${models}/src holds no model, and is left alone\n`);
    expect(await told('rose')).toBe(`1 inferry: ${models}/rose does not exist\n`);
    expect(await told('plain@9')).toBe(
      `1 inferry: ${models}/plain has no version 9; it has: 1, 2\n`,
    );
    for (const name of ['..', '../iris', 'plain@', 'plain@..', '']) {
      expect(await told(name)).toBe(
        `MODEL must be a name, as in digits, or digits@2, not "${name}"`,
      );
    }
    expect((await readdir(models)).toSorted()).toEqual(['iris', 'plain', 'src']);
  });
});
