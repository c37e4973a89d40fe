/** How an input that does not fit is told: one failure, each problem with a JSON pointer to its place. */
import { type ErrorCode, type Failure, failure } from '@inferry/contracts';
import type { z } from 'zod';

/** One problem of a body. `pointer` is a JSON pointer in URI fragment form (`#/inputs/0/data`). */
export interface Problem {
  readonly pointer: string;
  readonly code: string;
  readonly detail: string;
}

/** At most this many problems are told; a body of a million wrong numbers has one cause. */
const problemsMax = 100;
/** Characters of a text that quotes what the caller sent, which may be a name of megabytes. */
const textCharsMax = 1_000;

/** A detail or pointer as it is told: cut, where it quotes too much, and Unicode, which headers of gRPC need. */
export function toldText(text: string): string {
  const cut = text.length > textCharsMax ? `${text.slice(0, textCharsMax)}...` : text;
  // Half a pair of surrogates: what a cut leaves of a character, here or where it was quoted.
  return cut.replaceAll(/[\ud800-\udfff]/gu, '\ufffd');
}

/** A failure made of problems; its detail is the first one. Extras: `errors`. */
export function refusal(code: ErrorCode, problems: readonly Problem[]): Failure {
  const errors = problems.slice(0, problemsMax).map((problem) => ({
    pointer: toldText(problem.pointer),
    code: problem.code,
    detail: toldText(problem.detail),
  }));
  return failure(code, errors[0]?.detail ?? 'The body is not valid.', { extras: { errors } });
}

/** `invalid_input` with one problem. */
export function invalidInput(pointer: string, code: string, detail: string): Failure {
  return refusal('invalid_input', [{ pointer, code, detail }]);
}

/** Appends path segments to a pointer, escaped as RFC 6901 asks. */
export function pointerTo(base: string, ...path: readonly PropertyKey[]): string {
  let pointer = base;
  for (const part of path) {
    pointer += `/${String(part).replaceAll('~', '~0').replaceAll('/', '~1')}`;
  }
  return pointer;
}

/**
 * Turns what a schema found into a failure: `unknown_field` when only unknown members are wrong,
 * `invalid_input` otherwise.
 */
export function schemaRefusal(error: z.ZodError, base: string): Failure {
  const problems: Problem[] = [];
  let isOnlyUnknown = true;
  for (const issue of error.issues) {
    if (issue.code === 'unrecognized_keys') {
      for (const key of issue.keys.slice(0, problemsMax)) {
        const pointer = pointerTo(base, ...issue.path, key);
        problems.push({ pointer, code: 'unknown_field', detail: `${pointer} is not known here.` });
      }
      continue;
    }
    isOnlyUnknown = false;
    if (problems.length >= problemsMax) continue;
    const pointer = pointerTo(base, ...issue.path);
    problems.push({ pointer, code: issue.code, detail: `${pointer}: ${issue.message}.` });
  }
  return refusal(isOnlyUnknown ? 'unknown_field' : 'invalid_input', problems);
}
