import { describe, expect, test } from 'vitest';
import { parseArguments } from '../arguments.ts';
import { parseAdviceOptions, parseAutoscaleOptions, workerEnvironment } from './options.ts';

function invocation(line: string) {
  const parsed = parseArguments(line.split(' '));
  if (!parsed.ok) throw new Error(parsed.error.message);
  return parsed.value;
}

const redis = { REDIS_URL: 'redis://127.0.0.1:1' };
const policy = { min: 0, max: 10, drainTargetSeconds: 30, utilization: 0.7 };

describe('scale-advice', () => {
  const advice = (flags: string, env: Record<string, string> = redis) =>
    parseAdviceOptions(invocation(`scale-advice ${flags}`.trim()), env);

  test('looks at the queue of REDIS_URL, for ten seconds', () => {
    const source = { kind: 'queue', url: redis.REDIS_URL, prefix: 'inferry', windowMs: 10_000 };
    expect(advice('')).toEqual({
      ok: true,
      value: { source, modelsDir: null, only: null, policy, asJson: false },
    });
  });

  test('every flag counts', () => {
    const flags =
      '--redis-url redis://h:2 --redis-prefix p --models m --only a,b --min 2 --max 20 --drain-target 1m --utilization 0.5 --window 5s --json';
    const source = { kind: 'queue', url: 'redis://h:2', prefix: 'p', windowMs: 5_000 };
    expect(advice(flags, { ...redis, INFERRY_MODELS: 'other' })).toEqual({
      ok: true,
      value: {
        source,
        modelsDir: 'm',
        only: ['a', 'b'],
        policy: { min: 2, max: 20, drainTargetSeconds: 60, utilization: 0.5 },
        asJson: true,
      },
    });
  });

  test('Prometheus takes the place of the queue', () => {
    const options = advice('--prometheus http://p:9090/prom', redis);
    const url = new URL('http://p:9090/prom');
    expect(options).toMatchObject({ ok: true, value: { source: { kind: 'prometheus', url } } });
  });

  test.each([
    ['', {}, ['REDIS_URL must be set, or --redis-url, or --prometheus given']],
    ['--min 3 --max 2', redis, ['--min must be at most --max, 3 is above 2']],
    ['--max 0', redis, ['--max must be a whole number from 1 to 1000, not "0"']],
    ['--min -1', redis, ['--min must be a whole number from 0 to 1000, not "-1"']],
    ['--utilization 70', redis, ['--utilization must be a number from 0.1 to 1, not "70"']],
    [
      '--window 1h --drain-target 0',
      redis,
      [
        '--drain-target must be a time from 100 ms to 3600 s like 5, 500ms or 2m, not "0"',
        '--window must be a time from 1000 ms to 600 s like 5, 500ms or 2m, not "1h"',
      ],
    ],
    [
      '--only ../x',
      redis,
      [
        '--only must be model names with commas between them; "../x" is not a model name, not "../x"',
      ],
    ],
    [
      '--prometheus p:9090',
      redis,
      ['--prometheus must be a URL like http://127.0.0.1:9090, without a user and a query'],
    ],
    [
      '--prometheus http://p --window 5 --redis-url redis://h',
      {},
      [
        '--redis-url is of the queue, and --prometheus is given',
        '--window is of the queue, and --prometheus is given',
      ],
    ],
  ])('%s is refused', (flags, env: Record<string, string>, problems) => {
    expect(advice(flags, env)).toEqual({ ok: false, error: problems });
  });

  test.each([
    ['--redis-url http://user:secret@host', '--redis-url must look like'],
    ['--prometheus http://user:secret@host:9090', '--prometheus must be a URL like'],
  ])('the password in %s is not repeated', (flags, problem) => {
    const options = advice(flags);
    expect(JSON.stringify(options)).toContain(problem);
    expect(JSON.stringify(options)).not.toContain('secret');
  });
});

describe('autoscale', () => {
  const autoscale = (flags: string, env: Record<string, string> = redis) =>
    parseAutoscaleOptions(invocation(`autoscale ${flags}`.trim()), env);

  test('takes the settings of a worker, and waits long before it drains', () => {
    const options = autoscale('--models m --max 4 --device cuda:1', {
      ...redis,
      METRICS_PORT: '9464',
    });
    expect(options).toMatchObject({
      ok: true,
      value: {
        worker: { role: 'worker', modelsDir: 'm', device: { kind: 'cuda', index: 1 } },
        policy: { ...policy, max: 4 },
        windowMs: 60_000,
        stabilizationMs: 300_000,
        cooldownMs: 600_000,
      },
    });
  });

  test('every wrong value is told at once, those of workers too', () => {
    const flags = '--min 2 --stabilization 2h --lease-ms 1 --cooldown soon';
    expect(autoscale(flags, {})).toEqual({
      ok: false,
      error: [
        '--max must be given: the most workers to start',
        '--stabilization must be a time from 0 ms to 3600 s like 5, 500ms or 2m, not "2h"',
        '--cooldown must be a time from 0 ms to 86400 s like 5, 500ms or 2m, not "soon"',
        '--lease-ms must be a whole number 500 to 600000, not "1"',
        expect.stringContaining('INFERRY_MODELS must be set'),
        expect.stringContaining('REDIS_URL must be set'),
      ],
    });
  });

  test('what several workers cannot share is not among its flags', () => {
    const parsed = parseArguments(['autoscale', '--metrics-port', '1']);
    expect(parsed).toMatchObject({
      ok: false,
      error: { message: expect.stringContaining('--metrics-port is not a flag of "autoscale"') },
    });
  });

  test('flags become variables of the workers, and each picks its own port', () => {
    const { flags } = invocation('autoscale --max 2 --models m --redis-url redis://u:pw@h');
    const env = { HOME: '/h', METRICS_PORT: '9464', INFERRY_SUPERVISE: '0', INFERRY_MODELS: 'o' };
    expect(workerEnvironment(flags, env)).toEqual({
      HOME: '/h',
      METRICS_PORT: '0',
      INFERRY_SUPERVISE: '1',
      INFERRY_MODELS: 'm',
      REDIS_URL: 'redis://u:pw@h',
    });
  });
});
