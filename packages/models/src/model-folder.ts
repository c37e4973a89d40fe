/**
 * What lies in the folder of one model: its versions, its `model.yaml` and `versions.yaml`, its labels. Looks at names and
 * small text files only; ONNX files are opened elsewhere.
 */
import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { isModelVersion } from '@inferry/contracts';
import { err, ok, type Result } from '@inferry/runtime';
import { fileErrorText, type FileProblem } from './file-problem.ts';

const textBytesMax = 1024 * 1024;

export interface ModelFolder {
  readonly yamlFile: string;
  readonly hasYaml: boolean;
  /** That of Triton, `config.pbtxt`. */
  readonly configFile: string;
  readonly hasConfig: boolean;
  readonly versionsFile: string;
  readonly hasVersionsFile: boolean;
  /** Names of the sub-folders that hold a model.onnx. */
  readonly onnxVersions: readonly string[];
  /** Names of the sub-folders that are positive integers: the versions of a simulated model, and of one of Triton. */
  readonly integerFolders: readonly string[];
  /** Files that look like a model in the wrong place, as a problem each. */
  readonly misplaced: readonly FileProblem[];
}

/** At the root of a volume with a file system of its own; nobody but root may read it. */
const ofFileSystem = 'lost+found';

/** Hidden entries are passed over; links are followed, as mounted volumes are full of them. */
export async function subfolders(folder: string): Promise<string[]> {
  const names: string[] = [];
  for (const name of (await readdir(folder)).toSorted()) {
    if (name.startsWith('.') || name === ofFileSystem) continue;
    if (await isFolder(join(folder, name))) names.push(name);
  }
  return names;
}

export async function scanModelFolder(folder: string): Promise<ModelFolder> {
  const entries = await readdir(folder);
  const onnxVersions: string[] = [];
  const integerFolders: string[] = [];
  const misplaced: FileProblem[] = [];
  for (const entry of entries.filter((name) => name.endsWith('.onnx')).toSorted()) {
    const message = `a model file belongs into a version's folder: move it to ${join(folder, '1', 'model.onnx')}`;
    misplaced.push({ file: join(folder, entry), line: null, message });
  }
  for (const version of await subfolders(folder)) {
    const files = await readdir(join(folder, version));
    const other = files.find((file) => file.endsWith('.onnx'));
    if (files.includes('model.onnx')) {
      onnxVersions.push(version);
    } else if (other !== undefined && isModelVersion(version)) {
      const message = 'must be called model.onnx';
      misplaced.push({ file: join(folder, version, other), line: null, message });
    }
    if (/^[1-9][0-9]*$/u.test(version) && isModelVersion(version)) integerFolders.push(version);
  }
  const yamlFile = join(folder, 'model.yaml');
  const hasYaml = entries.includes('model.yaml');
  const configFile = join(folder, 'config.pbtxt');
  const hasConfig = entries.includes('config.pbtxt');
  return {
    yamlFile,
    hasYaml,
    configFile,
    hasConfig,
    versionsFile: join(folder, 'versions.yaml'),
    hasVersionsFile: entries.includes('versions.yaml'),
    onnxVersions,
    integerFolders,
    misplaced,
  };
}

/** The text of a file of at most 1 MiB that is valid UTF-8; `err` says why not. */
export async function readSmallText(file: string): Promise<Result<string, string>> {
  let bytes: Uint8Array;
  try {
    const found = await stat(file);
    if (!found.isFile()) return err('is not a regular file');
    if (found.size > textBytesMax) {
      return err(`has ${found.size} bytes; at most ${textBytesMax} are allowed`);
    }
    bytes = await readFile(file);
  } catch (cause) {
    const reason = fileErrorText(cause);
    if (reason === undefined) throw cause;
    return err(reason);
  }
  try {
    return ok(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch {
    return err('is not valid UTF-8');
  }
}

export interface Labels {
  readonly labels: readonly string[];
  /** Null when the labels stand in model.yaml itself. */
  readonly file: string | null;
}

/** The labels of a postprocessor: a list, or a file beside model.yaml with one label a line. */
export async function readLabels(
  folder: string,
  labels: string | readonly string[],
): Promise<Result<Labels, { readonly file: string | null; readonly message: string }>> {
  if (typeof labels !== 'string') return ok({ labels, file: null });
  if (!isInnerPath(labels)) {
    return err({
      file: null,
      message: `"${labels}" must be the path of a file below the folder of the model`,
    });
  }
  const file = join(folder, labels);
  const text = await readSmallText(file);
  if (!text.ok) return err({ file, message: text.error });
  const lines = text.value.split('\n').map((line) => line.trim());
  while (lines.at(-1) === '') lines.pop();
  if (lines.length === 0) return err({ file, message: 'holds no label' });
  const empty = lines.indexOf('');
  if (empty !== -1) return err({ file, message: `line ${empty + 1} is empty; one label a line` });
  return ok({ labels: lines, file });
}

/** Whether a path, with `/` between its parts, cannot lead out of the folder that it begins in. */
export function isInnerPath(path: string): boolean {
  return path.split('/').every((part) => !['', '.', '..'].includes(part) && !part.includes('\\'));
}

async function isFolder(path: string): Promise<boolean> {
  try {
    return (await stat(path)).isDirectory();
  } catch (cause) {
    if (fileErrorText(cause) === undefined) throw cause;
    // A dangling link is no folder. What cannot be looked at may be one: that surfaces when it is read.
    return !(cause instanceof Error && 'code' in cause && cause.code === 'ENOENT');
  }
}
