import { describe, expect, test } from 'vitest';
import { parseArguments } from '../arguments.ts';
import { optionsOf } from './options.fixture.ts';
import { parseBenchOptions } from './options.ts';

function problems(...words: readonly string[]): readonly string[] {
  const invocation = parseArguments(['bench', ...words]);
  if (!invocation.ok) throw new Error(invocation.error.message);
  const options = parseBenchOptions(invocation.value);
  return options.ok ? [] : options.error;
}

test('without flags, one request at a time goes to the usual address', () => {
  expect(optionsOf('iris')).toMatchObject({
    model: 'iris',
    version: null,
    origin: 'http://127.0.0.1:8000',
    basePath: '',
    api: 'jobs',
    levels: [{ kind: 'concurrency', value: 1 }],
    warmupMs: 2_000,
    windowMs: 5_000,
    windowsMax: 10,
    stability: 0.1,
    percentile: null,
    errorsMax: 0,
  });
});

test('every flag is read in its unit', () => {
  const line =
    'iris@2 --url https://host:8443/ml/ --api v2 --request-rate 50,100 --arrivals constant ' +
    '--in-flight-max 20 --data zeros --shape a:b:1,4 --header X-A:1 --tenant acme --warmup 0 ' +
    '--warmup-requests 5 --window 500ms --max-windows 4 --stability 5% --percentile 95 ' +
    '--timeout 2m --max-errors 0.5 --metrics-url http://h:9464 --metrics-url http://h:1/m --seed 9';
  const { shapes, metricsUrls, ...rest } = optionsOf(line);
  expect(rest).toEqual({
    model: 'iris',
    version: '2',
    origin: 'https://host:8443',
    basePath: '/ml',
    api: 'v2',
    levels: [
      { kind: 'request_rate', value: 50 },
      { kind: 'request_rate', value: 100 },
    ],
    arrivals: 'constant',
    inFlightMax: 20,
    inputs: [],
    data: 'zeros',
    headers: { 'inferry-tenant': 'acme', 'x-a': '1' },
    warmupMs: 0,
    warmupRequests: 5,
    windowMs: 500,
    windowsMax: 4,
    stability: 0.05,
    percentile: 0.95,
    timeoutMs: 120_000,
    errorsMax: 0.005,
    seed: 9,
    json: null,
    csv: null,
  });
  expect([...shapes]).toEqual([['a:b', [1, 4]]]);
  expect(metricsUrls.map(({ href }) => href)).toEqual(['http://h:9464/metrics', 'http://h:1/m']);
});

describe('what cannot be used is told with its flag and what would be', () => {
  test.each([
    [['a@b@c'], 'MODEL must be a name, or name@version'],
    [['../x'], 'MODEL must be a name, or name@version'],
    [['m', '--url', 'host:8000'], '--url must be a URL like'],
    [['m', '--url', 'http://u:p@h'], '--url must have no user'],
    [['m', '--api', 'grpc'], '--api must be jobs or v2'],
    [['m', '--concurrency', '1', '--request-rate', '1'], 'give one of them'],
    [['m', '--window', '10ms'], '--window must be a time from 100 ms'],
    [['m', '--timeout', '1h'], '--timeout must be a time'],
    [['m', '--max-windows', '0'], '--max-windows must be a whole number from 1 to 1000'],
    [['m', '--percentile', '100'], '--percentile must be a number from 1 to 99.9'],
    [['m', '--max-errors', '-'], '--max-errors must be a number from 0 to 100'],
    [['m', '--header', 'nothing'], '--header must be a name, a colon and a value'],
    [['m', '--header', 'a:\u{1F600}'], '--header must have a value of printable ASCII'],
    [['m', '--tenant', ''], '--tenant must have a value'],
    [['m', '--shape', 'x:1,-1'], '--shape must be like'],
    [['m', '--input', 'f', '--data', 'zeros'], '--data is for generated tensors'],
    [['m', '--json', '-', '--csv', '-'], 'cannot both be written to standard output'],
  ])('%s', (words, problem) => {
    expect(problems(...words).join('\n')).toContain(problem);
  });

  test('all problems at once', () => {
    expect(problems('m', '--seed', 'x', '--warmup', 'x', '--input', '')).toHaveLength(3);
  });
});
