/** Measures one setting in a child process and follows what it reports. */
import { spawn } from 'node:child_process';
import { availableParallelism } from 'node:os';
import { type Clock, err, ok, type Result } from '@inferry/runtime';
import type { Environment } from '../config.ts';
import type { CurveEnd, CurvePoint, SetupCurve } from './curve.ts';
import { measuringName, type MeasureReport, type MeasureRequest } from './messages.ts';

export interface MeasuringOptions {
  /** What follows the path of node, up to the script: the child is this command again. */
  readonly argv: readonly string[];
  readonly env: Environment;
  readonly clock: Clock;
  readonly onPoint: (point: CurvePoint) => void;
}

/** From the start of the process to a model that is loaded and warm. */
const loadMsMax = 600_000;
/** Beyond the time to measure: for the one run that is under way when it is over. */
const graceMs = 60_000;

/**
 * What was measured; a process that dies after its first size leaves what it had. The error says why there
 * is nothing: the model cannot be loaded, or not one row could be run.
 */
export async function measureInProcess(
  request: MeasureRequest,
  { argv, clock, env, onPoint }: MeasuringOptions,
): Promise<Result<SetupCurve, string>> {
  const child = spawn(process.execPath, argv, {
    env: { UV_THREADPOOL_SIZE: String(availableParallelism()), ...env, [measuringName]: '1' },
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    serialization: 'advanced',
  });
  const points: CurvePoint[] = [];
  let peakBytes = 0;
  let preparedIn: SetupCurve['preparedIn'] = null;
  let end: CurveEnd | null = null;
  let unloadable: string | null = null;
  let late: string | null = null;
  const killAfter = (ms: number, reason: string): (() => void) =>
    clock.after(ms, () => {
      late = reason;
      child.kill('SIGKILL');
    });
  let cancel = killAfter(loadMsMax, `the model was not loaded within ${loadMsMax / 1_000} s`);
  child.on('message', (message) => {
    const report = message as MeasureReport;
    switch (report.kind) {
      case 'unloadable':
        unloadable = report.reason;
        break;
      case 'loaded':
        ({ preparedIn } = report);
        cancel();
        cancel = killAfter(request.msMax + graceMs, 'a batch did not end in time');
        break;
      case 'point':
        ({ peakBytes } = report);
        points.push(report.point);
        onPoint(report.point);
        break;
      case 'done':
        ({ end, peakBytes } = report);
        break;
    }
  });
  const death = await new Promise<string>((resolve) => {
    child.once('error', (cause) => resolve(cause.message));
    child.once('close', (code, signal) => resolve(`the process ended with ${signal ?? code}`));
    child.send(request, (cause) => {
      // It is gone already; its end says why.
      if (cause !== null) child.kill('SIGKILL');
    });
  });
  cancel();
  if (unloadable !== null) return err(unloadable);
  const sorted = points.toSorted((a, b) => a.rows - b.rows);
  const last = sorted.at(-1);
  const nextRows = last === undefined ? 1 : last.rows * 2;
  const { setup } = request;
  const why = end ?? { kind: 'failed' as const, rows: nextRows, reason: late ?? death };
  if (last === undefined) return err(why.kind === 'failed' ? why.reason : 'there was no time');
  return ok({ ...setup, points: sorted, end: why, preparedIn, peakBytes });
}
