/** Partial outputs of a job whose request is held open, told to its caller one after the other. */
import { type JobEnvelope, type JobOutput, partsOf } from '@inferry/contracts';

import type { GatewayParts } from '../deps.ts';
import { followPartials, fromTheStart } from './follow-partials.ts';

export interface Telling {
  /**
   * The job has an outcome: resolves when all it told before has been told to the caller, the caller is gone, or
   * the server is going. Then, as without an outcome, nothing more is told.
   */
  finish(hasOutcome: boolean): Promise<void>;
}

/** Of a job that was started anew, what it tells is told again, from the first. */
export function tellPartials(
  job: Pick<JobEnvelope, 'id' | 'class'>,
  {
    signal,
    tell,
  }: {
    /** Aborts when the caller is gone. */
    readonly signal: AbortSignal;
    /** The next is told when this has resolved. */
    readonly tell: (output: JobOutput) => Promise<void>;
  },
  parts: GatewayParts,
): Telling {
  const stop = new AbortController();
  const { model } = partsOf(job.class);
  const tellAll = async (): Promise<void> => {
    for await (const told of followPartials(job, fromTheStart, stop.signal, parts)) {
      if (told.what !== 'partial' || stop.signal.aborted) continue;
      parts.telemetry.partialDelivered(model);
      await tell(told.partial.output);
    }
  };
  const all = tellAll();
  // Whoever finishes hears of it.
  all.catch(() => undefined);
  return {
    async finish(hasOutcome) {
      const { draining } = parts.streams;
      try {
        if (hasOutcome) await Promise.race([all, aborted([signal, draining], stop.signal)]);
      } finally {
        stop.abort();
      }
    },
  };
}

/** Resolves when one of the signals aborts, or `over`, after which nobody listens to them any more. */
function aborted(signals: readonly AbortSignal[], over: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => resolve();
    if (signals.some((signal) => signal.aborted)) done();
    for (const signal of signals)
      signal.addEventListener('abort', done, { once: true, signal: over });
    over.addEventListener('abort', done, { once: true });
  });
}
