/**
 * Reads a model repository from a directory: `<name>/model.yaml` (optional), or Triton's `config.pbtxt`,
 * `<name>/versions.yaml` (optional), and `<name>/<version>/model.onnx`. A model that is broken is a problem in the list and never hides the
 * others; nothing is half loaded.
 */
import { join, resolve } from 'node:path';
import {
  isModelName,
  isModelVersion,
  type ModelManifest,
  type ModelRouting,
  reservedNames,
} from '@inferry/contracts';
import { err, ok, type Result } from '@inferry/runtime';
import { type About, readAbout } from './about-model.ts';
import { buildManifest } from './build-manifest.ts';
import { checkEnsembles, type EnsembleSource } from './check-ensembles.ts';
import { checkCompositions, type NamedModel } from './composed-models.ts';
import { ensembleSources, stepsOf } from './ensemble-spec.ts';
import type { FileProblem } from './file-problem.ts';
import { loadVersions } from './load-versions.ts';
import { type ModelFolder, readSmallText, scanModelFolder, subfolders } from './model-folder.ts';
import type { ParsedModelYaml } from './model-yaml.ts';
import { loadTritonModel, type VersionedProblem } from './triton/load.ts';
import { digestOfFiles, readable, readVersionFiles } from './version-files.ts';
import {
  type ChosenVersions,
  chooseVersions,
  type ParsedVersionsYaml,
  parseVersionsYaml,
  type VersionChoice,
} from './versions-yaml.ts';
import { compareVersions } from './versions.ts';

export interface RepositoryProblem extends FileProblem {
  /** Null when the directory as a whole is meant. */
  readonly model: string | null;
  /** Null when all versions of the model are meant. */
  readonly version: string | null;
}

export interface Repository {
  /** As it was given. */
  readonly directory: string;
  /** By name, then from the oldest version to the latest. */
  readonly models: readonly ModelManifest[];
  readonly problems: readonly RepositoryProblem[];
  /** What models are served without, though it was asked for. */
  readonly warnings: readonly RepositoryProblem[];
  /** By model: how requests choose between its versions. Only models that have labels or traffic. */
  readonly routing: Readonly<Record<string, ModelRouting>>;
  /** By model: why its versions are served. Only models of which some are, or would be. */
  readonly choices: Readonly<Record<string, VersionChoice>>;
}

/**
 * Never rejects for what it finds on disk; a directory that is missing or empty is a problem. Versions of a model in
 * `without` are passed over, as if they could not be read.
 */
export async function loadRepository(
  directory: string,
  without: Readonly<Record<string, readonly string[]>> = {},
): Promise<Repository> {
  const models: ModelManifest[] = [];
  const problems: RepositoryProblem[] = [];
  const warnings: RepositoryProblem[] = [];
  const routing: Record<string, ModelRouting> = {};
  const choices: Record<string, VersionChoice> = {};
  const compositions = new Map<string, readonly NamedModel[]>();
  const ensembles: EnsembleSource[] = [];
  const repository = { directory, models, problems, warnings, routing, choices };
  const whole = (message: string): RepositoryProblem => ({
    model: null,
    version: null,
    file: directory,
    line: null,
    message,
  });
  const names = await readable(() => subfolders(directory));
  if (!names.ok) return { ...repository, problems: [whole(names.error)] };
  for (const name of names.value) {
    const loaded = await loadModel(directory, name, without[name] ?? []);
    models.push(...loaded.models);
    problems.push(...loaded.problems);
    warnings.push(...loaded.warnings);
    if (loaded.runs !== undefined) compositions.set(name, loaded.runs);
    ensembles.push(...(loaded.ensembles ?? []));
    if (loaded.chosen === null) continue;
    choices[name] = loaded.chosen.choice;
    const { labels, traffic } = loaded.chosen.routing;
    const isRouted = traffic.length > 0 || Object.keys(labels).length > 0;
    if (isRouted) routing[name] = loaded.chosen.routing;
  }
  if (models.length === 0 && problems.length === 0) {
    problems.push(
      whole('holds no model: expected <name>/<version>/model.onnx, as in iris/1/model.onnx'),
    );
  }
  const wrong = checkEnsembles(ensembles, models, routing);
  const broken = wrong.map(({ model }) => model);
  const checked = checkCompositions(models, compositions, routing, broken);
  const found = [...wrong, ...checked.problems].map(({ model, problem }) => ({
    model,
    version: null,
    ...problem,
  }));
  return { ...repository, models: checked.models, problems: [...problems, ...found] };
}

interface LoadedModel extends Pick<Repository, 'models' | 'problems' | 'warnings'> {
  /** Null where it did not come to that. */
  readonly chosen: Pick<ChosenVersions, 'choice' | 'routing'> | null;
  /** What a composed model runs; absent for every other, and where it did not come to that. */
  readonly runs?: readonly NamedModel[];
  /** Those of its versions that are ensembles. */
  readonly ensembles?: readonly EnsembleSource[];
}

