import { type Datatype, datatypeBytes, elementCount, joinBytes } from '@inferry/contracts';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { encodeElements, writeElements } from './elements.ts';
import { parseJson } from './json.ts';

const fixed = (Object.keys(datatypeBytes) as Datatype[]).filter((name) => name !== 'BYTES');

/** Through JSON text and back, as a client and a server do together. */
function roundTrip(bytes: Uint8Array, datatype: Datatype, count: number): Uint8Array {
  const text = writeElements(bytes, datatype, count);
  const parsed = parseJson(new TextEncoder().encode(text));
  if (!parsed.ok) throw new Error(parsed.error.detail);
  const encoded = encodeElements(parsed.value, datatype, count);
  if (!encoded.ok) throw new Error(encoded.error);
  return encoded.value;
}

/** A NaN keeps its meaning, not its payload; a BOOL byte is 0 or 1. */
function canonical(bytes: Uint8Array, datatype: Datatype): Uint8Array {
  const copy = bytes.slice();
  const view = new DataView(copy.buffer);
  const size = datatypeBytes[datatype];
  for (let at = 0; at < copy.length; at += size) {
    if (datatype === 'BOOL') view.setUint8(at, view.getUint8(at) === 0 ? 0 : 1);
    if (datatype === 'FP32' && Number.isNaN(view.getFloat32(at, true)))
      view.setFloat32(at, NaN, true);
    if (datatype === 'FP64' && Number.isNaN(view.getFloat64(at, true)))
      view.setFloat64(at, NaN, true);
    const bits = size === 2 ? view.getUint16(at, true) : 0;
    if (datatype === 'FP16' && (bits & 0x7fff) > 0x7c00) view.setUint16(at, 0x7e00, true);
    if (datatype === 'BF16' && (bits & 0x7fff) > 0x7f80) view.setUint16(at, 0x7fc0, true);
  }
  return copy;
}

describe('elements between JSON and bytes', () => {
  test.each(fixed)('%s: any bit pattern survives the way out and back', (datatype) => {
    const size = datatypeBytes[datatype];
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 0, maxLength: 20 * size }), (raw) => {
        const count = Math.floor(raw.length / size);
        const bytes = canonical(raw.slice(0, count * size), datatype);
        expect(roundTrip(bytes, datatype, count)).toEqual(bytes);
      }),
    );
  });

  test.each(['FP16', 'BF16'] as const)('%s: each of its 65536 patterns survives', (datatype) => {
    const all = new Uint8Array(new Uint16Array(65_536).map((_, i) => i).buffer);
    const bytes = canonical(all, datatype);
    expect(Buffer.compare(roundTrip(bytes, datatype, 65_536), bytes)).toBe(0);
  });

  test('BYTES: any bytes survive, as text where they are UTF-8 and as base64 where not', () => {
    fc.assert(
      fc.property(fc.array(fc.uint8Array({ maxLength: 30 }), { maxLength: 6 }), (elements) => {
        const bytes = joinBytes(elements);
        expect(roundTrip(bytes, 'BYTES', elements.length)).toEqual(bytes);
      }),
    );
    const text = joinBytes([new TextEncoder().encode('é'), Uint8Array.of(0xff)]);
    expect(writeElements(text, 'BYTES', 2)).toBe('["é",{"b64":"/w=="}]');
  });

  test('64-bit extremes are exact', () => {
    const text = '[-9223372036854775808,9223372036854775807,9007199254740993]';
    const parsed = parseJson(new TextEncoder().encode(text));
    const bytes = encodeElements(parsed.ok ? parsed.value : [], 'INT64', 3);
    expect(bytes.ok && writeElements(bytes.value, 'INT64', 3)).toBe(text);
    const largest = parseJson(new TextEncoder().encode('[18446744073709551615]'));
    const unsigned = encodeElements(largest.ok ? largest.value : [], 'UINT64', 1);
    expect(encodeElements([2n ** 64n], 'UINT64', 1).ok).toBe(false);
    expect(unsigned.ok && writeElements(unsigned.value, 'UINT64', 1)).toBe(
      '[18446744073709551615]',
    );
  });

  test('nested and flat data are the same', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 4 }),
        fc.integer({ min: 0, max: 4 }),
        (rows, columns) => {
          const flat = Array.from({ length: rows * columns }, (_, i) => i);
          const nested = Array.from({ length: rows }, (_, r) =>
            flat.slice(r * columns, (r + 1) * columns),
          );
          const count = elementCount([rows, columns]);
          expect(encodeElements(nested, 'INT32', count)).toEqual(
            encodeElements(flat, 'INT32', count),
          );
        },
      ),
    );
  });

  test.each([
    ['INT8', [128], 'must be an integer from -128 to 127'],
    ['UINT8', [-1], 'must be an integer from 0 to 255'],
    ['INT32', [1.5], 'must be an integer'],
    ['INT64', [1e18], 'written in full'],
    ['UINT64', [-1], 'written in full'],
    ['FP16', [70_000], 'too large'],
    ['FP32', [1e39], 'too large'],
    ['FP32', ['1'], 'must be a number'],
    ['BOOL', [2], 'must be true, false, 0 or 1'],
    ['BYTES', [5], 'must be a string'],
    ['BYTES', [{ b64: '***' }], 'must be a string'],
    ['BYTES', ['\ud800'], 'half of a surrogate pair'],
    ['FP32', [[1], [2]], 'more than the 1 elements'],
    ['FP32', [], 'has 0 elements'],
    ['FP32', 5, 'must be an array'],
  ] as const)('%s refuses %j', (datatype, data, complaint) => {
    const result = encodeElements(data, datatype, 1);
    expect(result.ok ? '' : result.error).toContain(complaint);
  });

  test('garbage is refused, never thrown', () => {
    fc.assert(
      fc.property(fc.anything(), fc.constantFrom(...fixed, 'BYTES' as const), (data, datatype) => {
        encodeElements(data, datatype, 3);
      }),
    );
  });
});
