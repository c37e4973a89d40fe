/** What becomes of a job, as the events of a stream: its state, its place in the line, its outputs, its end. */
import { failure, isTerminal, type JobRecord, partsOf } from '@inferry/contracts';
import {
  doneEvent,
  errorEvent,
  outputEvent,
  problemDocument,
  resetEvent,
  stateEvent,
} from '@inferry/protocols';
import type { PartialMark } from '@inferry/queue';

import type { GatewayParts } from '../deps.ts';
import type { Exchange } from '../exchange.ts';
import { lookUp } from '../results/look-up.ts';
import { followPartials } from './follow-partials.ts';

/** A place in the line is told at most so often: with each look, which comes once a second at the earliest. */
const queueEveryMs = 900;

/** From `record`, which is as the job was just now, until it has ended; all partial outputs come before the end. */
export async function* jobEvents(
  record: JobRecord,
  {
    exchange,
    from,
    responds,
  }: {
    readonly exchange: Exchange;
    readonly from: PartialMark;
    /** Called before each output, and before the end. */
    readonly responds?: (() => void) | undefined;
  },
  signal: AbortSignal,
  parts: GatewayParts,
): AsyncGenerator<string, void> {
  const { clock, publicBaseUrl = '' } = parts;
  const context = () => ({ baseUrl: publicBaseUrl, nowMs: clock.nowMs() });
  let now = record;
  let toldAtMs = clock.nowMs();
  if (!isTerminal(now.status)) yield stateEvent(now, 'state', context());
  for await (const told of followPartials(record.job, from, signal, parts)) {
    if (told.what === 'partial') {
      parts.telemetry.partialDelivered(partsOf(record.job.class).model);
      responds?.();
      yield outputEvent(told.partial.mark, told.partial.output);
      continue;
    }
    if (told.what === 'reset') {
      const found = await recordOf(now, parts);
      if (found !== 'gone') now = found;
      yield resetEvent(now, context());
      continue;
    }
    const isOver = told.state === 'ended' || told.state === 'gone';
    const isChanged = told.state !== now.status || told.attempt !== now.attempt;
    const isDue = told.state === 'queued' && clock.nowMs() - toldAtMs >= queueEveryMs;
    if (!isOver && !isChanged && !isDue) continue;
    const found = await recordOf(now, parts);
    if (found === 'gone') {
      yield goneEvent(record, exchange);
      return;
    }
    const before = now;
    now = found;
    if (isTerminal(now.status)) {
      // What it told between the two looks is read before its end is told.
      if (!isOver) continue;
      responds?.();
      yield doneEvent(now, context());
      return;
    }
    const isNew = now.status !== before.status || now.attempt !== before.attempt;
    if (isNew) yield stateEvent(now, 'state', context());
    else if (now.status === 'queued' && isDue) yield stateEvent(now, 'queue', context());
    toldAtMs = clock.nowMs();
  }
}

/** The job now; as it was where nobody can say. */
async function recordOf(was: JobRecord, parts: GatewayParts): Promise<JobRecord | 'gone'> {
  const found = await lookUp(was.job.id, parts);
  if (!found.ok) return was;
  return found.value.found === 'record' ? found.value.record : 'gone';
}

function goneEvent({ job }: JobRecord, { requestId, surface }: Exchange): string {
  const reason = failure('job_gone', `Job ${job.id} was removed.`);
  const context = { requestId, instance: `/v1/jobs/${job.id}/events`, surface };
  return errorEvent(problemDocument(reason, context).body);
}
