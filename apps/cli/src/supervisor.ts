/**
 * Keeps one long-running role alive. A native crash ends the process that runs models, and nothing
 * inside it can prevent that; so the role runs in a child, and this parent, which does nothing else,
 * starts it again. It never restarts what was asked to stop, nor what cannot be configured (exit 2).
 */
import type { ChildProcess } from 'node:child_process';
import { constants } from 'node:os';
import type { Clock } from '@inferry/runtime';
import type { LogFields, Logger } from '@inferry/telemetry';

/** What a child that cannot work as configured ends with: starting it again would change nothing. */
export const unusableExitCode = 2;

const backoffFirstMs = 100;
const backoffMaxMs = 5_000;
/** A child that lived this long had a good start: the next restart is a quick one again. */
const goodLifeMs = 60_000;
/** After a second signal the child has this long to end itself. */
const secondSignalGraceMs = 1_000;

export type StopSignal = 'SIGTERM' | 'SIGINT' | 'SIGHUP';

interface ChildEnd {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

export interface Child {
  readonly pid: number | undefined;
  kill(signal: NodeJS.Signals): void;
  /** Calls back once, when the child has ended or could not be started. */
  onEnd(report: (end: ChildEnd) => void): void;
}

export interface SupervisorDeps {
  /** Starts the child; `restarts` counts from 0. What it throws counts as the end of a child. */
  readonly start: (restarts: number) => Child;
  readonly clock: Clock;
  readonly logger: Logger;
  /** After the first stop signal the child is killed when it has not ended by itself in this time. */
  readonly stopMsMax: number;
}

export interface Supervisor {
  /** Forwards a stop signal, SIGHUP as SIGTERM. From then on the child is not restarted; the second one ends it soon. */
  stop(signal: StopSignal): void;
  /** The exit code of the whole. */
  readonly ended: Promise<number>;
}

/** Starts the child and keeps it alive until it ends well, cannot be configured, or is stopped. */
export function supervise(deps: SupervisorDeps): Supervisor {
  const { clock, logger } = deps;
  let finish: (code: number) => void = nothing;
  const ended = new Promise<number>((resolve) => {
    finish = resolve;
  });
  let child: Child | undefined;
  let restarts = 0;
  let backoffMs = backoffFirstMs;
  let stopSignals = 0;
  let cancelTimer: () => void = nothing;

  const run = (): void => {
    const startedAtMs = clock.nowMs();
    try {
      const started = deps.start(restarts);
      child = started;
      started.onEnd((end) => hasEnded(end, startedAtMs, { child_pid: started.pid }));
    } catch (err) {
      // The system has no memory for another process, for instance: as passing as any other end.
      hasEnded({ code: null, signal: null }, startedAtMs, { err });
    }
  };

  const hasEnded = (end: ChildEnd, startedAtMs: number, who: LogFields): void => {
    child = undefined;
    if (stopSignals > 0) {
      cancelTimer();
      return finish(exitCodeOf(end, stopSignals));
    }
    if (end.code === 0 || end.code === unusableExitCode) return finish(end.code);
    if (clock.nowMs() - startedAtMs >= goodLifeMs) backoffMs = backoffFirstMs;
    restarts += 1;
    const fields = { ...who, code: end.code, signal: end.signal, restarts };
    logger.error({ ...fields, restart_in_ms: backoffMs }, 'role ended unexpectedly, restarting');
    cancelTimer = clock.after(backoffMs, run);
    backoffMs = Math.min(backoffMs * 2, backoffMaxMs);
  };

  const stop = (signal: StopSignal): void => {
    stopSignals += 1;
    cancelTimer();
    if (child === undefined) return finish(0);
    const stopped = child;
    // To a process without a terminal, which the child is, a hang-up is no wish to stop.
    stopped.kill(signal === 'SIGHUP' ? 'SIGTERM' : signal);
    const graceMs = stopSignals === 1 ? deps.stopMsMax : secondSignalGraceMs;
    cancelTimer = clock.after(graceMs, () => stopped.kill('SIGKILL'));
  };

  run();
  return { stop, ended };
}

function nothing(): void {}

/**
 * The code a shell would report, with two exceptions after a single stop signal. A child that died of
 * that very signal did not listen yet: it had nothing to drain, so that is a clean stop. One that was
 * killed did not drain in time.
 */
function exitCodeOf(end: ChildEnd, stopSignals: number): number {
  if (end.signal === null) return end.code ?? 1;
  if (stopSignals > 1) return 128 + constants.signals[end.signal];
  return ['SIGTERM', 'SIGINT'].includes(end.signal) ? 0 : 1;
}

/** A node child process as a {@link Child}. */
export function childOf(spawned: ChildProcess): Child {
  return {
    pid: spawned.pid,
    kill: (signal) => void spawned.kill(signal),
    onEnd: (report) => {
      let isReported = false;
      const once = (end: ChildEnd): void => {
        if (isReported) return;
        isReported = true;
        report(end);
      };
      spawned.once('exit', (code, signal) => once({ code, signal }));
      spawned.once('error', () => once({ code: null, signal: null }));
    },
  };
}
