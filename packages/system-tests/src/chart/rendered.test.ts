/**
 * What every object of the Helm chart must hold to, read from what it renders for its test values, and what the
 * chart says of itself. `npm run test:infra` renders it again and asks the schemas of Kubernetes.
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { repositoryPath } from '@inferry/testkit';
import { expect, test } from 'vitest';
import { parse } from 'yaml';
import { chartCopies } from '../../../../scripts/copy-into-chart.mjs';
import { parseConfig } from '../../../../apps/cli/src/config.ts';
import {
  cases as caseNames,
  chartDigest,
  digestFile,
  golden,
} from '../../../../scripts/infra/helm/golden.mjs';
import {
  type Case,
  type Container,
  ofKind,
  type PodTemplate,
  type Rendered,
  renderedCases,
  selects,
} from './rendered.ts';

const cases = renderedCases();
const text = (...path: readonly string[]): string => readFileSync(repositoryPath(...path), 'utf8');

interface Workload {
  readonly where: string;
  readonly object: Rendered;
  readonly template: PodTemplate;
}

/** Everything that makes pods. */
function workloads(one: Case): readonly Workload[] {
  return ofKind(one, 'Deployment', 'StatefulSet').flatMap((object) => {
    const { template } = object.spec;
    const where = `${one.name}: ${object.metadata.name}`;
    return template === undefined ? [] : [{ where, object, template }];
  });
}

/** Gateways and workers. */
function roles(one: Case): readonly (Workload & { readonly container: Container })[] {
  return ofKind(one, 'Deployment').flatMap((object) =>
    workloads(one)
      .filter((workload) => workload.object === object)
      .map((workload) => ({ ...workload, container: workload.template.spec.containers[0]! })),
  );
}

test('golden files are of this chart, one for each set of values', () => {
  const recorded = readFileSync(join(golden, digestFile), 'utf8').trim();
  const advice = 'run node scripts/test-infra.mjs --update, and look at the difference';
  expect(recorded, advice).toBe(chartDigest());
  expect(cases.map(({ name }) => name)).toEqual(caseNames().toSorted());
  expect(cases.every((one) => roles(one).length >= 2)).toBe(true);
});

test('rules and dashboards in the chart are the shipped ones', () => {
  for (const { source, copy, suffix } of chartCopies()) {
    const names = readdirSync(source).filter((name) => name.endsWith(suffix));
    expect(names.length).toBeGreaterThan(0);
    expect(readdirSync(copy).toSorted()).toEqual(names.toSorted());
    for (const name of names) {
      const isSame = readFileSync(join(copy, name)).equals(readFileSync(join(source, name)));
      expect(isSame, `${name} differs: run node scripts/copy-into-chart.mjs`).toBe(true);
    }
  }
});

test('the chart installs images of the version of this project', () => {
  const { version } = JSON.parse(text('package.json')) as { readonly version: string };
  const description = parse(text('infra/helm/inferry/Chart.yaml')) as Record<string, string>;
  expect(description['appVersion']).toBe(version);
});

test('every image has a version or a digest', () => {
  for (const { where, template } of cases.flatMap(workloads)) {
    const { containers, initContainers = [] } = template.spec;
    for (const { image } of [...containers, ...initContainers]) {
      expect(image, where).toMatch(/(?::[\w.-]*\d[\w.-]*|@sha256:[0-9a-f]{64})$/u);
      expect(image, where).not.toContain(':latest');
    }
  }
});

test('what was begun has its drain time, and five seconds more before the pod is killed', () => {
  const graces = cases.flatMap(roles).map(({ where, template, container }) => {
    const drainMs = Number(valueOf(container, 'INFERRY_DRAIN_MS'));
    const preStopSeconds = container.lifecycle?.preStop.sleep.seconds ?? 0;
    const { terminationGracePeriodSeconds } = template.spec;
    expect(terminationGracePeriodSeconds, where).toBe(drainMs / 1_000 + 5 + preStopSeconds);
    return terminationGracePeriodSeconds;
  });
  expect(new Set(graces).size).toBeGreaterThan(3);
});

