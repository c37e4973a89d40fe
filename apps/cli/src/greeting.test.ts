import { execFileSync } from 'node:child_process';
import { loadRepository } from '@inferry/models';
import { repositoryPath } from '@inferry/testkit';
import { describe, expect, test } from 'vitest';
import { greeting, type GreetingOptions } from './greeting.ts';

async function greet(modelsDir: string, options: Partial<GreetingOptions> = {}): Promise<string> {
  const { models } = await loadRepository(modelsDir);
  const fixed = {
    host: '127.0.0.1',
    httpPort: 8000,
    grpcPort: 8001,
    metricsPort: 9464,
    isQueueInMemory: true,
  };
  return greeting({ ...fixed, modelsDir, models, ...options });
}

function commandsOf(text: string): string[] {
  return text
    .split('\n')
    .flatMap((line) => (/^ {2}(?:curl|JOB=)/u.test(line) ? [line.trim()] : []));
}

test('the demo repository shows an iris prediction, a picture of a digit and its poll', async () => {
  const text = await greet(repositoryPath('models'));
  const [now, later, poll] = commandsOf(text);
  expect(now).toContain('/v1/models/iris/jobs');
  expect(now).toContain("-H 'Prefer: wait=10'");
  expect(now).toContain(
    `'{"input":{"sepal_length":5.1,"sepal_width":3.5,"petal_length":1.4,"petal_width":0.2}}'`,
  );
  expect(later).toContain('/v1/models/digits/jobs');
  expect(later).toContain(`--data-binary @${repositoryPath('models/digits/samples/seven.png')}`);
  expect(later).not.toContain('Prefer');
  expect(poll).toBe('curl -s "http://127.0.0.1:8000/v1/jobs/$JOB?wait=10"');
  expect(text).toContain('http://127.0.0.1:8000/docs');
  expect(text).toContain('http://127.0.0.1:9464/metrics');
});

test('any other repository shows requests made from its signatures', async () => {
  const text = await greet(repositoryPath('packages/testkit/fixtures/models'));
  const commands = commandsOf(text);
  expect(commands).toHaveLength(3);
  const body = /-d '(?<body>[^']*)'/u.exec(commands[0] ?? '')?.groups?.['body'] ?? '';
  expect(JSON.parse(body)).toMatchObject({ input: { inputs: [{ data: expect.any(Array) }] } });
});

test('without a model to show, the list of models is shown', async () => {
  expect(await greet('models', { models: [] })).toContain('/v1/models\n');
});

describe('the queue', () => {
  test('in memory is told to be lost on a restart, with what to set', async () => {
    const text = await greet('models', { models: [] });
    expect(text).toContain('does not survive a restart');
    expect(text).toContain('REDIS_URL=redis://');
  });

  test('in Redis needs no word', async () => {
    expect(await greet('models', { models: [], isQueueInMemory: false })).not.toContain('survive');
  });
});

test('addresses are such that this machine reaches them', async () => {
  expect(await greet('m', { models: [], host: '0.0.0.0' })).toContain('http://127.0.0.1:8000');
  expect(await greet('m', { models: [], host: '::' })).toContain('http://[::1]:8000');
  expect(await greet('m', { models: [], host: 'fe80::1' })).toContain('http://[fe80::1]:8000');
});

test('a shell reads the body as it is meant, whatever the names of a model', async () => {
  const { models } = await loadRepository(repositoryPath('models'));
  const iris = models.find(({ name }) => name === 'iris');
  if (iris === undefined) throw new Error('the demo repository has no iris');
  const column = `it's "$(echo)" \\ odd`;
  const odd = {
    ...iris,
    preprocess: { kind: 'tabular', columns: [{ kind: 'number', name: column, mean: 0, std: 1 }] },
  } as const;
  const [line = ''] = commandsOf(await greet('m', { models: [odd] }));
  const printed = execFileSync('sh', ['-c', line.replace(/^curl/u, String.raw`printf '%s\n'`)]);
  expect(JSON.parse(printed.toString().trim().split('\n').at(-1) ?? '')).toEqual({
    input: { [column]: 5 },
  });
});
