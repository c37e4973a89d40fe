/**
 * What docker-compose.yml promises beyond being valid: nothing is reachable from outside by default, nothing has
 * more rights than it needs, everything has limits and a health check, and all names in it are those of the
 * checkout. `npm run test:infra` reads it with the library of docker compose itself.
 */
import { existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { repositoryPath } from '@inferry/testkit';
import { expect, test } from 'vitest';
import { parse } from 'yaml';

type Json = Readonly<Record<string, unknown>>;

interface Service extends Json {
  readonly image?: string;
  readonly build?: { readonly target: string; readonly dockerfile: string };
  readonly environment?: Readonly<Record<string, string | null>>;
  readonly volumes?: readonly (string | { readonly source: string; readonly target: string })[];
  readonly ports?: readonly string[];
  readonly expose?: readonly string[];
  readonly networks?: readonly string[];
  readonly profiles?: readonly string[];
  readonly command?: readonly string[];
  readonly stop_grace_period?: string;
  readonly cap_add?: readonly string[];
  readonly deploy?: {
    readonly resources?: {
      readonly limits?: { readonly cpus?: string; readonly memory?: string };
      readonly reservations?: { readonly devices?: readonly Json[] };
    };
  };
}

interface ComposeFile {
  readonly services: Readonly<Record<string, Service>>;
  readonly networks: Readonly<Record<string, { readonly internal?: boolean }>>;
  readonly volumes: Json;
}

const text = readFileSync(repositoryPath('docker-compose.yml'), 'utf8');
const example = readFileSync(repositoryPath('.env.example'), 'utf8');
const tracing = readFileSync(
  repositoryPath('packages/telemetry/src/tracing/tracing-settings.ts'),
  'utf8',
);
const compose = document('docker-compose.yml') as unknown as ComposeFile;
const services = Object.entries(compose.services);
/** Gateways and workers. */
const roles = services.filter(([, { environment }]) => environment?.['REDIS_URL'] !== undefined);

/** A YAML file with the defaults of its variables in their places. */
function document(path: string): Json {
  const raw = readFileSync(repositoryPath(path), 'utf8');
  const plain = raw.replaceAll(/\$\{\w+:-([^}]*)\}/gu, '$1').replaceAll(/\$\{\w+:\+[^}]*\}/gu, '');
  return parse(plain, { merge: true }) as Json;
}

function namesOf(list: readonly (readonly [string, Service])[]): readonly string[] {
  return list.map(([name]) => name);
}

test('the services are those that the file is for', () => {
  expect(namesOf(roles)).toEqual(['gateway', 'worker', 'worker-gpu-0', 'worker-gpu-1']);
  const byDefault = services.filter(([, { profiles }]) => profiles === undefined);
  expect(namesOf(byDefault)).toEqual([
    'redis',
    'gateway',
    'worker',
    'prometheus',
    'alertmanager',
    'grafana',
    'redis-exporter',
  ]);
});

test('every port is published on the loopback address alone', () => {
  const ports = services.flatMap(([, { ports: published }]) => published ?? []);
  expect(ports.length).toBeGreaterThan(3);
  expect(ports.filter((port) => !/^127\.0\.0\.1:\d+:\d+$/u.test(port))).toEqual([]);
});

test('no service has rights that it does not need', () => {
  for (const [name, service] of services) {
    expect(service, name).toMatchObject({
      init: true,
      cap_drop: ['ALL'],
      security_opt: ['no-new-privileges:true'],
    });
    for (const member of ['privileged', 'network_mode', 'pid', 'ipc', 'userns_mode', 'devices']) {
      expect(service, name).not.toHaveProperty(member);
    }
    // Its image writes where it likes, and its profiling counters need the capability.
    if (name === 'dcgm-exporter') continue;
    expect(service, name).toMatchObject({ read_only: true });
    expect(service.cap_add ?? [], name).toEqual([]);
  }
});

