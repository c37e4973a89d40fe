import { cp, mkdtemp, readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { loadRepository } from '@inferry/models';
import { repositoryPath } from '@inferry/testkit';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { changeVersions } from './change-versions.ts';
import { labelModel, rollBack, shareTraffic } from './route.ts';

let models: string;
let file: string;
beforeEach(async () => {
  models = await mkdtemp(join(tmpdir(), 'inferry-route-'));
  file = join(models, 'm', 'versions.yaml');
  for (const version of ['1', '2', '3']) {
    const from = repositoryPath('models/iris/1/model.onnx');
    await cp(from, join(models, 'm', version, 'model.onnx'));
  }
});
afterEach(() => rm(models, { recursive: true }));

type Command = typeof rollBack;

/** What is printed, both ways, behind the exit code; 2 for wrong usage. */
async function run(
  command: Command,
  operands: readonly string[],
  flags: Record<string, string> = {},
): Promise<string> {
  const told = await command({ operands, flags: new Map(Object.entries({ models, ...flags })) });
  if (!told.ok) return `2 ${told.error}`;
  const { data, exitCode, remarks } = told.value;
  return `${exitCode} ${data}${remarks}`.trimEnd().replaceAll(`${models}/`, '');
}

async function routing() {
  const repository = await loadRepository(models);
  expect(repository.problems).toEqual([]);
  const { labels = {}, traffic = [] } = repository.routing['m'] ?? {};
  return {
    ...labels,
    ...Object.fromEntries(traffic.map((share) => [share.version, share.weight])),
  };
}

describe('label', () => {
  test('names a version, which is served whatever the policy', async () => {
    await writeFile(file, '# mine\npolicy: {latest: 1}\n');
    expect(await run(labelModel, ['m@1', 'canary'])).toBe('0 m/versions.yaml: canary is 1');
    expect(await run(labelModel, ['m@2', 'canary'])).toBe('0 m/versions.yaml: canary is 2 (was 1)');
    expect(await routing()).toEqual({ canary: '2' });
    expect((await loadRepository(models)).models.map(({ version }) => version)).toEqual(['2', '3']);
    expect(await readFile(file, 'utf8')).toMatch(/^# mine\n/u);
    expect((await readdir(join(models, 'm'))).toSorted()).toEqual(['1', '2', '3', 'versions.yaml']);
  });

  test('that is there already changes nothing', async () => {
    const text = '{labels: {canary: 1}} # as it was\n';
    await writeFile(file, text);
    expect(await run(labelModel, ['m@1', 'canary'])).toBe(
      '0 m/versions.yaml: canary is 1, as before',
    );
    expect(await readFile(file, 'utf8')).toBe(text);
  });

  test('is taken away', async () => {
    await run(labelModel, ['m@1', 'canary']);
    expect(await run(labelModel, ['m'], { remove: 'canary' })).toBe(
      '0 m/versions.yaml: canary is gone (was 1)',
    );
    expect(await routing()).toEqual({});
    expect(await run(labelModel, ['m'], { remove: 'canary' })).toBe(
      '1 inferry: no version is called canary; there is no label',
    );
  });

  test('that names what is gone can be taken away', async () => {
    await writeFile(file, 'labels: {stable: 2, old: 7}\n');
    expect(await run(labelModel, ['m@1', 'canary'])).toContain(
      'labels.old: there is no version "7"',
    );
    expect(await run(labelModel, ['m'], { remove: 'old' })).toMatch(/^0 /u);
    expect(await routing()).toEqual({ stable: '2' });
  });

  test('stable says that traffic still counts', async () => {
    await run(shareTraffic, ['m', '2=1', '3=1']);
    expect(await run(labelModel, ['m@3', 'stable'])).toBe(
      '0 m/versions.yaml: stable is 3\nrequests that name no version are still shared out: 2 gets 50 %, 3 gets 50 %',
    );
  });

  test.each([
    [['m', 'canary'], {}, '2 MODEL must name a version, as in digits@2, not "m"'],
    [['m@1'], {}, '2 "models label" needs LABEL, or --remove LABEL'],
    [['m@1', '7'], {}, '2 LABEL must not be "7": a label is called by'],
    [['m@1', 'a b'], {}, '2 LABEL must not be "a b"'],
    [['m@1', 'a'], { remove: 'b' }, '2 --remove takes MODEL alone'],
    [['m@1'], { remove: 'b' }, '2 MODEL must be a name, as in digits, not "m@1"'],
    [['../m@1', 'a'], {}, '2 MODEL must name a version'],
    [['m@9', 'a'], {}, '1 inferry: m has no version 9; it has: 1, 2, 3'],
    [['rose@1', 'a'], {}, '1 inferry: rose does not exist'],
  ])('%j %j is refused', async (operands, flags, message) => {
    expect(await run(labelModel, operands, flags)).toContain(message);
    expect(await readdir(join(models, 'm'))).toEqual(['1', '2', '3']);
  });
});

describe('traffic', () => {
  test('is shared out by weight, all of it anew each time', async () => {
    expect(await run(shareTraffic, ['m', '1=2', '2=1'])).toBe(
      '0 m/versions.yaml: requests that name no version are shared out: 1 gets 66.7 %, 2 gets 33.3 %',
    );
    await run(shareTraffic, ['m', '2=90', '3=10']);
    expect(await routing()).toEqual({ 2: 90, 3: 10 });
    expect(await run(shareTraffic, ['m'], { clear: '' })).toBe(
      '0 m/versions.yaml: traffic is not shared out',
    );
    expect(await routing()).toEqual({});
  });

  test('as JSON tells what counts now', async () => {
    const told = await run(shareTraffic, ['m', '2=90'], { json: '' });
    expect(JSON.parse(told.slice(2))).toEqual({
      model: 'm',
      changed: true,
      file: 'm/versions.yaml',
      labels: {},
      traffic: { 2: 90 },
      previous: {},
      served: ['1', '2', '3'],
    });
  });

  test.each([
    [['m'], {}, '2 "models traffic" needs VERSION=WEIGHT, once or more, or --clear'],
    [['m', '1=1'], { clear: '' }, '2 "models traffic" needs'],
    [['m', '1=0'], {}, '2 VERSION=WEIGHT must be as in 2=90'],
    [['m', '1=1000001'], {}, 'with a whole weight of 1 to 1000000'],
    [['m', '1=0.5'], {}, 'not "1=0.5"'],
    [['m', '1=1', '1=2'], {}, '2 version 1 is given twice'],
    [['m', '7=1'], {}, '1 inferry: m has no version 7; it has: 1, 2, 3'],
    [['m@1', '1=1'], {}, '2 MODEL must be a name'],
  ])('%j %j is refused', async (operands, flags, message) => {
    expect(await run(shareTraffic, operands, flags)).toContain(message);
    expect(await readdir(join(models, 'm'))).toEqual(['1', '2', '3']);
  });

  test('of a label says which version that is', async () => {
    await run(labelModel, ['m@3', 'canary']);
    expect(await run(shareTraffic, ['m', 'canary=1'])).toBe(
      '1 inferry: m has no version canary (canary is a label, of version 3); it has: 1, 2, 3',
    );
  });
});

describe('rollback', () => {
  test('goes back to what was stable before, and forward again', async () => {
    await run(labelModel, ['m@1', 'stable']);
    await run(labelModel, ['m@3', 'stable']);
    expect(await run(rollBack, ['m'])).toBe(
      '0 m/versions.yaml: stable is 1 (was 3)\n"inferry models rollback m" once more goes to 3 again',
    );
    expect(await routing()).toEqual({ stable: '1' });
    expect(await run(rollBack, ['m'])).toContain('stable is 3 (was 1)');
    expect(await routing()).toEqual({ stable: '3' });
  });

  test('without a stable one goes to the version before the latest', async () => {
    expect(await run(rollBack, ['m'])).toContain('stable is 2 (was 3)');
    expect(await run(rollBack, ['m'])).toContain('stable is 3 (was 2)');
  });

  test('finds the version before where the policy does not serve it', async () => {
    await writeFile(file, 'policy: {latest: 1}\n');
    await run(rollBack, ['m']);
    expect((await loadRepository(models)).models.map(({ version }) => version)).toEqual(['2', '3']);
  });

  test('from the first stable one goes to what requests got before', async () => {
    await run(labelModel, ['m@1', 'stable']);
    expect(await run(rollBack, ['m'])).toContain('stable is 3 (was 1)');
  });

  test('of a stable one that a person wrote goes to the one before it', async () => {
    await writeFile(file, 'labels: {stable: 2}\n');
    expect(await run(rollBack, ['m'])).toContain('stable is 1 (was 2)');
  });

  test('ends a canary, and keeps other labels', async () => {
    await run(labelModel, ['m@3', 'canary']);
    await run(shareTraffic, ['m', '2=9', '3=1']);
    expect(await run(rollBack, ['m'])).toContain(
      'stable is 2 (was 3); traffic is not shared out (was: 2 gets 90 %, 3 gets 10 %)\n',
    );
    expect(await routing()).toEqual({ stable: '2', canary: '3' });
  });

  test('to nowhere is refused', async () => {
    await writeFile(file, 'labels: {stable: 1}\n');
    expect(await run(rollBack, ['m'])).toBe(
      '1 inferry: m has no version before 1, and none is noted in versions.yaml; it has: 1, 2, 3',
    );
    await writeFile(file, 'labels: {stable: 1}\nprevious: {stable: 7}\n');
    expect(await run(rollBack, ['m'])).toBe(
      '1 inferry: m was at 7 before, which is not there any more; it has: 1, 2, 3. Choose one: inferry models label m@VERSION stable',
    );
  });

  test('works where the new version is broken', async () => {
    await writeFile(join(models, 'm/3/model.onnx'), 'no model');
    expect(await run(rollBack, ['m'])).toContain('stable is 2 (was 3)');
  });

  test('of a Triton model leaves its config.pbtxt alone', async () => {
    await writeFile(join(models, 'm', 'config.pbtxt'), '# ours\n');
    await run(rollBack, ['m']);
    expect(await readFile(join(models, 'm', 'config.pbtxt'), 'utf8')).toBe('# ours\n');
    expect((await loadRepository(models)).models.map(({ version }) => version)).toEqual(['2', '3']);
  });
});

test('a file with a mistake is not touched, and the mistake is told', async () => {
  await writeFile(file, 'lables: {stable: 2}\n');
  expect(await run(rollBack, ['m'])).toBe(
    '1 inferry: m/versions.yaml:1: lables: is not known; did you mean "labels"?',
  );
  expect(await readFile(file, 'utf8')).toBe('lables: {stable: 2}\n');
});

test('only one process at a time changes the versions of a model', async () => {
  await writeFile(join(models, 'm', '.versions.yaml.lock'), `${process.pid} ${hostname()}`);
  expect(await run(rollBack, ['m'])).toMatch(
    /^1 inferry: another process is changing the versions of m/u,
  );
  await rm(join(models, 'm', '.versions.yaml.lock'));
  await expect(
    changeVersions(models, 'm', () => {
      throw new Error('a bug');
    }),
  ).rejects.toThrow('a bug');
  expect(await run(rollBack, ['m'])).toMatch(/^0 /u);
});
