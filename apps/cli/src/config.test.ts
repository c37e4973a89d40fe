import { readFileSync } from 'node:fs';
import { defaultLimits } from '@inferry/contracts';
import { repositoryPath } from '@inferry/testkit';
import { describe, expect, test } from 'vitest';
import {
  type Config,
  type ConfigSource,
  describeConfig,
  nearMisses,
  parseConfig,
} from './config.ts';
import { type Role, type Setting, settings } from './settings.ts';

const redis = 'redis://127.0.0.1:6379';

function parse(role: Role, source: Partial<ConfigSource>) {
  return parseConfig(role, { env: {}, flags: new Map(), ...source });
}

function accepted(role: Role, source: Partial<ConfigSource>): Config {
  const result = parse(role, source);
  if (!result.ok) throw new Error(JSON.stringify(result.error));
  return result.value;
}

function device(text: string): Config['device'] {
  return accepted('serve', { directory: 'm', env: { INFERRY_DEVICE: text } }).device;
}

function refused(role: Role, source: Partial<ConfigSource>): string[] {
  const result = parse(role, source);
  return result.ok ? [] : result.error.map(({ setting, detail }) => `${setting} ${detail}`);
}

describe('what counts', () => {
  test('serve needs a directory and nothing else', () => {
    expect(accepted('serve', { directory: 'models' })).toMatchObject({
      modelsDir: 'models',
      host: '127.0.0.1',
      port: 8000,
      metricsPort: 9464,
      redisUrl: null,
      device: { kind: 'cpu', index: 0 },
      only: null,
      supervise: true,
      tritonMetrics: false,
      compat: 'none',
      limits: defaultLimits,
    });
  });

  test('a flag wins over the environment, and an empty variable is not set', () => {
    const env = { PORT: '1', METRICS_PORT: '', INFERRY_MODELS: 'm' };
    const config = accepted('serve', { env, flags: new Map([['port', '2']]) });
    expect([config.port, config.metricsPort]).toEqual([2, 9464]);
  });

  test('settings of limits arrive in the limits', () => {
    const env = {
      INFERRY_DRAIN_MS: '1000',
      INFERRY_LEASE_MS: '3000',
      INFERRY_MAX_BODY_BYTES: '2048',
      INFERRY_MAX_WAIT_MS: '2000',
      INFERRY_QUEUE_DEPTH: '7',
      INFERRY_TENANT_QUEUE_DEPTH: '5',
      INFERRY_RETENTION_MS: '9000',
    };
    expect(accepted('serve', { env, directory: 'm' }).limits).toMatchObject({
      drainMs: 1_000,
      leaseMs: 3_000,
      bodyBytesMax: 2_048,
      waitMsMax: 2_000,
      waitMsDefault: 2_000,
      queueDepthPerClassMax: 7,
      queueDepthPerTenantMax: 5,
      retentionMsAsync: 9_000,
    });
  });

  test('a device is a kind and an ordinal; tensorrt runs on the same device as cuda', () => {
    expect(device('cpu')).toEqual({ kind: 'cpu', index: 0 });
    expect(device('cuda:1')).toEqual({ kind: 'cuda', index: 1 });
    expect(device('tensorrt:2')).toEqual({ kind: 'cuda', index: 2 });
  });

  test('a setting of another role is left alone in the environment', () => {
    const env = { REDIS_URL: redis, INFERRY_MODELS: 'm', PORT: 'not for a worker' };
    expect(accepted('worker', { env }).role).toBe('worker');
  });
});

