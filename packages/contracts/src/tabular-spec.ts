/** How named values become one row of numbers, as data. */

export interface NumberColumn {
  readonly kind: 'number';
  readonly name: string;
  /** Inclusive limits of the value as it is given. */
  readonly min?: number;
  readonly max?: number;
  /** In place of a value that is absent or null, as if it were given; `nan` is passed on as it is. */
  readonly default?: number | 'nan';
  /** entry = (value - mean) / std */
  readonly mean: number;
  readonly std: number;
}

/** One of a list of words or numbers. */
export interface CategoryColumn {
  readonly kind: 'category';
  readonly name: string;
  /** In the order of their codes. No two are equal. */
  readonly values: readonly (string | number)[];
  /** ordinal: one entry, the value's place in the list from 0; one_hot: one entry a value, 1 at its place. */
  readonly encoding: 'ordinal' | 'one_hot';
  readonly default?: string | number;
}

/** 1 for true, 0 for false. */
interface BooleanColumn {
  readonly kind: 'boolean';
  readonly name: string;
  readonly default?: boolean;
}

export type TabularColumn = NumberColumn | CategoryColumn | BooleanColumn;

/** Named values become one row [entries] of the model's single input, in the order of the columns. */
export interface TabularSpec {
  readonly kind: 'tabular';
  readonly columns: readonly TabularColumn[];
}

/** Entries of the row that a column fills. */
export function columnWidth(column: TabularColumn): number {
  return column.kind === 'category' && column.encoding === 'one_hot' ? column.values.length : 1;
}

/**
 * What is wrong with a column's value, to follow its name: `is missing`, `must be one of a, b`.
 * Undefined where the value can be used, also where it is absent and the column has a default.
 */
export function columnProblem(column: TabularColumn, value: unknown): ColumnProblem | undefined {
  if (value === undefined || value === null) {
    if (column.default !== undefined) return undefined;
    return value === undefined
      ? { code: 'missing', text: 'is missing' }
      : { code: 'type', text: `must be ${expected(column)}, not null` };
  }
  switch (column.kind) {
    case 'number':
      return numberProblem(column, value);
    case 'boolean':
      return typeof value === 'boolean'
        ? undefined
        : { code: 'type', text: 'must be true or false' };
    case 'category':
      return categoryCode(column, value) === -1
        ? { code: 'choice', text: `must be ${expected(column)}` }
        : undefined;
  }
}

export interface ColumnProblem {
  readonly code: 'missing' | 'type' | 'minimum' | 'maximum' | 'choice';
  readonly text: string;
}

/** Place of a value among those of its column; -1 where it is none of them. */
export function categoryCode(column: CategoryColumn, value: unknown): number {
  return column.values.findIndex((known) => known === value);
}

function numberProblem(column: NumberColumn, value: unknown): ColumnProblem | undefined {
  const number = typeof value === 'bigint' ? Number(value) : value;
  if (typeof number !== 'number' || !Number.isFinite(number)) {
    return { code: 'type', text: `must be ${expected(column)}` };
  }
  const { min, max } = column;
  if (min !== undefined && number < min) {
    return { code: 'minimum', text: `is ${number}; it must be at least ${min}` };
  }
  if (max !== undefined && number > max) {
    return { code: 'maximum', text: `is ${number}; it must be at most ${max}` };
  }
  return undefined;
}

/** Values of a long list that a message names. */
const shownValuesMax = 20;

function expected(column: TabularColumn): string {
  switch (column.kind) {
    case 'number':
      return 'a finite number';
    case 'boolean':
      return 'true or false';
    case 'category': {
      const shown = column.values.slice(0, shownValuesMax).map((value) => JSON.stringify(value));
      const hidden = column.values.length - shown.length;
      if (hidden > 0) shown.push(`${hidden} more`);
      return `one of ${shown.join(', ')}`;
    }
  }
}
