import { expect, test } from 'vitest';
import { parseS3Settings } from './s3-settings.ts';

const keys = { AWS_ACCESS_KEY_ID: 'id', AWS_SECRET_ACCESS_KEY: 'secret' };

test('nothing set is left to the profile and the role', () => {
  const settings = { endpoint: null, region: null, credentials: null };
  expect(parseS3Settings({ AWS_ENDPOINT_URL: '' })).toEqual({ ok: true, value: settings });
});

test('keys, a session and a region are taken as they are', () => {
  const env = { ...keys, AWS_SESSION_TOKEN: 'token', AWS_DEFAULT_REGION: 'eu-west-1' };
  const credentials = { accessKeyId: 'id', secretAccessKey: 'secret', sessionToken: 'token' };
  const value = { endpoint: null, region: 'eu-west-1', credentials };
  expect(parseS3Settings(env)).toEqual({ ok: true, value });
});

test('the address for S3 wins over the one for all services, and has a region of its own', () => {
  const env = { AWS_ENDPOINT_URL_S3: 'http://s3:9000', AWS_ENDPOINT_URL: 'http://all:1' };
  const value = { endpoint: 'http://s3:9000', region: 'us-east-1', credentials: null };
  expect(parseS3Settings(env)).toEqual({ ok: true, value });
  const ignored = { ...env, AWS_IGNORE_CONFIGURED_ENDPOINT_URLS: 'true' };
  expect(parseS3Settings(ignored)).toMatchObject({ value: { endpoint: null } });
});

test.each([
  [{ AWS_ACCESS_KEY_ID: 'id' }, 'must be set together'],
  [{ AWS_SECRET_ACCESS_KEY: 'secret' }, 'must be set together'],
  [{ AWS_ENDPOINT_URL: 's3:9000' }, 'AWS_ENDPOINT_URL must look like http://host:port'],
  [{ AWS_ENDPOINT_URL_S3: 'http://u:secret@s3' }, 'AWS_ENDPOINT_URL_S3 must look like'],
  [{ AWS_ENDPOINT_URL: 'http://s3/bucket' }, 'without a user and a path'],
])('%o is refused, and no secret is told', (env, told) => {
  const parsed = parseS3Settings(env);
  expect(parsed.ok ? '' : parsed.error).toContain(told);
  expect(JSON.stringify(parsed)).not.toContain('secret@');
});
