import { expect, test } from 'vitest';
import { checkRepository } from './models.ts';

test('a repository in a bucket is left out, with the command that looks there', async () => {
  const device = { kind: 'cpu', index: 0 } as const;
  const findings = await checkRepository({ device, modelsDir: 's3://bucket/models', only: null });
  expect(findings).toMatchObject([
    { verdict: 'left out', remedy: 'look there: inferry models list s3://bucket/models' },
  ]);
});
