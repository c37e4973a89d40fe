/** Replies, however the network cuts them. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { type BlobReply, BlobReplies } from './blob-replies.ts';

type Value = Uint8Array | null;

function bulk(value: Value): Buffer {
  if (value === null) return Buffer.from('$-1\r\n');
  return Buffer.concat([Buffer.from(`$${value.length}\r\n`), value, Buffer.from('\r\n')]);
}

/** What Redis would send for a reply. */
function encoded(reply: BlobReply): Buffer {
  if (typeof reply === 'string') return Buffer.from(`+${reply}\r\n`);
  if (reply instanceof Error) return Buffer.from(`-${reply.message}\r\n`);
  if (reply === null || reply instanceof Uint8Array) return bulk(reply);
  return Buffer.concat([Buffer.from(`*${reply.length}\r\n`), ...reply.map(bulk)]);
}

function readerInto(replies: BlobReply[]): BlobReplies {
  return new BlobReplies(
    (reply) => replies.push(reply),
    (bytes) => new Uint8Array(bytes),
  );
}

const values = fc.option(fc.uint8Array({ maxLength: 60 }));
const replies = fc.oneof(
  fc.constantFrom('OK', 'PONG', ''),
  values,
  fc.array(values, { maxLength: 4 }),
);

describe('replies of Redis', () => {
  test('are the same however they are cut into chunks', () => {
    const cuts = fc.array(fc.integer({ min: 1, max: 9 }), { minLength: 1 });
    fc.assert(
      fc.property(fc.array(replies, { maxLength: 6 }), cuts, (sent, sizes) => {
        const wire = Buffer.concat(sent.map(encoded));
        const received: BlobReply[] = [];
        const reader = readerInto(received);
        for (let at = 0, i = 0; at < wire.length; i += 1) {
          const size = sizes[i % sizes.length] ?? 1;
          // The chunk is overwritten afterwards, as the memory of a socket is.
          const chunk = Buffer.from(wire.subarray(at, at + size));
          reader.push(chunk);
          chunk.fill(0);
          at += size;
        }
        expect(received).toEqual(sent);
      }),
    );
  });

  test('an error is a reply like others, and says what Redis said', () => {
    const received: BlobReply[] = [];
    readerInto(received).push(Buffer.from('-OOM command not allowed\r\n+OK\r\n'));
    expect(received).toMatchObject([{ message: 'OOM command not allowed' }, 'OK']);
    expect(received[0]).toBeInstanceOf(Error);
  });

  test('what is no reply is not taken for one', () => {
    expect(() => readerInto([]).push(Buffer.from('HTTP/1.1 400 Bad Request\r\n'))).toThrow(
      'no reply',
    );
    expect(() => readerInto([]).push(Buffer.alloc(100_000, 'x'))).toThrow('does not end');
  });
});
