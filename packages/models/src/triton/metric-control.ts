/** `model_metrics.metric_control`: the buckets of a model in the one histogram there is among Triton's metrics. */
import type { Notes } from './notes.ts';
import type { TritonConfig } from './triton-config.ts';

const histogram = 'nv_inference_first_response_histogram_ms';
/** Each is a series of every gateway. */
const bucketsMax = 64;
const at = ['model_metrics', 'metric_control'] as const;

/** Upper bounds in ms, without that of all; null where the usual ones hold. Of other metrics it is warned. */
export function firstResponseBucketsOf(
  { model_metrics: { metric_control: controls = [] } = {} }: TritonConfig,
  notes: Notes,
): readonly number[] | null {
  let taken: readonly number[] | null = null;
  for (const [i, control] of controls.entries()) {
    const { histogram_options: { buckets = [] } = {}, metric_identifier: { family = '' } = {} } =
      control;
    const identifier = [...at, i, 'metric_identifier', 'family'];
    if (family !== histogram) {
      const what = family === '' ? 'names no metric' : `"${family}" has no effect`;
      notes.warn(identifier, `${what}: ${histogram} alone has buckets of its own`);
      continue;
    }
    if (taken !== null) {
      notes.warn(identifier, 'is there twice: the last counts, as in Triton');
    }
    if (buckets.length === 0) {
      notes.warn([...at, i], 'gives no buckets: one of all responses is told, as in Triton');
    }
    checkBuckets(buckets, [...at, i, 'histogram_options', 'buckets'], notes);
    taken = buckets;
  }
  return taken;
}

/** Binding has seen to it that they are finite. */
function checkBuckets(
  buckets: readonly number[],
  path: readonly (string | number)[],
  notes: Notes,
): void {
  if (buckets.length > bucketsMax) {
    notes.problem(path, `has ${buckets.length} bounds; at most ${bucketsMax} are told`);
    return;
  }
  for (const [i, bound] of buckets.entries()) {
    const before = i === 0 ? -Infinity : (buckets[i - 1] ?? 0);
    if (bound > before) continue;
    notes.problem([...path, i], `is ${bound}; it must be above the one before it, ${before}`);
  }
}
