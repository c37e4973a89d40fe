/**
 * Several gateways and workers, each a process of its own to the queue, on one class at the same time.
 * What they do is random but seeded; how their calls fall together is not, which is why every change is
 * written down with its number and judged afterwards (replay.fixture.ts).
 */
import { type ClassId, type JobEnvelope, type JobId, newJobId } from '@inferry/contracts';
import { type Clock, type Random, seededRandom, sleep } from '@inferry/runtime';
import type { Claim, JobQueue } from '../port.ts';
import { type Entry, jobOf, Recorder } from './recorder.fixture.ts';

export interface Crowd {
  readonly cls: ClassId;
  readonly clock: Clock;
  readonly gateways: readonly JobQueue[];
  readonly workers: readonly JobQueue[];
  readonly flows: readonly {
    readonly tenant: string;
    readonly priority: JobEnvelope['priority'];
    readonly weight: number;
  }[];
  readonly jobsPerGateway: number;
  readonly rowsMax: number;
  readonly agingMs: number;
  readonly leaseMs: number;
  /** Chance that a worker, when it has claimed, dies with what it holds. */
  readonly crashes: number;
  /** Chance that it gives a part back. */
  readonly returns: number;
  /** Chance that a job is canceled by the gateway that took it. */
  readonly cancels: number;
  /** Chance that a job does not wait for long. */
  readonly hurries: number;
  readonly seed: number;
  /** Everything has ended by then, or the run is over. */
  readonly limitMs: number;
}

export interface Witnessed {
  readonly entries: readonly Entry[];
  /** What was wrong with answers on their own. */
  readonly problems: readonly string[];
  /** Every job has ended. */
  readonly isOver: boolean;
}

export async function runCrowd(crowd: Crowd): Promise<Witnessed> {
  const { clock, gateways, workers, seed, limitMs } = crowd;
  const entries: Entry[] = [];
  const write = (entry: Entry): void => {
    entries.push(entry);
  };
  const recorderOf = (queue: JobQueue): Recorder => new Recorder(queue, crowd.cls, write);
  const recorders = [...gateways, ...workers].map(recorderOf);
  const untilMs = clock.nowMs() + limitMs;
  let open = gateways.length;
  const isOver = async (recorder: Recorder): Promise<boolean> => {
    if (open > 0) return false;
    const [stats] = await recorder.queue.stats([crowd.cls]);
    return stats !== undefined && stats.waiting + stats.active === 0;
  };
  const goesOn = async (recorder: Recorder): Promise<boolean> =>
    clock.nowMs() < untilMs && !(await isOver(recorder));

  await Promise.all(
    recorders.map(async (recorder, i) => {
      const random = seededRandom(seed * 100 + i);
      if (i >= gateways.length) {
        await work(crowd, recorder, `w${i}`, random, goesOn);
        return;
      }
      await arrive(crowd, recorder, random);
      open -= 1;
      // Any process looks after the dead.
      while (await goesOn(recorder)) {
        await recorder.sweep();
        await sleep(clock, 20);
      }
    }),
  );
  const [last] = recorders;
  const ended = last === undefined || (await isOver(last));
  for (const recorder of recorders) recorder.close();
  return { entries, problems: recorders.flatMap(({ problems }) => problems), isOver: ended };
}

async function arrive(crowd: Crowd, recorder: Recorder, random: Random): Promise<void> {
  const { clock, flows, rowsMax, cls } = crowd;
  const taken: JobId[] = [];
  for (let i = 0; i < crowd.jobsPerGateway; i += 1) {
    const flow = flows[Math.floor(random.unit() * flows.length)];
    if (flow === undefined) return;
    const { tenant, priority, weight } = flow;
    // Clocks of gateways differ: ids are in no order of time.
    const id = newJobId(random.unit() * 1e12, random);
    const rows = 1 + Math.floor(random.unit() * rowsMax);
    const hurried = random.unit() < crowd.hurries ? { queueTimeoutMs: 40 } : {};
    await recorder.enqueue(jobOf(cls, id, { rows, tenant, priority, ...hurried }), {
      depthMax: 10_000,
      bytesMax: 1_000_000,
      tenantDepthMax: null,
      weight,
      budget: null,
    });
    taken.push(id);
    if (random.unit() < crowd.cancels) {
      // Often the newest: the next of its flow then stands where it stood.
      const canceled = random.unit() < 0.5 ? id : taken[Math.floor(random.unit() * taken.length)];
      if (canceled !== undefined) await recorder.cancel(canceled);
    }
    if (random.unit() < 0.1) await recorder.sweep();
    // In gusts: the queue grows long, and becomes empty now and then.
    if (random.unit() < 0.02) await sleep(clock, random.unit() * 150);
  }
}

async function work(
  crowd: Crowd,
  recorder: Recorder,
  workerId: string,
  random: Random,
  goesOn: (recorder: Recorder) => Promise<boolean>,
): Promise<void> {
  const { clock, agingMs } = crowd;
  let held: readonly Claim[] = [];
  let renewAtMs = clock.nowMs() + crowd.leaseMs / 3;
  while (await goesOn(recorder)) {
    const claims = await recorder.claim({
      workerId,
      rowsMax: 1 + Math.floor(random.unit() * 8),
      // The last few would wait for company that does not come.
      rowsMin: random.unit() < 0.2 ? 3 : 1,
      takeSuspect: held.length === 0 || random.unit() < 0.5,
      freeInMs: [0],
      agingMs,
    });
    held = [...held, ...claims];
    if (claims.length === 0) await sleep(clock, 3);
    if (random.unit() < 0.5) await sleep(clock, random.unit() * 8);
    if (clock.nowMs() >= renewAtMs) {
      const lost = await recorder.queue.renew(workerId, crowd.cls, held);
      held = held.filter((claim) => !lost.includes(claim));
      renewAtMs = clock.nowMs() + crowd.leaseMs / 3;
    }
    if (held.length > 0 && random.unit() < crowd.crashes) {
      held = [];
      continue;
    }
    const chosen = held.filter(() => random.unit() < 0.7);
    if (chosen.length > 0 && random.unit() < crowd.returns) {
      await recorder.giveBack(chosen, random.unit() < 0.2);
    } else if (chosen.length > 0) {
      await recorder.settle(chosen, random.unit() < 0.9);
    }
    held = held.filter((claim) => !chosen.includes(claim));
  }
}
