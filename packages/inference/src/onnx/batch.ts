/** Items stacked into one batch along the leading dimension, and outputs cut back into the items' shares. */
import {
  datatypeBytes,
  elementCount,
  joinBytes,
  splitBytes,
  type Tensor,
} from '@inferry/contracts';
import { err, invariant, ok, type Result } from '@inferry/runtime';
import type { Tensor as OrtTensor } from 'onnxruntime-node';
import type { Item } from '../port.ts';
import { numericTensor, stringTensor, textOf } from './ort-tensor.ts';

/**
 * Builds the feeds of a run. Each input keeps one buffer, which grows to its largest batch so far and is
 * written again for every run; a run must therefore have ended before the next batch is stacked.
 */
export class Stacker {
  readonly #buffers = new Map<string, ArrayBuffer>();

  /** Feeds by input name. The items must agree on inputs, datatypes and all but the leading dimension. */
  stack(items: readonly Item[]): Record<string, OrtTensor> {
    const [first] = items;
    invariant(first !== undefined, 'a batch has items');
    const feeds: Record<string, OrtTensor> = {};
    for (const [position, tensor] of first.tensors.entries()) {
      const parts = items.map((item) => partOf(item, position, tensor));
      feeds[tensor.name] = this.#feed(tensor, parts);
    }
    return feeds;
  }

  #feed(first: Tensor, parts: readonly Tensor[]): OrtTensor {
    const isAlone = parts.length === 1;
    const rows = parts.reduce((sum, part) => sum + (part.shape[0] ?? 0), 0);
    const shape = isAlone ? first.shape : [rows, ...first.shape.slice(1)];
    if (first.datatype === 'BYTES') return stringTensor(shape, parts.flatMap(textsOf));
    // Nothing is copied where the parts lie back to back already, as a lone one does.
    const joined = contiguous(parts);
    if (joined !== undefined && joined.byteOffset % datatypeBytes[first.datatype] === 0) {
      return numericTensor(first.datatype, shape, joined);
    }
    const bytes = this.#buffer(first.name, elementCount(shape) * datatypeBytes[first.datatype]);
    let offset = 0;
    for (const part of parts) {
      bytes.set(part.bytes, offset);
      offset += part.bytes.byteLength;
    }
    invariant(offset === bytes.byteLength, 'the items fill the batch');
    return numericTensor(first.datatype, shape, bytes);
  }

  #buffer(name: string, sizeBytes: number): Uint8Array {
    let buffer = this.#buffers.get(name);
    if (buffer === undefined || buffer.byteLength < sizeBytes) {
      this.#buffers.set(name, (buffer = new ArrayBuffer(sizeBytes)));
    }
    return new Uint8Array(buffer, 0, sizeBytes);
  }
}

function partOf(item: Item, position: number, like: Tensor): Tensor {
  const part = item.tensors[position];
  invariant(
    part !== undefined &&
      part.name === like.name &&
      part.datatype === like.datatype &&
      part.shape.length === like.shape.length &&
      part.shape.every((dimension, axis) => axis === 0 || dimension === like.shape[axis]),
    'items of a batch have the same inputs, datatypes and dimensions',
  );
  return part;
}

/** The bytes of all parts as one view, where they lie back to back in one buffer. */
function contiguous(parts: readonly Tensor[]): Uint8Array | undefined {
  const [first] = parts;
  if (first === undefined) return undefined;
  const { buffer, byteOffset } = first.bytes;
  let end = byteOffset;
  for (const { bytes } of parts) {
    if (bytes.buffer !== buffer || bytes.byteOffset !== end) return undefined;
    end += bytes.byteLength;
  }
  return new Uint8Array(buffer, byteOffset, end - byteOffset);
}

function textsOf(tensor: Tensor): string[] {
  const elements = splitBytes(tensor.bytes, elementCount(tensor.shape));
  invariant(elements !== undefined, `input "${tensor.name}" holds its elements`);
  return elements.map(textOf);
}

/**
 * The share of each item in `outputs`, as views of the outputs' memory. A lone item gets the outputs as
 * they are. An error, for a person, when several items ran and an output has not one entry a row.
 */
export function split(
  outputs: readonly Tensor[],
  rowsOfItems: readonly number[],
): Result<Tensor[][], string> {
  if (rowsOfItems.length === 1) return ok([[...outputs]]);
  const shares: Tensor[][] = rowsOfItems.map(() => []);
  const rows = rowsOfItems.reduce((sum, own) => sum + own, 0);
  for (const output of outputs) {
    if (output.shape[0] !== rows) {
      return err(
        `output "${output.name}" has shape [${output.shape.join(', ')}] for a batch of ${rows} rows; a model that cannot batch needs max_batch_size: 0`,
      );
    }
    const rowBytes = rowSplitter(output, rows);
    let row = 0;
    for (const [index, own] of rowsOfItems.entries()) {
      shares[index]?.push({
        ...output,
        shape: [own, ...output.shape.slice(1)],
        bytes: rowBytes(row, row + own),
      });
      row += own;
    }
  }
  return ok(shares);
}

/** Bytes of the rows from..to (exclusive) of a tensor with `rows` rows. */
function rowSplitter(tensor: Tensor, rows: number): (from: number, to: number) => Uint8Array {
  if (tensor.datatype !== 'BYTES') {
    const stride = tensor.bytes.byteLength / rows;
    return (from, to) => tensor.bytes.subarray(from * stride, to * stride);
  }
  const count = elementCount(tensor.shape);
  const elements = splitBytes(tensor.bytes, count);
  invariant(elements !== undefined, `output "${tensor.name}" holds its elements`);
  const each = count / rows;
  return (from, to) => joinBytes(elements.slice(from * each, to * each));
}
