/** Files to send: JSON, images and bytes, given one by one or as a folder of them. */
import { readdir, readFile, stat } from 'node:fs/promises';
import { extname, join } from 'node:path';
import { fileErrorText } from '@inferry/models';
import { err, ok, type Result } from '@inferry/runtime';

/** What a request carries, before it is known in which form the API wants it. */
export interface Input {
  /** The path, or what was generated; for messages. */
  readonly name: string;
  readonly mediaType: string;
  readonly bytes: Uint8Array;
}

const mediaTypes: Readonly<Record<string, string>> = {
  '.json': 'application/json',
  '.jpg': 'image/jpeg',
  '.jpeg': 'image/jpeg',
  '.png': 'image/png',
  '.webp': 'image/webp',
  '.gif': 'image/gif',
  '.avif': 'image/avif',
  '.tif': 'image/tiff',
  '.tiff': 'image/tiff',
  '.bin': 'application/octet-stream',
};
const known = Object.keys(mediaTypes).join(' ');

const filesMax = 1_000;
/** All of them are held in memory. */
export const inputBytesMax = 1024 * 1024 * 1024;

/**
 * The files at `paths`, in that order; of a folder those with an ending that is known, by name, without
 * the folders in it. The error names the flag that they were given with, and the path.
 */
export async function readInputs(
  paths: readonly string[],
  flag = '--input',
): Promise<Result<readonly Input[], string>> {
  const files: string[] = [];
  for (const path of paths) {
    const found = await filesAt(path, flag);
    if (!found.ok) return found;
    files.push(...found.value);
    if (files.length > filesMax) return err(`${flag}: there are more than ${filesMax} files`);
  }
  const inputs: Input[] = [];
  let total = 0;
  for (const file of files) {
    const input = await readInput(file, flag);
    if (!input.ok) return input;
    total += input.value.bytes.length;
    if (total > inputBytesMax) return err(tooLarge(flag));
    inputs.push(input.value);
  }
  return ok(inputs);
}

async function filesAt(path: string, flag: string): Promise<Result<readonly string[], string>> {
  try {
    if (!(await stat(path)).isDirectory()) return ok([path]);
    const entries = await readdir(path, { withFileTypes: true });
    const files = entries.filter(
      (entry) => entry.isFile() && mediaTypeOf(entry.name) !== undefined,
    );
    if (files.length === 0) return err(`${flag} ${path}: no file in it ends with one of ${known}`);
    return ok(files.map(({ name }) => join(path, name)).toSorted());
  } catch (cause) {
    return err(`${flag} ${path}: ${fileErrorText(cause) ?? String(cause)}`);
  }
}

async function readInput(path: string, flag: string): Promise<Result<Input, string>> {
  const mediaType = mediaTypeOf(path);
  if (mediaType === undefined) return err(`${flag} ${path}: must end with one of ${known}`);
  try {
    const bytes = await readFile(path);
    if (mediaType === 'application/json') JSON.parse(bytes.toString('utf8'));
    return ok({ name: path, mediaType, bytes });
  } catch (cause) {
    const isSyntax = cause instanceof SyntaxError;
    const why = isSyntax ? `is no JSON: ${cause.message}` : (fileErrorText(cause) ?? String(cause));
    return err(`${flag} ${path}: ${why}`);
  }
}

export function tooLarge(flag: string): string {
  return `${flag}: the files are larger than ${inputBytesMax} bytes`;
}

/** Undefined for a file that is no input. */
export function mediaTypeOf(path: string): string | undefined {
  return mediaTypes[extname(path).toLowerCase()];
}
