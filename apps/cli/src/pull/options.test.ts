import { expect, test } from 'vitest';
import { parsePullOptions } from './options.ts';

const digest = 'a'.repeat(64);

function parsed(source: string, flags: Record<string, string> = {}): unknown {
  const result = parsePullOptions({ operands: [source], flags: new Map(Object.entries(flags)) });
  return result.ok ? result.value : result.error;
}

test('a path needs nothing else', () => {
  expect(parsed('models/iris')).toEqual({
    source: { kind: 'path', path: 'models/iris' },
    modelsDir: 'models',
    name: null,
    version: null,
    sha256: null,
    isReplacing: false,
    bytesMax: 16 * 1024 ** 3,
    asJson: false,
  });
  expect(parsed('s3://bucket/models/iris/')).toMatchObject({
    source: { kind: 's3', location: { bucket: 'bucket', key: 'models/iris' } },
  });
  expect(parsed('file:///srv/a%20b')).toMatchObject({ source: { path: '/srv/a b' } });
});

test('a URL needs a digest, or the word that it goes without', () => {
  expect(parsed('https://a.example/m.tgz?x=1', { sha256: digest.toUpperCase() })).toMatchObject({
    source: { kind: 'url', form: 'tar' },
    sha256: digest,
  });
  expect(parsed('http://a.example/m.onnx', { 'insecure-no-digest': '' })).toMatchObject({
    source: { form: 'onnx' },
    sha256: null,
  });
  expect(parsed('https://a.example/m.onnx')).toEqual([
    '--sha256 must be given for a URL, or --insecure-no-digest to take whatever it answers',
  ]);
});

test.each([
  ['', {}, 'SOURCE must be a URL or a path, not empty'],
  ['https://', {}, 'SOURCE must be a valid URL, not "https://"'],
  ['ftp://a.example/m', {}, 'SOURCE must be an https, http, s3 or file URL, or a path, not "ftp:"'],
  [
    's3://host:9000/bucket/m',
    {},
    'SOURCE must look like s3://bucket/folder; the address of the server goes into AWS_ENDPOINT_URL',
  ],
  ['s3://bucket/a/../b', {}, 'SOURCE the path "a/../b" is not taken'],
  [
    's3://bucket/m',
    { 'insecure-no-digest': '' },
    '--insecure-no-digest is for URLs that begin with http: S3 tells checksums itself',
  ],
  ['file://host/m', {}, 'SOURCE must be file:///path, without a host, not "file://host/m"'],
  ['https://u:p@a.example/m.onnx', {}, 'SOURCE must be a URL without user and password'],
  [
    'https://a.example/m.zip?key=secret',
    {},
    'SOURCE must end in .onnx, .tar, .tar.gz or .tgz, not "https://a.example/m.zip"',
  ],
  ['m', { name: 'a b' }, '--name must be the name of a model, as in resnet50, not "a b"'],
  ['m', { name: '..' }, '--name must be the name of a model, as in resnet50, not ".."'],
  [
    'm',
    { version: '../1' },
    '--version must be 1 to 64 letters, digits, ".", "_" and "-", the first a letter or digit, not "../1"',
  ],
  ['m', { sha256: 'abc' }, '--sha256 must be 64 hex digits, not "abc"'],
  [
    'm',
    { sha256: digest, 'insecure-no-digest': '' },
    '--sha256 and --insecure-no-digest contradict each other: give one of them',
  ],
  ['m', { 'max-gib': '0' }, '--max-gib must be an integer from 1 to 1024, not "0"'],
  ['m', { 'max-gib': '1025' }, '--max-gib must be an integer from 1 to 1024, not "1025"'],
  [
    'm',
    { models: 's3://bucket/m' },
    '--models must be a directory; "inferry models push" brings a model into S3',
  ],
  ['m', { models: '' }, '--models must be the path of a directory, not empty'],
])('%s with %o is refused', (source, flags, problem) => {
  expect(parsed(source, flags)).toEqual([problem]);
});
