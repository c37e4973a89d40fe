/** Named numbers become rows of the model's single input, in the order of the columns. */
import {
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
 * One tensor [rows, columns]. `input_rejected` lists every value that is missing, unknown, not a finite
 * number, outside its column's range, or too large for the datatype.
 */
export function tabularTensor(
  spec: TabularSpec,
  input: TensorSpec,
  datatype: FilledDatatype,
  rows: readonly PipelineRow[],
): Result<Tensor, Failure> {
  const columnCount = spec.columns.length;
  const values = filledArray(datatype, rows.length * columnCount);
  const known = new Set(spec.columns.map((column) => column.name));
  const problems: string[] = [];
  for (const [index, row] of rows.entries()) {
    const label = rows.length === 1 ? '' : `row ${index}: `;
    for (const name of Object.keys(row)) {
      if (!known.has(name)) problems.push(`${label}"${name}" is not a column`);
    }
    for (const [at, column] of spec.columns.entries()) {
      const value = row[column.name];
      const problem = problemOf(column, value, datatype);
      if (problem !== undefined) problems.push(`${label}"${column.name}" ${problem}`);
      else values[index * columnCount + at] = storedForm(datatype, Number(value));
    }
  }
  if (problems.length > 0) return reject(problems);
  return ok({
    name: input.name,
    datatype,
    shape: [rows.length, columnCount],
    bytes: bytesOf(values),
  });
}

function problemOf(
  column: TabularColumn,
  value: unknown,
  datatype: FilledDatatype,
): string | undefined {
  if (value === undefined) return 'is missing';
  if ((typeof value !== 'number' && typeof value !== 'bigint') || !Number.isFinite(Number(value))) {
    return 'must be a finite number';
  }
  const number = Number(value);
  if (column.min !== undefined && number < column.min) return `must be at least ${column.min}`;
  if (column.max !== undefined && number > column.max) return `must be at most ${column.max}`;
  if (datatype === 'FP32' && !Number.isFinite(Math.fround(number))) return 'is too large for FP32';
  return undefined;
}
