/**
 * Parses a YAML file against a schema and finds every problem in it at once, each with the line of its key:
 * `models/iris/model.yaml:3: queue.max_dept: is not known; did you mean "max_depth"?`
 */
import { err, ok, type Result } from '@inferry/runtime';
import { type Document, isAlias, isMap, isScalar, isSeq, LineCounter, parseDocument } from 'yaml';
import type { z } from 'zod';
import { closestTo } from './closest-name.ts';
import type { FileProblem } from './file-problem.ts';

type KeyPath = readonly PropertyKey[];

export interface CheckedYaml<T> {
  readonly config: T;
  /** A problem with the value at a path, on the line of the deepest key of it that is there. */
  readonly problemAt: (path: KeyPath, message: string) => FileProblem;
}

/** Aliases may expand to this many nodes at most. */
const aliasesMax = 100;

/** `file` only names the text in problems. An empty text is an object without keys. */
export function parseCheckedYaml<T>(
  file: string,
  text: string,
  { jsonSchema, schema }: { readonly schema: z.ZodType<T>; readonly jsonSchema: () => object },
): Result<CheckedYaml<T>, readonly FileProblem[]> {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false });
  const problemAt = (path: KeyPath, message: string): FileProblem => ({
    file,
    line: lineOf(document, lines, path),
    message: path.length === 0 ? message : `${path.map(String).join('.')}: ${message}`,
  });
  if (document.errors.length > 0) {
    return err(
      document.errors.map((error) => ({
        file,
        line: lines.linePos(error.pos[0]).line,
        message: error.message,
      })),
    );
  }
  let value: unknown;
  try {
    value = document.toJS({ maxAliasCount: aliasesMax }) ?? {};
  } catch (cause) {
    if (!(cause instanceof ReferenceError)) throw cause;
    return err([problemAt([], cause.message)]);
  }
  const parsed = schema.safeParse(value);
  if (parsed.success) return ok({ config: parsed.data, problemAt });
  const problems = flatten(parsed.error.issues).flatMap((issue) =>
    describe(issue, value, { jsonSchema, problemAt }),
  );
  return err(problems.toSorted((a, b) => (a.line ?? 0) - (b.line ?? 0)));
}

function describe(
  issue: z.core.$ZodIssue,
  value: unknown,
  {
    jsonSchema,
    problemAt,
  }: {
    readonly jsonSchema: () => object;
    readonly problemAt: CheckedYaml<unknown>['problemAt'];
  },
): readonly FileProblem[] {
  if (issue.code !== 'unrecognized_keys') {
    const message = issue.message.replace(/^(?:Invalid \w+|Too (?:big|small)): /u, '');
    return [problemAt(issue.path, isMissing(issue) ? 'is required' : message)];
  }
  const known = keysAt(jsonSchema(), issue.path, value);
  return issue.keys.map((key) => {
    const near = closestTo(key, known);
    const hint =
      near === undefined ? `; known here: ${known.join(', ')}` : `; did you mean "${near}"?`;
    return problemAt([...issue.path, key], `is not known${hint}`);
  });
}

function isMissing(issue: z.core.$ZodIssue): boolean {
  return issue.code === 'invalid_type' && issue.message.endsWith('received undefined');
}

/** Of a union that nothing fits, the branch of the right type speaks; where none is, the union does. */
function flatten(issues: readonly z.core.$ZodIssue[]): z.core.$ZodIssue[] {
  return issues.flatMap((issue) => {
    if (issue.code !== 'invalid_union') return [issue];
    const ofType = issue.errors.find(
      (branch) => !branch.some((inner) => inner.code === 'invalid_type' && inner.path.length === 0),
    );
    if (ofType === undefined || issue.message !== 'Invalid input') return [unionIssue(issue)];
    return flatten(ofType).map((inner) => ({ ...inner, path: [...issue.path, ...inner.path] }));
  });
}

function unionIssue(issue: z.core.$ZodIssueInvalidUnion): z.core.$ZodIssue {
  if (issue.message !== 'Invalid input') return issue;
  const expected = issue.errors.flatMap((branch) =>
    branch.flatMap((inner) => (inner.code === 'invalid_type' ? [inner.expected] : [])),
  );
  return { ...issue, message: `must be one of: ${[...new Set(expected)].join(', ')}` };
}

interface SchemaNode {
  readonly anyOf?: readonly unknown[];
  readonly oneOf?: readonly unknown[];
  readonly items?: unknown;
  readonly properties?: Readonly<Record<string, SchemaNode>>;
  readonly required?: readonly string[];
  readonly const?: unknown;
  readonly enum?: readonly unknown[];
}

/**
 * The keys that the schema knows at a path in `value`; all branches of a union together, and of a union
 * whose branches are told apart by a key, the one that is meant.
 */
function keysAt(schema: unknown, path: KeyPath, value: unknown): string[] {
  if (typeof schema !== 'object' || schema === null) return [];
  const node = schema as SchemaNode;
  if (node.anyOf !== undefined) return node.anyOf.flatMap((branch) => keysAt(branch, path, value));
  if (node.oneOf !== undefined) {
    return node.oneOf
      .filter((branch) => isMeant(branch as SchemaNode, value))
      .flatMap((branch) => keysAt(branch, path, value));
  }
  const [head, ...rest] = path;
  if (head === undefined) return Object.keys(node.properties ?? {});
  const inner = (value as Readonly<Record<PropertyKey, unknown>> | undefined)?.[head];
  return keysAt(
    typeof head === 'number' ? node.items : node.properties?.[String(head)],
    rest,
    inner,
  );
}

/** Whether the key by which branches are told apart, required and of few values, has one of this branch. */
function isMeant({ properties, required }: SchemaNode, value: unknown): boolean {
  const given = value as Readonly<Record<string, unknown>> | null | undefined;
  return (required ?? []).every((key) => {
    const { const: only, enum: some } = properties?.[key] ?? {};
    return (
      (only === undefined || given?.[key] === only) &&
      (some === undefined || some.includes(given?.[key]))
    );
  });
}

function lineOf(document: Document, lines: LineCounter, path: KeyPath): number {
  let node: unknown = document.contents;
  let offset = 0;
  for (const step of path) {
    if (isAlias(node)) node = node.resolve(document);
    if (isMap(node)) {
      const pair = node.items.find((item) => keyText(item.key) === String(step));
      if (pair === undefined) break;
      offset = startOf(pair.key) ?? offset;
      node = pair.value;
    } else if (isSeq(node)) {
      node = node.items[Number(step)];
      offset = startOf(node) ?? offset;
    } else {
      break;
    }
  }
  return lines.linePos(offset).line;
}

function keyText(key: unknown): string {
  return isScalar(key) ? String(key.value) : '';
}

function startOf(node: unknown): number | undefined {
  if (!isScalar(node) && !isMap(node) && !isSeq(node) && !isAlias(node)) return undefined;
  return node.range?.[0];
}
