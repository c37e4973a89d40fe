/**
 * This process and its child as the operating system sees them: starting itself again under
 * supervision, signals, and noticing that the parent is gone.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { availableParallelism } from 'node:os';
import { isatty } from 'node:tty';
import type { Clock } from '@inferry/runtime';
import type { Logger } from '@inferry/telemetry';
import type { Environment } from './config.ts';
import { childOf, type StopSignal, supervise, type Supervisor } from './supervisor.ts';

/** Set for the supervised child. */
export const supervisedName = 'INFERRY_SUPERVISED';
/** Ports picked by an earlier life of the child (`http,metrics`), so that a restart keeps its addresses. */
export const keptPortsName = 'INFERRY_KEPT_PORTS';

/** libuv's own default; fewer than this would slow down what runs on it. */
const poolThreadsMin = 4;
/** A terminal that closes takes its processes with it; SIGHUP from anybody else is the wish to read files again. */
const hasTerminal = isatty(0);
const stopSignals: readonly StopSignal[] = hasTerminal
  ? ['SIGTERM', 'SIGINT', 'SIGHUP']
  : ['SIGTERM', 'SIGINT'];

/** What the child tells its supervisor once it is ready. */
interface ReadyMessage {
  readonly type: 'ready';
  readonly ports: string;
}

export interface SupervisedOptions {
  /** What follows the path of node: flags of node, the script, its arguments. */
  readonly argv: readonly string[];
  readonly env: Environment;
  readonly clock: Clock;
  readonly logger: Logger;
  readonly stopMsMax: number;
  /** Told each time that a child has become ready. */
  readonly onReady?: () => void;
}

/** Runs `argv` under supervision until it ends for good; resolves with the exit code for this process. */
export async function runSupervised(options: SupervisedOptions): Promise<number> {
  const supervisor = startSupervised(options);
  const forget = [
    onStopSignals((signal) => supervisor.stop(signal)),
    onReread(() => supervisor.reread()),
  ];
  const code = await supervisor.ended;
  for (const listening of forget) listening();
  return code;
}

/** A child that is kept alive. */
export interface Supervised extends Supervisor {
  /** Tells the child to read files again; one that is not ready yet is told once it is. */
  reread(): void;
}

/** Starts `argv` in a child of this process and keeps it alive. */
export function startSupervised(options: SupervisedOptions): Supervised {
  const { argv, env } = options;
  let keptPorts = '';
  let ready: ChildProcess | null = null;
  let isRereadDue = false;
  const reread = (): void => {
    isRereadDue = ready === null;
    ready?.kill('SIGHUP');
  };
  const supervisor = supervise({
    clock: options.clock,
    logger: options.logger,
    stopMsMax: options.stopMsMax,
    start: () => {
      const child = spawn(process.execPath, argv, {
        // Node reads the size of its pool once, before any of our code: only a parent can set it.
        env: {
          UV_THREADPOOL_SIZE: String(Math.max(poolThreadsMin, availableParallelism())),
          ...env,
          [supervisedName]: '1',
          [keptPortsName]: keptPorts,
        },
        stdio: ['ignore', 'inherit', 'inherit', 'ipc'],
        // A group of its own: Ctrl-C in a terminal then reaches this parent alone, which forwards it once.
        detached: true,
      });
      child.on('message', (message: unknown) => {
        if (!isReadyMessage(message)) return;
        keptPorts = message.ports;
        ready = child;
        if (isRereadDue) reread();
        options.onReady?.();
      });
      child.once('exit', () => {
        ready = null;
      });
      return childOf(child);
    },
  });
  return { ...supervisor, reread };
}

/** Calls back for every stop signal; returns the function that stops listening. */
export function onStopSignals(listener: (signal: StopSignal) => void): () => void {
  for (const signal of stopSignals) process.on(signal, listener);
  return () => {
    for (const signal of stopSignals) process.off(signal, listener);
  };
}

/** Calls back for every wish that files be read again; returns the function that stops listening. */
export function onReread(listener: () => void): () => void {
  if (hasTerminal) return () => undefined;
  process.on('SIGHUP', listener);
  return () => void process.off('SIGHUP', listener);
}

export interface StopRequest {
  /** Why this process is to stop; resolves once. */
  readonly requested: Promise<string>;
}

/**
 * Watches for the wish that this process stop: a stop signal, or the end of its supervisor. The second
 * signal ends the process at once, whatever it is doing: only SIGKILL ends a native run.
 */
export function watchStop(): StopRequest {
  let signals = 0;
  // Until somebody listens it means nothing, and must not end the process.
  onReread(() => undefined);
  const requested = new Promise<string>((resolve) => {
    onStopSignals((signal) => {
      signals += 1;
      if (signals > 1) process.kill(process.pid, 'SIGKILL');
      resolve(signal);
    });
    const orphaned = (): void => resolve('the supervisor is gone');
    process.once('disconnect', orphaned);
    // It may have gone while this process was still loading. Without a supervisor there is no `send`.
    if (process.send !== undefined && !process.connected) orphaned();
  });
  return { requested };
}

/** Tells the supervisor, where there is one, that the role is ready, and on which ports. */
export function tellReady(ports: string): void {
  const message: ReadyMessage = { type: 'ready', ports };
  process.send?.(message);
}

function isReadyMessage(message: unknown): message is ReadyMessage {
  return (
    typeof message === 'object' &&
    message !== null &&
    'type' in message &&
    message.type === 'ready' &&
    'ports' in message &&
    typeof message.ports === 'string'
  );
}
