/**
 * Tests of the Helm chart that need helm and kubeconform. Each set of values in infra/helm/inferry/ci is
 * linted, rendered, checked against the schemas of Kubernetes and compared with what was rendered before;
 * values that cannot work are refused.
 */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';
import { parse, parseAllDocuments, stringify } from 'yaml';
import { chartCopies } from '../../copy-into-chart.mjs';
import { ensureGoProgram, ensureGoTool } from '../../ensure-go-tool.mjs';
import { ensurePrometheus } from '../../ensure-prometheus.mjs';
import { cases, chart, chartDigest, digestFile, forGolden, golden } from './golden.mjs';
import { accepted, refusals } from './refusals.mjs';
import { ensureSchemas, kubernetesVersion, schemaTemplate } from './schemas.mjs';

const toolMsMax = 60_000;
/** Helm keeps chart and manifests of a release in one Secret, compressed, as base64 in base64. */
const releaseBytesMax = 1024 * 1024;

/** Folders of nodes are what pod security is there to forbid. */
const exceptions = {
  gpu: 'Deployment inferry-worker-gpu: pod security: restricted volume types (volume "models" uses restricted volume type "hostPath")',
};

/** Where values for the next call of helm are written. */
const folder = mkdtempSync(join(tmpdir(), 'inferry-chart-'));
process.once('exit', () => rmSync(folder, { recursive: true, force: true }));

/**
 * Runs every test through `test(name, act)`, which reports and returns what `act` returns, or undefined when
 * it threw. With `isUpdate` what was rendered becomes what is compared with.
 */
export function testChart(test, isUpdate) {
  const tools = test('chart: helm, kubeconform, promtool and schemas are here', () => ({
    helm: ensureGoTool('helm'),
    kubeconform: ensureGoTool('kubeconform'),
    promtool: ensurePrometheus().promtool.path,
    schemas: ensureSchemas(),
    rules: ensureGoProgram(fileURLToPath(new URL('kubernetes-rules', import.meta.url))),
  }));
  if (tools === undefined) return;
  for (const name of cases()) testCase({ test, tools, isUpdate }, name);
  test('chart: schemas are strict', () => assertStrict(tools));
  test('chart: the rules of the API server are asked', () => assertRuled(tools));
  test('chart: the chart renders without the cluster of its developer', () => {
    const rendered = template(tools, {
      release: 'other',
      namespace: 'elsewhere',
      values: accepted,
    });
    assert.match(rendered, /^  name: other-inferry-gateway$/mu);
    assert.match(rendered, /^  namespace: elsewhere$/mu);
    assert.doesNotMatch(rendered.replaceAll('elsewhere', ''), /namespace: inferry/u);
  });
  test('chart: an older Kubernetes is refused', () => {
    const { status, stderr } = helm(tools, ['template', 'x', chart, '--kube-version', '1.29.0']);
    assert.notEqual(status, 0);
    assert.match(stderr, /chart requires kubeVersion/u);
  });
  for (const { name, values, says } of refusals) {
    test(`chart refuses: ${name}`, () => assertRefused(tools, values, says));
  }
  testCopies(test, tools);
  if (isUpdate) writeFileSync(join(golden, digestFile), `${chartDigest()}\n`);
  test('chart: golden files name the chart they are from', () => {
    const recorded = readFileSync(join(golden, digestFile), 'utf8').trim();
    assert.equal(recorded, chartDigest(), 'run this with --update and look at the difference');
    const kept = readdirSync(golden).filter((file) => file !== digestFile);
    assert.deepEqual(
      kept,
      cases()
        .map((name) => `${name}.yaml`)
        .toSorted(),
    );
  });
}

function testCase({ test, tools, isUpdate }, name) {
  const values = join(chart, 'ci', `${name}-values.yaml`);
  test(`chart, ${name}: helm lint --strict`, () => {
    const { status, stdout, stderr } = helm(tools, ['lint', '--strict', chart, '-f', values]);
    assert.equal(status, 0, stdout + stderr);
    // Lint takes what `fail` says for information.
    assert.doesNotMatch(stderr, /Fail:/u);
  });
  const rendered = test(`chart, ${name}: helm template`, () => template(tools, { file: values }));
  if (rendered === undefined) return;
  test(`chart, ${name}: kubeconform -strict`, () => {
    const { status, stdout } = conform(tools, rendered);
    assert.equal(status, 0, stdout);
    assert.match(stdout, /Skipped: 0/u);
  });
  test(`chart, ${name}: the API server takes it, under pod security`, () => {
    assertTaken(tools, rendered, exceptions[name]);
  });
  test(`chart, ${name}: as before`, () => {
    const file = join(golden, `${name}.yaml`);
    if (isUpdate) {
      mkdirSync(golden, { recursive: true });
      writeFileSync(file, forGolden(rendered));
    }
    assert.equal(forGolden(rendered), readFileSync(file, 'utf8'));
  });
}

