/**
 * How `inferry models push` puts a version into a bucket: its files under their SHA-256, and then one object that
 * names them all. Nothing is ever overwritten but that object, and what it does not name does not exist: whoever
 * reads meanwhile, and however many push at a time, it is one version whole or none.
 */
import { isModelName, isModelVersion } from '@inferry/contracts';
import { err, ok, type Result } from '@inferry/runtime';
import { below, keyProblem, type S3Location } from './s3-location.ts';

export interface PushedFile {
  /** From the folder of the model on: `model.yaml`, `2/model.onnx`. */
  readonly path: string;
  readonly bytes: number;
  /** Lower case hex. */
  readonly sha256: string;
}

/** A version, with what its model has beside its versions. */
export interface PushedVersion {
  readonly model: string;
  readonly version: string;
  /** What describes the model. */
  readonly form: string;
  /** That of the manifest it is served with. */
  readonly digest: string;
  /** In the order of their paths. */
  readonly files: readonly PushedFile[];
}

/** Hidden, as everything that is not for those who read folders. */
export const pushedFolder = '.inferry';
export const manifestName = 'manifest.json';
export const manifestBytesMax = 4 * 1024 ** 2;
export const pushedFilesMax = 10_000;

const format = 1;

/** `model` is the folder of the model. */
export function manifestAt(model: S3Location, version: string): S3Location {
  return below(model, `${pushedFolder}/${version}/${manifestName}`);
}

export function fileAt(model: S3Location, version: string, sha256: string): S3Location {
  return below(model, `${pushedFolder}/${version}/files/${sha256}`);
}

/** Everything of a pushed version lies below, the manifest as well. */
export function versionAt(model: S3Location, version: string): S3Location {
  return below(model, `${pushedFolder}/${version}`);
}

export function manifestText(pushed: PushedVersion): string {
  return `${JSON.stringify({ inferry: format, ...pushed }, null, 1)}\n`;
}

/** The error ends a sentence that begins with where it was read. */
export function parseManifest(text: string): Result<PushedVersion, string> {
  const broken = err('is no manifest of a pushed version');
  let read: Partial<PushedVersion> & { readonly inferry?: unknown };
  try {
    read = Object(JSON.parse(text)) as typeof read;
  } catch {
    return broken;
  }
  if (typeof read.inferry === 'number' && read.inferry > format) {
    return err('was pushed by a newer inferry: this one reads its format no more');
  }
  const { digest, files, form, model, version } = read;
  const isNamed =
    typeof model === 'string' &&
    typeof version === 'string' &&
    isModelName(model) &&
    isModelVersion(version);
  if (!isNamed || read.inferry !== format || !Array.isArray(files)) return broken;
  if (typeof digest !== 'string' || typeof form !== 'string') return broken;
  if (files.length === 0 || files.length > pushedFilesMax) {
    return err(`must name 1 to ${pushedFilesMax} files`);
  }
  const seen = new Set<string>();
  for (const file of files as readonly Partial<PushedFile>[]) {
    const { bytes, path, sha256 } = Object(file) as Partial<PushedFile>;
    if (typeof path !== 'string' || path === '' || isHidden(path) || seen.has(path)) return broken;
    const problem = keyProblem(path);
    if (problem !== undefined) return err(`names a file that is refused: ${problem}`);
    if (!Number.isSafeInteger(bytes) || Number(bytes) < 0) return broken;
    if (typeof sha256 !== 'string' || !/^[0-9a-f]{64}$/u.test(sha256)) return broken;
    seen.add(path);
  }
  return ok({ model, version, form, digest, files: files as readonly PushedFile[] });
}

/** Whether two pushes hold the same, whatever else they say. */
export function hasSameFiles(a: PushedVersion, b: PushedVersion): boolean {
  const texts = [a, b].map(({ files }) =>
    files
      .map(({ path, sha256 }) => `${path}\n${sha256}`)
      .toSorted()
      .join('\n'),
  );
  return texts[0] === texts[1];
}

export function isHidden(path: string): boolean {
  return path.split('/').some((part) => part.startsWith('.'));
}
