/**
 * A real redis-server for a test, on a free loopback port, with a directory of its own. A missing
 * binary is an error that says how to install it: tests on Redis are never skipped.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { freePort } from './free-port.ts';
import { registerLive } from './live-resources.ts';
import { waitFor } from './wait-for.ts';

export interface RedisServerOptions {
  /** `no` keeps everything in memory (as without this option); the others name `appendfsync`. */
  readonly appendonly?: 'no' | 'everysec' | 'always';
  /** Where the data lies; a given directory is kept, otherwise a temporary one is made and removed. */
  readonly directory?: string;
  /** A fixed port; otherwise a free one is chosen. */
  readonly port?: number;
  /** A configuration file to boot with; only the options given here win over it. */
  readonly configFile?: string;
  /** Further arguments, e.g. `['--maxmemory', '4mb']`. */
  readonly extraArguments?: readonly string[];
  /** The user in {@link RedisServer.url}, where the server has users; it may run PING and INFO. */
  readonly login?: RedisLogin;
}

export interface RedisLogin {
  readonly username: string;
  /** Of letters, digits, - and _. */
  readonly password: string;
}

export interface RedisServer {
  readonly url: string;
  readonly port: number;
  readonly directory: string;
  /** Process id of the running server; throws when it is stopped. */
  readonly pid: number;
  /** Ends the server (SIGTERM unless said otherwise) and waits for its exit. Its data stay. */
  stop(signal?: NodeJS.Signals): Promise<void>;
  /** Starts a stopped server again, on the same port and data, and waits until it answers. */
  start(): Promise<void>;
  /** `stop`, then `start`. What was never written to a file is gone. */
  restart(signal?: NodeJS.Signals): Promise<void>;
  /** Stops the server and removes a directory that was made for it. */
  [Symbol.asyncDispose](): Promise<void>;
}

/** How often another port is tried when somebody took the free one first. */
const portAttemptsMax = 5;
const outputLinesMax = 200;

/** Starts a server and resolves once it answers PING. Dispose of it, or `stop` it, when done. */
export async function startRedisServer(options: RedisServerOptions = {}): Promise<RedisServer> {
  const ownsDirectory = options.directory === undefined;
  const directory = options.directory ?? mkdtempSync(join(tmpdir(), 'inferry-redis-'));
  for (let attempt = 1; ; attempt += 1) {
    const server = new OwnedRedisServer(
      options,
      directory,
      options.port ?? (await freePort()),
      ownsDirectory,
    );
    try {
      await server.start();
      return server;
    } catch (cause) {
      const canRetry = cause instanceof PortTakenError && options.port === undefined;
      if (canRetry && attempt < portAttemptsMax) continue;
      if (ownsDirectory) rmSync(directory, { recursive: true, force: true });
      throw cause;
    }
  }
}

class PortTakenError extends Error {
  override readonly name = 'PortTakenError';
}

class OwnedRedisServer implements RedisServer {
  readonly port: number;
  readonly directory: string;
  readonly #options: RedisServerOptions;
  readonly #ownsDirectory: boolean;
  #running: { readonly child: ChildProcess; readonly exited: Promise<void> } | undefined;

  constructor(
    options: RedisServerOptions,
    directory: string,
    port: number,
    ownsDirectory: boolean,
  ) {
    this.#options = options;
    this.directory = directory;
    this.port = port;
    this.#ownsDirectory = ownsDirectory;
  }

  get url(): string {
    const { login } = this.#options;
    const user = login === undefined ? '' : `${login.username}:${login.password}@`;
    return `redis://${user}127.0.0.1:${this.port}`;
  }

  get pid(): number {
    const pid = this.#running?.child.pid;
    if (pid === undefined) throw new Error('the redis-server of this test is stopped');
    return pid;
  }

