/** A row that a pipeline would take, made from its description: for documentation and things to try. */
import type { JsonObject, JsonValue } from './json.ts';
import type { ModelManifest } from './manifest.ts';
import type { NumberColumn, TabularColumn } from './tabular-spec.ts';
import { elementCount, fieldShape, type TensorSpec } from './tensor.ts';

const exampleText = 'The quick brown fox jumps over the lazy dog.';

/** Undefined where none can be made up: for images, models without a pipeline, and tensors too large to show. */
export function exampleRow(manifest: ModelManifest): JsonObject | undefined {
  const { preprocess } = manifest;
  switch (preprocess.kind) {
    case 'tabular':
      return Object.fromEntries(
        preprocess.columns.map((column) => [column.name, exampleValue(column)]),
      );
    case 'text':
      return { [preprocess.input]: exampleText.slice(0, preprocess.bytesMax) };
    case 'tensor':
      return zeroFields(manifest);
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

/** More elements help nobody. */
const elementsMax = 256;

function zeroFields({ inputs, maxBatchSize }: ModelManifest): JsonObject | undefined {
  const fields: [string, JsonValue][] = [];
  let elements = 0;
  for (const input of inputs) {
    const shape = fieldShape(input, maxBatchSize);
    elements += Math.abs(elementCount(shape));
    if (elements > elementsMax) return undefined;
    fields.push([input.name, zeros(input, shape)]);
  }
  return Object.fromEntries(fields);
}

/** Every dimension that varies is 1. */
function zeros({ datatype }: TensorSpec, shape: readonly number[]): JsonValue {
  let value: JsonValue = datatype === 'BYTES' ? '' : datatype === 'BOOL' ? false : 0;
  for (const dimension of shape.toReversed()) {
    const inner: JsonValue = value;
    value = Array<JsonValue>(Math.abs(dimension)).fill(inner);
  }
  return value;
}