test('every service has limits, bounded logs and, where its image can run one, a health check', () => {
  const unchecked = services.filter(([, service]) => service['healthcheck'] === undefined);
  expect(namesOf(unchecked)).toEqual(['dcgm-exporter', 'k6']);
  for (const [name, { deploy, logging }] of services) {
    expect(deploy?.resources?.limits?.cpus, name).toMatch(/^\d/u);
    expect(deploy?.resources?.limits?.memory, name).toMatch(/^\d+[mg]$/u);
    expect(logging, name).toMatchObject({ options: { 'max-size': '10m', 'max-file': '3' } });
  }
});

test('every image has a version, and nothing floats', () => {
  for (const [name, { image, build }] of services) {
    if (build === undefined) expect(image, name).toMatch(/:v?\d+\.\d+\.\d+[\w.-]*$/u);
    expect(image, name).not.toMatch(/latest/u);
  }
  const dockerfile = readFileSync(repositoryPath('infra/docker/Dockerfile'), 'utf8');
  const versions = [...dockerfile.matchAll(/^ARG \w+_VERSION=(.*)$/gmu)].map(([, value]) => value);
  expect(versions.filter((value) => !/^\d+\.\d+\.\d+$/u.test(value ?? ''))).toEqual([]);
  expect(dockerfile).not.toMatch(/~=/u);
});

test('every image that is built has its stage, and does not run as root', () => {
  const built = services.flatMap(([, { build }]) => (build === undefined ? [] : [build]));
  expect(built.length).toBe(4);
  for (const { target, dockerfile } of built) {
    const stages = readFileSync(repositoryPath(dockerfile), 'utf8').split(/^FROM /mu);
    const stageOf = (name: string): string | undefined =>
      stages.find((stage) => stage.split('\n', 1)[0]?.endsWith(` AS ${name}`));
    const stage = stageOf(target) ?? '';
    // A stage without a user of its own has that of the stage it begins with.
    const users = `${stageOf(stage.split(' ', 1)[0] ?? '') ?? ''}\n${stage}`;
    expect([...users.matchAll(/^USER (.*)$/gmu)].at(-1)?.[1], target).toBe('10001:10001');
  }
});

test('only processes that need it reach Redis, over a network without a way out', () => {
  expect(compose.networks['data']).toMatchObject({ internal: true });
  expect(compose.services['redis']).toMatchObject({ networks: ['data'] });
  expect(compose.services['redis']).not.toHaveProperty('ports');
  const near = services.filter(([, { networks }]) => networks?.includes('data'));
  expect(namesOf(near)).toEqual(['redis', ...namesOf(roles), 'redis-exporter']);
});

test('a role is killed only when its drain time is over', () => {
  for (const [name, { environment, stop_grace_period: grace }] of roles) {
    const drainMs = Number(environment?.['INFERRY_DRAIN_MS']);
    expect(drainMs, name).toBeGreaterThan(0);
    expect(Number.parseInt(grace ?? '0', 10) * 1_000, name).toBeGreaterThanOrEqual(drainMs + 5_000);
  }
});

test('each GPU has a service of its own, which sees it as its first', () => {
  const gpus = roles.filter(([name]) => name.startsWith('worker-gpu-'));
  for (const [i, [name, { environment, deploy, profiles }]] of gpus.entries()) {
    expect(name).toBe(`worker-gpu-${i}`);
    expect(environment).toMatchObject({ INFERRY_DEVICE: 'cuda:0' });
    expect(deploy?.resources?.reservations?.devices).toEqual([
      { driver: 'nvidia', device_ids: [String(i)], capabilities: ['gpu'] },
    ]);
    expect(deploy).not.toHaveProperty('replicas');
    expect(profiles).toEqual([i === 0 ? 'gpu' : `gpu${i}`]);
  }
});

test('every variable that a role is given is a setting of it', () => {
  for (const [name, { environment }] of roles) {
    for (const variable of Object.keys(environment ?? {})) {
      if (variable.startsWith('OTEL_')) expect(tracing, name).toContain(`'${variable}'`);
      else expect(example, name).toMatch(new RegExp(`^(?:# )?${variable}=`, 'mu'));
    }
  }
});

