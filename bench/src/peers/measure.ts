/** One run of one side: start, warm up, load, one request at a time, end. */
import { type LoadResult, load } from './apache-bench.ts';
import { type Breakdown, threadUsage, usageBetween } from './breakdown.ts';
import { cpuMsOf, machineBusyMs, peakRssBytesOf, processTree } from './process-tree.ts';
import type { Running, Side } from './sides.ts';

export interface Measured {
  readonly peer: string;
  readonly load: LoadResult;
  /** Of all its processes, user and system, for one request. */
  readonly cpuMsPerRequest: number;
  /** Median time of an answer when one request is open at a time. */
  readonly c1P50Ms: number;
  readonly peakRssBytes: number;
  readonly startMs: number;
  /** Cores that were busy with something else meanwhile: what disturbs the figures. */
  readonly otherCores: number;
  readonly breakdown: Breakdown;
}

export interface RunOptions {
  /** Length of the run under load. */
  readonly seconds: number;
  readonly connections: number;
  /** Requests before what is measured. */
  readonly warmUp: number;
}

const aloneRequests = 200;
/** Enough for percentiles, and an end for a side that answers at once. */
const requestsMin = 300;
const requestsMax = 200_000;

/** Throws where a side cannot be started, or does not answer with a label before and after the load. */
export async function measure(side: Side, options: RunOptions): Promise<Measured> {
  const running = await side.start();
  try {
    return await measureRunning(side.name, running, options);
  } finally {
    await running.close();
  }
}

async function measureRunning(
  peer: string,
  running: Running,
  { seconds, connections, warmUp }: RunOptions,
): Promise<Measured> {
  const { target } = running;
  const warmed = await load(target, { requests: warmUp, connections });
  const wanted = Math.round(warmed.perSecond * seconds);
  const requests = Math.min(requestsMax, Math.max(requestsMin, wanted));
  const withoutResultBefore = await running.withoutResult();

  const before = snapshot(running);
  const loaded = await load(target, { requests, connections });
  const after = snapshot(running);

  const withoutResult = (await running.withoutResult()) - withoutResultBefore;
  const alone = await load(target, { requests: aloneRequests, connections: 1 });
  await running.check();
  const cpuMs = after.cpuMs - before.cpuMs;
  const ownMs = after.ownMs - before.ownMs;
  const wallMs = after.atMs - before.atMs;
  return {
    peer,
    load: { ...loaded, failed: loaded.failed + alone.failed + withoutResult },
    cpuMsPerRequest: cpuMs / loaded.requests,
    c1P50Ms: alone.p50Ms,
    peakRssBytes: peakRssBytesOf(running.tree()),
    startMs: running.startMs,
    otherCores: Math.max(0, (after.busyMs - before.busyMs - cpuMs - ownMs) / wallMs),
    breakdown: usageBetween(before.threads, after.threads, loaded.requests),
  };
}

/** Everything that is a difference in the end. */
function snapshot(running: Running) {
  const tree = running.tree();
  return {
    atMs: performance.now(),
    cpuMs: cpuMsOf(tree),
    busyMs: machineBusyMs(),
    // This process, and the load generators it has waited for.
    ownMs: cpuMsOf(processTree([process.pid]).filter(({ id }) => id === process.pid)),
    threads: threadUsage(tree, running.roles),
  };
}
