/** Statistics of models as Triton's clients read them: what all processes counted, as it lies in the queue. */
import { type ClassId, classOf, type Failure, failure } from '@inferry/contracts';
import type { ModelStatistics, StatisticDuration } from '@inferry/protocols';
import { type ClassStatistics, type Counters, lossReasons, runsByRows } from '@inferry/queue';
import { err, ok, type Result } from '@inferry/runtime';

import type { GatewayParts } from './deps.ts';

/**
 * Of the version; of all versions where none is named, of all models where no model is. Errors:
 * `model_not_found`, `model_version_not_found`, `queue_unavailable`.
 */
export async function statisticsOf(
  { name, version }: { readonly name?: string; readonly version?: string | undefined },
  { catalogue, log, queue }: Pick<GatewayParts, 'catalogue' | 'log' | 'queue'>,
): Promise<Result<{ model_stats: ModelStatistics[] }, Failure>> {
  let exact: string | undefined;
  if (name !== undefined) {
    const known = catalogue.resolve(name, version);
    if (!known.ok) return known;
    // Where a label was named: the version that it stands for.
    if (version !== undefined) exact = known.value.version;
  }
  const wanted = catalogue
    .list()
    .filter((model) => name === undefined || model.name === name)
    .flatMap((model) => model.versions.map((one) => ({ name: model.name, version: one.version })))
    .filter((one) => exact === undefined || one.version === exact);
  try {
    const told = await queue.statistics(
      wanted.map((one): ClassId => classOf(one.name, one.version)),
    );
    return ok({
      model_stats: wanted.flatMap((one, i) => {
        const statistics = told[i];
        return statistics === undefined ? [] : [modelStatistics(one, statistics)];
      }),
    });
  } catch (cause) {
    log.warn({ err: cause }, 'the queue gave no statistics');
    const retryAfterMs = 1_000;
    return err(failure('queue_unavailable', 'The queue cannot be reached.', { retryAfterMs }));
  }
}

function modelStatistics(
  model: { readonly name: string; readonly version: string },
  { counters, lastAtMs }: ClassStatistics,
): ModelStatistics {
  const { inferUs, inputUs, outputUs, queueUs, rows = 0, runs = 0, wholeUs } = counters;
  const { cacheHits = 0, cacheHitUs, cacheMisses, cacheMissUs, succeeded = 0 } = counters;
  // What was answered from a cache was not computed.
  const computed = succeeded - cacheHits;
  return {
    ...model,
    last_inference: Math.floor(lastAtMs),
    inference_count: rows,
    execution_count: runs,
    inference_stats: {
      success: duration(succeeded, wholeUs),
      fail: lossOf(counters),
      queue: duration(succeeded, queueUs),
      compute_input: duration(computed, inputUs),
      compute_infer: duration(computed, inferUs),
      compute_output: duration(computed, outputUs),
      cache_hit: duration(cacheHits, cacheHitUs),
      cache_miss: duration(cacheMisses, cacheMissUs),
    },
    response_stats: {},
    batch_stats: runsByRows(counters).map((run) => ({
      batch_size: run.rows,
      compute_input: duration(run.runs, run.inputUs),
      compute_infer: duration(run.runs, run.inferUs),
      compute_output: duration(run.runs, run.outputUs),
    })),
    memory_usage: [],
  };
}

function lossOf(counters: Counters): StatisticDuration {
  let jobs = 0;
  let us = 0;
  for (const reason of lossReasons) {
    jobs += counters[`${reason}Jobs`] ?? 0;
    us += counters[`${reason}Us`] ?? 0;
  }
  return duration(jobs, us);
}

function duration(count = 0, us = 0): StatisticDuration {
  return { count, ns: us * 1_000 };
}
