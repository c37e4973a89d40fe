/**
 * The cheap second look at raw tensors. The gateway checked them before they were queued; a worker
 * may serve another build of the model by now, so names, datatypes, dimensions and sizes are compared again.
 */
import {
  datatypeBytes,
  elementCount,
  isComposed,
  type ModelManifest,
  splitBytes,
  type Tensor,
  type TensorSpec,
} from '@inferry/contracts';

/** What is wrong with these tensors for this model; nothing when the list is empty. */
export function tensorProblems(
  manifest: ModelManifest,
  tensors: readonly Tensor[],
  outputs: readonly string[],
): string[] {
  const problems: string[] = [];
  const byName = new Map(tensors.map((tensor) => [tensor.name, tensor]));
  if (byName.size < tensors.length) problems.push('an input is given twice');
  for (const spec of manifest.inputs) {
    const tensor = byName.get(spec.name);
    if (tensor === undefined) problems.push(`input "${spec.name}" is missing`);
    else problems.push(...problemsOf(tensor, spec, { isText: !isComposed(manifest) }));
    byName.delete(spec.name);
  }
  for (const name of byName.keys()) problems.push(`the model has no input "${name}"`);
  for (const name of outputs) {
    if (!manifest.outputs.some((output) => output.name === name)) {
      problems.push(`the model has no output "${name}"`);
    }
  }
  if (problems.length === 0) problems.push(...rowProblems(manifest, tensors));
  return problems;
}

/** Rows of checked tensors: their common leading dimension, or 1 where the model has no batch dimension. */
export function rowsOf(manifest: ModelManifest, tensors: readonly Tensor[]): number {
  return manifest.maxBatchSize === 0 ? 1 : (tensors[0]?.shape[0] ?? 1);
}

function problemsOf(
  tensor: Tensor,
  spec: TensorSpec,
  { isText }: { readonly isText: boolean },
): string[] {
  const label = `input "${tensor.name}"`;
  if (tensor.datatype !== spec.datatype) {
    return [`${label} is ${tensor.datatype}, the model takes ${spec.datatype}`];
  }
  const fits =
    tensor.shape.length === spec.shape.length &&
    tensor.shape.every((dimension, axis) => {
      const wanted = spec.shape[axis];
      return Number.isSafeInteger(dimension) && dimension >= 0 && fitsAxis(dimension, wanted);
    });
  if (!fits) {
    return [`${label} has shape [${tensor.shape.join(', ')}], expected [${spec.shape.join(', ')}]`];
  }
  const count = elementCount(tensor.shape);
  if (tensor.datatype === 'BYTES') {
    const elements = splitBytes(tensor.bytes, count);
    if (elements === undefined) return [`${label} does not hold ${count} length-prefixed elements`];
    return isText ? textProblems(label, elements) : [];
  }
  const expectedBytes = count * datatypeBytes[tensor.datatype];
  return tensor.bytes.byteLength === expectedBytes
    ? []
    : [`${label} has ${tensor.bytes.byteLength} bytes, its shape needs ${expectedBytes}`];
}

function fitsAxis(dimension: number, wanted: number | undefined): boolean {
  return wanted === -1 || dimension === wanted;
}

/** ONNX strings are UTF-8, and ONNX Runtime for Node cuts them at a zero byte: neither may pass silently. */
function textProblems(label: string, elements: readonly Uint8Array[]): string[] {
  const bad = elements.findIndex((element) => element.includes(0) || !isUtf8(element));
  return bad === -1 ? [] : [`${label} element ${bad} is not UTF-8 text without zero bytes`];
}

const strictText = new TextDecoder('utf-8', { fatal: true });

function isUtf8(bytes: Uint8Array): boolean {
  try {
    strictText.decode(bytes);
    return true;
  } catch {
    return false;
  }
}

function rowProblems(manifest: ModelManifest, tensors: readonly Tensor[]): string[] {
  if (manifest.maxBatchSize === 0) return [];
  const rows = rowsOf(manifest, tensors);
  if (rows < 1) return ['at least one row is needed'];
  return tensors
    .filter((tensor) => tensor.shape[0] !== rows)
    .map((tensor) => `input "${tensor.name}" has ${tensor.shape[0]} rows, the others ${rows}`);
}
