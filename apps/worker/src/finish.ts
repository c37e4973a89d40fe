/** Postprocess: what the model gave for each item becomes the outcome of its job. */
import { failure, type Tensor } from '@inferry/contracts';
import { postprocess } from '@inferry/pipelines';
import type { LaneContext } from './deps.ts';
import type { HeldJob } from './held-job.ts';
import { fail, succeed } from './outcomes.ts';
import type { ReadyItem } from './ready-item.ts';
import type { RanItem } from './run-group.ts';

type FinishingLane = Pick<LaneContext, 'clock' | 'limits' | 'manifest' | 'queueClock'>;

/** Gives every item that was not dealt with its outcome and returns their jobs, to be settled. */
export function finish(ran: readonly RanItem[], lane: FinishingLane): readonly HeldJob[] {
  const ended: HeldJob[] = [];
  for (const { item, result, batchRows } of ran) {
    if (!result.ok) {
      if (item.job.outcome !== null) continue;
      fail(item.job, result.error, batchRows, lane);
    } else if (result.value.kind === 'outputs' && item.job.outcome === null) {
      answer(item, result.value.tensors, batchRows, lane);
    } else {
      continue;
    }
    ended.push(item.job);
  }
  return ended;
}

function answer(
  item: ReadyItem,
  tensors: readonly Tensor[],
  batchRows: number,
  lane: FinishingLane,
): void {
  const { job } = item;
  const bytes = tensors.reduce((sum, tensor) => sum + tensor.bytes.length, 0);
  const { outputBytesMax } = lane.limits;
  if (bytes > outputBytesMax) {
    const detail = `The output has ${bytes} bytes, more than the limit of ${outputBytesMax}.`;
    fail(job, failure('output_too_large', detail), batchRows, lane);
    return;
  }
  const { placements, request, rows } = item.facts;
  const output = postprocess(lane.manifest, request, tensors, rows, placements);
  if (output.ok) succeed(job, output.value, batchRows, lane);
  else fail(job, output.error, batchRows, lane);
}
