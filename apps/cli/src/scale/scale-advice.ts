/** `inferry scale-advice`: how many workers are wanted now, by the queue or by what Prometheus recorded. */
import { classOf, type ClassId } from '@inferry/contracts';
import { createBullmqQueue, type JobQueue } from '@inferry/queue';
import { type Clock, err, ok, type Result, sleep } from '@inferry/runtime';
import { openHttp } from '../bench/http.ts';
import { readModels } from '../roles/models.ts';
import { firstConnection } from '../roles/queue.ts';
import { adviceFor, adviceJson, adviceText, type QueueDemand } from './advice.ts';
import { DemandMeter } from './demand-meter.ts';
import type { AdviceOptions } from './options.ts';
import { readPrometheus } from './read-prometheus.ts';

export interface AdviceDeps {
  readonly clock: Clock;
  /** Names this process in the queue. */
  readonly processId: string;
  readonly print: (text: string) => void;
  readonly complain: (text: string) => void;
}

const redisMsMax = 3_000;

/** 0: told; 1: the queue or Prometheus did not tell; 2: the model repository is not usable. */
export async function scaleAdvice(options: AdviceOptions, deps: AdviceDeps): Promise<0 | 1 | 2> {
  const { asJson, policy } = options;
  const classes = await classesOf(options);
  if (!classes.ok) return refuse(deps, classes.error.join('\ninferry: '), 2);
  const demand = await demandOf(options, classes.value, deps);
  if (!demand.ok) return refuse(deps, demand.error, 1);
  const advice = adviceFor(demand.value, policy);
  deps.print(
    asJson
      ? `${JSON.stringify(adviceJson(advice, policy, demand.value), null, 2)}\n`
      : `${advice.workers}\n`,
  );
  deps.complain(adviceText(advice, policy, demand.value));
  return 0;
}

/** Of the repository, where one is given. */
async function classesOf({
  modelsDir,
  only,
}: AdviceOptions): Promise<Result<readonly ClassId[] | null, readonly string[]>> {
  if (modelsDir === null) return ok(null);
  const models = await readModels({ modelsDir, only });
  if (!models.ok) return models;
  return ok(models.value.models.map(({ name, version }) => classOf(name, version)));
}

async function demandOf(
  { only, source }: AdviceOptions,
  classes: readonly ClassId[] | null,
  deps: AdviceDeps,
): Promise<Result<readonly QueueDemand[], string>> {
  if (source.kind === 'prometheus') {
    const http = openHttp({ clock: deps.clock, connections: 1 });
    const read = await readPrometheus(source.url, { classes, only }, http);
    await http.close();
    return read;
  }
  const { clock, processId } = deps;
  const { prefix, url, windowMs } = source;
  const queue = createBullmqQueue({ url, prefix, clock, processId });
  try {
    await firstConnection(queue, clock, redisMsMax);
    if ((await queue.ping()) === undefined) {
      const { host, pathname } = new URL(url);
      // Here a wrong password looks like a Redis that is away.
      return err(
        `Redis does not answer at ${host || pathname}, for ${redisMsMax / 1_000} s; inferry doctor says why`,
      );
    }
    const group = classes === null ? await announced(queue, only) : ok(classes);
    return group.ok ? ok(await lookTwice(queue, group.value, windowMs, clock)) : group;
  } catch (cause) {
    return err(
      `Redis does not answer any more: ${cause instanceof Error ? cause.message : String(cause)}`,
    );
  } finally {
    await queue.close();
  }
}

/** What live workers say that they serve. */
async function announced(
  queue: JobQueue,
  only: readonly string[] | null,
): Promise<Result<readonly ClassId[], string>> {
  const workers = await queue.workers();
  const models = workers.flatMap((worker) => worker.models.map(({ manifest }) => manifest));
  const wanted = models.filter(({ name }) => only === null || only.includes(name));
  const missing = only?.find((name) => !wanted.some((model) => model.name === name));
  if (missing !== undefined) {
    return err(`no live worker serves "${missing}"; --models DIR tells what there is without them`);
  }
  if (wanted.length === 0) {
    return err('no worker lives that would say what it serves; --models DIR does');
  }
  return ok([...new Set(wanted.map(({ name, version }) => classOf(name, version)))].toSorted());
}

async function lookTwice(
  queue: JobQueue,
  classes: readonly ClassId[],
  windowMs: number,
  clock: Clock,
): Promise<readonly QueueDemand[]> {
  const meter = new DemandMeter(windowMs);
  const look = async (): Promise<readonly QueueDemand[]> => {
    const queues = await queue.stats(classes);
    return meter.measure({ atMs: clock.nowMs(), queues }).queues;
  };
  await look();
  await sleep(clock, windowMs);
  return look();
}

function refuse<Code extends 1 | 2>({ complain }: AdviceDeps, problem: string, code: Code): Code {
  complain(`inferry: ${problem}\n`);
  return code;
}
