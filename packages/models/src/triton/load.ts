/**
 * A model of a Triton repository as it lies there: `config.pbtxt`, and `<version>/model.onnx` beside it.
 * Nothing is changed or written.
 */
import { stat } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import type { ModelManifest } from '@inferry/contracts';
import type { Result } from '@inferry/runtime';
import type { EnsembleSource } from '../check-ensembles.ts';
import type { FileProblem } from '../file-problem.ts';
import { loadVersions } from '../load-versions.ts';
import { type ModelFolder, readLabels, readSmallText } from '../model-folder.ts';
import { digestOfFiles, readVersionFiles } from '../version-files.ts';
import { type ChosenVersions, chooseVersions, type ParsedVersionsYaml } from '../versions-yaml.ts';
import { checkEnsemble, isEnsemble, translateEnsemble } from './ensemble.ts';
import { Notes } from './notes.ts';
import { type ReadConfig, readConfig } from './read-config.ts';
import { modelFilenameOf, translate, type Translated } from './translate.ts';
import type { TritonConfig } from './triton-config.ts';
import { chosenVersions } from './version-policy.ts';
import type { WarmupFolder } from './warmup.ts';

export interface VersionedProblem {
  /** Null when all versions of the model are meant. */
  readonly version: string | null;
  readonly problem: FileProblem;
}

export interface LoadedTritonModel {
  /** Null where it did not come to that. */
  readonly chosen: Pick<ChosenVersions, 'choice' | 'routing'> | null;
  readonly models: readonly ModelManifest[];
  /** Those of them that are ensembles. */
  readonly ensembles: readonly EnsembleSource[];
  readonly problems: readonly VersionedProblem[];
  readonly warnings: readonly VersionedProblem[];
}

const ofAll = (problem: FileProblem): VersionedProblem => ({ version: null, problem });

/** `folder` is that of the model, as the operator gave it. */
export async function loadTritonModel(
  folder: string,
  name: string,
  {
    configFile,
    integerFolders,
    versionsYaml,
    without,
  }: ModelFolder & {
    readonly versionsYaml: ParsedVersionsYaml | null;
    /** Versions that are passed over. */
    readonly without: readonly string[];
  },
): Promise<LoadedTritonModel> {
  const refused = (problems: readonly FileProblem[], warnings: readonly FileProblem[] = []) => ({
    chosen: null,
    models: [],
    ensembles: [],
    problems: problems.map(ofAll),
    warnings: warnings.map(ofAll),
  });
  const text = await readSmallText(configFile);
  if (!text.ok) return refused([{ file: configFile, line: null, message: text.error }]);
  const read = readConfig(configFile, text.value);
  if (!read.ok) return refused(read.error);
  const { config, refusals, warnings } = read.value;
  const notes = new Notes(read.value);
  checkIdentity(config, name, notes);
  const chosen = chooseVersions(integerFolders, {
    file: versionsYaml,
    usual: chosenVersions(config, { folders: integerFolders, versionsYaml }, notes),
  });
  const labels = await labelsOf(folder, config, notes);
  const problems = [...refusals, ...notes.problems, ...(chosen.ok ? [] : chosen.error)];
  if (problems.length > 0 || !chosen.ok) return refused(problems, warnings);
  // What is said of the configuration is the same for every version, and is said once.
  const said = new Map<string, VersionedProblem>(
    [...warnings, ...notes.warnings].map((warning) => [JSON.stringify(warning), ofAll(warning)]),
  );
  const versions = await loadVersions(chosen.value, without, (version) =>
    loadVersion({ folder, name, version, read: read.value, labels }),
  );
  for (const warning of versions.loaded.flatMap((loaded) => loaded.warnings)) {
    said.set(JSON.stringify(warning), ofAll(warning));
  }
  const byLine = [...said.values()].toSorted(
    (a, b) => (a.problem.line ?? 0) - (b.problem.line ?? 0),
  );
  return {
    models: versions.loaded.map(({ manifest }) => manifest),
    problems: versions.problems,
    warnings: byLine,
    chosen: versions.chosen,
    ensembles: versions.loaded.flatMap(({ source }) => source ?? []),
  };
}