  async start(): Promise<void> {
    if (this.#running !== undefined) throw new Error('this redis-server runs already');
    const output: string[] = [];
    const child = spawn('redis-server', this.#arguments(), { stdio: ['ignore', 'pipe', 'pipe'] });
    const keep = (chunk: Buffer): void => {
      output.push(...chunk.toString().split('\n'));
      output.splice(0, output.length - outputLinesMax);
    };
    child.stdout.on('data', keep);
    child.stderr.on('data', keep);
    const unregister = registerLive(`redis-server on port ${this.port}`, () => {
      child.kill('SIGKILL');
      this.#removeOwnDirectory();
    });
    let startError: Error | undefined;
    let hasExited = false;
    const exited = new Promise<void>((resolve) => {
      child.once('error', (cause: NodeJS.ErrnoException) => {
        startError = cause.code === 'ENOENT' ? missingBinary() : cause;
      });
      child.once('close', () => {
        hasExited = true;
        unregister();
        if (this.#running?.child === child) this.#running = undefined;
        resolve();
      });
    });
    this.#running = { child, exited };
    const answers = (): Promise<boolean> => answersPing(this.port, child.pid, this.#options.login);
    const what = `redis-server on port ${this.port} answering PING`;
    try {
      await waitFor(async () => hasExited || (await answers()), { timeoutMs: 15_000, what });
    } catch (cause) {
      // Such as one that does not let its user in: nobody else would end it.
      await this.stop('SIGKILL');
      throw cause;
    }
    if (!hasExited) return;
    if (startError !== undefined) throw startError;
    const text = output.join('\n').trim();
    if (text.includes('Address already in use')) throw new PortTakenError(text);
    throw new Error(`redis-server did not start:\n${text}`);
  }

  async stop(signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
    if (this.#running === undefined) return;
    const { child, exited } = this.#running;
    child.kill(signal);
    // A stopped (SIGSTOP) server hears no SIGTERM; a test must end anyway.
    const giveUp = setTimeout(() => child.kill('SIGKILL'), 10_000);
    await exited;
    clearTimeout(giveUp);
  }

  async restart(signal: NodeJS.Signals = 'SIGTERM'): Promise<void> {
    await this.stop(signal);
    await this.start();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.stop('SIGKILL');
    this.#removeOwnDirectory();
  }

  #arguments(): string[] {
    const { appendonly, configFile, extraArguments = [] } = this.#options;
    const settings: Record<string, string> = {
      bind: '127.0.0.1',
      port: String(this.port),
      dir: this.directory,
    };
    if (configFile === undefined) {
      settings['save'] = '';
      settings['maxmemory-policy'] = 'noeviction';
    }
    if (appendonly !== undefined) {
      settings['appendonly'] = appendonly === 'no' ? 'no' : 'yes';
      settings['appendfsync'] = appendonly === 'always' ? 'always' : 'everysec';
    }
    return [
      ...(configFile === undefined ? [] : [configFile]),
      ...Object.entries(settings).flatMap(([name, value]) => [`--${name}`, value]),
      ...extraArguments,
    ];
  }

  #removeOwnDirectory(): void {
    if (this.#ownsDirectory) rmSync(this.directory, { recursive: true, force: true });
  }
}

function missingBinary(): Error {
  return new Error(
    'redis-server is not installed, and these tests need it: run "node scripts/ensure-redis.mjs", ' +
      'or install Redis 6.2 or newer (Debian, Ubuntu: apt-get install redis-server; macOS: brew install redis)',
  );
}

/**
 * PING and INFO over a plain socket. True when the process `pid` itself answers: another server may
 * hold the port. False while nobody listens or the data are still being loaded.
 */
function answersPing(
  port: number,
  pid: number | undefined,
  login: RedisLogin | undefined,
): Promise<boolean> {
  const commands = login === undefined ? [] : [`AUTH ${login.username} ${login.password}`];
  commands.push('PING', 'INFO server', '');
  const expected = login === undefined ? '+PONG' : '+OK\r\n+PONG';
  return new Promise((resolve) => {
    const socket = connect({ port, host: '127.0.0.1' });
    let reply = '';
    const finish = (isUp: boolean): void => {
      socket.destroy();
      resolve(isUp);
    };
    socket.setTimeout(1_000, () => finish(false));
    socket.once('error', () => finish(false));
    socket.once('close', () => finish(false));
    socket.once('connect', () => socket.write(commands.join('\r\n')));
    socket.on('data', (chunk: Buffer) => {
      reply += chunk.toString();
      if (!reply.startsWith(expected.slice(0, reply.length))) return finish(false);
      const answering = /process_id:(\d+)\r\n/u.exec(reply)?.[1];
      if (answering !== undefined) finish(Number(answering) === pid);
    });
  });
}
