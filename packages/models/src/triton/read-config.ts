/**
 * Binds the text of a `config.pbtxt` to the schema of ModelConfig: values in their JSON forms, the line of
 * each, and what is said of fields that do not do here what they do in Triton.
 */
import type { JsonObject, JsonValue } from '@inferry/contracts';
import { err, ok, type Result } from '@inferry/runtime';
import { closestTo } from '../closest-name.ts';
import type { FileProblem } from '../file-problem.ts';
import { modelConfigType } from './config-schema.ts';
import type { FieldSchema, MessageType, ScalarType } from './schema-types.ts';
import type { TritonConfig } from './triton-config.ts';
import { parseTextFormat, type TextField, type TextValue } from './text-format.ts';

export type ConfigPath = readonly (string | number)[];

export interface ReadConfig {
  /** The fields that are there, without defaults. */
  readonly config: TritonConfig;
  readonly warnings: readonly FileProblem[];
  /** Why the model is not served as it would be in Triton: fields that are refused. */
  readonly refusals: readonly FileProblem[];
  /** A problem with the value at a path, on the line of the deepest field of it that is there. */
  problemAt(path: ConfigPath, message: string): FileProblem;
}

/** `err`: the text is no ModelConfig. `file` only names the text in problems. */
export function readConfig(file: string, text: string): Result<ReadConfig, readonly FileProblem[]> {
  const parsed = parseTextFormat(text);
  if (!parsed.ok) {
    const { line, column, message } = parsed.error;
    return err([{ file, line, message: `column ${column}: ${message}` }]);
  }
  const binder = new Binder(file);
  const config = binder.message(modelConfigType, parsed.value, [], true);
  if (binder.problems.length > 0) return err(binder.problems);
  const { refusals, warnings } = binder;
  const problemAt = (path: ConfigPath, message: string): FileProblem =>
    binder.problemAt(path, message);
  return ok({ config, warnings, refusals, problemAt });
}

/** `input[0].dims`, `parameters["intra_op_thread_count"]`. */
function pathText(path: ConfigPath): string {
  return path
    .map((step, i) => {
      if (typeof step === 'number') return `[${step}]`;
      if (!/^\w+$/u.test(step)) return `[${JSON.stringify(step)}]`;
      return i === 0 ? step : `.${step}`;
    })
    .join('');
}

class Binder {
  readonly problems: FileProblem[] = [];
  readonly warnings: FileProblem[] = [];
  readonly refusals: FileProblem[] = [];
  readonly #file: string;
  readonly #lines = new Map<string, number>();

  constructor(file: string) {
    this.#file = file;
  }

  problemAt(path: ConfigPath, message: string): FileProblem {
    let line: number | undefined;
    for (let length = path.length; line === undefined && length > 0; length -= 1) {
      line = this.#lines.get(JSON.stringify(path.slice(0, length)));
    }
    const at = path.length === 0 ? '' : `${pathText(path)}: `;
    return { file: this.#file, line: line ?? 1, message: `${at}${message}` };
  }

  /** `isLoud` is false inside a field of which something was said already. */
  message(
    type: MessageType,
    fields: readonly TextField[],
    path: ConfigPath,
    isLoud: boolean,
  ): JsonObject {
    const known = new Map<string, TextField[]>();
    for (const field of fields) {
      const own = known.get(field.name);
      if (own !== undefined) own.push(field);
      else if (Object.hasOwn(type.fields, field.name)) known.set(field.name, [field]);
      else this.#unknown(type, field, path);
    }
    this.#checkOneofs(type, known, path);
    const entries: [string, JsonValue][] = [];
    for (const [name, given] of known) {
      const schema = type.fields[name];
      if (schema === undefined) continue;
      const value = this.#field(schema, given, [...path, name], isLoud);
      if (value !== undefined) entries.push([name, value]);
    }
    return Object.fromEntries(entries);
  }

  #unknown(type: MessageType, field: TextField, path: ConfigPath): void {
    const near = closestTo(field.name, Object.keys(type.fields));
    const hint = near === undefined ? '' : `; did you mean "${near}"?`;
    const message = `${pathText([...path, field.name])}: is not a known field and is ignored${hint}`;
    this.warnings.push({ file: this.#file, line: field.line, message });
  }

  #checkOneofs(
    { fields }: MessageType,
    known: ReadonlyMap<string, readonly TextField[]>,
    path: ConfigPath,
  ): void {
    const chosen = new Map<string, string>();
    for (const [name, [given]] of known) {
      const oneof = fields[name]?.oneof ?? null;
      if (oneof === null || given === undefined) continue;
      const other = chosen.get(oneof);
      if (other === undefined) chosen.set(oneof, name);
      else this.#problem([...path, name], given.line, `is there beside ${other}; one is allowed`);
    }
  }

  #field(
    schema: FieldSchema,
    given: readonly TextField[],
    path: ConfigPath,
    isLoud: boolean,
  ): JsonValue | undefined {
    const [first, second] = given;
    if (first === undefined) return undefined;
    this.#mark(path, first.line);
    if (schema.form === 'one' && second !== undefined) {
      this.#problem(path, second.line, `is there twice, on line ${first.line} too`);
    }
    const isSilent = schema.use.kind !== 'honoured';
    const value = this.#values(schema, given, path, isLoud && !isSilent);
    if (isLoud && value !== undefined && !isDefault(schema, value)) this.#say(schema, path);
    return value;
  }

