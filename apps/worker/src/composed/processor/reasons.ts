/** What exceptions of a processor say, in what callers and operators read. An author's code may throw anything. */
import { realpathSync } from 'node:fs';
import { dirname, sep } from 'node:path';

const reasonCharsMax = 500;

/** Under which names errors may tell of the folder of a processor: as it was given, and behind all links. */
export function foldersOf(file: string): readonly string[] {
  const folder = dirname(file);
  try {
    return [...new Set([folder, realpathSync(folder)])];
  } catch {
    return [folder];
  }
}

/** Where the folder lies is left out: callers read this too. Never throws. */
export function reasonOf(cause: unknown, folders: readonly string[]): string {
  let text = textOf(cause);
  for (const folder of folders) text = text.replaceAll(`${folder}${sep}`, '');
  return text.slice(0, reasonCharsMax);
}

function textOf(cause: unknown): string {
  try {
    return String(cause instanceof Error ? cause.message : cause);
  } catch {
    return 'what it threw is no text';
  }
}

/** For the log; undefined where it has none. Never throws. */
export function stackOf(cause: unknown): string | undefined {
  try {
    const stack: unknown = cause instanceof Error ? cause.stack : undefined;
    return typeof stack === 'string' ? stack : undefined;
  } catch {
    return undefined;
  }
}
