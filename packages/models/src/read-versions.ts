/** The versions of one model by the names of their folders, and what versions.yaml makes of them. No model file is read. */
import { err, ok, type Result } from '@inferry/runtime';
import type { FileProblem } from './file-problem.ts';
import { readVersionsYaml, versionsOf } from './load-repository.ts';
import { type ModelFolder, readSmallText, scanModelFolder } from './model-folder.ts';
import { parseModelYaml } from './model-yaml.ts';
import { readVersionPolicy } from './triton/version-policy.ts';
import { readable } from './version-files.ts';
import { type ChosenVersions, chooseVersions, type ParsedVersionsYaml } from './versions-yaml.ts';
import { compareVersions } from './versions.ts';

export interface ModelVersions {
  /** All that are in the folder, from the oldest. */
  readonly there: readonly string[];
  /** versions.yaml, as it is or would be. */
  readonly file: string;
  readonly versionsYaml: ParsedVersionsYaml | null;
  /** Which are served; the error is what is wrong with versions.yaml. */
  readonly choose: (
    versionsYaml: ParsedVersionsYaml | null,
  ) => Result<ChosenVersions, readonly FileProblem[]>;
}

/** `folder` is that of the model. Fails where its files cannot be read, or say something wrong. */
export async function readVersions(
  folder: string,
): Promise<Result<ModelVersions, readonly FileProblem[]>> {
  const scanned = await readable(() => scanModelFolder(folder));
  if (!scanned.ok) return err([{ file: folder, line: null, message: scanned.error }]);
  const found = scanned.value;
  const versionsYaml = await readVersionsYaml(found);
  if (!versionsYaml.ok) return versionsYaml;
  const there = await foldersOf(found);
  if (!there.ok) return there;
  const usual = found.hasConfig
    ? await readVersionPolicy(found, versionsYaml.value)
    : ok({ policy: 'all', versions: there.value, isOfLatest: false });
  if (!usual.ok) return usual;
  return ok({
    there: there.value.toSorted(compareVersions),
    file: found.versionsFile,
    versionsYaml: versionsYaml.value,
    choose: (file) => chooseVersions(there.value, { file, usual: usual.value }),
  });
}

async function foldersOf(
  found: ModelFolder,
): Promise<Result<readonly string[], readonly FileProblem[]>> {
  if (found.hasConfig) return ok(found.integerFolders);
  const file = found.yamlFile;
  const text = found.hasYaml ? await readSmallText(file) : ok('');
  if (!text.ok) return err([{ file, line: null, message: text.error }]);
  const yaml = parseModelYaml(file, text.value);
  return yaml.ok ? ok(versionsOf(yaml.value, found)) : yaml;
}
