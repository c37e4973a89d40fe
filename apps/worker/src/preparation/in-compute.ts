/** Which models are prepared in their own compute threads, and what those threads are told. */
import { encodeInput, newJobId } from '@inferry/contracts';
import type { ModelInstance, PreparationModule } from '@inferry/inference';
import { sampleInput } from '@inferry/pipelines';
import { invariant, loadableUrl } from '@inferry/runtime';
import type { WorkerDeps } from '../deps.ts';
import type { PlannedModel } from '../load-models.ts';
import type { ThreadData } from './prepare-chunk.ts';
import type { SlotRequest } from './slot-thread.ts';

/** A first preparation that pays for compilation, and some that show what is left. */
const timedMax = 4;

/**
 * Null where threads of their own prepare for the model. Left to choose: on a GPU they do, so that the next
 * batch is decoded while one runs, and on a CPU as long as the model's own threads would leave cores idle.
 */
export function preparationModule(
  { cls, devices, manifest }: PlannedModel,
  deps: Pick<WorkerDeps, 'cores' | 'device' | 'jpegDecoder' | 'payloadReaderOptions' | 'prepareIn'>,
): PreparationModule | null {
  const { cores, device, jpegDecoder, payloadReaderOptions, prepareIn } = deps;
  const keepsCoresBusy = device.kind === 'cpu' && devices.length >= cores;
  const isHere = prepareIn === 'auto' ? keepsCoresBusy : prepareIn === 'compute';
  if (!isHere) return null;
  const data: ThreadData = {
    manifests: new Map([[cls, manifest]]),
    payloadReaderOptions,
    jpegDecoder,
  };
  return { url: loadableUrl(new URL('./slot-thread.ts', import.meta.url)).href, data };
}

/**
 * What preparing one row of a made-up input takes in the instance's thread, ms; 0 where it prepares nothing.
 * The thread has warmed up when this resolves.
 */
export async function measurePreparation(
  { cls, manifest }: PlannedModel,
  { preparer }: ModelInstance,
  { clock, random }: Pick<WorkerDeps, 'clock' | 'random'>,
): Promise<number> {
  const input = preparer === null ? null : await sampleInput(manifest);
  if (preparer === null || input === null) return 0;
  const payload = encodeInput(input);
  const items = [{ id: newJobId(0, random), rows: 1, payload }];
  // The next preparation would wait for a run that had begun.
  const request: SlotRequest = { cls, items, isRunNext: false };
  const timedMs: number[] = [];
  for (let i = 0; i <= timedMax; i += 1) {
    const startedAtMs = clock.nowMs();
    const prepared = await preparer.prepare(request);
    timedMs.push(clock.nowMs() - startedAtMs);
    invariant(prepared.ok, 'the thread lives');
    preparer.drop(prepared.value.batch);
  }
  return Math.min(...timedMs.slice(1));
}
