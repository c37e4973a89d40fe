import { cp, mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { repositoryPath } from '@inferry/testkit';
import { expect, test } from 'vitest';
import { examineModels } from './models-doctor.ts';

test('a good repository is told, one block a version', async () => {
  const directory = repositoryPath('models');
  const report = await examineModels(directory, false);
  expect(report).toMatchObject({ remarks: '', exitCode: 0 });
  expect(report.data.split('\n\n')[1]).toBe(`iris 1
  file       ${directory}/iris/1/model.onnx
  takes      tabular input, or input FP32[-1,4]
  gives      classify, or label INT64[-1], probabilities FP32[-1,3]
  batches    at most 64 rows a run; a free slot waits at most 20 ms, where that pays
  instances  1 x cpu
  waiting    at most 50000 jobs, each ended within 3600000 ms
  served     policy all
`);
});

test('a Triton model is told as it is served, with what it is served without', async () => {
  const directory = repositoryPath('packages/testkit/fixtures/triton');
  const report = await examineModels(directory, false);
  expect(report).toMatchObject({ remarks: '1 warning\n', exitCode: 0 });
  expect(report.data).toContain(`scores 1
  file       ${directory}/scores/1/model.onnx, as config.pbtxt says
  takes      image FP32[-1,2,3] (to the model [-1,6])
  gives      scores FP32[-1,3] with 3 labels
  batches    requests share a run up to 4 rows; a larger one, of at most 8, runs alone; a free slot waits at most 50 ms for 2 rows
  instances  1 x cpu
  waiting    at most 100 jobs, each ended within 3600000 ms, begun within 10000 ms
  warm-up    2 samples
  served     policy latest 1 (config.pbtxt)
  warning    ${directory}/scores/config.pbtxt:38: parameters.gpu_mem_limit: has no effect`);
  expect(report.data).toContain(
    'one request a run, of at most 8 rows: there is no dynamic_batching',
  );
});

test('a processor is told with what it runs', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'inferry-doctor-'));
  await cp(repositoryPath('docs/examples/captions/models'), directory, { recursive: true });
  const tensors = ['inputs', 'outputs'].map((s) => `${s}: [{name: x, dtype: FP32, shape: [-1]}]`);
  await rm(join(directory, 'blip'), { recursive: true });
  await mkdir(join(directory, 'blip'));
  await writeFile(
    join(directory, 'blip', 'model.yaml'),
    ['backend: simulated', ...tensors].join('\n'),
  );
  const { data } = await examineModels(directory, false);
  await rm(directory, { recursive: true });
  expect(data).toContain(`captions 1
  file       ${directory}/captions/processor.ts
  takes      pixel_values FP32[3,384,384]
  gives      tokens INT64[-1]
  runs       blip: each step joins a batch of its model
  at a time  at most 64 jobs in a worker; 10000 steps a job, 10000 ms between two
  waiting    at most 50000 jobs, each ended within 120000 ms
`);
});

test('an ensemble is told with its steps, and what each takes and gives', async () => {
  const report = await examineModels(repositoryPath('docs/examples/ensemble/models'), false);
  expect(report).toMatchObject({ remarks: '', exitCode: 0 });
  expect(report.data).toContain(`photo 1
  file       none, an ensemble of models, as config.pbtxt says
  takes      PHOTO UINT8[-1,8,8]
  gives      LIGHT FP32[-1,4] with 4 labels, SCALED FP32[-1,64]
  runs       scale, light: each step joins a batch of its model
  step 1     scale: PIXELS is PHOTO; gives IMAGE as SCALED
  step 2     light: IMAGE is SCALED; gives SIDES as LIGHT
  at a time  at most 64 jobs in a worker
`);
});

test('what is not served is told with file, line and reason, and the command fails', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'inferry-doctor-'));
  await mkdir(join(directory, 'talk', '1'), { recursive: true });
  await writeFile(join(directory, 'talk', 'config.pbtxt'), 'name: "talk"\nbackend: "python"\n');
  const report = await examineModels(directory, false);
  await rm(directory, { recursive: true });
  expect(report).toEqual({
    data: `talk: not served
  because    ${directory}/talk/config.pbtxt:2: backend: "python" is not served: models are run by ONNX Runtime
`,
    remarks: '1 problem\n',
    exitCode: 2,
  });
});

