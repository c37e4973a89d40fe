import { type Failure, failure, type JsonValue } from '@inferry/contracts';
import { err, ok, type Result } from '@inferry/runtime';

import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { bytesOfBase64, type DecodeBase64, decodeBase64 } from './base64.ts';
import { parseJson, readJson } from './json.ts';
import { shortenJson } from './long-base64.ts';
import { digits } from './models-fixture.test.ts';
import { parseInferRequest } from './open-inference.ts';

type Read = (value: JsonValue, decode: DecodeBase64) => Result<unknown, Failure>;

const allocate = (bytes: number): Uint8Array => new Uint8Array(bytes).fill(0xaa);
const encode = (text: string): Uint8Array => new TextEncoder().encode(text);

/** A body read as it was before long strings were left in it. */
function readPlainly(bytes: Uint8Array, read: Read): Result<unknown, Failure> {
  const json = parseJson(bytes);
  return json.ok ? read(json.value, decodeBase64) : json;
}

/** Takes bytes where a codec would: under both names, wherever they are. All else stays as it is. */
const readBytes: Read = (value, decode) => {
  if (value === null || typeof value !== 'object') return ok(value);
  const members: [string, unknown][] = [];
  for (const [name, member] of Object.entries(value)) {
    if (typeof member === 'string' && (name === 'b64' || name === '$b64')) {
      const bytes = decode(member);
      if (bytes === undefined) return err(failure('invalid_input', 'is not valid base64'));
      members.push([name, `bytes ${Buffer.from(bytes).toString('hex')}`]);
    } else {
      const inner = readBytes(member, decode);
      if (!inner.ok) return inner;
      members.push([name, inner.value]);
    }
  }
  return ok(members);
};

/** Asks for no bytes at all: long strings are strings. */
const readStrings: Read = (value) => ok(value);

function expectTheSame(bytes: Uint8Array): void {
  for (const read of [readBytes, readStrings]) {
    expect(readJson(bytes, allocate, read)).toEqual(readPlainly(bytes, read));
  }
}

const long = fc
  .tuple(fc.integer({ min: 3_060, max: 3_090 }), fc.uint8Array({ minLength: 1, maxLength: 40 }))
  .map(([size, pattern]) => {
    const bytes = Buffer.alloc(size, pattern);
    return bytes.toString('base64');
  });
/** What may be put into or behind a base64 text. */
const spoiler = fc.constantFrom(
  '=',
  '==',
  '-',
  '_',
  ' ',
  '\\n',
  '\n',
  '\\u0041',
  '\\/',
  '\\"',
  '"',
  '\\',
  '\u00e9',
  '\u{1f600}',
  '\\ud800',
  'A',
  'AB',
  '\u0141',
  '"b64":"',
  '\\"b64":"',
);
const spoiled = fc
  .tuple(long, spoiler, fc.double({ min: 0, max: 1, noNaN: true }), fc.boolean())
  .map(([text, wrong, share, isInserted]) => {
    const at = Math.round((text.length - wrong.length) * share);
    return text.slice(0, at) + wrong + text.slice(isInserted ? at : at + wrong.length);
  });
const unpadded = long.map((text) => text.replace(/=+$/u, ''));
const strings = fc
  .oneof(long, unpadded, spoiled, fc.constantFrom('', 'QR==', 'QQ', '\\ud8000', '\\uD8001', '0'))
  .map((text) => `"${text}"`);
const values = fc.oneof(
  { weight: 4, arbitrary: strings },
  { weight: 2, arbitrary: fc.json() },
  { weight: 1, arbitrary: fc.constantFrom('9007199254740993', '[]', '{}', '1e999', 'tru') },
);
const names = fc.constantFrom('$b64', 'b64', '\\u006264', 'xb64', 'a', '\\"b64', '\u00e9b64');
const blanks = fc.constantFrom('', '', ' ', '\n\t ', ' '.repeat(20));
const member = fc
  .tuple(names, blanks, blanks, values)
  .map(([name, before, behind, value]) => `"${name}"${before}:${behind}${value}`);
const object = fc.array(member, { maxLength: 4 }).map((members) => `{${members.join(',')}}`);
const documents = fc.oneof(
  object,
  fc.array(object, { maxLength: 3 }).map((items) => `[${items.join(',')}]`),
  fc.tuple(object, object).map(([a, b]) => `{"x":${a},"b64":${b}}`),
);

