/**
 * The connection for payloads and outcomes, which are large: values go to the socket and come from it
 * without being copied in between, which a general client does several times (200 us of CPU for a value of
 * 230 KB against 40). Fails at once while Redis is away, and connects again by itself.
 */
import { connect as connectTcp, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { type Emitter, invariant, systemClock } from '@inferry/runtime';
import type { Payload, QueueEvents } from '../port.ts';
import { type BlobReply, BlobReplies } from './blob-replies.ts';
import { type ConnectionOptions, retryMs } from './connection.ts';
import { type RedisAddress, redisAddress } from './redis-address.ts';

/** A server that says nothing for so long while it owes a reply is away. */
const silentMsMax = 10_000;
const chunkBytes = 256 * 1024;
/** Memory of values at least so large is used again, rounded up: so many buffers of at most so many bytes. */
const largeBytes = 32 * 1024;
const roundBytes = 64 * 1024;
const keptMax = 32;
const keptBytesMax = 4 * 1024 * 1024;

interface Waiting {
  readonly resolve: (reply: BlobReply) => void;
  readonly reject: (cause: Error) => void;
}

/** Bytes may come in pieces that follow each other. */
type Argument = string | Payload;

export class BlobConnection {
  readonly #address: RedisAddress;
  readonly #events: Emitter<QueueEvents>;
  readonly #kept: ArrayBuffer[] = [];
  #socket: Socket | null = null;
  /** Resolves when the connection stands; rejects when this attempt fails. */
  #attempt: Promise<void> = Promise.resolve();
  #waiting: Waiting[] = [];
  #failures = 0;
  #isClosed = false;
  #cancelRetry = (): void => undefined;

  constructor({ url }: ConnectionOptions, events: Emitter<QueueEvents>) {
    this.#address = redisAddress(url);
    this.#events = events;
    this.#connect();
  }

  /** Values in the order of the keys, null where there is none. Throws what {@link causeOf} reads. */
  async get(keys: readonly string[]): Promise<readonly (Uint8Array | null)[]> {
    if (keys.length === 0) return [];
    const reply = await this.#command(['MGET', ...keys]);
    invariant(Array.isArray(reply), 'MGET answers with an array');
    return reply;
  }

  /** The value must not change before this resolves. It is kept for `lifeMs`. */
  async set(key: string, value: Payload, lifeMs: number): Promise<void> {
    await this.#command(['SET', key, value, 'PX', String(lifeMs)]);
  }

  async unlink(key: string): Promise<void> {
    await this.#command(['UNLINK', key]);
  }

  async ping(): Promise<void> {
    await this.#command(['PING']);
  }

  /** Values of {@link get} that are not read any more: their memory holds other values from now on. */
  recycle(values: readonly Uint8Array[]): void {
    for (const { buffer } of values) {
      const { byteLength } = buffer;
      const isLarge = byteLength >= roundBytes && byteLength % roundBytes === 0;
      const hasRoom = this.#kept.length < keptMax && byteLength <= keptBytesMax;
      if (isLarge && hasRoom && buffer instanceof ArrayBuffer && !this.#kept.includes(buffer)) {
        this.#kept.push(buffer);
      }
    }
  }

  close(): void {
    this.#isClosed = true;
    this.#cancelRetry();
    this.#socket?.destroy();
  }

  async #command(words: readonly Argument[]): Promise<BlobReply> {
    await this.#attempt;
    const socket = this.#socket;
    if (socket === null) throw new Error('Redis is away');
    return send(socket, this.#waiting, words);
  }

  #connect(): void {
    const { at } = this.#address;
    const onread = this.#reading((cause) => socket.destroy(cause));
    const isTls = 'isTls' in at && at.isTls;
    const options = { ...at, onread, noDelay: true };
    const socket: Socket = isTls
      ? connectTls({ ...options, servername: at.host })
      : connectTcp(options);
    let lost: Error | undefined;
    socket.setTimeout(silentMsMax, () => {
      if (this.#waiting.length > 0) socket.destroy(new Error('Redis does not answer'));
    });
    socket.on('error', (cause) => (lost = cause));
    socket.once('close', () =>
      this.#lost(socket, lost ?? new Error('Redis closed the connection')),
    );
    this.#attempt = new Promise((resolve, reject) => {
      socket.once(isTls ? 'secureConnect' : 'connect', () => {
        void this.#greet(socket, resolve);
      });
      socket.once('close', () => reject(lost ?? new Error('Redis is away')));
    });
    // Whoever sends a command hears of it.
    this.#attempt.catch(() => undefined);
  }

  /** Replies are read out of one buffer, into which the socket writes again and again. */
  #reading(onGarbage: (cause: Error) => void) {
    const buffer = Buffer.allocUnsafeSlow(chunkBytes);
    const replies = new BlobReplies(
      (reply) => {
        const waiting = this.#waiting.shift();
        if (reply instanceof Error) waiting?.reject(reply);
        else waiting?.resolve(reply);
      },
      (bytes) => this.#take(bytes),
    );
    const callback = (bytes: number): boolean => {
      try {
        replies.push(buffer.subarray(0, bytes));
      } catch (cause) {
        onGarbage(cause as Error);
      }
      return true;
    };
    return { buffer, callback };
  }

  /** Credentials and database, as the URL has them; the connection stands then. */
  async #greet(socket: Socket, onDone: () => void): Promise<void> {
    const { database, password, username } = this.#address;
    const user = username === '' ? [] : [username];
    const greeting = [
      ...(password === '' ? [] : [['AUTH', ...user, password]]),
      ...(database === 0 ? [] : [['SELECT', String(database)]]),
    ];
    try {
      for (const words of greeting) await send(socket, this.#waiting, words);
    } catch (cause) {
      socket.destroy(cause as Error);
      return;
    }
    this.#socket = socket;
    this.#failures = 0;
    this.#events.emit('connected', { client: 'payloads' });
    onDone();
  }

  #lost(socket: Socket, cause: Error): void {
    if (this.#socket === socket) {
      this.#socket = null;
      this.#events.emit('disconnected', { client: 'payloads' });
    }
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const { reject } of waiting) reject(cause);
    if (this.#isClosed) return;
    this.#failures += 1;
    this.#attempt = Promise.reject(cause);
    this.#attempt.catch(() => undefined);
    this.#cancelRetry = systemClock.after(retryMs(this.#failures), () => this.#connect());
  }

  #take(bytes: number): Uint8Array {
    if (bytes < largeBytes) return new Uint8Array(bytes);
    const fits = this.#kept.findIndex((buffer) => buffer.byteLength >= bytes);
    const [kept] = fits === -1 ? [] : this.#kept.splice(fits, 1);
    const buffer = kept ?? new ArrayBuffer(Math.ceil(bytes / roundBytes) * roundBytes);
    return new Uint8Array(buffer, 0, bytes);
  }
}

/** Large arguments are handed to the socket as they are. */
function send(socket: Socket, waiting: Waiting[], words: readonly Argument[]): Promise<BlobReply> {
  return new Promise((resolve, reject) => {
    waiting.push({ resolve, reject });
    socket.cork();
    let head = `*${words.length}\r\n`;
    for (const word of words) {
      if (typeof word === 'string') {
        head += `$${Buffer.byteLength(word)}\r\n${word}\r\n`;
        continue;
      }
      const pieces = word instanceof Uint8Array ? [word] : word;
      const size = pieces.reduce((sum, piece) => sum + piece.length, 0);
      socket.write(`${head}$${size}\r\n`);
      for (const piece of pieces) socket.write(piece);
      head = '\r\n';
    }
    socket.write(head);
    socket.uncork();
  });
}