function testCopies(test, tools) {
  const rendered = template(tools, { file: join(chart, 'ci', 'everything-on-values.yaml') });
  const objects = parseAllDocuments(rendered).map((document) => document.toJS());
  const [rules, dashboards] = chartCopies().map(({ source, suffix }) =>
    readdirSync(source)
      .filter((name) => name.endsWith(suffix))
      .map((name) => ({ name, text: readFileSync(join(source, name), 'utf8') })),
  );
  test('chart: every file of rules is a PrometheusRule, and promtool takes it', () => {
    const rendered = objects.filter(({ kind }) => kind === 'PrometheusRule');
    assert.ok(rules.length > 0);
    assert.deepEqual(
      rendered.map(({ spec }) => spec),
      rules.map(({ text }) => parse(text)),
    );
    for (const { metadata, spec } of rendered) {
      const file = join(folder, `${metadata.name}.yml`);
      writeFileSync(file, stringify(spec));
      const checked = run(tools.promtool, ['check', 'rules', file]);
      assert.equal(checked.status, 0, checked.stdout + checked.stderr);
    }
  });
  test('chart: every dashboard is a ConfigMap that the sidecar of Grafana finds', () => {
    assert.ok(dashboards.length > 0);
    for (const { name, text } of dashboards) {
      const holder = objects.find(({ kind, data }) => kind === 'ConfigMap' && data[name]);
      assert.ok(holder, `${name} is in no ConfigMap`);
      assert.deepEqual(JSON.parse(holder.data[name]), JSON.parse(text));
      assert.equal(holder.metadata.labels.grafana_dashboard, '1');
    }
  });
  test('chart: a release with everything fits into the Secret that helm keeps it in', () => {
    const sources = readdirSync(chart, { recursive: true, withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map((entry) => readFileSync(join(entry.parentPath ?? entry.path, entry.name), 'base64'));
    const bytes = gzipSync(sources.join('\n') + rendered).length * (16 / 9);
    assert.ok(bytes < releaseBytesMax * 0.8, `about ${bytes} of ${releaseBytesMax} bytes`);
  });
}

/** The API server's own validation, and pod security at the level `restricted`; `but` is the one exception. */
function assertTaken(tools, manifests, but) {
  const { status, stdout } = run(tools.rules, [], manifests);
  const [summary, ...problems] = stdout.trim().split('\n').toReversed();
  assert.match(summary, /^[1-9]\d* checked, /u, stdout);
  assert.deepEqual(problems, but === undefined ? [] : [but]);
  assert.equal(status, problems.length === 0 ? 0 : 1);
}

/** What passes every schema must not pass here, or it would mean nothing. */
function assertRuled(tools) {
  const rendered = template(tools, { file: join(chart, 'ci', 'everything-on-values.yaml') });
  const wrong = [
    ['maxSurge: 0', 'maxSurge: -1', 'must be greater than or equal to 0'],
    ['runAsNonRoot: true', 'runAsNonRoot: false', 'pod security: runAsNonRoot'],
    ['- { name: tmp, mountPath: /tmp }', '- { name: temp, mountPath: /tmp }', 'Not found: "temp"'],
    ['maxReplicas: 20', 'maxReplicas: 2', 'must be greater than or equal to `minReplicas`'],
  ];
  for (const [right, broken, says] of wrong) {
    assert.ok(rendered.includes(right), right);
    const { status, stdout } = run(tools.rules, [], rendered.replaceAll(right, broken));
    assert.equal(status, 1, `${broken} passed`);
    assert.ok(stdout.includes(says), `${broken}: ${stdout}`);
  }
}

/** A misspelled field must not pass, or all that was checked means nothing. */
function assertStrict(tools) {
  const rendered = template(tools, { file: join(chart, 'ci', 'cpu-autoscaled-values.yaml') });
  const misspelled = [
    ['pollingInterval:', 'pollinterval:'],
    ['readOnlyRootFilesystem:', 'readonlyRootFilesystem:'],
    ['unhealthyPodEvictionPolicy:', 'unhealthyPodsEvictionPolicy:'],
    ['terminationGracePeriodSeconds:', 'terminationGraceSeconds:'],
  ];
  for (const [right, wrong] of misspelled) {
    assert.ok(rendered.includes(right), right);
    const { status, stdout } = conform(tools, rendered.replaceAll(right, wrong));
    assert.notEqual(status, 0, `${wrong} passed`);
    assert.match(stdout, /additional ?properties/iu);
  }
}

function assertRefused(tools, values, says) {
  const base = join(folder, 'accepted.json');
  const file = join(folder, 'refused.json');
  writeFileSync(base, JSON.stringify(accepted));
  writeFileSync(file, JSON.stringify(values));
  const argv = ['template', 'inferry', chart, ...kube(), '-f', base];
  const without = helm(tools, argv);
  assert.equal(without.status, 0, without.stderr);
  const { status, stderr } = helm(tools, [...argv, '-f', file]);
  assert.notEqual(status, 0, 'it was accepted');
  assert.ok(stderr.includes(says), `it said: ${stderr}`);
}

function template(tools, { file, values, release = 'inferry', namespace = 'inferry' }) {
  const path = file ?? join(folder, 'values.json');
  if (values !== undefined) writeFileSync(path, JSON.stringify(values));
  const argv = ['template', release, chart, ...kube(), '-n', namespace, '-f', path];
  const { status, stdout, stderr } = helm(tools, argv);
  assert.equal(status, 0, `${basename(path)}: ${stderr}`);
  return stdout;
}

function kube() {
  return ['--kube-version', kubernetesVersion];
}

function helm(tools, argv) {
  return run(tools.helm, argv);
}

function conform(tools, manifests) {
  const schemas = join(tools.schemas, schemaTemplate);
  const argv = ['-strict', '-summary', '-schema-location', schemas, '-'];
  return run(tools.kubeconform, argv, manifests);
}

/** Runs a tool to its end; no cluster of whoever runs this is asked. */
function run(binary, argv, input = '') {
  const env = { ...process.env, KUBECONFIG: join(folder, 'none') };
  const ended = spawnSync(binary, argv, {
    input,
    env,
    encoding: 'utf8',
    timeout: toolMsMax,
    maxBuffer: 64 * 1024 * 1024,
  });
  if (ended.error !== undefined) throw ended.error;
  return ended;
}
