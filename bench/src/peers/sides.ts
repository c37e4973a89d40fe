/** What takes part in a comparison: Inferry as it runs in production, and peers as their folder starts them. Each can be started, asked and ended. */
import { spawn } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { join } from 'node:path';
import { sleep, systemClock } from '@inferry/runtime';
import { parseExposition } from '@inferry/telemetry';
import { registerLive, waitFor } from '@inferry/testkit';
import { serve } from '../served.ts';
import type { Target } from './apache-bench.ts';
import type { Peer } from './catalogue.ts';
import type { Payloads } from './payloads.ts';
import { processTree, type Stat } from './process-tree.ts';

export interface Side {
  readonly name: string;
  readonly start: () => Promise<Running>;
}

export interface Running {
  readonly target: Target;
  /** From the first process's start to the first right answer. */
  readonly startMs: number;
  readonly tree: () => readonly Stat[];
  /** What a process is, for people, where that is known. */
  readonly roles: ReadonlyMap<number, string>;
  /** Posts the payload once; throws unless a label comes back. */
  readonly check: () => Promise<void>;
  /** Answers with a 2xx status so far that hold no result: a job that failed, or had not ended in time. */
  readonly withoutResult: () => Promise<number>;
  readonly close: () => Promise<void>;
}

const startMaxMs = 60_000;
const answerMaxMs = 30_000;
/** Between SIGTERM and SIGKILL. */
const graceMs = 8_000;
const goneMaxMs = 5_000;

/** Redis, one gateway and some workers, on a model of the name `weather`. */
export function inferrySide(
  folder: string,
  {
    payloads,
    labels,
    workers,
    checkout,
  }: {
    readonly payloads: Payloads;
    readonly labels: readonly string[];
    readonly workers: number;
    readonly checkout: string | undefined;
  },
): Side {
  const start = async (): Promise<Running> => {
    const startedMs = performance.now();
    // The command of package.json builds and sets it: what was compiled is measured, as images run it.
    const env = { INFERRY_DIST: process.env['INFERRY_DIST'] ?? '0' };
    const served = await serve({ name: 'weather', folder }, { workers, checkout, env });
    const target = {
      url: `${served.url}/v1/models/weather/jobs`,
      headers: { Prefer: 'wait=30' },
      bodyFile: payloads.inferry,
    };
    const check = async (): Promise<void> => {
      const answer = await labelled(target, labels);
      if (!answer.includes('"succeeded"')) throw new Error(`the job did not succeed: ${answer}`);
    };
    try {
      await check();
    } catch (cause) {
      await served.close();
      throw cause;
    }
    return {
      target,
      startMs: performance.now() - startedMs,
      tree: () => processTree(served.roots),
      roles: new Map([
        [served.pids.gateway, 'gateway'],
        [served.pids.redis, 'redis'],
        ...served.workerPids.map((pid, i): [number, string] => [pid, `worker ${i + 1}`]),
      ]),
      check,
      withoutResult: () => withoutResult(served.metricsUrls),
      close: served.close,
    };
  };
  return { name: 'inferry', start };
}

/** ab sees statuses alone: 202 is a job that had not ended, and 200 tells a failed job too. */
async function withoutResult(metricsUrls: readonly string[]): Promise<number> {
  let count = 0;
  for (const url of metricsUrls) {
    const response = await fetch(url, { signal: AbortSignal.timeout(answerMaxMs) });
    for (const [series, value] of parseExposition(await response.text())) {
      const isLate =
        series.startsWith('inferry_http_request_duration_seconds_count{') &&
        series.includes('method="POST"') &&
        series.includes('code="202"');
      const isFailed =
        series.startsWith('inferry_requests_total{') &&
        !/outcome="(?:succeeded|rejected)"/u.test(series);
      if (isLate || isFailed) count += value;
    }
  }
  return count;
}