  #values(
    schema: FieldSchema,
    given: readonly TextField[],
    path: ConfigPath,
    isLoud: boolean,
  ): JsonValue | undefined {
    if (schema.form === 'map') return this.#map(schema, given, path, isLoud);
    const values = given.map((field, i) => {
      const own = schema.form === 'many' ? [...path, i] : path;
      this.#mark(own, field.value.line);
      return this.#value(schema.type, field.value, own, isLoud);
    });
    return schema.form === 'one' ? values[0] : values.filter((value) => value !== undefined);
  }

  /** Entries are messages of a `key` and a `value`; the last of a key counts. */
  #map(
    schema: FieldSchema,
    given: readonly TextField[],
    path: ConfigPath,
    isLoud: boolean,
  ): JsonObject {
    const entries: [string, JsonValue][] = [];
    for (const { line, value } of given) {
      if (value.kind !== 'message') {
        this.#problem(path, line, 'must have entries of the form { key: ... value: ... }');
        continue;
      }
      let key = '';
      let inner: TextValue | undefined;
      for (const field of value.fields) {
        if (field.name === 'key') key = this.#key(field.value, path);
        else if (field.name === 'value') inner = field.value;
        else this.#problem(path, field.line, `"${field.name}" is no part of an entry`);
      }
      const own = [...path, key];
      this.#mark(own, line);
      // Without a value an entry has the default one, which of a message is an empty one.
      const bound =
        inner === undefined
          ? (defaultOf(schema.type) ?? {})
          : this.#value(schema.type, inner, own, isLoud);
      if (bound !== undefined) entries.push([key, bound]);
    }
    return Object.fromEntries(entries);
  }

  #key(value: TextValue, path: ConfigPath): string {
    if (value.kind === 'string') return value.text;
    if (value.kind === 'integer') return String(value.value);
    this.#problem(
      path,
      value.line,
      'the key of an entry must be text in quotes, or a whole number',
    );
    return '';
  }

  #value(
    type: FieldSchema['type'],
    value: TextValue,
    path: ConfigPath,
    isLoud: boolean,
  ): JsonValue | undefined {
    if (typeof type !== 'string' && 'fields' in type) {
      if (value.kind === 'message') return this.message(type, value.fields, path, isLoud);
      this.#problem(path, value.line, 'must be a message in braces');
      return undefined;
    }
    const bound = typeof type === 'string' ? scalar(type, value) : enumValue(type.values, value);
    if (bound.ok) return bound.value;
    this.#problem(path, value.line, bound.error);
    return undefined;
  }

  #say({ use }: FieldSchema, path: ConfigPath): void {
    if (use.kind === 'warned') this.warnings.push(this.problemAt(path, use.because));
    if (use.kind === 'refused') this.refusals.push(this.problemAt(path, use.because));
  }

  #mark(path: ConfigPath, line: number): void {
    this.#lines.set(JSON.stringify(path), line);
  }

  #problem(path: ConfigPath, line: number, message: string): void {
    this.problems.push({ file: this.#file, line, message: `${pathText(path)}: ${message}` });
  }
}

