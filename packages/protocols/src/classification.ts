/**
 * The classification extension (Triton, `extension_classification.md`): of each row of an output its largest
 * values, as texts `<value>:<index>` or `<value>:<index>:<label>`.
 */
import {
  type Datatype,
  datatypeBytes,
  elementCount,
  halfToNumber,
  joinBytes,
  type ModelManifest,
  type Tensor,
} from '@inferry/contracts';

import { fromBrainFloat } from './brain-float.ts';

type NumericDatatype = Exclude<Datatype, 'BYTES' | 'BOOL'>;

const readers: {
  readonly [D in NumericDatatype]: (view: DataView, at: number) => number | bigint;
} = {
  UINT8: (view, at) => view.getUint8(at),
  UINT16: (view, at) => view.getUint16(at, true),
  UINT32: (view, at) => view.getUint32(at, true),
  UINT64: (view, at) => view.getBigUint64(at, true),
  INT8: (view, at) => view.getInt8(at),
  INT16: (view, at) => view.getInt16(at, true),
  INT32: (view, at) => view.getInt32(at, true),
  INT64: (view, at) => view.getBigInt64(at, true),
  FP16: (view, at) => halfToNumber(view.getUint16(at, true)),
  BF16: (view, at) => fromBrainFloat(view.getUint16(at, true)),
  FP32: (view, at) => view.getFloat32(at, true),
  FP64: (view, at) => view.getFloat64(at, true),
};

/** Most values of a row that can be asked for: each becomes a text. Whoever wants more reads the output itself. */
export const classesMax = 1_000;

const floats: ReadonlySet<Datatype> = new Set(['FP16', 'BF16', 'FP32', 'FP64']);
const encoder = new TextEncoder();

export function isClassifiable(datatype: Datatype): datatype is NumericDatatype {
  return Object.hasOwn(readers, datatype);
}

/**
 * The `classes` largest values of each row (of the whole where the model does not batch), the largest first;
 * of equal ones the first. NaN counts as the smallest. A BYTES tensor [rows, classes], or [classes].
 */
export function classify(tensor: Tensor, classes: number, manifest: ModelManifest): Tensor {
  const { datatype, name, shape } = tensor;
  const rows = manifest.maxBatchSize > 0 ? (shape[0] ?? 1) : 1;
  const width = rows === 0 ? 0 : elementCount(shape) / rows;
  const count = Math.min(classes, width);
  const labels = labelsOf(name, manifest);
  const texts: Uint8Array[] = [];
  for (let row = 0; row < rows; row += 1) {
    for (const { index, value } of largest(tensor, { from: row * width, width, count })) {
      const text = floats.has(datatype) ? Number(value).toFixed(6) : String(value);
      const label = labels[index];
      texts.push(encoder.encode([text, index, ...(label === undefined ? [] : [label])].join(':')));
    }
  }
  const shapeOfTexts = manifest.maxBatchSize > 0 ? [rows, count] : [count];
  return { name, datatype: 'BYTES', shape: shapeOfTexts, bytes: joinBytes(texts) };
}

interface Ranked {
  readonly value: number | bigint;
  readonly index: number;
}

/** Sorts what may be among them whenever that is twice as many: an output has millions of values, and few are asked for. */
function largest(
  { bytes, datatype }: Tensor,
  { count, from, width }: { readonly from: number; readonly width: number; readonly count: number },
): readonly Ranked[] {
  if (!isClassifiable(datatype) || count === 0) return [];
  const read = readers[datatype];
  const size = datatypeBytes[datatype];
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  let found: Ranked[] = [];
  let least: Ranked | undefined;
  for (let index = 0; index < width; index += 1) {
    const value = read(view, (from + index) * size);
    // Of equal values the first counts, so one that comes later has to be larger.
    if (least !== undefined && compare(value, least.value) >= 0) continue;
    found.push({ value, index });
    if (found.length < 2 * count) continue;
    found = found.toSorted(byRank).slice(0, count);
    least = found.at(-1);
  }
  return found.toSorted(byRank).slice(0, count);
}

function byRank(a: Ranked, b: Ranked): number {
  return compare(a.value, b.value) || a.index - b.index;
}

function compare(a: number | bigint, b: number | bigint): number {
  if (Number.isNaN(a)) return Number.isNaN(b) ? 0 : 1;
  if (Number.isNaN(b)) return -1;
  if (a === b) return 0;
  return a > b ? -1 : 1;
}

/** The labels that the output has, or those of the model's own postprocessing where it reads this output. */
function labelsOf(output: string, { outputLabels, postprocess }: ModelManifest): readonly string[] {
  const own = outputLabels?.[output];
  if (own !== undefined) return own;
  return postprocess.kind === 'classify' && postprocess.output === output ? postprocess.labels : [];
}