describe('what is refused', () => {
  test('all problems are listed at once, each under the name it was given by', () => {
    const problems = refused('serve', {
      directory: 'm',
      env: { PORT: '70000', INFERRY_DEVICE: 'gpu', INFERRY_LOG_LEVEL: 'loud', HOST: 'a:b:80' },
      flags: new Map([['metrics-port', 'x']]),
    });
    expect(problems).toEqual([
      'HOST must be a host name or an IP address, without a port, not "a:b:80"',
      'PORT must be a whole number 0 to 65535, not "70000"',
      '--metrics-port must be a whole number 0 to 65535, not "x"',
      expect.stringContaining('INFERRY_DEVICE must be cpu'),
      expect.stringContaining('INFERRY_LOG_LEVEL must be one of trace, debug'),
    ]);
  });

  test('numbers are written as whole decimal numbers', () => {
    for (const text of ['1e3', '-1', '1.5', '0x10', ' 8000', '8000.', 'Infinity']) {
      expect(refused('serve', { directory: 'm', env: { PORT: text } })).toHaveLength(1);
    }
  });

  test('a gateway and a worker without Redis are told how to go without', () => {
    for (const role of ['gateway', 'worker'] as const) {
      const [problem] = refused(role, { env: { INFERRY_MODELS: 'm' } });
      expect(problem).toContain('REDIS_URL must be set');
      expect(problem).toContain('inferry serve');
    }
  });

  test('the models must be named, once', () => {
    expect(refused('serve', {})[0]).toContain('inferry serve DIR');
    const twice = { directory: 'm', flags: new Map([['models', 'n']]) };
    expect(refused('serve', twice)[0]).toContain('given twice');
  });

  test('a repository that cannot be one is refused without showing a password', () => {
    const location = 's3://user:secret@bucket/models';
    const rule =
      'must look like s3://bucket/folder; the address of the server goes into AWS_ENDPOINT_URL';
    expect(refused('serve', { directory: location })).toEqual([`DIR ${rule}`]);
    const flags = new Map([['models', location]]);
    expect(refused('serve', { flags })).toEqual([`--models ${rule}`]);
    const env = { INFERRY_MODELS: 's3://b' };
    expect(refused('serve', { env })).toEqual([
      'INFERRY_MODELS must look like s3://bucket/folder, not "s3://b"',
    ]);
  });

  test('an address of Redis that cannot be used is refused without showing it', () => {
    const wrong = [
      'http://h',
      'redis://',
      'redis://h/x',
      'redis://user:p%zz@h',
      'redis://user:12?3@h',
      'h:6379 secret',
      'unix:///',
      'unix://h/x',
    ];
    for (const text of [...wrong, 'unix:///r.sock?db=x&password=secret']) {
      const [problem] = refused('serve', { directory: 'm', env: { REDIS_URL: text } });
      expect(problem).toMatch(/^REDIS_URL must look like/u);
      expect(problem).not.toContain('secret');
    }
  });

  test('limits that contradict each other are a problem of the configuration', () => {
    const [problem] = refused('serve', { directory: 'm', env: { INFERRY_LEASE_MS: '600' } });
    expect(problem).toBe('limits contradict each other: sweepMs is at most half of leaseMs');
  });

  test('a wrong model name in the list is named', () => {
    const [problem] = refused('serve', { directory: 'm', env: { INFERRY_ONLY: 'iris,../x' } });
    expect(problem).toContain('"../x" is not a model name');
  });
});

test('a socket of the file system is an address of Redis; its password is not printed', () => {
  const url = 'unix:///run/redis.sock?db=2&password=hunter2';
  const config = accepted('worker', { env: { REDIS_URL: url, INFERRY_MODELS: 'm' } });
  expect(config.redisUrl).toBe(url);
  expect(describeConfig(config)['REDIS_URL']).toBe('unix:///run/redis.sock?db=2&password=redacted');
});

test('the printed configuration names every setting of the role and no password', () => {
  const env = { REDIS_URL: 'redis://user:hunter2@host:6379/1', INFERRY_MODELS: 'm' };
  const shown = describeConfig(accepted('worker', { env }));
  const expected = Object.values(settings as Record<string, Setting<unknown>>)
    .filter((setting) => setting.roles.includes('worker'))
    .map((setting) => setting.env);
  expect(Object.keys(shown).toSorted()).toEqual(expected.toSorted());
  expect(JSON.stringify(shown)).not.toContain('hunter2');
  expect(shown['REDIS_URL']).toBe('redis://user:redacted@host:6379/1');
  expect(shown['INFERRY_DEVICE']).toBe('cpu:0');
});

test('tenants are printed as they are written', () => {
  const env = { INFERRY_TENANTS: 'acme:4, beta' };
  const config = accepted('serve', { directory: 'm', env });
  expect(config.tenants?.get('beta')).toBe(1);
  expect(describeConfig(config)['INFERRY_TENANTS']).toBe('acme:4,beta:1');
});

test('a slip in the name of a variable is noticed, other names are not', () => {
  const env = { INFERRY_DRIAN_MS: '1', INFERRY_WORKERS: '2', INFERRY_PORT: '3', PATH: '' };
  expect(nearMisses(env)).toEqual([{ name: 'INFERRY_DRIAN_MS', meant: 'INFERRY_DRAIN_MS' }]);
});

describe('.env.example', () => {
  const lines = readFileSync(repositoryPath('.env.example'), 'utf8')
    .split('\n')
    .flatMap((line) => {
      const found = /^(?<mark># )?(?<name>[A-Z_]+)=(?<value>.*)$/u.exec(line)?.groups;
      if (found === undefined) return [];
      return [{ name: found['name'] ?? '', value: found['value'] ?? '', isSet: !found['mark'] }];
    });

  test('names every setting, and nothing else', () => {
    const known = Object.values(settings).map((setting) => setting.env);
    expect(lines.map(({ name }) => name).toSorted()).toEqual(known.toSorted());
  });

  test('sets what has a default to that default, and shows for the rest a value that is accepted', () => {
    for (const { name, value, isSet } of lines) {
      const setting: Setting<unknown> | undefined = Object.values(settings).find(
        (candidate) => candidate.env === name,
      );
      expect(setting?.parse(value), name).toMatchObject({ ok: true });
      const isFixed = setting?.fallback !== null && setting?.fallbackWords === undefined;
      expect(isSet, name).toBe(isFixed);
      if (isFixed) expect(value, name).toBe(setting?.fallback);
    }
  });
});
