/** A row that a pipeline would take, made from its description: for documentation and things to try. */
import type { JsonObject } from './json.ts';
import type { ModelManifest } from './manifest.ts';
import type { NumberColumn, TabularColumn } from './tabular-spec.ts';

/** Undefined where a row cannot be made up: an image, tensors of a model without a pipeline. */
export function exampleRow(manifest: ModelManifest): JsonObject | undefined {
  const { preprocess } = manifest;
  switch (preprocess.kind) {
    case 'tabular':
      return Object.fromEntries(
        preprocess.columns.map((column) => [column.name, exampleValue(column)]),
      );
    case 'image':
    case 'none':
      return undefined;
  }
}

function exampleValue(column: TabularColumn): number | string | boolean {
  switch (column.kind) {
    case 'number':
      return exampleNumber(column);
    case 'boolean':
      return true;
    case 'category':
      return column.values[0] ?? '';
  }
}

/** Near the lower end of the range, where the numbers of real tables are more often than in the middle. */
function exampleNumber({ min = 0, max = min + 100 }: NumberColumn): number {
  const value = Number((min + (max - min) / 20).toPrecision(3));
  return Math.min(max, Math.max(min, value));
}
