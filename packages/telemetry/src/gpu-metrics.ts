/**
 * Memory and utilization of the GPU of a worker, asked of `nvidia-smi` (`nvidia-smi --help-query-gpu`), which
 * comes with the driver. ONNX Runtime tells neither. Each time a child process is asked; one that does not
 * answer is killed, and no other is started before it is gone.
 */
import { execFile } from 'node:child_process';
import { type Clock, err, every, ok, type Result } from '@inferry/runtime';
import type { Logger } from './logger.ts';
import type { WorkerMetrics } from './metrics.ts';

export interface GpuMetricsOptions {
  readonly clock: Clock;
  readonly logger: Logger;
  readonly metrics: Pick<WorkerMetrics, 'gpuMemoryUsed' | 'gpuMemoryTotal' | 'gpuUtilization'>;
  /** As `nvidia-smi -i` takes it: an index, or a UUID. The label of the series. */
  readonly gpu: string;
}

const periodMs = 10_000;
/** It needs 0.03 s where the driver stays loaded, and seconds where it does not. */
const answerMsMax = 8_000;
const answerBytesMax = 4_096;
const shownMax = 200;
const bytesPerMib = 1_048_576;

/**
 * Asks now and every 10 s, until the returned function is called. What cannot be told (no `nvidia-smi`, no such
 * GPU, `[N/A]` as with MIG) is logged once, and its series are absent until it can be told.
 */
export function startGpuMetrics({ clock, gpu, logger, metrics }: GpuMetricsOptions): () => void {
  const labels = { gpu };
  const gauges = [metrics.gpuMemoryUsed, metrics.gpuMemoryTotal, metrics.gpuUtilization];
  const tell = (values: readonly (number | undefined)[]): void => {
    for (const [i, gauge] of gauges.entries()) {
      const value = values[i];
      if (value === undefined) gauge.remove(labels);
      else gauge.set(labels, value);
    }
  };
  let hasComplained = false;
  const complain = (fields: { readonly err: unknown } | { readonly answer: string }): void => {
    if (hasComplained) return;
    hasComplained = true;
    logger.warn({ gpu, ...fields }, 'nvidia-smi does not tell all of this GPU; series are absent');
  };
  let asked: Asked | null = null;
  const ask = async (): Promise<void> => {
    if (asked !== null) return;
    const own = askNvidiaSmi(gpu);
    asked = own;
    const cancelLimit = clock.after(answerMsMax, own.kill);
    const answer = await own.answer;
    cancelLimit();
    if (asked !== own) return;
    if (answer.ok) {
      const values = valuesOf(answer.value);
      tell(values);
      if (values.includes(undefined)) complain({ answer: answer.value.slice(0, shownMax) });
    } else {
      // What was told last is not true for ever.
      tell([]);
      complain({ err: answer.error });
    }
    await own.isGone;
    if (asked === own) asked = null;
  };
  void ask();
  const stopAsking = every(clock, periodMs, () => void ask());
  return () => {
    stopAsking();
    const last = asked;
    asked = stopped;
    last?.kill();
  };
}

interface Asked {
  /** What it printed, or why it did not; never rejects. Known at once when it is killed. */
  readonly answer: Promise<Result<string, Error>>;
  /** The process has ended; a killed one may stay in the driver for long. */
  readonly isGone: Promise<void>;
  readonly kill: () => void;
}

/** Stands for the question after the last. */
const stopped: Asked = {
  answer: Promise.resolve(ok('')),
  isGone: Promise.resolve(),
  kill: () => undefined,
};

function askNvidiaSmi(gpu: string): Asked {
  const query = '--query-gpu=memory.used,memory.total,utilization.gpu';
  const argv = [query, '--format=csv,noheader,nounits', '-i', gpu];
  const limit = new AbortController();
  const options = {
    maxBuffer: answerBytesMax,
    killSignal: 'SIGKILL',
    signal: limit.signal,
  } as const;
  let told: (answer: Result<string, Error>) => void = () => undefined;
  const answer = new Promise<Result<string, Error>>((resolve) => {
    told = resolve;
  });
  const child = execFile('nvidia-smi', argv, options, (error, stdout) => {
    told(error === null ? ok(stdout) : err(error));
  });
  const isGone = new Promise<void>((resolve) => {
    child.once('exit', () => resolve());
    // It did not even start.
    child.once('error', () => child.pid === undefined && resolve());
  });
  return { answer, isGone, kill: () => limit.abort() };
}

/** `1234, 81559, 37` (MiB, MiB, percent) in bytes, bytes and shares; undefined for what is no number. */
function valuesOf(answer: string): readonly (number | undefined)[] {
  const fields = answer.trim().split(',');
  return [bytesPerMib, bytesPerMib, 0.01].map((unit, i) => {
    const field = fields[i]?.trim() ?? '';
    return /^\d+(?:\.\d+)?$/u.test(field) ? Number(field) * unit : undefined;
  });
}
