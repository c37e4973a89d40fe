import { repositoryPath } from '@inferry/testkit';
import { expect, test } from 'vitest';
import { checkModels } from './models-check.ts';

test('a good repository is listed, one line a version', async () => {
  const report = await checkModels(repositoryPath('models'), false);
  expect(report).toMatchObject({ remarks: '', exitCode: 0 });
  expect(report.data).toBe(
    'digits 1: image input -> classify; 64 rows a run; 1 x cpu\n' +
      'iris 1: tabular input -> classify; 64 rows a run; 1 x cpu\n',
  );
});

test('every problem is told with its file, and the command fails', async () => {
  const report = await checkModels(repositoryPath('packages/testkit/fixtures/broken'), false);
  expect(report.exitCode).toBe(2);
  expect(report.remarks).toMatch(/truncated\/1\/model\.onnx: /u);
  expect(report.remarks).toMatch(/\d problems\n$/u);
});

test('as JSON it is one document, without paths of this machine in the models', async () => {
  const report = await checkModels(repositoryPath('models'), true);
  const document = JSON.parse(report.data) as { models: object[]; problems: object[] };
  expect(document.problems).toEqual([]);
  expect(document.models).toHaveLength(2);
  expect(document.models[0]).not.toHaveProperty('file');
});

test('a directory that does not exist is a problem and not a crash', async () => {
  const report = await checkModels('/nonexistent/models', false);
  expect(report).toMatchObject({ data: '', exitCode: 2 });
  expect(report.remarks).toContain('/nonexistent/models: does not exist');
});
