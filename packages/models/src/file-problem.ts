/** What is wrong with one file of a model repository, as an operator reads it. */

export interface FileProblem {
  /** Path as it was given, so that an editor can open it. */
  readonly file: string;
  /** 1-based; null where a line means nothing (a binary file, a missing one). */
  readonly line: number | null;
  readonly message: string;
}

/** `file:line: message`, or `file: message` without a line. */
export function problemText(problem: FileProblem): string {
  const at = problem.line === null ? problem.file : `${problem.file}:${problem.line}`;
  return `${at}: ${problem.message}`;
}

/** Why the operating system refused a file, in words; undefined for an error that is not its. */
export function fileErrorText(cause: unknown): string | undefined {
  if (!(cause instanceof Error) || !('code' in cause) || typeof cause.code !== 'string') {
    return undefined;
  }
  if (cause.code === 'ENOENT') return 'does not exist';
  if (cause.code === 'EACCES') return 'may not be read by this user (EACCES)';
  return `cannot be read (${cause.code})`;
}