/** A message that is there says something, even an empty one. */
function isDefault(schema: FieldSchema, value: JsonValue): boolean {
  if (Array.isArray(value)) return value.length === 0;
  if (typeof value === 'object' && value !== null) {
    return schema.form === 'map' && Object.keys(value).length === 0;
  }
  return value === defaultOf(schema.type);
}

/** What a field of this type is when it is not there; undefined for a message, which is then absent. */
function defaultOf(type: FieldSchema['type']): string | number | boolean | undefined {
  if (typeof type !== 'string') return 'values' in type ? type.values[0] : undefined;
  if (type === 'string') return '';
  return type === 'bool' ? false : 0;
}

/** The message with every field that has a default, as protobuf's JSON with defaults prints it. */
export function withDefaults(
  config: JsonObject,
  { fields }: MessageType = modelConfigType,
): JsonObject {
  return Object.fromEntries(
    Object.entries(fields).flatMap(([name, schema]): [string, JsonValue][] => {
      const given = config[name];
      const { type } = schema;
      const inner = typeof type !== 'string' && 'fields' in type ? type : null;
      const complete = (value: JsonValue): JsonValue =>
        inner === null ? value : withDefaults(value as JsonObject, inner);
      if (given !== undefined) {
        if (schema.form === 'one') return [[name, complete(given)]];
        if (schema.form === 'many') return [[name, (given as readonly JsonValue[]).map(complete)]];
        const entries = Object.entries(given as JsonObject);
        return [[name, Object.fromEntries(entries.map(([key, own]) => [key, complete(own)]))]];
      }
      if (schema.form !== 'one') return [[name, schema.form === 'many' ? [] : {}]];
      const absent = schema.oneof === null ? defaultOf(type) : undefined;
      return absent === undefined ? [] : [[name, absent]];
    }),
  );
}

const integerRanges: Readonly<Partial<Record<ScalarType, readonly [bigint, bigint]>>> = {
  int32: [-(2n ** 31n), 2n ** 31n - 1n],
  uint32: [0n, 2n ** 32n - 1n],
  // What JSON's numbers hold exactly; nothing in a configuration means more.
  int64: [BigInt(Number.MIN_SAFE_INTEGER), BigInt(Number.MAX_SAFE_INTEGER)],
  uint64: [0n, BigInt(Number.MAX_SAFE_INTEGER)],
};
const truths: Readonly<Record<string, boolean>> = {
  true: true,
  True: true,
  t: true,
  '1': true,
  false: false,
  False: false,
  f: false,
  '0': false,
};

function scalar(type: ScalarType, value: TextValue): Result<JsonValue, string> {
  const range = integerRanges[type];
  if (range !== undefined) {
    if (value.kind !== 'integer') return err('must be a whole number');
    const [min, max] = range;
    if (value.value >= min && value.value <= max) return ok(Number(value.value));
    return err(`is ${value.value}; it must be from ${min} to ${max}`);
  }
  switch (type) {
    case 'string':
      return value.kind === 'string' ? ok(value.text) : err('must be text in quotes');
    case 'bool': {
      const word =
        value.kind === 'name' ? value.name : value.kind === 'integer' ? String(value.value) : '';
      const truth = Object.hasOwn(truths, word) ? truths[word] : undefined;
      return truth === undefined ? err('must be true or false') : ok(truth);
    }
    default:
      if (value.kind === 'integer') return ok(Number(value.value));
      if (value.kind === 'float' && Number.isFinite(value.value)) return ok(value.value);
      return err('must be a finite number');
  }
}

function enumValue(values: readonly string[], value: TextValue): Result<JsonValue, string> {
  const name =
    value.kind === 'name'
      ? values.find((one) => one === value.name)
      : value.kind === 'integer'
        ? values[Number(value.value)]
        : undefined;
  return name === undefined ? err(`must be one of: ${values.join(', ')}`) : ok(name);
}
