/** One job of a composed model, from its claim to its settlement. */
import { type Failure, failure, type Tensor } from '@inferry/contracts';
import { err, ok, type Result } from '@inferry/runtime';
import type { LaneContext } from '../deps.ts';
import { finish } from '../finish.ts';
import type { HeldJob } from '../held-job.ts';
import { fail } from '../outcomes.ts';
import { prepareBatch } from '../prepare-batch.ts';
import type { Preparation } from '../preparation/preparation.ts';
import type { ReadyItem } from '../ready-item.ts';
import { countRun } from '../statistics.ts';
import { JobPartials } from './job-partials.ts';
import type { Program, ProgramContext, ProgramLost } from './program.ts';
import { JobSteps, type StepRunnerDeps } from './steps.ts';

export interface ComposedContext extends Pick<
  LaneContext,
  | 'clock'
  | 'cls'
  | 'halt'
  | 'leases'
  | 'limits'
  | 'logger'
  | 'manifest'
  | 'queue'
  | 'queueClock'
  | 'rowsMax'
  | 'settler'
  | 'statistics'
  | 'telemetry'
  | 'watch'
  | 'workerId'
> {
  readonly preparation: Preparation;
  readonly program: Program;
  readonly steps: Omit<StepRunnerDeps, 'clock' | 'limits' | 'queue' | 'queueClock'>;
}

type Ran = Result<readonly Tensor[], Failure | ProgramLost>;

/**
 * Resolves when the job is settled, given back or lost, and none of its steps is under way. Returns for how long
 * its program ran, ms; undefined where it did not succeed.
 */
export async function serveComposed(
  job: HeldJob,
  lane: ComposedContext,
): Promise<number | undefined> {
  const { clock, queueClock } = lane;
  const settling: Promise<void>[] = [];
  const [item] = await prepareBatch([job], lane, lane.preparation, (settlement) =>
    settling.push(settlement),
  );
  if (item === undefined || !job.isOpen) {
    await Promise.all(settling);
    return undefined;
  }
  const stop = new AbortController();
  job.onGone = () => stop.abort();
  const leftMs = job.claim.deadlineAtMs - queueClock.toQueueMs(clock.nowMs());
  const cancelLimit = clock.after(Math.max(0, leftMs), () => stop.abort());
  const steps = new JobSteps({ job, signal: stop.signal }, { ...lane, ...lane.steps });
  const partials = new JobPartials({ claim: job.claim, signal: stop.signal }, lane);
  const startedAtMs = clock.nowMs();
  job.marks.runAtMs = startedAtMs;
  lane.watch.started(startedAtMs - queueClock.toLocalMs(job.claim.claimedAtMs));
  const ran = await Promise.race([
    runProgram(item, { steps, partials }, stop.signal, lane),
    // The program may not have noticed yet.
    aborted(stop.signal),
  ]);
  cancelLimit();
  job.marks.ranAtMs = clock.nowMs();
  if (job.isOpen) settling.push(end(item, ran, lane));
  // Whatever is still under way is of no use.
  stop.abort();
  await Promise.all([...settling, steps.idle()]);
  return ran?.ok === true ? job.marks.ranAtMs - startedAtMs : undefined;
}

/** Not async: what its variables hold, the inputs above all, is not kept while the steps run. */
function runProgram(
  item: ReadyItem,
  { partials, steps }: { readonly partials: JobPartials; readonly steps: JobSteps },
  signal: AbortSignal,
  { cls, logger, program }: ComposedContext,
): Promise<Ran> {
  const taken = item.take();
  const context: ProgramContext = {
    signal,
    isSuspect: item.job.claim.isSuspect,
    step: (request) => steps.run(request),
    emit: (tensors) => partials.tell(tensors),
  };
  return program
    .run('tensors' in taken ? taken.tensors : [], context)
    .catch((cause: unknown): Ran => {
      logger.error({ class: cls, err: cause }, 'the program of a composed model threw');
      return err(failure('internal', 'The worker failed to serve this job.'));
    })
    .then(async (ran) => {
      // Nothing is told of a job that has ended.
      await partials.idle();
      const isItsOwn = !ran.ok && !('asSuspect' in ran.error);
      return isItsOwn && partials.refusal !== undefined ? err(partials.refusal) : ran;
    });
}

/** `ran` is undefined where the time was over first. */
function end(item: ReadyItem, ran: Ran | undefined, lane: ComposedContext): Promise<void> {
  const { cls, queueClock, settler, statistics } = lane;
  const { facts, job, rows } = item;
  if (ran === undefined) {
    const late = failure('deadline_exceeded', 'The deadline passed before all steps had ended.');
    fail(job, late, rows, lane);
  } else if (ran.ok) {
    const { ranAtMs = 0, runAtMs = 0 } = job.marks;
    countRun(statistics, cls, { computeMs: ranAtMs - runAtMs, jobs: [job], rows }, queueClock);
    // A program gives all outputs, whichever are wanted.
    const wanted = facts.outputs.length === 0 ? null : new Set(facts.outputs);
    const tensors = ran.value.filter(({ name }) => wanted?.has(name) ?? true);
    const result = ok({ kind: 'outputs', tensors } as const);
    finish([{ item, result, batchRows: rows }], lane);
  } else if ('asSuspect' in ran.error) {
    return settler.giveBack(cls, [job], ran.error.asSuspect);
  } else {
    fail(job, ran.error, rows, lane);
  }
  return settler.settle(cls, [job]);
}

function aborted(signal: AbortSignal): Promise<undefined> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve(undefined);
    signal.addEventListener('abort', () => resolve(undefined), { once: true });
  });
}
