/** Starts the thread of a processor, and puts what it prints into the worker's log. */
import type { Worker } from 'node:worker_threads';
import type { Limits, ModelManifest } from '@inferry/contracts';
import { type Clock, invariant, startThread } from '@inferry/runtime';
import type { Logger } from '@inferry/telemetry';
import type { ProcessorThreadData } from './messages.ts';

export interface ProcessorOptions {
  readonly manifest: ModelManifest;
  readonly limits: Pick<Limits, 'outputBytesMax' | 'stuckRunGraceMs'>;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** Of one job; each holds the tensors of its inputs. */
const stepsAtATimeMax = 64;
const writtenCharsMax = 2_000;

export function openThread(
  { limits, logger, manifest }: ProcessorOptions,
  shared: Pick<ProcessorThreadData, 'folders' | 'running'>,
): Worker {
  const { processor } = manifest;
  invariant(processor !== undefined, 'a processor has a file');
  const { file, runs, stepsMax } = processor;
  const bounds = { stepsMax, stepsAtATimeMax, outputBytesMax: limits.outputBytesMax };
  const data: ProcessorThreadData = { file, runs, outputs: manifest.outputs, bounds, ...shared };
  const worker = startThread(new URL('./thread.ts', import.meta.url), {
    workerData: data,
    stdout: true,
    stderr: true,
  });
  for (const stream of [worker.stdout, worker.stderr]) {
    stream.setEncoding('utf8').on('data', (text: string) => {
      logger.info({ text: text.trimEnd().slice(0, writtenCharsMax) }, 'the processor wrote');
    });
  }
  return worker;
}
