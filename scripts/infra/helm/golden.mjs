/**
 * What the chart renders for each of its test values, kept beside it so that a change shows what it changes.
 * The files name the chart they were made from by its digest, which `npm test` compares without helm.
 */
import { createHash } from 'node:crypto';
import { readdirSync, readFileSync } from 'node:fs';
import { join, relative, sep } from 'node:path';
import { fileURLToPath } from 'node:url';

export const chart = fileURLToPath(new URL('../../../infra/helm/inferry', import.meta.url));
export const golden = fileURLToPath(new URL('../../../infra/helm/golden', import.meta.url));
/** The file with the digest, in `golden`. */
export const digestFile = 'chart.sha256';

/** The names of the test values: `gpu` for `ci/gpu-values.yaml`. */
export function cases() {
  return readdirSync(join(chart, 'ci')).map((file) => file.replace(/-values\.yaml$/u, ''));
}

/** Digest of everything that golden files follow from: the chart without its copied files and its documents. */
export function chartDigest() {
  const hash = createHash('sha256');
  const paths = readdirSync(chart, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile())
    .map((entry) => relative(chart, join(entry.parentPath ?? entry.path, entry.name)))
    .map((path) => path.split(sep).join('/'))
    .filter((path) => !path.startsWith('files/') && !path.endsWith('.md'))
    .toSorted();
  for (const path of paths) hash.update(`${path}\n`).update(readFileSync(join(chart, path)));
  return hash.digest('hex');
}

/** What is kept of what was rendered: all but the copied rules and dashboards, which have tests of their own. */
export function forGolden(rendered) {
  const copied =
    /^# Source: inferry\/templates\/monitoring\.yaml\n(?:.*\n)*?kind: (?:ConfigMap|PrometheusRule)$/mu;
  return rendered
    .split(/^---\n/mu)
    .filter((document) => !copied.test(document))
    .map((document) => `${document.replace(/[ \t]+$/gmu, '').trimEnd()}\n`)
    .filter((document) => document !== '\n')
    .join('---\n');
}
