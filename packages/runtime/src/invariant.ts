/** A broken invariant is a bug of ours, never the caller's fault. */
export class InvariantError extends Error {
  override readonly name = 'InvariantError';
}

/** Throws {@link InvariantError} unless `condition` holds; `message` says what should have been true. */
export function invariant(condition: unknown, message: string): asserts condition {
  if (!condition) throw new InvariantError(`${message} (this is a bug)`);
}

/** For the end of an exhaustive switch: a new member of a union fails to compile here. */
export function unreachable(value: never): never {
  throw new InvariantError(`unexpected value ${JSON.stringify(value)} (this is a bug)`);
}
