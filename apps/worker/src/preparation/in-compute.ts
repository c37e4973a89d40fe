/** Which models are prepared in their own compute threads, and what those threads are told. */
import { encodeInput, newJobId } from '@inferry/contracts';
import type { ModelInstance, PreparationModule, ThreadPreparer } from '@inferry/inference';
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
 * What preparing one row of a made-up input takes in the thread of each instance, ms; 0 where it prepares
 * nothing. The threads have warmed up when this resolves.
 */
export async function measurePreparation(
  { cls, manifest }: PlannedModel,
  instances: readonly ModelInstance[],
  { clock, random }: Pick<WorkerDeps, 'clock' | 'random'>,
): Promise<readonly number[]> {
  const isPreparing = instances.some(({ preparer }) => preparer !== null);
  const input = isPreparing ? await sampleInput(manifest) : null;
  if (input === null) return instances.map(() => 0);
  const items = [{ id: newJobId(0, random), rows: 1, payload: encodeInput(input) }];
  // The next preparation would wait for a run that had begun.
  const request: SlotRequest = { cls, items, isRunNext: false };
  return Promise.all(
    instances.map(async ({ preparer }) =>
      preparer === null ? 0 : rowMs(preparer, request, clock),
    ),
  );
}

async function rowMs(
  preparer: ThreadPreparer,
  request: SlotRequest,
  clock: WorkerDeps['clock'],
): Promise<number> {
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
