/** Tables are encoded as scikit-learn encodes them (golden/rows.py), and what is wrong with a row is said at once. */
import { readFileSync } from 'node:fs';
import type { PipelineRow, TabularColumn } from '@inferry/contracts';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { tabularTensor } from './tabular.ts';

interface Table {
  readonly columns: readonly TabularColumn[];
  readonly rows: readonly PipelineRow[];
  readonly encoded: readonly (readonly number[])[];
}

const file = new URL('../golden/rows.json', import.meta.url);
const { table } = JSON.parse(readFileSync(file, 'utf8')) as { readonly table: Table };
const input = { name: 'x', datatype: 'FP64', shape: [-1, 11] } as const;

function encode(
  columns: readonly TabularColumn[],
  rows: readonly PipelineRow[],
): readonly number[] {
  const tensor = tabularTensor({ kind: 'tabular', columns }, input, 'FP64', rows);
  if (!tensor.ok) throw new Error(tensor.error.detail);
  return [...new Float64Array(tensor.value.bytes.buffer)];
}

function problemsOf(
  columns: readonly TabularColumn[],
  row: PipelineRow,
  datatype: 'FP32' | 'FP64' = 'FP32',
): unknown {
  const tensor = tabularTensor({ kind: 'tabular', columns }, input, datatype, [row]);
  return tensor.ok ? [] : tensor.error.extras?.['errors'];
}

describe('a table', () => {
  test('is scaled and encoded as scikit-learn does it, gaps filled with defaults', () => {
    const wanted = table.encoded.flat();
    const found = encode(table.columns, table.rows);
    expect(found).toHaveLength(wanted.length);
    for (const [i, value] of found.entries()) expect(value).toBeCloseTo(wanted[i] ?? NaN, 12);
  });

  test('a gap may be passed on as NaN, for models that know what to do with it', () => {
    const column: TabularColumn = { kind: 'number', name: 'a', mean: 1, std: 2, default: 'nan' };
    expect(encode([column], [{}, { a: null }, { a: 5 }])).toEqual([NaN, NaN, 2]);
  });

  test('every problem of a row is told, with what would do', () => {
    const row = { age: 200, income: 'much', colour: 'pink', size: 3, member: 1, level: 2 };
    expect(problemsOf(table.columns, row)).toEqual([
      '"level" is not a column',
      '"age" is 200; it must be at most 150',
      '"income" must be a finite number',
      '"colour" must be one of "red", "green", "blue"',
      '"size" must be one of "S", "M", "L"',
      '"member" must be true or false',
      '"floor" is missing',
    ]);
    expect(problemsOf(table.columns, { colour: null, floor: 1 })).toEqual([
      '"age" is missing',
      '"colour" must be one of "red", "green", "blue", not null',
    ]);
  });

  test('a value that scaling makes too large for the datatype is refused', () => {
    const column: TabularColumn = { kind: 'number', name: 'a', mean: 0, std: 1e-30 };
    expect(problemsOf([column], { a: 1e20 })).toEqual(['"a" is too large for FP32']);
    expect(problemsOf([column], { a: 1e20 }, 'FP64')).toEqual([]);
    expect(problemsOf([column], { a: -1e300 }, 'FP64')).toEqual(['"a" is too large for FP64']);
  });

  test('one-hot rows hold a single 1, at the place that the ordinal code names', () => {
    const values = fc.uniqueArray(fc.oneof(fc.string(), fc.integer()), {
      minLength: 1,
      maxLength: 20,
    });
    fc.assert(
      fc.property(values, fc.nat(), (list, at) => {
        const value = list[at % list.length] ?? '';
        const category = { kind: 'category', name: 'c', values: list } as const;
        const oneHot = encode([{ ...category, encoding: 'one_hot' }], [{ c: value }]);
        const [code] = encode([{ ...category, encoding: 'ordinal' }], [{ c: value }]);
        expect(oneHot).toEqual(list.map((_, i) => (i === code ? 1 : 0)));
        expect(list[code ?? -1]).toBe(value);
      }),
    );
  });
});
