/**
 * The two formats of a predict request as one: what is given for an input, and where. Row format has one
 * entry a row, columnar format one value an input that holds all rows. Where a model has a single input, its
 * name may be left out in both.
 */
import type { Failure, JsonObject, JsonValue } from '@inferry/contracts';
import { err, ok, type Result } from '@inferry/runtime';

import { isJsonObject } from '../json.ts';
import { invalidInput, pointerTo } from '../refusals.ts';

export type Given =
  | {
      readonly format: 'row';
      /** At least one. */
      readonly instances: readonly JsonValue[];
      /** JSON pointer of the list that has them. */
      readonly base: string;
    }
  | {
      readonly format: 'columnar';
      readonly inputs: JsonValue;
      /** JSON pointer of them. */
      readonly base: string;
    };

/** All that is given for one input. */
export interface GivenInput {
  readonly value: JsonValue;
  /** JSON pointer of the entry with these indices; the first one is the row. */
  readonly pointer: (at: readonly number[]) => string;
}

/** `{"b64": "..."}` is the bytes it stands for, and no object with an input of that name. */
export function isBytesObject(value: JsonValue | undefined): value is JsonObject {
  return (
    value !== undefined &&
    isJsonObject(value) &&
    Object.hasOwn(value, 'b64') &&
    Object.keys(value).length === 1
  );
}

/** Names of the inputs that are addressed, by the first instance; undefined where names are left out. */
export function namesOf(given: Given): readonly string[] | undefined {
  const named = given.format === 'row' ? given.instances[0] : given.inputs;
  return named === undefined || !isJsonObject(named) || isBytesObject(named)
    ? undefined
    : Object.keys(named);
}

/** The single input of a request that leaves names out. */
export function soleInput(given: Given): GivenInput {
  return {
    value: given.format === 'row' ? given.instances : given.inputs,
    pointer: (at) => pointerTo(given.base, ...at),
  };
}

/**
 * What is given for each of `names`, which are all there are. Error: `invalid_input` at the object where one
 * is missing, or at one that is not known.
 */
export function namedInputs(
  given: Given,
  names: readonly string[],
): Result<readonly GivenInput[], Failure> {
  const { base } = given;
  if (given.format === 'columnar') {
    const inputs = membersOf(given.inputs, names, base);
    if (!inputs.ok) return inputs;
    return ok(
      names.map((name, i) => ({
        value: inputs.value[i] ?? null,
        pointer: (at) => pointerTo(base, name, ...at),
      })),
    );
  }
  const columns = names.map((): JsonValue[] => []);
  for (const [row, instance] of given.instances.entries()) {
    const members = membersOf(instance, names, pointerTo(base, row));
    if (!members.ok) return members;
    for (const [i, column] of columns.entries()) column.push(members.value[i] ?? null);
  }
  return ok(
    names.map((name, i) => ({
      value: columns[i] ?? [],
      pointer: ([row, ...at]) => (row === undefined ? base : pointerTo(base, row, name, ...at)),
    })),
  );
}

function membersOf(
  value: JsonValue,
  names: readonly string[],
  pointer: string,
): Result<readonly JsonValue[], Failure> {
  if (!isJsonObject(value)) {
    const detail = `${pointer} must be an object with ${quoted(names)}.`;
    return err(invalidInput(pointer, 'object', detail));
  }
  const members = new Map(Object.entries(value));
  const found: JsonValue[] = [];
  for (const name of names) {
    const member = members.get(name);
    if (member === undefined) {
      return err(invalidInput(pointer, 'missing', `${pointer} has no "${name}".`));
    }
    members.delete(name);
    found.push(member);
  }
  const [unknown] = members.keys();
  if (unknown === undefined) return ok(found);
  const detail = `${pointer} has "${unknown}", which is not known; the model takes ${quoted(names)}.`;
  return err(invalidInput(pointerTo(pointer, unknown), 'unknown_input', detail));
}

function quoted(names: readonly string[]): string {
  return names.map((name) => `"${name}"`).join(', ');
}
