import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { readMultipart } from './multipart.ts';

const type = 'multipart/form-data; boundary=XX';
const head = (name: string, more = ''): string =>
  `--XX\r\nContent-Disposition: form-data; name="${name}"${more}\r\n\r\n`;
const read = (text: string, contentType = type) =>
  readMultipart(contentType, Buffer.from(text, 'latin1'));

describe('a multipart body', () => {
  test('keeps the bytes of every part, with a file name and without', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.uniqueArray(fc.string({ minLength: 1, maxLength: 20 }), { minLength: 1, maxLength: 5 }),
        fc.uint8Array({ maxLength: 100 }),
        async (names, bytes) => {
          const form = new FormData();
          for (const [i, name] of names.entries()) {
            if (i % 2 === 0) form.append(name, new Blob([bytes]));
            else form.append(name, 'text');
          }
          const request = new Request('http://x', { method: 'POST', body: form });
          const contentType = request.headers.get('content-type') ?? '';
          const result = readMultipart(contentType, new Uint8Array(await request.arrayBuffer()));
          // A line break in a name stays as FormData writes it.
          const sent = names.map((name) => name.replaceAll(/\r\n?|\n/gu, '%0D%0A'));
          expect(result.ok && [...result.value.keys()]).toEqual(sent);
          const first = result.ok ? result.value.get(sent[0] ?? '') : undefined;
          expect(Buffer.from(first ?? []).equals(Buffer.from(bytes))).toBe(true);
        },
      ),
    );
    const plain = read(`${head('image')}\u0089PNG\r\n\u00ff\r\n--XX--\r\n`);
    expect(plain.ok && plain.value.get('image')).toEqual(
      Buffer.from('\u0089PNG\r\n\u00ff', 'latin1'),
    );
  });

  test('may have empty parts, other headers, and text around it', () => {
    const text = `before\r\n${head('a', '; filename="b; c"')}\r\n--XX \r\nX: y\r\ncontent-disposition: form-data; name=b\r\n\r\n1\r\n--XX--after`;
    const result = read(text, 'Multipart/Form-Data; charset=utf-8; boundary="XX"');
    expect(result.ok && [...result.value].map(([name, { length }]) => [name, length])).toEqual([
      ['a', 0],
      ['b', 1],
    ]);
  });

  test('keeps the bytes of a part whose file name is not UTF-8', () => {
    const result = read(`${head('image', '; filename="\u00e9\u00fc.png"')}12345\r\n--XX--`);
    expect(result.ok && result.value.get('image')?.toString()).toBe('12345');
  });

  test.each([
    ['no boundary', '', 'multipart/form-data', 'boundary'],
    ['an empty body', '', type, 'end'],
    ['no parts', '--XX--\r\n', type, 'no parts'],
    ['another boundary', `${head('a')}1\r\n--XX--`, 'multipart/form-data; boundary=YY', 'end'],
    ['no end', `${head('a')}1`, type, 'end'],
    ['no name', '--XX\r\nContent-Disposition: form-data\r\n\r\n1\r\n--XX--', type, 'no name'],
    ['no headers', '--XX\r\n\r\n1\r\n--XX--', type, 'no name'],
    ['a longer boundary', `--XXY\r\n${head('a').slice(6)}1\r\n--XX--`, type, 'no name'],
    ['two parts of one name', `${head('a')}1\r\n${head('a')}2\r\n--XX--`, type, 'twice'],
    ['large headers', `${head('a'.repeat(5_000))}1\r\n--XX--`, type, 'larger than 4096 bytes'],
    [
      'large headers of few characters',
      `${head('\u00c3\u00a9'.repeat(2_500))}1\r\n--XX--`,
      type,
      'larger than 4096 bytes',
    ],
    [
      'base64',
      `${head('a', '\r\nContent-Transfer-Encoding: base64')}MQ==\r\n--XX--`,
      type,
      'Encoding',
    ],
    [
      'many parts',
      `${Array.from({ length: 65 }, (_, i) => `${head(`${i}`)}1\r\n`).join('')}--XX--`,
      type,
      '64 parts',
    ],
  ])('with %s is refused', (_, text, contentType, reason) => {
    const result = read(text, contentType);
    expect(result).toMatchObject({ ok: false, error: { code: 'malformed_multipart' } });
    expect(!result.ok && result.error.detail).toContain(reason);
  });

  test('is never an exception', () => {
    const pieces = fc.constantFrom(
      '--XX',
      '--',
      '\r\n',
      'Content-Disposition: form-data; name="a"',
      'x',
    );
    fc.assert(
      fc.property(fc.array(pieces, { maxLength: 30 }), (parts) => void read(parts.join(''))),
    );
  });
});
