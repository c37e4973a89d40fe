/** `versions.yaml`: which versions of a model are served, and which of them a request gets. */
import { isModelVersion, type ModelRouting } from '@inferry/contracts';
import { err, ok, type Result } from '@inferry/runtime';
import { isMap, isScalar, isSeq, parseDocument } from 'yaml';
import { type CheckedYaml, parseCheckedYaml } from './checked-yaml.ts';
import type { FileProblem } from './file-problem.ts';
import {
  routesMax,
  type VersionsConfig,
  versionsYamlJsonSchema,
  versionsYamlSchema,
} from './versions-yaml-schema.ts';
import { compareVersions } from './versions.ts';

export type ParsedVersionsYaml = CheckedYaml<VersionsConfig>;

/** Which versions a policy chose, and what says so. */
export interface ChosenByPolicy {
  /** As in `latest 2 (versions.yaml)`. */
  readonly policy: string;
  /** From the oldest. */
  readonly versions: readonly string[];
  /** It asks for the latest, whichever they are. */
  readonly isOfLatest: boolean;
}

/** Why versions of one model are served or not. */
export interface VersionChoice {
  readonly policy: string;
  /** Those of the policy, from the oldest; others are served for a label or traffic. */
  readonly byPolicy: readonly string[];
  /** In the folder and not served, from the oldest. */
  readonly unserved: readonly string[];
  /** Served although no policy, label or traffic asks for it, as none of those that they ask for can be read. */
  readonly instead?: string;
}

export interface ChosenVersions {
  /** From the oldest. */
  readonly served: readonly string[];
  readonly isOfLatest: boolean;
  readonly choice: VersionChoice;
  readonly routing: ModelRouting;
}

/** `file` only names the text in problems. Whether versions are there is looked at by {@link chooseVersions}. */
export function parseVersionsYaml(
  file: string,
  text: string,
): Result<ParsedVersionsYaml, readonly FileProblem[]> {
  const parsed = parseCheckedYaml(file, text, {
    schema: versionsYamlSchema,
    jsonSchema: versionsYamlJsonSchema,
  });
  if (!parsed.ok) return parsed;
  const { config, problemAt } = parsed.value;
  const misread = misreadNames(text).map(({ path, source, value }) =>
    problemAt(path, `${source} is the number ${value} in YAML; write "${source}", in quotes`),
  );
  if (misread.length > 0) return err(misread);
  const problems = (['labels', 'traffic'] as const)
    .filter((key) => Object.keys(config[key] ?? {}).length > routesMax)
    .map((key) => problemAt([key], `has more than ${routesMax} entries`));
  for (const label of Object.keys(config.labels ?? {})) {
    const wrong = labelProblem(label);
    if (wrong !== undefined) problems.push(problemAt(['labels', label], wrong));
  }
  return problems.length === 0 ? parsed : err(problems);
}

interface Misread {
  readonly path: readonly (string | number)[];
  readonly source: string;
  readonly value: number;
}

/** Names that YAML reads as another one: `1.10` without quotes is 1.1, which may be a version as well. */
function misreadNames(text: string): readonly Misread[] {
  const document = parseDocument(text);
  const found: Misread[] = [];
  const look = (node: unknown, path: readonly (string | number)[]): void => {
    if (!isScalar(node) || typeof node.value !== 'number') return;
    const { source = '', value } = node;
    if (source !== String(value)) found.push({ path, source, value });
  };
  for (const section of ['labels', 'traffic', 'previous']) {
    const map = document.get(section);
    for (const { key, value } of isMap(map) ? map.items : []) {
      const path = [section, isScalar(key) ? String(key.value) : ''];
      look(key, path);
      if (section !== 'traffic') look(value, path);
    }
  }
  const specific = document.getIn(['policy', 'specific']);
  for (const [i, item] of (isSeq(specific) ? specific.items : []).entries()) {
    look(item, ['policy', 'specific', i]);
  }
  return found;
}

/** Undefined: the text may be a label. */
export function labelProblem(label: string): string | undefined {
  const isLabel = isModelVersion(label) && !/^\d+$/u.test(label);
  if (isLabel) return undefined;
  return 'a label is called by 1 to 64 letters, digits, ".", "_" and "-", the first a letter or digit, and not by digits alone, nor as "constructor" and the like';
}

/**
 * `there` are all versions of the folder, `usual` what is served without a policy in versions.yaml. Fails
 * where the file names a version that is not there, or a label that is the name of one.
 */
export function chooseVersions(
  there: readonly string[],
  { file, usual }: { readonly file: ParsedVersionsYaml | null; readonly usual: ChosenByPolicy },
): Result<ChosenVersions, readonly FileProblem[]> {
  const sorted = there.toSorted(compareVersions);
  if (file !== null) {
    const problems = absentOnes(sorted, file);
    if (problems.length > 0) return err(problems);
  }
  const { isOfLatest, policy, versions } = byPolicy(sorted, file?.config.policy) ?? usual;
  const { labels = {}, traffic = {} } = file?.config ?? {};
  const shares = Object.entries(traffic).map(([version, weight]) => ({ version, weight }));
  const routed = new Set([...Object.values(labels), ...Object.keys(traffic)]);
  const served = sorted.filter((version) => versions.includes(version) || routed.has(version));
  return ok({
    served,
    isOfLatest,
    routing: { labels, traffic: shares },
    choice: {
      policy,
      byPolicy: versions,
      unserved: sorted.filter((version) => !served.includes(version)),
    },
  });
}

function byPolicy(
  sorted: readonly string[],
  policy: VersionsConfig['policy'],
): ChosenByPolicy | undefined {
  const from = 'versions.yaml';
  if (policy === undefined) return undefined;
  if (policy === 'all') return { policy: `all (${from})`, versions: sorted, isOfLatest: false };
  if ('latest' in policy) {
    const versions = sorted.slice(-policy.latest);
    return { policy: `latest ${policy.latest} (${from})`, versions, isOfLatest: true };
  }
  const versions = sorted.filter((version) => policy.specific.includes(version));
  const specific = `specific ${versions.join(', ')} (${from})`;
  return { policy: specific, versions, isOfLatest: false };
}

/** Versions that are named and not there, and labels that would hide one. */
function absentOnes(
  there: readonly string[],
  { config, problemAt }: ParsedVersionsYaml,
): readonly FileProblem[] {
  const { labels = {}, policy, traffic = {} } = config;
  const named: [path: readonly (string | number)[], version: string][] = [];
  if (typeof policy === 'object' && 'specific' in policy) {
    for (const [i, version] of policy.specific.entries()) {
      named.push([['policy', 'specific', i], version]);
    }
  }
  for (const [label, version] of Object.entries(labels)) named.push([['labels', label], version]);
  for (const version of Object.keys(traffic)) named.push([['traffic', version], version]);
  const problems = named
    .filter(([, version]) => !there.includes(version))
    .map(([path, version]) =>
      problemAt(path, `there is no version "${version}"; there is: ${there.slice(-10).join(', ')}`),
    );
  for (const label of Object.keys(labels).filter((name) => there.includes(name))) {
    problems.push(problemAt(['labels', label], 'is the name of a version, and cannot be a label'));
  }
  return problems;
}
