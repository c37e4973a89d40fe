/** The columns of `preprocess.tabular`: which keys go together, and what each column becomes. */
import type { TabularColumn } from '@inferry/contracts';
import type { z } from 'zod';
import type { FileProblem } from './file-problem.ts';
import type { ParsedModelYaml } from './model-yaml.ts';
import type { tabular } from './tabular-schema.ts';

type Entry = z.output<typeof tabular>['columns'][number];
type ColumnYaml = Exclude<Entry, string>;
type Kind = TabularColumn['kind'];

/** Keys that mean something for columns of one kind only. */
const keysOf: { readonly [Name in Kind]: readonly (keyof ColumnYaml)[] } = {
  number: ['name', 'type', 'default', 'min', 'max', 'mean', 'std'],
  boolean: ['name', 'type', 'default'],
  category: ['name', 'default', 'values', 'encoding'],
};

/** The columns in order; what contradicts itself is added to `problems`, on its line. */
export function tabularColumns(
  entries: readonly Entry[],
  yaml: ParsedModelYaml,
  problems: FileProblem[],
): readonly TabularColumn[] {
  const seen = new Set<string>();
  return entries.map((entry, i) => {
    const at = ['preprocess', 'tabular', 'columns', i];
    const column = typeof entry === 'string' ? { name: entry } : entry;
    if (seen.has(column.name)) {
      problems.push(yaml.problemAt(at, `"${column.name}" is there twice`));
    }
    seen.add(column.name);
    return columnOf(column, (key, message) => {
      problems.push(yaml.problemAt([...at, key], message));
    });
  });
}

type Complain = (key: keyof ColumnYaml, message: string) => void;

function columnOf(column: ColumnYaml, complain: Complain): TabularColumn {
  const kind = column.values === undefined ? (column.type ?? 'number') : 'category';
  for (const [key, value] of Object.entries(column)) {
    const name = key as keyof ColumnYaml;
    if (value === undefined || keysOf[kind].includes(name)) continue;
    complain(name, `does not go with a ${kind} column; it has: ${keysOf[kind].join(', ')}`);
  }
  switch (kind) {
    case 'number':
      return numberColumn(column, complain);
    case 'boolean': {
      const { name, default: given } = column;
      if (given === undefined) return { kind, name };
      if (typeof given !== 'boolean') complain('default', 'must be true or false');
      return { kind, name, default: given === true };
    }
    case 'category':
      return categoryColumn(column, complain);
  }
}

function numberColumn(column: ColumnYaml, complain: Complain): TabularColumn {
  const { name, min, max, mean = 0, std = 1, default: given } = column;
  if (min !== undefined && max !== undefined && min > max) {
    complain('min', `${min} is above max, ${max}`);
  }
  if (std === 0) complain('std', 'must not be 0: values are divided by it');
  if (given !== undefined && typeof given !== 'number' && given !== 'nan') {
    complain('default', 'must be a number or nan');
  }
  if (typeof given === 'number' && (given < (min ?? given) || given > (max ?? given))) {
    complain('default', `${given} is outside min and max`);
  }
  return {
    kind: 'number',
    name,
    mean,
    std,
    ...(min === undefined ? {} : { min }),
    ...(max === undefined ? {} : { max }),
    ...(typeof given === 'number' || given === 'nan' ? { default: given } : {}),
  };
}

function categoryColumn(column: ColumnYaml, complain: Complain): TabularColumn {
  const { name, values = [], encoding = 'ordinal', default: given } = column;
  const twice = values.find((value, i) => values.indexOf(value) !== i);
  if (twice !== undefined) complain('values', `${JSON.stringify(twice)} is there twice`);
  if (given === undefined) return { kind: 'category', name, values, encoding };
  if (typeof given === 'boolean' || !values.includes(given)) {
    complain('default', `${JSON.stringify(given)} is none of the values`);
    return { kind: 'category', name, values, encoding };
  }
  return { kind: 'category', name, values, encoding, default: given };
}