test('pods have no more rights than the restricted profile of pod security allows', () => {
  for (const { where, template } of cases.flatMap(workloads)) {
    const { automountServiceAccountToken, securityContext, containers, initContainers } =
      template.spec;
    expect(automountServiceAccountToken, where).toBe(false);
    expect(securityContext, where).toMatchObject({
      runAsNonRoot: true,
      seccompProfile: { type: 'RuntimeDefault' },
    });
    for (const container of [...containers, ...(initContainers ?? [])]) {
      expect(container.securityContext, where).toEqual({
        allowPrivilegeEscalation: false,
        readOnlyRootFilesystem: true,
        capabilities: { drop: ['ALL'] },
      });
    }
  }
});

test('probes ask the port for operators, and only readiness depends on Redis', () => {
  for (const { where, container } of cases.flatMap(roles)) {
    const { startupProbe, readinessProbe, livenessProbe, ports } = container;
    expect(readinessProbe.httpGet, where).toEqual({ path: '/readyz', port: 'metrics' });
    for (const probe of [startupProbe, livenessProbe]) {
      expect(probe.httpGet, where).toEqual({ path: '/livez', port: 'metrics' });
    }
    const metrics = ports?.find(({ name }) => name === 'metrics')?.containerPort;
    expect(String(metrics), where).toBe(valueOf(container, 'METRICS_PORT'));
  }
});

test('every mount has its volume', () => {
  for (const { where, template } of cases.flatMap(workloads)) {
    const { containers, initContainers = [], volumes = [] } = template.spec;
    const names = volumes.map(({ name }) => name);
    // The claim of a StatefulSet is a volume too.
    if (where.endsWith('-redis')) names.push('data');
    for (const { volumeMounts } of [...containers, ...initContainers]) {
      expect(names, where).toEqual(expect.arrayContaining(volumeMounts.map(({ name }) => name)));
    }
  }
});

test('selectors select the pods of one workload, and what scales names one', () => {
  for (const one of cases) {
    const all = workloads(one);
    for (const { where, object, template } of all) {
      const { labels } = template.metadata;
      const selecting = all.filter(({ object: { spec } }) =>
        selects(spec.selector?.matchLabels, labels),
      );
      expect(
        selecting.map((each) => each.object),
        where,
      ).toEqual([object]);
    }
    for (const { kind, metadata, spec } of ofKind(one, 'Service', 'PodDisruptionBudget')) {
      const selector = kind === 'Service' ? spec.selector : spec.selector?.matchLabels;
      const selected = all.filter(({ template }) => selects(selector, template.metadata.labels));
      expect(
        selected.map(({ object }) => object.metadata.name),
        kind,
      ).toEqual([metadata.name]);
    }
    for (const { spec } of ofKind(one, 'ScaledObject', 'HorizontalPodAutoscaler')) {
      const target = all.find(({ object }) => object.metadata.name === spec.scaleTargetRef?.name);
      expect(target?.object.kind).toBe('Deployment');
      // Whoever sets replicas at each upgrade undoes what was scaled.
      expect(target?.object.spec.replicas).toBeUndefined();
    }
  }
});

test('workers are reached by scrapes only', () => {
  const policies = cases.flatMap((one) => ofKind(one, 'NetworkPolicy'));
  const ofWorkers = policies.filter(({ metadata }) => metadata.name.endsWith('-worker'));
  expect(ofWorkers).toHaveLength(cases.length - 1);
  for (const { spec } of ofWorkers) {
    expect(spec.policyTypes).toEqual(['Ingress']);
    expect(spec.ingress?.flatMap(({ ports }) => ports.map(({ port }) => port))).toEqual([
      'metrics',
    ]);
  }
});

test('alerts on targets see the jobs that the chart has scraped', () => {
  const rules = text('infra/prometheus/rules/inferry.yml');
  const wanted = [...rules.matchAll(/job=~"([^"]+)"/gu)].map(([, job]) => new RegExp(`^${job}$`));
  expect(wanted.length).toBeGreaterThan(0);
  const monitors = cases.flatMap((one) => ofKind(one, 'PodMonitor'));
  expect(monitors.length).toBeGreaterThan(0);
  for (const { spec } of monitors) {
    const [endpoint] = spec.podMetricsEndpoints ?? [];
    const [toJob] = endpoint?.relabelings ?? [];
    expect(toJob).toMatchObject({
      sourceLabels: ['__meta_kubernetes_pod_label_app_kubernetes_io_component'],
      targetLabel: 'job',
    });
    for (const component of ['gateway', 'worker']) {
      const job = toJob?.replacement.replace('$1', component) ?? '';
      for (const pattern of wanted) expect(job).toMatch(pattern);
    }
  }
});

