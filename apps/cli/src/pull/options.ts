/** What `inferry models pull` was asked to do, read from its flags; every problem is told. */
import { basename } from 'node:path';
import { fileURLToPath } from 'node:url';
import { isModelName, isModelVersion } from '@inferry/contracts';
import { err, ok, type Result } from '@inferry/runtime';
import type { Invocation } from '../arguments.ts';
import { isS3, parseS3Location, type S3Location } from '../sources/s3-location.ts';

/** `tar`: an archive, compressed with gzip or not. `onnx`: one model file. */
export type FileForm = 'tar' | 'onnx';

type Source =
  | { readonly kind: 'url'; readonly url: URL; readonly form: FileForm }
  | { readonly kind: 's3'; readonly location: S3Location }
  | { readonly kind: 'path'; readonly path: string };

export interface PullOptions {
  readonly source: Source;
  readonly modelsDir: string;
  /** Null: as the folder or the file of the source is called. */
  readonly name: string | null;
  readonly version: string | null;
  /** Lower case hex; null: not checked. */
  readonly sha256: string | null;
  readonly isReplacing: boolean;
  /** Of what is fetched, and again of what is unpacked. */
  readonly bytesMax: number;
  readonly asJson: boolean;
}

const gibDefault = '16';
const gib = 1024 ** 3;
const forms = '.onnx, .tar, .tar.gz or .tgz';

/** The error has one line for each problem. */
export function parsePullOptions({
  flags,
  operands,
}: Pick<Invocation, 'flags' | 'operands'>): Result<PullOptions, readonly string[]> {
  const problems: string[] = [];
  const source = sourceOf(operands[0] ?? '');
  if (!source.ok) problems.push(source.error);
  const name = flags.get('name') ?? null;
  if (name !== null && !isModelName(name)) {
    problems.push(`--name must be the name of a model, as in resnet50, not "${name}"`);
  }
  const version = flags.get('version') ?? null;
  if (version !== null && !isModelVersion(version)) {
    problems.push(
      `--version must be 1 to 64 letters, digits, ".", "_" and "-", the first a letter or digit, not "${version}"`,
    );
  }
  const sha256 = flags.get('sha256')?.toLowerCase() ?? null;
  if (sha256 !== null && !/^[0-9a-f]{64}$/u.test(sha256)) {
    problems.push(`--sha256 must be 64 hex digits, not "${sha256}"`);
  }
  const isUnchecked = flags.has('insecure-no-digest');
  if (sha256 !== null && isUnchecked) {
    problems.push('--sha256 and --insecure-no-digest contradict each other: give one of them');
  }
  if (isUnchecked && source.ok && source.value.kind === 's3') {
    problems.push(
      '--insecure-no-digest is for URLs that begin with http: S3 tells checksums itself',
    );
  }
  if (source.ok && source.value.kind === 'url' && sha256 === null && !isUnchecked) {
    problems.push(
      '--sha256 must be given for a URL, or --insecure-no-digest to take whatever it answers',
    );
  }
  const size = flags.get('max-gib') ?? gibDefault;
  if (!/^[1-9]\d{0,3}$/u.test(size) || Number(size) > 1024) {
    problems.push(`--max-gib must be an integer from 1 to 1024, not "${size}"`);
  }
  const modelsDir = flags.get('models') ?? 'models';
  if (modelsDir === '') problems.push('--models must be the path of a directory, not empty');
  if (isS3(modelsDir)) {
    problems.push('--models must be a directory; "inferry models push" brings a model into S3');
  }
  if (!source.ok || problems.length > 0) return err(problems);
  return ok({
    source: source.value,
    modelsDir,
    name,
    version,
    sha256,
    isReplacing: flags.has('replace'),
    bytesMax: Number(size) * gib,
    asJson: flags.has('json'),
  });
}

/** By the end of its name; undefined for one that is not read. */
export function formOf(path: string): FileForm | undefined {
  if (/\.onnx$/iu.test(path)) return 'onnx';
  return /\.(?:tar|tar\.gz|tgz)$/iu.test(path) ? 'tar' : undefined;
}

/** The name that a file suggests: `resnet50` for `/files/resnet50.tar.gz`. */
export function nameFrom(path: string): string {
  return basename(path).replace(/\.(?:onnx|tar|tar\.gz|tgz)$/iu, '');
}

/** What may be printed: neither the query, which may hold a signature, nor the fragment. */
export function shownUrl({ origin, pathname }: URL): string {
  return `${origin}${pathname}`;
}

function sourceOf(text: string): Result<Source, string> {
  if (text === '') return err('SOURCE must be a URL or a path, not empty');
  if (!/^[a-z][a-z0-9+.-]*:\/\//iu.test(text)) return ok({ kind: 'path', path: text });
  if (isS3(text)) {
    const location = parseS3Location(text);
    return location.ok
      ? ok({ kind: 's3', location: location.value })
      : err(`SOURCE ${location.error}`);
  }
  const url = URL.canParse(text) ? new URL(text) : undefined;
  if (url === undefined) return err(`SOURCE must be a valid URL, not "${text}"`);
  if (url.protocol === 'file:') {
    try {
      return ok({ kind: 'path', path: fileURLToPath(url) });
    } catch {
      return err(`SOURCE must be file:///path, without a host, not "${text}"`);
    }
  }
  if (url.protocol !== 'https:' && url.protocol !== 'http:') {
    return err(`SOURCE must be an https, http, s3 or file URL, or a path, not "${url.protocol}"`);
  }
  // Arguments are seen by every user of the machine, in the list of processes.
  if (url.username !== '' || url.password !== '') {
    return err('SOURCE must be a URL without user and password');
  }
  const form = formOf(url.pathname);
  if (form === undefined) return err(`SOURCE must end in ${forms}, not "${shownUrl(url)}"`);
  return ok({ kind: 'url', url, form });
}
