/**
 * The `inferry` command as a child process, as operators run it: through its bin file, in a process
 * group of its own, with an environment that holds nothing of the test runner's.
 */
import { spawn } from 'node:child_process';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import type { JsonObject } from '@inferry/contracts';
import { registerLive } from './live-resources.ts';
import { repositoryPath } from './repository-path.ts';

export interface AppProcessOptions {
  /**
   * Added to PATH, HOME, TMPDIR and LANG of this process, and where this checkout is started INFERRY_DIST;
   * nothing else is inherited. gRPC is off by default.
   */
  readonly env?: Readonly<Record<string, string>>;
  /** Working directory; the root of the repository by default. */
  readonly cwd?: string;
  /** Root of the checkout whose command is started; this one by default. */
  readonly checkout?: string;
}

export interface ProcessExit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

export interface AppProcess {
  readonly pid: number;
  /** The last 20,000 lines of stdout and stderr, in order of arrival. */
  readonly lines: readonly string[];
  /** Those of `lines` that are JSON objects: the structured log. */
  logs(): readonly JsonObject[];
  /** Resolves when the process has ended and its output was read. */
  readonly exit: Promise<ProcessExit>;
  /**
   * The first line, past or future, that matches. Rejects after `timeoutMs` (20 s) or when the
   * process ends first, with the end of its output in the message.
   */
  waitForLine(match: RegExp | ((line: string) => boolean), timeoutMs?: number): Promise<string>;
  /** Sends a signal to the process alone, as an operator would. */
  kill(signal: NodeJS.Signals): void;
  /** Sends a signal to the process and every child of it, as a power cut would. */
  killTree(signal: NodeJS.Signals): void;
  /** SIGTERM, then SIGKILL to the tree when it has not ended within `timeoutMs` (35 s). */
  stop(timeoutMs?: number): Promise<ProcessExit>;
  /** SIGKILL to the tree; resolves when it is gone. */
  [Symbol.asyncDispose](): Promise<void>;
}

const linesMax = 20_000;
/** Lines of output shown when a wait fails. */
const tailLines = 40;
const inherited = ['PATH', 'HOME', 'TMPDIR', 'LANG'];
/** Whether what was built is started, or the sources: another checkout may not be built. */
const inheritedHere = [...inherited, 'INFERRY_DIST'];

/** Starts `node apps/cli/bin/inferry.js <argv>`. */
export function startProcess(argv: readonly string[], options: AppProcessOptions = {}): AppProcess {
  const checkout = options.checkout ?? repositoryPath();
  const child = spawn(process.execPath, [join(checkout, 'apps/cli/bin/inferry.js'), ...argv], {
    cwd: options.cwd ?? checkout,
    // Tests choose their other ports; who wants gRPC chooses this one too.
    env: {
      ...inheritedEnvironment(options.checkout === undefined ? inheritedHere : inherited),
      GRPC_PORT: 'off',
      ...options.env,
    },
    stdio: ['ignore', 'pipe', 'pipe'],
    detached: true,
  });
  const pid = child.pid;
  if (pid === undefined) throw new Error('node itself could not be started');
  const output = new LineLog([child.stdout, child.stderr]);
  const killTree = (signal: NodeJS.Signals): void => killGroup(pid, signal);
  const name = `inferry ${argv.join(' ')} (pid ${pid})`;
  const unregister = registerLive(name, () => killTree('SIGKILL'));
  const exit = new Promise<ProcessExit>((resolve) => {
    child.once('close', (code, signal) => {
      unregister();
      output.end(`the process ended (${code ?? signal})`);
      resolve({ code, signal });
    });
  });
  return {
    pid,
    lines: output.lines,
    logs: () => output.lines.flatMap((line) => parsedObject(line)),
    exit,
    waitForLine: (match, timeoutMs = 20_000) => output.waitFor(match, timeoutMs),
    kill: (signal) => void child.kill(signal),
    killTree,
    async stop(timeoutMs = 35_000) {
      child.kill('SIGTERM');
      const giveUp = setTimeout(() => killTree('SIGKILL'), timeoutMs);
      const ended = await exit;
      clearTimeout(giveUp);
      return ended;
    },
    async [Symbol.asyncDispose]() {
      killTree('SIGKILL');
      await exit;
    },
  };
}

/** The lines of some streams as they come, and those who wait for one. */
class LineLog {
  readonly lines: string[] = [];
  readonly #waits = new Set<{ look(line: string): void; end(why: string): void }>();
  #ended: string | undefined;

  constructor(streams: readonly Readable[]) {
    for (const input of streams) {
      createInterface({ input, crlfDelay: Number.POSITIVE_INFINITY }).on('line', (line) => {
        this.lines.push(line);
        if (this.lines.length > linesMax) this.lines.shift();
        for (const wait of this.#waits) wait.look(line);
      });
    }
  }

  /** No further line will come. */
  end(why: string): void {
    this.#ended = why;
    for (const wait of this.#waits) wait.end(why);
  }

  waitFor(match: RegExp | ((line: string) => boolean), timeoutMs: number): Promise<string> {
    const isMatch = typeof match === 'function' ? match : (line: string) => match.test(line);
    return new Promise((resolve, reject) => {
      const past = this.lines.find((line) => isMatch(line));
      if (past !== undefined) return resolve(past);
      const finish = (): void => {
        clearTimeout(timer);
        this.#waits.delete(wait);
      };
      const wait = {
        look: (line: string): void => {
          if (!isMatch(line)) return;
          finish();
          resolve(line);
        },
        end: (why: string): void => {
          finish();
          const wanted = typeof match === 'function' ? 'the line waited for' : String(match);
          const tail = this.lines.slice(-tailLines).join('\n');
          reject(new Error(`${why} before it printed ${wanted}; its output:\n${tail}`));
        },
      };
      const timer = setTimeout(() => wait.end(`${timeoutMs} ms passed`), timeoutMs);
      if (this.#ended === undefined) this.#waits.add(wait);
      else wait.end(this.#ended);
    });
  }
}

function inheritedEnvironment(names: readonly string[]): Record<string, string> {
  const env: Record<string, string> = {};
  for (const name of names) {
    const value = process.env[name];
    if (value !== undefined) env[name] = value;
  }
  return env;
}

function killGroup(pid: number, signal: NodeJS.Signals): void {
  try {
    process.kill(-pid, signal);
  } catch (cause) {
    // ESRCH: the whole group has ended already.
    if ((cause as NodeJS.ErrnoException).code !== 'ESRCH') throw cause;
  }
}

function parsedObject(line: string): JsonObject[] {
  if (!line.startsWith('{')) return [];
  try {
    return [JSON.parse(line) as JsonObject];
  } catch {
    return [];
  }
}