async function loadModel(
  directory: string,
  name: string,
  without: readonly string[],
): Promise<LoadedModel> {
  const folder = join(directory, name);
  const inModel =
    (version: string | null) =>
    (problem: FileProblem): RepositoryProblem => ({ model: name, version, ...problem });
  const scanned = await readable(() => scanModelFolder(folder));
  if (!scanned.ok) {
    return refused([inModel(null)({ file: folder, line: null, message: scanned.error })]);
  }
  const found = scanned.value;
  const problems = found.hasConfig ? [] : found.misplaced.map(inModel(null));
  const isModel = found.hasYaml || found.hasConfig || found.onnxVersions.length > 0;
  if (!isModel) {
    const isOfVersions = problems.length === 0 && found.integerFolders.length > 0;
    const message = 'is not served: no version of it holds a model.onnx';
    const warnings = isOfVersions ? [inModel(null)({ file: folder, line: null, message })] : [];
    return { models: [], problems, warnings, chosen: null };
  }
  if (!isModelName(name)) {
    const problem = { file: folder, line: null, message: nameRule(name) };
    return refused([...problems, inModel(null)(problem)]);
  }
  if (found.hasConfig && found.hasYaml) {
    return refused([inModel(null)({ file: found.configFile, line: null, message: twoConfigs })]);
  }
  const versionsFile = await readVersionsYaml(found);
  if (!versionsFile.ok) return refused([...problems, ...versionsFile.error.map(inModel(null))]);
  if (found.hasConfig) {
    const loaded = await loadTritonModel(folder, name, {
      ...found,
      versionsYaml: versionsFile.value,
      without,
    });
    const placed = (list: readonly VersionedProblem[]): RepositoryProblem[] =>
      list.map(({ problem, version }) => inModel(version)(problem));
    return {
      models: loaded.models,
      problems: placed(loaded.problems),
      warnings: placed(loaded.warnings),
      chosen: loaded.chosen,
      ...ofEnsembles(loaded.ensembles),
    };
  }
  const about = await readAbout(folder, found);
  if (!about.ok) return refused([...problems, ...about.error.map(inModel(null))]);
  const versions = versionsOf(about.value.yaml, found);
  const chosen = chooseVersions(versions, {
    file: versionsFile.value,
    usual: { policy: 'all', versions, isOfLatest: false },
  });
  if (!chosen.ok) return refused([...problems, ...chosen.error.map(inModel(null))]);
  if (versions.length === 0 && problems.length === 0) {
    const file = join(folder, '1', 'model.onnx');
    const problem = { file, line: null, message: 'does not exist, nor any other version' };
    problems.push(inModel(null)(problem));
  }
  const loaded = await loadVersions(chosen.value, without, (version) =>
    loadVersion(folder, name, version, about.value),
  );
  const { loaded: models } = loaded;
  for (const { problem, version } of loaded.problems) problems.push(inModel(version)(problem));
  const composed = compositionOf(about.value.yaml, models);
  return { models, problems, warnings: [], chosen: loaded.chosen, ...composed };
}

function compositionOf(
  yaml: ParsedModelYaml,
  models: readonly ModelManifest[],
): Pick<LoadedModel, 'runs' | 'ensembles'> {
  switch (yaml.config.backend) {
    case 'ensemble':
      return ofEnsembles(ensembleSources(yaml, models));
    case 'processor':
      return { runs: processorRuns(yaml) };
    default:
      return {};
  }
}

/** All versions have the same steps. */
function ofEnsembles(
  ensembles: readonly EnsembleSource[],
): Pick<LoadedModel, 'runs' | 'ensembles'> {
  return { runs: ensembles.slice(0, 1).flatMap(stepsOf), ensembles };
}

function processorRuns({ config, problemAt }: ParsedModelYaml): readonly NamedModel[] {
  return (config.processor?.runs ?? []).map((model, i) => ({
    model,
    version: null,
    problem: (message) => problemAt(['processor', 'runs', i], message),
  }));
}

/** Null where the model has none. */
export async function readVersionsYaml({
  hasVersionsFile,
  versionsFile,
}: ModelFolder): Promise<Result<ParsedVersionsYaml | null, readonly FileProblem[]>> {
  if (!hasVersionsFile) return ok(null);
  const text = await readSmallText(versionsFile);
  if (!text.ok) return err([{ file: versionsFile, line: null, message: text.error }]);
  return parseVersionsYaml(versionsFile, text.value);
}

const twoConfigs = 'is there beside model.yaml, and both describe the model: keep one of them';

function refused(problems: readonly RepositoryProblem[]): LoadedModel {
  return { models: [], problems, warnings: [], chosen: null };
}

function nameRule(name: string): string {
  return reservedNames.has(name)
    ? `a model may not be called "${name}": it is a part of routes`
    : 'a model is called by 1 to 128 letters, digits, ".", "_" and "-", the first a letter or digit, and not as "constructor" and the like';
}

/** All that are in the folder. */
export function versionsOf(yaml: ParsedModelYaml, found: ModelFolder): string[] {
  if (yaml.config.backend === 'onnxruntime') return found.onnxVersions.toSorted(compareVersions);
  if (found.integerFolders.length === 0) return ['1'];
  return found.integerFolders.toSorted(compareVersions);
}

async function loadVersion(
  folder: string,
  name: string,
  version: string,
  about: About,
): Promise<Result<ModelManifest, readonly FileProblem[]>> {
  const { yaml, labels, processor, tokenizer } = about;
  if (!isModelVersion(version)) {
    const message =
      'a version is called by 1 to 64 letters, digits, ".", "_" and "-", the first a letter or digit';
    return err([{ file: join(folder, version), line: null, message }]);
  }
  const shownFile = join(folder, version, 'model.onnx');
  const files =
    yaml.config.backend === 'onnxruntime'
      ? await readVersionFiles(shownFile, about.files)
      : await digestAlone(about.files, join(folder, version));
  if (!files.ok) return files;
  const { digest, signature } = files.value;
  const onnx = signature === null ? null : { file: resolve(shownFile), shownFile, signature };
  return buildManifest({ name, version, digest, yaml, onnx, labels, tokenizer, processor });
}

async function digestAlone(
  files: readonly string[],
  folder: string,
): Promise<Result<{ readonly digest: string; readonly signature: null }, readonly FileProblem[]>> {
  const digest = await digestOfFiles(files, folder);
  return digest.ok ? ok({ digest: digest.value, signature: null }) : digest;
}