const platforms: ReadonlySet<string> = new Set(['', 'onnxruntime_onnx']);
const backends: ReadonlySet<string> = new Set(['', 'onnxruntime']);
const runtimes: ReadonlySet<string> = new Set(['', 'onnxruntime', 'libtriton_onnxruntime.so']);

function checkIdentity(config: TritonConfig, folderName: string, notes: Notes): void {
  const { backend = '', name = '', platform = '', runtime = '' } = config;
  if (name !== '' && name !== folderName) {
    notes.problem(['name'], `is "${name}"; it must be the name of its folder, "${folderName}"`);
  }
  if (isEnsemble(config)) {
    checkEnsemble(config, notes);
    return;
  }
  const only = 'is not served: models are run by ONNX Runtime';
  if (!platforms.has(platform)) notes.problem(['platform'], `"${platform}" ${only}`);
  if (!backends.has(backend)) notes.problem(['backend'], `"${backend}" ${only}`);
  if (!runtimes.has(runtime)) notes.problem(['runtime'], `"${runtime}" ${only}`);
  const file = modelFilenameOf(config);
  if (/[/\\]/u.test(file) || file === '..' || file === '.') {
    notes.problem(['default_model_filename'], `"${file}" must be the name of a file`);
  }
}

interface OutputLabels {
  readonly byOutput: Readonly<Record<string, readonly string[]>>;
  readonly files: readonly string[];
}

async function labelsOf(
  folder: string,
  { output = [] }: TritonConfig,
  notes: Notes,
): Promise<OutputLabels> {
  const byOutput: [string, readonly string[]][] = [];
  const files: string[] = [];
  for (const [i, { label_filename: file = '', name = '' }] of output.entries()) {
    if (file === '') continue;
    const labels = await readLabels(folder, file);
    if (labels.ok) {
      byOutput.push([name, labels.value.labels]);
      files.push(join(folder, file));
    } else {
      const at = labels.error.file === null ? '' : `${labels.error.file} `;
      notes.problem(['output', i, 'label_filename'], `${at}${labels.error.message}`);
    }
  }
  return { byOutput: Object.fromEntries(byOutput), files };
}

async function loadVersion({
  folder,
  labels,
  name,
  read,
  version,
}: {
  readonly folder: string;
  readonly name: string;
  readonly version: string;
  readonly read: ReadConfig;
  readonly labels: OutputLabels;
}): Promise<Result<Translated & { readonly source?: EnsembleSource }, readonly FileProblem[]>> {
  const configFile = read.problemAt([], '').file;
  if (isEnsemble(read.config)) {
    const digest = await digestOfFiles([configFile, ...labels.files], join(folder, version));
    if (!digest.ok) return digest;
    return translateEnsemble({
      name,
      version,
      digest: digest.value,
      read,
      labels: labels.byOutput,
    });
  }
  const given = join(folder, version, modelFilenameOf(read.config));
  // A model with weights of its own may be a folder of that name.
  const isFolder = await stat(given).then(
    (found) => found.isDirectory(),
    () => false,
  );
  const shownFile = isFolder ? join(given, modelFilenameOf(read.config)) : given;
  const files = await readVersionFiles(shownFile, [configFile, ...labels.files]);
  if (!files.ok) return files;
  return translate({
    name,
    version,
    digest: files.value.digest,
    read,
    onnx: { file: resolve(shownFile), shownFile, signature: files.value.signature },
    warmupFolder: await warmupFolderOf(folder, read.config),
    labels: labels.byOutput,
  });
}

async function warmupFolderOf(
  folder: string,
  { model_warmup: samples = [] }: TritonConfig,
): Promise<WarmupFolder> {
  const path = resolve(folder, 'warmup');
  const names = new Set(
    samples.flatMap(({ inputs = {} }) =>
      Object.values(inputs).flatMap(({ input_data_file: file }) => file ?? []),
    ),
  );
  const sizes = new Map<string, number>();
  for (const name of names) {
    const found = await stat(join(path, name)).catch(() => null);
    if (found?.isFile() === true) sizes.set(name, found.size);
  }
  return { path, sizes };
}
