/** Named values become rows of the model's single input: encoded and scaled, in the order of the columns. */
import {
  categoryCode,
  columnProblem,
  columnWidth,
  type Failure,
  type PipelineRow,
  type TabularColumn,
  type TabularSpec,
  type Tensor,
  type TensorSpec,
} from '@inferry/contracts';
import { ok, type Result } from '@inferry/runtime';
import { bytesOf, filledArray, type FilledDatatype, storedForm } from './elements.ts';
import { reject } from './rejection.ts';

/**
 * One tensor [rows, entries]. `input_rejected` lists every value that is missing, unknown, not of its
 * column's kind, outside its range, or too large for the datatype.
 */
export function tabularTensor(
  spec: TabularSpec,
  input: TensorSpec,
  datatype: FilledDatatype,
  rows: readonly PipelineRow[],
): Result<Tensor, Failure> {
  const width = spec.columns.reduce((sum, column) => sum + columnWidth(column), 0);
  const values = filledArray(datatype, rows.length * width);
  const known = new Set(spec.columns.map((column) => column.name));
  const problems: string[] = [];
  for (const [index, row] of rows.entries()) {
    const label = rows.length === 1 ? '' : `row ${index}: `;
    for (const name of Object.keys(row)) {
      if (!known.has(name)) problems.push(`${label}"${name}" is not a column`);
    }
    let at = index * width;
    for (const column of spec.columns) {
      const problem = fill(column, row[column.name], datatype, values, at);
      if (problem !== undefined) problems.push(`${label}"${column.name}" ${problem}`);
      at += columnWidth(column);
    }
  }
  if (problems.length > 0) return reject(problems);
  return ok({ name: input.name, datatype, shape: [rows.length, width], bytes: bytesOf(values) });
}

/** Writes the entries of one value, which are zeros so far. Returns what is wrong with it. */
function fill(
  column: TabularColumn,
  given: unknown,
  datatype: FilledDatatype,
  values: { [index: number]: number },
  at: number,
): string | undefined {
  const problem = columnProblem(column, given);
  if (problem !== undefined) return problem.text;
  const value = given ?? column.default;
  switch (column.kind) {
    case 'number': {
      const entry = (Number(value === 'nan' ? NaN : value) - column.mean) / column.std;
      if (datatype === 'FP32' && Math.abs(Math.fround(entry)) === Infinity) {
        return 'is too large for FP32';
      }
      values[at] = storedForm(datatype, entry);
      return undefined;
    }
    case 'boolean':
      values[at] = storedForm(datatype, value === true ? 1 : 0);
      return undefined;
    case 'category': {
      const code = categoryCode(column, value);
      if (column.encoding === 'ordinal') values[at] = storedForm(datatype, code);
      else values[at + code] = storedForm(datatype, 1);
      return undefined;
    }
  }
}
