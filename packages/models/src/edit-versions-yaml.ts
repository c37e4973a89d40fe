/** Changes what a `versions.yaml` says and keeps its comments and its order, which belong to the person who wrote them. */
import { isDeepStrictEqual } from 'node:util';
import { err, ok, type Result } from '@inferry/runtime';
import { type Document, isMap, isScalar, parseDocument } from 'yaml';

/** What sections are to hold, all of it; one that is not named stays as it is. */
export interface VersionsEdit {
  readonly labels?: Readonly<Record<string, string>>;
  /** Weights by version. */
  readonly traffic?: Readonly<Record<string, number>>;
  readonly previous?: Readonly<Record<string, string>>;
}

/**
 * `text` with the sections in it; it is one that was parsed without a problem. An error, for a person, where
 * it is written in a way that cannot be edited (an alias instead of a section).
 */
export function editVersionsYaml(text: string, edit: VersionsEdit): Result<string, string> {
  const document: Document = parseDocument(text);
  // Nothing, or comments alone.
  if (document.toJS() === null) document.contents = document.createNode({});
  for (const [section, values] of Object.entries(edit)) {
    const isDone = setSection(document, section, values as Readonly<Record<string, unknown>>);
    if (!isDone) return err(`${section} is written in a way that cannot be edited`);
  }
  const edited = document.toString({ lineWidth: 0 });
  const isRight = Object.entries(edit).every(([section, values]) => {
    const told: unknown = parseDocument(edited).toJS()?.[section] ?? {};
    return isDeepStrictEqual(textual(told), textual(values));
  });
  return isRight ? ok(edited) : err('it is written in a way that cannot be edited');
}

/** Entries that stay keep their place; a section that would be empty is made only where it is there. */
function setSection(
  document: Document,
  section: string,
  values: Readonly<Record<string, unknown>>,
): boolean {
  if (!isMap(document.contents)) return false;
  if (!document.has(section)) {
    if (Object.keys(values).length > 0) document.set(section, document.createNode(values));
    return true;
  }
  const map = document.get(section, true);
  if (!isMap(map)) return false;
  for (const key of map.items.map((item) => item.key)) {
    if (isScalar(key) && Object.hasOwn(values, String(key.value)))
      map.set(key, values[String(key.value)]);
    else map.delete(key);
  }
  const there = new Set(map.items.map(({ key }) => (isScalar(key) ? String(key.value) : '')));
  for (const [key, value] of Object.entries(values)) {
    if (!there.has(key)) map.set(document.createNode(key), document.createNode(value));
  }
  return true;
}

/** A version may stand there as a number. */
function textual(values: unknown): Readonly<Record<string, string>> {
  const entries = Object.entries(values as object);
  return Object.fromEntries(entries.map(([key, value]) => [key, String(value)]));
}
