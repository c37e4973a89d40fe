import { expect, test } from 'vitest';
import type { Input } from './inputs.ts';
import { optionsOf } from './options.fixture.ts';
import { jobPath, modelPath, requestsOf } from './requests.ts';

const json: Input = { name: 'a', mediaType: 'application/json', bytes: Buffer.from('{"x":1}\n') };
const png: Input = { name: 'b.png', mediaType: 'image/png', bytes: Buffer.from('png') };

function requests(line: string, ...inputs: readonly Input[]) {
  const made = requestsOf(inputs, optionsOf(line));
  if (!made.ok) return made.error;
  return made.value.map((one) => ({ ...one, body: Buffer.from(one.body ?? []).toString() }));
}

test('the job API gets JSON as the input of a submit, other bytes as they are, and is asked to wait', () => {
  expect(requests('m@2 --url http://h:1/base --timeout 5 --header X-A:1', json, png)).toEqual([
    {
      method: 'POST',
      origin: 'http://h:1',
      path: '/base/v1/models/m@2/jobs',
      headers: { 'content-type': 'application/json', prefer: 'wait=5', 'x-a': '1' },
      body: '{"input":{"x":1}\n}',
    },
    {
      method: 'POST',
      origin: 'http://h:1',
      path: '/base/v1/models/m@2/jobs',
      headers: { 'content-type': 'image/png', prefer: 'wait=5', 'x-a': '1' },
      body: 'png',
    },
  ]);
});

test('v2 gets JSON as it is, and nothing else', () => {
  expect(requests('m@2 --api v2', json)).toEqual([
    {
      method: 'POST',
      origin: 'http://127.0.0.1:8000',
      path: '/v2/models/m/versions/2/infer',
      headers: { 'content-type': 'application/json' },
      body: '{"x":1}\n',
    },
  ]);
  expect(requests('m --api v2', png)).toContain('b.png: the v2 API takes JSON bodies');
});

test('a header that was given wins, and nobody is asked to hold for longer than it would', () => {
  expect(requests('m --timeout 5m --header Content-Type:text/x', png)).toMatchObject([
    { headers: { 'content-type': 'text/x', prefer: 'wait=55' } },
  ]);
  expect(jobPath(optionsOf('m'), 'job_1/2', 20)).toBe('/v1/jobs/job_1%2F2?wait=1');
  expect(modelPath(optionsOf('m --url http://h/base'))).toBe('/base/v2/models/m');
});