test('every variable that the file reads is described in .env.example, with its default', () => {
  const read = [...text.matchAll(/\$\{(?<name>\w+):-(?<fallback>[^}]*)\}/gu)];
  expect(read.length).toBeGreaterThan(10);
  for (const { groups } of read) {
    const { name = '', fallback = '' } = groups ?? {};
    const line = new RegExp(`^#? *${name}=(?<value>.*)$`, 'mu').exec(example);
    expect(line?.groups?.['value']?.split(/\s/u)[0], name).toBe(fallback);
  }
});

test('everything that is mounted is in the checkout, or a named volume', () => {
  for (const [name, { volumes = [] }] of services) {
    for (const volume of volumes) {
      const source = typeof volume === 'string' ? volume.split(':', 1)[0]! : volume.source;
      if (Object.hasOwn(compose.volumes, source)) continue;
      expect(existsSync(repositoryPath(source)), `${name}: ${source}`).toBe(true);
    }
  }
});

test('Prometheus looks for the services by their names, at the ports they have', () => {
  const { scrape_configs: scrapes, alerting } = document('infra/prometheus/prometheus.yml') as {
    readonly scrape_configs: readonly {
      readonly dns_sd_configs?: readonly { readonly names: string[]; readonly port: number }[];
      readonly static_configs?: readonly { readonly targets: string[] }[];
    }[];
    readonly alerting: { alertmanagers: { static_configs: { targets: string[] }[] }[] };
  };
  const found = scrapes.flatMap(({ dns_sd_configs: dns = [], static_configs: fixed = [] }) => [
    ...dns.flatMap(({ names, port }) => names.map((name) => `${name}:${port}`)),
    ...fixed.flatMap(({ targets }) => targets),
  ]);
  const told = [
    ...namesOf(roles).map((name) => `${name}:9464`),
    'redis-exporter:9121',
    'dcgm-exporter:9400',
  ];
  expect(found.toSorted(byText)).toEqual(told.toSorted(byText));
  for (const [name, { networks, ports = [], expose = [] }] of services) {
    const port = found.find((target) => target.startsWith(`${name}:`))?.split(':')[1];
    if (port === undefined) continue;
    expect(networks, name).toContain('metrics');
    expect([...expose, ...ports.map((text) => text.split(':').at(-1))], name).toContain(port);
  }
  const alerts = alerting.alertmanagers.flatMap(({ static_configs: fixed }) =>
    fixed.flatMap(({ targets }) => targets),
  );
  expect(alerts).toEqual(['alertmanager:9093']);
});

test('Prometheus keeps what objectives of 30 days need, and exemplars', () => {
  const command = compose.services['prometheus']?.command?.join(' ');
  expect(command).toContain('--storage.tsdb.retention.time=31d');
  expect(command).toContain('--enable-feature=exemplar-storage');
});

test('Grafana finds its dashboards and Prometheus, and has no account until a password is given', () => {
  const { environment, volumes = [] } = compose.services['grafana'] as Service;
  expect(environment).toMatchObject({
    GF_SECURITY_DISABLE_INITIAL_ADMIN_CREATION: true,
    GF_AUTH_DISABLE_LOGIN_FORM: true,
    GF_AUTH_ANONYMOUS_ORG_ROLE: 'Viewer',
  });
  /** Where a path of the container lies in the checkout. */
  const local = (path: string): string => {
    const mount = volumes
      .map((volume) => (typeof volume === 'string' ? volume.split(':') : []))
      .find(([, to]) => to !== undefined && path.startsWith(to));
    return repositoryPath(mount?.[0] ?? 'missing', path.slice(mount?.[1]?.length ?? 0));
  };
  const home = environment?.['GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH'] ?? '';
  expect(statSync(local(home)).isFile()).toBe(true);
  const provisioned = (kind: string): string => {
    const folder = local(`/etc/grafana/provisioning/${kind}`);
    return readdirSync(folder)
      .map((name) => readFileSync(join(folder, name), 'utf8'))
      .join('\n');
  };
  const path = /^\s*path: (?<path>\S+)$/mu.exec(provisioned('dashboards'))?.groups?.['path'] ?? '';
  expect(statSync(local(path)).isDirectory()).toBe(true);
  expect(provisioned('datasources')).toContain('url: http://prometheus:9090');
});

function byText(a: string, b: string): number {
  return a < b ? -1 : 1;
}
