import { expect, test } from 'vitest';
import { openS3 } from './open-s3.ts';

const keys = { AWS_ACCESS_KEY_ID: 'AKIDEXAMPLE', AWS_SECRET_ACCESS_KEY: 'not-to-be-shown' };

/** Nothing of it reaches a network. */
async function problemWith(env: Readonly<Record<string, string>>): Promise<unknown> {
  const store = openS3('bucket', { env, idleMs: 1_000 });
  if (!store.ok) return store.error;
  const listed = await store.value.list('', 1);
  store.value.close();
  return listed.ok ? undefined : listed.error;
}

test('a region that is none is told with its variable', async () => {
  expect(await problemWith({ ...keys, AWS_REGION: 'eu west 1' })).toEqual({
    kind: 'refused',
    text: 'AWS_REGION must be the name of a region, as in eu-west-1',
  });
});

test('a file of credentials that is not there is told with its name', async () => {
  // The client reads these from the environment of the process alone.
  process.env['AWS_ROLE_ARN'] = 'arn:aws:iam::000000000000:role/models';
  process.env['AWS_WEB_IDENTITY_TOKEN_FILE'] = '/none/token';
  try {
    expect(await problemWith({ AWS_REGION: 'eu-west-1' })).toEqual({
      kind: 'refused',
      text: 'what says how S3 is reached cannot be read (ENOENT /none/token)',
    });
  } finally {
    delete process.env['AWS_ROLE_ARN'];
    delete process.env['AWS_WEB_IDENTITY_TOKEN_FILE'];
  }
});