export function peerSide(
  peer: Peer,
  {
    payloads,
    labels,
    logs,
  }: {
    readonly payloads: Payloads;
    readonly labels: readonly string[];
    /** Directory for what peers print. */
    readonly logs: string;
  },
): Side {
  const target = { url: peer.url, headers: {}, bodyFile: payloads[peer.payload] };
  const start = async (): Promise<Running> => {
    if (await answers(peer.port)) {
      throw new Error(`port ${peer.port}, which ${peer.name} needs, is taken`);
    }
    const startedMs = performance.now();
    const { pid, exited, close, words } = spawnPeer(peer, join(logs, `${peer.name}.log`));
    const check = async (): Promise<void> => void (await labelled(target, labels));
    try {
      await firstAnswer(check, exited);
    } catch (cause) {
      await close();
      throw new Error(`${peer.name} did not start: ${String(cause)}\n${await words()}`, { cause });
    }
    return {
      target,
      startMs: performance.now() - startedMs,
      tree: () => processTree([pid]),
      roles: new Map(),
      check,
      withoutResult: () => Promise.resolve(0),
      close,
    };
  };
  return { name: peer.name, start };
}

interface PeerProcess {
  readonly pid: number;
  /** Resolves with the reason when the first process ends. */
  readonly exited: Promise<string>;
  readonly close: () => Promise<void>;
  /** The end of what it printed. */
  readonly words: () => Promise<string>;
}

function spawnPeer(peer: Peer, log: string): PeerProcess {
  const [program, ...args] = peer.command;
  const output = openSync(log, 'w');
  const child = spawn(program, args, {
    cwd: peer.cwd,
    env: { ...process.env, ...peer.env },
    stdio: ['ignore', output, output],
    // A session of its own: whatever it starts is found by it, also when it has left its parent.
    detached: true,
  });
  closeSync(output);
  const exited = new Promise<string>((resolve) => {
    child.once('error', (cause) => resolve(cause.message));
    child.once('exit', (code, signal) => resolve(`it ended with ${code ?? signal}`));
  });
  const { pid } = child;
  if (pid === undefined) throw new Error(`${program} could not be started`);
  const signalAll = (tree: readonly Stat[], signal: NodeJS.Signals): void => {
    for (const { id } of tree) signalOne(id, signal);
  };
  const unregister = registerLive(peer.name, () => signalAll(processTree([pid]), 'SIGKILL'));
  return {
    pid,
    exited,
    words: async () => (await readFile(log, 'utf8')).split('\n').slice(-20).join('\n'),
    close: async () => {
      // Whom the first process leaves behind is still known by the list made before.
      const tree = processTree([pid]);
      const isGone = (): boolean => !tree.some(({ id }) => signalOne(id, 0));
      signalAll(tree, 'SIGTERM');
      await waitFor(isGone, { timeoutMs: graceMs }).catch(() => signalAll(tree, 'SIGKILL'));
      await waitFor(isGone, { timeoutMs: goneMaxMs, what: `the end of ${peer.name}` });
      unregister();
    },
  };
}

/** False when there is no such process. */
function signalOne(pid: number, signal: NodeJS.Signals | 0): boolean {
  try {
    return process.kill(pid, signal);
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === 'ESRCH') return false;
    throw cause;
  }
}

/** Asks until the answer is right, every few milliseconds: the time it takes is a figure of the table. */
async function firstAnswer(check: () => Promise<void>, exited: Promise<string>): Promise<void> {
  let ended: string | undefined;
  void exited.then((why) => (ended = why));
  const untilMs = performance.now() + startMaxMs;
  for (;;) {
    try {
      return await check();
    } catch (cause) {
      if (ended !== undefined) throw new Error(ended, { cause });
      if (performance.now() > untilMs) {
        throw new Error(`no right answer within ${startMaxMs / 1_000} s`, { cause });
      }
    }
    await sleep(systemClock, 10);
  }
}

/** Sends the payload; the answer, which holds one of the labels. */
async function labelled(
  { url, headers, bodyFile }: Target,
  labels: readonly string[],
): Promise<string> {
  const response = await fetch(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json', ...headers },
    body: await readFile(bodyFile),
    signal: AbortSignal.timeout(answerMaxMs),
  });
  const answer = await response.text();
  const words = new Set(answer.match(/[a-z]+/gu));
  if (response.status === 200 && labels.some((label) => words.has(label))) return answer;
  throw new Error(`answered ${response.status}, without a label: ${answer.slice(0, 500)}`);
}

function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ port, host: '127.0.0.1' });
    socket.once('connect', () => {
      socket.destroy();
      resolve(true);
    });
    socket.once('error', () => resolve(false));
  });
}
