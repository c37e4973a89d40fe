/**
 * Sets values in the text of a `model.yaml` and leaves every other character as it is: comments, order and
 * style belong to the person who wrote them. What comes out is read back and compared before it is believed.
 */
import { isDeepStrictEqual } from 'node:util';
import { err, ok, type Result } from '@inferry/runtime';
import { isMap, isNode, isScalar, isSeq, parseDocument, type YAMLMap, type YAMLSeq } from 'yaml';

/** From the document to a value: keys of maps and places in lists. */
type Path = readonly (string | number)[];

/** Tuned settings of one device; null leaves a setting as it is. */
export interface TunedSettings {
  /** Rows of one run. */
  readonly maxBatchSize: number | null;
  /** Milliseconds. */
  readonly latencyTargetMs: number | null;
  readonly instances: { readonly kind: 'cpu' | 'cuda' | 'tensorrt'; readonly count: number };
  readonly intraOpThreads: number | null;
}

/**
 * `text` with the settings in it. An error, for a person, where the text is written in a way that cannot be
 * edited in place (an alias instead of a value), or is no YAML at all.
 */
export function editModelYaml(text: string, settings: TunedSettings): Result<string, string> {
  const { instances, intraOpThreads, latencyTargetMs, maxBatchSize } = settings;
  const values: (readonly [Path, number])[] = [];
  if (maxBatchSize !== null) values.push([['max_batch_size'], maxBatchSize]);
  if (latencyTargetMs !== null) values.push([['latency_target_ms'], latencyTargetMs]);
  if (intraOpThreads !== null) values.push([['session', 'intra_op_threads'], intraOpThreads]);
  let edited = withInstances(text, instances);
  for (const [path, value] of values) {
    if (!edited.ok) return edited;
    edited = withValue(edited.value, path, value);
  }
  return edited;
}

function withInstances(
  text: string,
  { count, kind }: TunedSettings['instances'],
): Result<string, string> {
  const document = parseDocument(text);
  if (!document.has('instances')) {
    return checked(
      text,
      `${ended(text)}instances:\n  - kind: ${kind}\n    count: ${count}\n`,
      (all) => {
        all['instances'] = [{ kind, count }];
      },
    );
  }
  const list = document.get('instances', true);
  if (!isSeq(list)) return byHand(['instances']);
  const groups = list.toJSON() as readonly { readonly kind?: unknown }[];
  const place = groups.findIndex((group) => group.kind === kind);
  if (place !== -1) return withValue(text, ['instances', place, 'count'], count);
  const added = list.flow
    ? insertedAt(text, closingOf(list), `, { kind: ${kind}, count: ${count} }`)
    : withLines(text, list, [`- kind: ${kind}`, `  count: ${count}`]);
  return checked(text, added, (all) => {
    all['instances'] = [...groups, { kind, count }];
  });
}

/** The number at the path; keys that are not there yet are added to the deepest map that is. */
function withValue(text: string, path: Path, value: number): Result<string, string> {
  const document = parseDocument(text);
  const set = (all: Record<string, unknown>): void => setAt(all, path, value);
  const there = document.getIn(path, true);
  if (isScalar(there) && there.range) {
    const [from, to] = there.range;
    return checked(text, text.slice(0, from) + String(value) + text.slice(to), set);
  }
  for (let depth = path.length - 1; depth >= 0; depth -= 1) {
    const holder = depth === 0 ? document.contents : document.getIn(path.slice(0, depth), true);
    const missing = path.slice(depth).map(String);
    if (isMap(holder)) return checked(text, withKeys(text, holder, missing, value), set);
    if (holder !== undefined && holder !== null) return byHand(path);
  }
  return checked(text, ended(text) + lines(path.map(String), value).join('\n') + '\n', set);
}

function withKeys(text: string, map: YAMLMap, keys: readonly string[], value: number): string {
  if (!map.flow) return withLines(text, map, lines(keys, value));
  const [first = '', ...others] = keys.toReversed();
  const flow = others.reduce((inner, key) => `${key}: { ${inner} }`, `${first}: ${value}`);
  return insertedAt(text, closingOf(map), map.items.length === 0 ? flow : `, ${flow}`);
}

/** `a:`, `  b:`, `    c: 1`. */
function lines(keys: readonly string[], value: number): readonly string[] {
  return keys.map((key, depth) => {
    const isLast = depth === keys.length - 1;
    return `${'  '.repeat(depth)}${key}:${isLast ? ` ${value}` : ''}`;
  });
}

/** The lines below the last entry of a collection in block style, as deep as its entries. */
function withLines(text: string, holder: YAMLMap | YAMLSeq, added: readonly string[]): string {
  const [start = 0, end = 0] = holder.range ?? [];
  const indent = ' '.repeat(start - (text.lastIndexOf('\n', start - 1) + 1));
  // The range of a block ends behind its last line break, or at the end of a text without one.
  const content = text.slice(0, end).trimEnd().length;
  const lineEnd = text.indexOf('\n', content);
  const at = lineEnd === -1 ? text.length : lineEnd;
  return insertedAt(text, at, added.map((line) => `\n${indent}${line}`).join(''));
}

/** Behind the last entry of a collection in flow style. */
function closingOf(holder: YAMLMap | YAMLSeq): number {
  const last: unknown = holder.items.at(-1);
  const value = isNode(last) ? last : (last as { readonly value?: unknown } | undefined)?.value;
  if (isNode(value) && value.range) return value.range[1];
  return (holder.range?.[0] ?? 0) + 1;
}

function insertedAt(text: string, at: number, added: string): string {
  return text.slice(0, at) + added + text.slice(at);
}

function ended(text: string): string {
  return text === '' || text.endsWith('\n') ? text : `${text}\n`;
}

function setAt(all: Record<string, unknown>, path: Path, value: number): void {
  let holder: Record<string | number, unknown> = all;
  for (const [i, key] of path.entries()) {
    if (i === path.length - 1) holder[key] = value;
    else holder = (holder[key] ??= {}) as Record<string | number, unknown>;
  }
}

/** `after`, when it says what `before` says with `change` made to it, and nothing else. */
function checked(
  before: string,
  after: string,
  change: (all: Record<string, unknown>) => void,
): Result<string, string> {
  const wanted = structuredClone((parseDocument(before).toJS() ?? {}) as Record<string, unknown>);
  change(wanted);
  const document = parseDocument(after);
  const isRight = document.errors.length === 0 && isDeepStrictEqual(document.toJS(), wanted);
  return isRight ? ok(after) : err('it is written in a way that cannot be edited in place');
}

function byHand(path: Path): Result<string, string> {
  return err(`${path.join('.')} is written in a way that cannot be edited in place`);
}
