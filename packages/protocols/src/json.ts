/**
 * JSON text in and out, with exact 64-bit integers: a number a double cannot hold becomes a bigint,
 * and a bigint is written as the number it is. Depth is bounded, so no walker can overflow the stack.
 */
import { type Failure, failure, type JsonObject, type JsonValue } from '@inferry/contracts';
import { err, ok, type Result } from '@inferry/runtime';
import { parse, stringify } from 'lossless-json';

import { type Allocate, type DecodeBase64, decodeBase64 } from './base64.ts';
import { shortenJson } from './long-base64.ts';

const depthMax = 64;
/**
 * Objects and their members in one body. Each costs a hundred times what an element of an array does, and no
 * request has many: 16,384 columns, some thousand tensors, or an object for each element in base64.
 */
const membersMax = 131_072;
/** Digits of the longest 64-bit integer, with its sign. Longer integers are out of every range anyway. */
const integerCharsMax = 20;
/** An integer literal of 64 bits that a double may not hold exactly. It may also match inside a string: that only costs time. */
const longInteger = /(?<=^|[[\s,:-])\d{16,20}(?=$|[\s,\]}])/u;
const decoder = new TextDecoder('utf-8', { fatal: true });

/** Parses UTF-8 JSON. Error: `malformed_json`, with what is wrong and where as far as it is known. */
export function parseJson(bytes: Uint8Array): Result<JsonValue, Failure> {
  let text: string;
  try {
    text = decoder.decode(bytes);
  } catch {
    return err(failure('malformed_json', 'The body is not UTF-8 text.'));
  }
  return parseText(text);
}

/**
 * What `read` makes of a JSON body. `decode` gives it the bytes of a string that is base64, and spares the
 * body's long ones the way through a string ({@link shortenJson}): into memory from `allocate`. `read` may be
 * called twice, and must answer the same to the same: where a long string is no base64, or is not asked for,
 * or something else is wrong, the body is read again as it is. Errors: `malformed_json`, and those of `read`.
 */
export function readJson<T>(
  bytes: Uint8Array,
  allocate: Allocate,
  read: (value: JsonValue, decode: DecodeBase64) => Result<T, Failure>,
): Result<T, Failure> {
  const shortened = shortenJson(bytes, decodeBase64, allocate);
  if (shortened !== undefined) {
    const value = parseText(shortened.text);
    const result = value.ok ? read(value.value, shortened.decode) : value;
    if (result.ok && shortened.isAllDecoded()) return result;
  }
  const json = parseJson(bytes);
  return json.ok ? read(json.value, decodeBase64) : json;
}

function parseText(text: string): Result<JsonValue, Failure> {
  if (text.trim() === '') return err(failure('malformed_json', 'The body is empty.'));
  const excess = excessOf(text);
  if (excess !== undefined) return err(failure('malformed_json', `The body ${excess}.`));
  try {
    // Of members with the same name the last one counts, as JSON.parse has it.
    const value = longInteger.test(text)
      ? parse(text, null, { parseNumber: exactNumber, onDuplicateKey: ({ newValue }) => newValue })
      : JSON.parse(text);
    return ok(value as JsonValue);
  } catch (cause) {
    // The message is for the reader only; it quotes a few characters of the caller's own body.
    const message = cause instanceof Error ? cause.message : 'unknown error';
    return err(failure('malformed_json', `The body is not valid JSON: ${message}`));
  }
}

/** Not null and no list. */
export function isJsonObject(value: JsonValue): value is JsonObject {
  return value !== null && typeof value === 'object' && !Array.isArray(value);
}

/** The JSON text of a value; a bigint is written in full. */
export function writeJson(value: JsonValue): string {
  return stringify(value) ?? 'null';
}

function exactNumber(text: string): number | bigint {
  const number = Number(text);
  if (Number.isSafeInteger(number)) return number;
  return text.length <= integerCharsMax && /^-?\d+$/u.test(text) ? BigInt(text) : number;
}

/**
 * What there is too much of, to follow "the body"; known before anything is made of it. Looks at brackets and
 * colons outside strings only, and jumps over strings, which may be megabytes of base64.
 */
function excessOf(text: string): string | undefined {
  let depth = 0;
  let members = 0;
  for (let i = 0; i < text.length; i += 1) {
    const code = text.charCodeAt(i);
    if (code === 0x22) i = endOfString(text, i);
    else if (code === 0x5d || code === 0x7d) depth -= 1;
    else if (code === 0x5b || code === 0x7b) {
      depth += 1;
      if (depth > depthMax) return `nests deeper than ${depthMax} levels`;
    }
    if (code === 0x3a || code === 0x7b) {
      members += 1;
      if (members > membersMax) return `has more than ${membersMax} objects and members`;
    }
  }
  return undefined;
}

/** Index of the quote that closes the string opened at `start`; the end of the text when none does. */
function endOfString(text: string, start: number): number {
  let end = text.indexOf('"', start + 1);
  while (end !== -1) {
    let slashes = 0;
    while (text.charCodeAt(end - 1 - slashes) === 0x5c) slashes += 1;
    if (slashes % 2 === 0) return end;
    end = text.indexOf('"', end + 1);
  }
  return text.length;
}
