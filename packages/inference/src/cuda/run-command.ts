/** Runs an external program to its end. Its output is kept up to a bound and can be followed line by line. */
import { spawn } from 'node:child_process';

const outputCharsMax = 1_000_000;

interface Ended {
  /** Exit code; -1 when the program could not be started or was killed. */
  readonly code: number;
  /** stdout and stderr together, the end of it where it was too long. */
  readonly output: string;
}

/** Never throws; a program that runs longer than `timeoutMs` is killed. */
export type RunCommand = (
  command: string,
  args: readonly string[],
  timeoutMs: number,
) => Promise<Ended>;

export const runCommand: RunCommand = (command, args, timeoutMs) =>
  new Promise((resolve) => {
    const child = spawn(command, args, {
      stdio: ['ignore', 'pipe', 'pipe'],
      timeout: timeoutMs,
      killSignal: 'SIGKILL',
    });
    let output = '';
    const keep = (chunk: string): void => {
      output = (output + chunk).slice(-outputCharsMax);
    };
    child.stdout.setEncoding('utf8').on('data', keep);
    child.stderr.setEncoding('utf8').on('data', keep);
    child.once('error', (cause) => resolve({ code: -1, output: cause.message }));
    child.once('close', (code) => resolve({ code: code ?? -1, output }));
  });
