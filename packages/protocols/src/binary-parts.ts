/**
 * The binary tensor extension of the Open Inference Protocol (Triton, `extension_binary_data.md`): raw bytes
 * of tensors behind the JSON of a request or an answer, in the order of those tensors that say so. Little
 * endian, row-major, without padding; an element of a BYTES tensor has its length in front (uint32).
 */
import {
  type Datatype,
  datatypeBytes,
  type Failure,
  failure,
  holdsElements,
} from '@inferry/contracts';
import { err, ok, type Result } from '@inferry/runtime';

/** Holds the length of the JSON in bytes, when binary data follows it. */
export const jsonLengthHeader = 'Inference-Header-Content-Length';

/** The binary part of a request, taken tensor by tensor. */
export class BinaryParts {
  readonly #bytes: Uint8Array;
  #taken = 0;

  constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  /** Bytes that no tensor has taken. */
  get left(): number {
    return this.#bytes.length - this.#taken;
  }

  /** The next tensor's bytes, a view; undefined when there are not as many. */
  take(size: number): Uint8Array | undefined {
    if (size > this.left) return undefined;
    const bytes = this.#bytes.subarray(this.#taken, this.#taken + size);
    this.#taken += size;
    return bytes;
  }
}

export interface SplitBody {
  readonly json: Uint8Array;
  /** What follows the JSON; undefined where the header was not given: then the body is JSON alone. */
  readonly binary: Uint8Array | undefined;
}

/** Error: `invalid_header` where the header is no length within the body. */
export function splitBody(
  body: Uint8Array,
  header: string | undefined,
): Result<SplitBody, Failure> {
  if (header === undefined) return ok({ json: body, binary: undefined });
  const length = /^\d{1,10}$/u.test(header) ? Number(header) : Number.NaN;
  if (length >= 0 && length <= body.length) {
    return ok({ json: body.subarray(0, length), binary: body.subarray(length) });
  }
  const detail = `${jsonLengthHeader} is "${header.slice(0, 40)}"; it must be the length of the JSON, 0 to the ${body.length} bytes of the body.`;
  return err(failure('invalid_header', detail, { extras: { header: jsonLengthHeader } }));
}

/** `size` bytes of `parts`, which must be what a tensor of `count` elements has. The error says what does not fit. */
export function takeElements(
  parts: BinaryParts,
  size: unknown,
  datatype: Datatype,
  count: number,
): Result<Uint8Array, string> {
  if (typeof size !== 'number' || !Number.isSafeInteger(size) || size < 0) {
    return err('binary_data_size must be a whole number of bytes');
  }
  const sizeOfShape = count * datatypeBytes[datatype];
  if (datatype !== 'BYTES' && size !== sizeOfShape) {
    return err(`binary_data_size is ${size}, and its shape has ${sizeOfShape} bytes`);
  }
  const left = parts.left;
  const bytes = parts.take(size);
  if (bytes === undefined) return err(`it has ${size} bytes, and the body has ${left} more`);
  const problem = elementsProblem(bytes, datatype, count);
  return problem === undefined ? ok(bytes) : err(problem);
}

function elementsProblem(bytes: Uint8Array, datatype: Datatype, count: number): string | undefined {
  if (datatype === 'BOOL' && bytes.some((byte) => byte > 1)) return 'a BOOL byte must be 0 or 1';
  if (datatype !== 'BYTES' || holdsElements(bytes, count)) return undefined;
  return `the lengths of its elements do not add up to ${count} elements in ${bytes.length} bytes`;
}
