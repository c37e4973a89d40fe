/** Our tensors as those of ONNX Runtime and back: the same bytes under another name. */
import { type Datatype, elementCount, joinBytes, type Tensor } from '@inferry/contracts';
import { invariant } from '@inferry/runtime';
import { Tensor as OrtTensor } from 'onnxruntime-node';

type NumericDatatype = Exclude<Datatype, 'BYTES' | 'BF16'>;
type OrtNumericType = Exclude<OrtTensor.Type, 'string' | 'int4' | 'uint4'>;

const numericTypes: { readonly [Name in NumericDatatype]: OrtNumericType } = {
  BOOL: 'bool',
  UINT8: 'uint8',
  UINT16: 'uint16',
  UINT32: 'uint32',
  UINT64: 'uint64',
  INT8: 'int8',
  INT16: 'int16',
  INT32: 'int32',
  INT64: 'int64',
  FP16: 'float16',
  FP32: 'float32',
  FP64: 'float64',
};

/** FP16 is its 16 bits; {@link keepHalvesAsBits} makes that hold on every Node. */
const arrayTypes = {
  bool: Uint8Array,
  uint8: Uint8Array,
  uint16: Uint16Array,
  uint32: Uint32Array,
  uint64: BigUint64Array,
  int8: Int8Array,
  int16: Int16Array,
  int32: Int32Array,
  int64: BigInt64Array,
  float16: Uint16Array,
  float32: Float32Array,
  float64: Float64Array,
} as const;

const datatypes = new Map<string, Datatype>([
  ...Object.entries(numericTypes).map(([datatype, type]) => [type, datatype as Datatype] as const),
  ['string', 'BYTES'],
]);

const strictText = new TextDecoder('utf-8', { fatal: true });
const encoder = new TextEncoder();

/**
 * Where Float16Array exists (Node 24), the library wraps FP16 data in one, and its own native part then reads
 * no bytes from it. Which array it takes is decided at the first tensor, so that one is made while the
 * global is out of sight.
 */
function keepHalvesAsBits(): void {
  const scope = globalThis as { Float16Array?: unknown };
  const own = Object.getOwnPropertyDescriptor(scope, 'Float16Array');
  if (own === undefined) return;
  delete scope.Float16Array;
  const probe = new OrtTensor('float16', new Uint16Array(1), [1]);
  Object.defineProperty(scope, 'Float16Array', own);
  invariant(probe.data instanceof Uint16Array, 'FP16 tensors hold their bits');
}
keepHalvesAsBits();

/** Our name of a type of ONNX Runtime, or undefined where we have none. */
export function datatypeOf(ortType: string): Datatype | undefined {
  return datatypes.get(ortType);
}

/** A numeric tensor over `bytes`, which must start at a multiple of the element size and be complete. */
export function numericTensor(
  datatype: Datatype,
  shape: readonly number[],
  bytes: Uint8Array,
): OrtTensor {
  invariant(datatype !== 'BYTES' && datatype !== 'BF16', `${datatype} has no numbers here`);
  const type = numericTypes[datatype];
  const ArrayType = arrayTypes[type];
  const count = elementCount(shape);
  invariant(bytes.byteLength === count * ArrayType.BYTES_PER_ELEMENT, 'bytes fit the shape');
  // ONNX Runtime refuses shared memory; nothing here is backed by any.
  const buffer = bytes.buffer as ArrayBuffer;
  return new OrtTensor(type, new ArrayType(buffer, bytes.byteOffset, count), shape);
}

export function stringTensor(shape: readonly number[], elements: readonly string[]): OrtTensor {
  return new OrtTensor('string', elements, shape);
}

/**
 * Text of one element of a BYTES tensor. Throws where ONNX Runtime would change it without a word: it
 * takes UTF-8, and its binding for Node ends a string at a zero byte.
 */
export function textOf(element: Uint8Array): string {
  if (element.includes(0)) throw new TypeError('a text input holds a zero byte');
  return strictText.decode(element);
}

/** A result of a run as our tensor. Its bytes are the result's own memory, not a copy. */
export function tensorOf(name: string, result: OrtTensor): Tensor {
  const datatype = datatypeOf(result.type);
  invariant(datatype !== undefined, `output "${name}" has a known type`);
  const { data, dims: shape } = result;
  if (Array.isArray(data)) {
    const bytes = joinBytes(data.map((element) => encoder.encode(element)));
    return { name, datatype, shape, bytes };
  }
  const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
  return { name, datatype, shape, bytes };
}