test.each([
  ['of its own', 'model.yaml', 'policy: {latest: 1}\n', 'policy latest 1 (versions.yaml)'],
  ['of Triton', 'config.pbtxt', '', 'policy latest 1 (config.pbtxt)'],
])('a model %s tells why each version is served, and why not', async (_, about, policy, why) => {
  const directory = await mkdtemp(join(tmpdir(), 'inferry-doctor-'));
  for (const version of ['1', '2', '3', '4']) {
    const onnx = repositoryPath('packages/testkit/fixtures/triton/scores/1/model.onnx');
    await cp(onnx, join(directory, 'm', version, 'model.onnx'));
  }
  await writeFile(join(directory, 'm', about), '');
  await writeFile(join(directory, 'm', 'versions.yaml'), `${policy}labels: {stable: 2}\n`);
  const { data } = await examineModels(directory, false);
  await rm(directory, { recursive: true });
  expect(data).toMatch(
    /^m 2\n(?: {2}.*\n)* {2}served {5}label stable; all requests that name no version\n/mu,
  );
  expect(data).toContain(`  served     ${why}\n`);
  expect(data).toContain(`m 1, 3: not served
  because    ${why} leaves them out, and no label and no traffic asks for them
`);
});

test('the tags, the cache and the times of priorities of a Triton model are told', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'inferry-doctor-'));
  await cp(repositoryPath('packages/testkit/fixtures/triton/plain'), join(directory, 'plain'), {
    recursive: true,
  });
  const config = join(directory, 'plain', 'config.pbtxt');
  await writeFile(
    config,
    `response_cache { enable: true }
metric_tags { key: "team" value: "vision" }
dynamic_batching { priority_levels: 3 default_priority_level: 2
  default_queue_policy { default_timeout_microseconds: 9000 }
  priority_queue_policy [ { key: 1 value { default_timeout_microseconds: 2000 } }, { key: 3 value { } } ] }`,
  );
  const { data } = await examineModels(directory, false);
  await rm(directory, { recursive: true });
  expect(data).toContain(`begun within 9 ms; high: begun within 2 ms; low: at any time
  cache      gateways keep answers
  tags       _team="vision"
`);
});

test('warnings are told of a model of which no version is served, too', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'inferry-doctor-'));
  await mkdir(join(directory, 'm', '1'), { recursive: true });
  await mkdir(join(directory, 'plan', '1'), { recursive: true });
  await writeFile(join(directory, 'm', 'config.pbtxt'), 'model_repository_agents { agents { } }');
  const report = await examineModels(directory, false);
  await rm(directory, { recursive: true });
  expect(report).toEqual({
    data: `m 1: not served
  because    ${directory}/m/1/model.onnx: does not exist
  warning    ${directory}/m/config.pbtxt:1: model_repository_agents: has no effect: the folder is served as it is

plan: not served
  warning    ${directory}/plan: is not served: no version of it holds a model.onnx
`,
    remarks: '1 problem, 2 warnings\n',
    exitCode: 2,
  });
});

test('every problem is told with its file, and the command fails', async () => {
  const report = await examineModels(repositoryPath('packages/testkit/fixtures/broken'), false);
  expect(report.exitCode).toBe(2);
  expect(report.data).toMatch(/truncated 1: not served\n {2}because.*truncated\/1\/model\.onnx: /u);
  expect(report.remarks).toMatch(/^\d problems\n$/u);
});

test('as JSON it is one document, with files as the directory was given', async () => {
  const report = await examineModels(repositoryPath('models'), true);
  const document = JSON.parse(report.data) as Record<'models' | 'problems' | 'warnings', object[]>;
  expect([document.problems, document.warnings]).toEqual([[], []]);
  expect(document.models).toMatchObject([
    { name: 'digits', file: repositoryPath('models/digits/1/model.onnx'), maxBatchSize: 64 },
    { name: 'iris' },
  ]);
});

test('a directory that does not exist is a problem and not a crash', async () => {
  const report = await examineModels('/nonexistent/models', false);
  expect(report).toEqual({
    data: 'the repository: not served\n  because    /nonexistent/models: does not exist\n',
    remarks: '1 problem\n',
    exitCode: 2,
  });
});
