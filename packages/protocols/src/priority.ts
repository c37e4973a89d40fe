/** How urgent a request is, in the two ways it can be said, and why it may not be said. */
import { type Failure, priorities, type Priority } from '@inferry/contracts';
import { err, ok, type Result } from '@inferry/runtime';

import { invalidInput, refusal } from './refusals.ts';

/** Numbers of the parameter `priority` of the Open Inference Protocol: the lower, the more urgent. */
const byNumber: ReadonlyMap<string, Priority> = new Map([
  ['0', 'normal'],
  ...priorities.map((priority, i): [string, Priority] => [String(i + 1), priority]),
]);

/** A priority where all requests stand in one line: `unknown_field`. */
export function untoldPriority(pointer: string): Failure {
  const detail = `${pointer}: this server has one line for all; priorities need INFERRY_TENANTS.`;
  return refusal('unknown_field', [{ pointer, code: 'unknown_field', detail }]);
}

/**
 * The parameter `priority` of an infer request: 0 (the default), 1 high, 2 normal, 3 low, or these names.
 * Errors: `invalid_input`; `unknown_field` where it would be ignored.
 */
export function priorityOf(
  value: string | number | bigint | boolean | undefined,
  hasPriorities: boolean,
): Result<Priority, Failure> {
  const text = String(value ?? 0);
  if (text === '0') return ok('normal');
  const pointer = '#/parameters/priority';
  if (!hasPriorities) return err(untoldPriority(pointer));
  const priority = byNumber.get(text) ?? priorities.find((name) => name === text);
  if (priority !== undefined) return ok(priority);
  const detail = 'Parameter "priority" must be 0 (default), 1 or high, 2 or normal, 3 or low.';
  return err(invalidInput(pointer, 'priority', detail));
}