test('every variable that the chart sets is a setting of the processes', () => {
  const settings = [
    ...text('apps/cli/src/settings.ts').matchAll(/^ {4}env: '(\w+)',$/gmu),
    ...text('packages/telemetry/src/tracing/tracing-settings.ts').matchAll(/name: '(OTEL_\w+)'/gu),
  ].map(([, name]) => name);
  // Read by Node, by the SDK of OpenTelemetry, and by that of S3.
  const others = ['NODE_EXTRA_CA_CERTS', 'OTEL_RESOURCE_ATTRIBUTES', 'AWS_REGION'];
  const known = new Set([...settings, ...others]);
  const used = cases.flatMap(roles).flatMap(({ container }) => container.env ?? []);
  const names = new Set(used.map(({ name }) => name));
  expect([...names].filter((name) => !known.has(name))).toEqual([]);
  for (const name of ['INFERRY_ONLY', 'INFERRY_DEVICE', 'OTEL_TRACES_SAMPLER_ARG', 'REDIS_URL']) {
    expect(names).toContain(name);
  }
  for (const { where, container } of cases.flatMap(roles)) {
    const own = (container.env ?? []).map(({ name }) => name);
    expect(own, where).toHaveLength(new Set(own).size);
  }
});

test('the processes take the variables that the chart gives them', () => {
  for (const { where, template, container } of cases.flatMap(roles)) {
    const role = template.metadata.labels['app.kubernetes.io/component'];
    expect(['gateway', 'worker'], where).toContain(role);
    // What comes from a Secret, or from a limit of the pod.
    const elsewhere = { REDIS_URL: 'redis://redis:6379', INFERRY_CONCURRENT_RUNS: '2' };
    const given = (container.env ?? []).map(({ name, value = '' }) => [name, value]);
    const env = { ...Object.fromEntries(given), ...elsewhere } as Record<string, string>;
    const parsed = parseConfig(role as 'gateway' | 'worker', { env, flags: new Map() });
    expect(parsed, where).toMatchObject({ ok: true, value: { host: '0.0.0.0' } });
  }
});

test('the table in the README has every value with its default, and the schema describes it', () => {
  const values = parse(text('infra/helm/inferry/values.yaml')) as Values;
  const schema = JSON.parse(text('infra/helm/inferry/values.schema.json')) as {
    readonly properties: Values;
  };
  const described = Object.keys(schema.properties).filter((name) => name !== 'global');
  expect(described.toSorted()).toEqual(Object.keys(values).toSorted());
  const readme = text('infra/helm/inferry/README.md');
  const rows = [...readme.matchAll(/^\| `([\w.]+)` +\| `(.+?)` +\|/gmu)].map(
    ([, path = '', value = '']) => ({ path, value }),
  );
  for (const { path, value } of rows) {
    const own = path.split('.').reduce<unknown>((node, name) => (node as Values)[name], values);
    expect(parse(value), path).toEqual(own);
  }
  const paths = rows.map(({ path }) => path);
  const left = leaves(values).filter(
    (leaf) => !paths.some((path) => `${leaf}.`.startsWith(`${path}.`)),
  );
  expect(left).toEqual([]);
});

type Values = Readonly<Record<string, unknown>>;

/** Paths of all that is not a map, and of empty maps. */
function leaves(node: unknown, path = ''): readonly string[] {
  const isMap = typeof node === 'object' && node !== null && !Array.isArray(node);
  const entries = isMap ? Object.entries(node) : [];
  if (entries.length === 0) return [path];
  return entries.flatMap(([name, child]) => leaves(child, path === '' ? name : `${path}.${name}`));
}

function valueOf({ env = [] }: Container, name: string): string | undefined {
  return env.find((one) => one.name === name)?.value;
}
