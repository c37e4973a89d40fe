/**
 * The connection for payloads and outcomes, which are large: values go to the socket and come from it
 * without being copied in between, which a general client does several times (200 us of CPU for a value of
 * 230 KB against 40). Fails at once while Redis is away, and connects again by itself.
 */
import { connect as connectTcp, isIP, type Socket } from 'node:net';
import { connect as connectTls } from 'node:tls';
import { type Clock, type Emitter, every, invariant, systemClock } from '@inferry/runtime';
import type { Payload, QueueEvents } from '../port.ts';
import { type BlobReply, BlobReplies } from './blob-replies.ts';
import { type ConnectionOptions, retryMs } from './connection.ts';
import { type RedisAddress, redisAddress } from './redis-address.ts';

/** How often it is looked at whether Redis still answers. */
const lookMs = 1_000;
/** A connection that does not stand after so many looks is given up, and made anew. */
const connectLooksMax = 2;
/** A server that has said nothing between so many looks while it owes a reply is away. */
const silentLooksMax = 10;
/** A connection that is not used is tried by the system after so long: routers forget those that are silent. */
const keepAliveMs = 60_000;
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
  readonly #clock: Clock;
  readonly #kept: ArrayBuffer[] = [];
  /** Being connected, or standing; null between two attempts. */
  #socket: Socket | null = null;
  #isStanding = false;
  /** Pending during the first attempt only: whoever comes later is told at once whether the connection stands. */
  #standing: Promise<void>;
  #waiting: Waiting[] = [];
  /** Since the last sign of life. Looks and no clock: while this process was held up, nobody was silent. */
  #quietLooks = 0;
  #failures = 0;
  #isClosed = false;
  #cancelRetry = (): void => undefined;

  constructor(
    { url }: ConnectionOptions,
    events: Emitter<QueueEvents>,
    clock: Clock = systemClock,
  ) {
    this.#address = redisAddress(url);
    this.#events = events;
    this.#clock = clock;
    this.#standing = this.#connect();
    // Whoever sends a command hears of it.
    this.#standing.catch(() => undefined);
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

  /** Also while it is being connected. */
  close(): void {
    this.#isClosed = true;
    this.#cancelRetry();
    this.#socket?.destroy();
  }

  async #command(words: readonly Argument[]): Promise<BlobReply> {
    await this.#standing;
    if (this.#socket === null || !this.#isStanding) throw new Error('Redis is away');
    return this.#send(this.#socket, words);
  }

  /** Resolves when the connection stands; rejects when this attempt fails. The next one is due then. */
  #connect(): Promise<void> {
    const { at } = this.#address;
    const onread = this.#reading((cause) => socket.destroy(cause));
    const isTls = 'isTls' in at && at.isTls;
    const alive = { noDelay: true, keepAlive: true, keepAliveInitialDelay: keepAliveMs };
    const options = { ...at, ...alive, onread };
    const socket: Socket = isTls
      ? connectTls({ ...options, ...(isIP(at.host) === 0 ? { servername: at.host } : {}) })
      : connectTcp(options);
    this.#socket = socket;
    this.#quietLooks = 0;
    const stopLooking = every(this.#clock, lookMs, () => {
      this.#quietLooks += 1;
      const looksMax = this.#isStanding ? silentLooksMax : connectLooksMax;
      const isOwed = !this.#isStanding || this.#waiting.length > 0;
      if (isOwed && this.#quietLooks >= looksMax) {
        socket.destroy(new Error('Redis does not answer'));
      }
    });
    let lost = new Error('Redis closed the connection');
    socket.on('error', (cause) => (lost = cause));
    return new Promise((resolve, reject) => {
      socket.once(isTls ? 'secureConnect' : 'connect', () => void this.#greet(socket, resolve));
      socket.once('close', () => {
        stopLooking();
        this.#lost(lost);
        reject(lost);
      });
    });
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
      this.#quietLooks = 0;
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
      for (const words of greeting) await this.#send(socket, words);
    } catch (cause) {
      socket.destroy(cause as Error);
      return;
    }
    this.#isStanding = true;
    this.#failures = 0;
    this.#standing = Promise.resolve();
    this.#events.emit('connected', { client: 'payloads' });
    onDone();
  }

  #lost(cause: Error): void {
    const wasStanding = this.#isStanding;
    this.#socket = null;
    this.#isStanding = false;
    this.#standing = Promise.reject(cause);
    this.#standing.catch(() => undefined);
    if (wasStanding) this.#events.emit('disconnected', { client: 'payloads' });
    const waiting = this.#waiting;
    this.#waiting = [];
    for (const { reject } of waiting) reject(cause);
    if (this.#isClosed) return;
    this.#failures += 1;
    this.#cancelRetry = this.#clock.after(retryMs(this.#failures), () => {
      this.#connect().catch(() => undefined);
    });
  }

  #take(bytes: number): Uint8Array {
    if (bytes < largeBytes) return new Uint8Array(bytes);
    const fits = this.#kept.findIndex((buffer) => buffer.byteLength >= bytes);
    const [kept] = fits === -1 ? [] : this.#kept.splice(fits, 1);
    const buffer = kept ?? new ArrayBuffer(Math.ceil(bytes / roundBytes) * roundBytes);
    return new Uint8Array(buffer, 0, bytes);
  }

  #send(socket: Socket, words: readonly Argument[]): Promise<BlobReply> {
    // Later commands are no sign of life: writing says nothing of who reads.
    if (this.#waiting.length === 0) this.#quietLooks = 0;
    return new Promise((resolve, reject) => {
      this.#waiting.push({ resolve, reject });
      write(socket, words);
    });
  }
}

/** Large arguments are handed to the socket as they are. */
function write(socket: Socket, words: readonly Argument[]): void {
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
}