describe('a JSON body with long strings is read as if none had been left in it', () => {
  test('whatever they are, and wherever they stand', () => {
    fc.assert(
      fc.property(documents, (text) => expectTheSame(encode(text))),
      { numRuns: 400 },
    );
  });

  test('cut short anywhere, and with any byte in place of another', () => {
    const places = fc.array(fc.double({ min: 0, max: 1, noNaN: true }), { maxLength: 2 });
    // Bytes that mean something to JSON, to UTF-8, or to base64.
    const bytes = fc.constantFrom(
      ...Buffer.from('"\\{}[]:,b4$A= 0-_'),
      0x00,
      0x80,
      0xc3,
      0xef,
      0xff,
    );
    fc.assert(
      fc.property(documents, places, bytes, fc.boolean(), (text, at, byte, isCut) => {
        const body = encode(text);
        for (const share of at) body[Math.floor(body.length * share)] = byte;
        const [share = 1] = at;
        expectTheSame(isCut ? body.subarray(0, Math.floor(body.length * share)) : body);
      }),
      { numRuns: 400 },
    );
  });

  test('also behind a byte order mark, and inside a larger buffer', () => {
    const mark = '\ufeff';
    fc.assert(
      fc.property(long, (text) => {
        for (const body of [
          `${mark}{"b64":"${text}"}`,
          `{"b64":"${text}"${mark}}`,
          `{"b64":"${mark}${text}"}`,
        ]) {
          const larger = Buffer.concat([Buffer.from('"b64":"'), encode(body), Buffer.from('"}')]);
          expectTheSame(larger.subarray(7, larger.length - 2));
        }
      }),
      { numRuns: 20 },
    );
  });

  test('by an infer request too, whose elements are bytes or text', () => {
    const element = fc.oneof(
      strings.map((text) => `{"b64":${text}}`),
      strings,
    );
    const elements = fc.array(element, { minLength: 1, maxLength: 3 });
    fc.assert(
      fc.property(elements, fc.option(long), (data, id) => {
        const body = (name: string): Uint8Array =>
          encode(
            `{"id":${JSON.stringify(id)},"inputs":[{"name":"image","datatype":"BYTES","shape":[${data.length}],"data":[${data.join(',').replaceAll('"b64"', name)}]}]}`,
          );
        const context = { hasPriorities: false, allocate };
        const escaped = parseInferRequest(body('"\\u006264"'), digits, context);
        const given = parseInferRequest(body('"b64"'), digits, context);
        const seen = given.ok ? given : { ...given, error: { ...given.error, detail: '' } };
        expect(seen).toEqual(
          escaped.ok ? escaped : { ...escaped, error: { ...escaped.error, detail: '' } },
        );
      }),
      { numRuns: 100 },
    );
  });
});

test('base64 in a body is decoded as base64 in a string is, of any length', () => {
  fc.assert(
    fc.property(fc.oneof(long, unpadded, spoiled, fc.base64String()), fc.nat(5), (text, offset) => {
      // A body is bytes: what is no ASCII is no base64 in either form.
      const latin1 = Buffer.from(`${'='.repeat(offset)}${text}"`, 'latin1');
      const decoded = bytesOfBase64(latin1, { start: offset, end: latin1.length - 1 }, allocate);
      expect(decoded && Buffer.from(decoded)).toEqual(decodedPlainly(latin1, offset));
    }),
    { numRuns: 300 },
  );
  const large = Buffer.alloc(400_000, 'inferry').toString('base64');
  for (const text of [large, large.slice(0, -3), `${large.slice(4)}=`, large.replace('m', '\n')]) {
    const body = Buffer.from(text);
    const decoded = bytesOfBase64(body, { start: 0, end: body.length }, allocate);
    expect(decoded && Buffer.from(decoded)).toEqual(decodedPlainly(body, 0));
  }
});

function decodedPlainly(body: Buffer, offset: number): Buffer | undefined {
  const last = body.at(-1) === 0x22 ? body.length - 1 : body.length;
  const decoded = decodeBase64(body.toString('latin1', offset, last));
  return decoded && Buffer.from(decoded);
}

describe('a body', () => {
  const text = Buffer.alloc(6_000, 7).toString('base64');

  test('has its long string decoded from where it lies', () => {
    const shortened = shortenJson(
      encode(`{"input":{"image":{"$b64":"${text}"}}}`),
      () => undefined,
      allocate,
    );
    expect(shortened?.text.length).toBeLessThan(50);
    const { input } = JSON.parse(shortened?.text ?? '') as { input: { image: { $b64: string } } };
    expect(shortened?.isAllDecoded()).toBe(false);
    expect(shortened?.decode(input.image.$b64)).toEqual(new Uint8Array(6_000).fill(7));
    expect(shortened?.isAllDecoded()).toBe(true);
  });

  test.each([
    ['short strings', `{"b64":"${text.slice(0, 4_000)}","a":"${text}"}`],
    ['an escape in the string', `{"b64":"${text}\\/"}`],
    ['half of a surrogate pair, which may be a stand-in', `{"b64":"${text}","a":"\\ud8000"}`],
    ['bytes that are no UTF-8 outside', `{"b64":"${text}","a":"\u00ff"}`],
    ['no string', `{"b64":[${'1,'.repeat(5_000)}1],"a":"${text}"}`],
    ['no end', `{"b64":"${text}`],
    ['more of other JSON', `{"b64":"${text}","a":"${'x'.repeat(text.length)}"}`],
  ])('with %s is not shortened', (_, body) => {
    expect(shortenJson(Buffer.from(body, 'latin1'), () => undefined, allocate)).toBeUndefined();
  });
});
