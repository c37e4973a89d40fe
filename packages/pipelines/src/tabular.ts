/** Named values become rows of the model's single input: encoded and scaled, in the order of the columns. */
import {
  categoryCode,
  columnProblem,
  columnWidth,
  type Datatype,
  type Failure,
  type PipelineRow,
  type TabularColumn,
  type TabularSpec,
  type Tensor,
  type TensorSpec,
} from '@inferry/contracts';
import { ok, type Result } from '@inferry/runtime';
import { reject } from './rejection.ts';

/** Datatypes that a table can fill. */
type TableDatatype = 'FP32' | 'FP64';

export function isTableDatatype(datatype: Datatype): datatype is TableDatatype {
  return datatype === 'FP32' || datatype === 'FP64';
}

/**
 * One tensor [rows, entries]. `input_rejected` lists every value that is missing, unknown, not of its
 * column's kind, outside its range, or too large for the datatype.
 */
export function tabularTensor(
  spec: TabularSpec,
  input: TensorSpec,
  datatype: TableDatatype,
  rows: readonly PipelineRow[],
): Result<Tensor, Failure> {
  const width = spec.columns.reduce((sum, column) => sum + columnWidth(column), 0);
  const count = rows.length * width;
  const values = datatype === 'FP32' ? new Float32Array(count) : new Float64Array(count);
  const known = new Set(spec.columns.map((column) => column.name));
  const problems: string[] = [];
  for (const [index, row] of rows.entries()) {
    const label = rows.length === 1 ? '' : `row ${index}: `;
    for (const name of Object.keys(row)) {
      if (!known.has(name)) problems.push(`${label}"${name}" is not a column`);
    }
    let at = index * width;
    for (const column of spec.columns) {
      const problem = fill(column, row[column.name], values, at);
      if (problem !== undefined) problems.push(`${label}"${column.name}" ${problem}`);
      else if (Math.abs(values[at] ?? 0) === Infinity) {
        problems.push(`${label}"${column.name}" is too large for ${datatype}`);
      }
      at += columnWidth(column);
    }
  }
  if (problems.length > 0) return reject(problems);
  const bytes = new Uint8Array(values.buffer);
  return ok({ name: input.name, datatype, shape: [rows.length, width], bytes });
}

/** Writes the entries of one value, which are zeros so far. Returns what is wrong with it. */
function fill(
  column: TabularColumn,
  given: unknown,
  values: Float32Array | Float64Array,
  at: number,
): string | undefined {
  const problem = columnProblem(column, given);
  if (problem !== undefined) return problem.text;
  const value = given ?? column.default;
  switch (column.kind) {
    case 'number':
      values[at] = (Number(value === 'nan' ? NaN : value) - column.mean) / column.std;
      return undefined;
    case 'boolean':
      values[at] = value === true ? 1 : 0;
      return undefined;
    case 'category': {
      const code = categoryCode(column, value);
      if (column.encoding === 'ordinal') values[at] = code;
      else values[at + code] = 1;
      return undefined;
    }
  }
}
