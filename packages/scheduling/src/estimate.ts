/**
 * When would a job that joins the line now have its answer? From the predicted free times of the servers,
 * in time proportional to their number and not to the length of the line, so that a long line does not
 * make its own door slow. The durable queue computes the same in Lua; a test holds the two together.
 */
import type { Estimate, LineView, ServerView, ServiceProfile } from '@inferry/contracts';

/** Beyond so many servers, or two batches for each, the line is taken as a fluid. */
const exactServersMax = 32;
const exactRounds = 2;
/**
 * Free times closer than this share of what the tail of a run adds may come in either order. All of it
 * would miss fewer estimates, but refuse twice as many jobs where servers differ.
 */
const closeShare = 0.25;
/** Arrivals are random: in 95 of 100 such times no more come than their mean and so many deviations. */
const arrivalsTail = 1.65;

/** Expected duration of a run of `rows` rows, ms. Above the last point it grows in proportion. */
export function serviceMs({ points }: ServiceProfile, rows: number): number {
  const [first] = points;
  if (first === undefined) return 0;
  let below = first;
  for (const point of points) {
    if (point.rows >= rows) {
      if (point.rows === rows || point.rows === below.rows) return point.ms;
      const share = (rows - below.rows) / (point.rows - below.rows);
      return below.ms + share * (point.ms - below.ms);
    }
    below = point;
  }
  return (below.ms * rows) / below.rows;
}

/** Null without servers: nobody knows. */
export function estimate(line: LineView): Estimate | null {
  const { servers } = line;
  if (servers.length === 0) return null;
  const rowsTogether = servers.reduce((sum, { profile }) => sum + profile.rowsMax, 0);
  const isExact = servers.length <= exactServersMax && line.rowsAhead < exactRounds * rowsTogether;
  const readyInMs = isExact ? readyByList(line) : readyByFluid(line);
  return { readyInMs, startBoundMs: startBound(line, rowsTogether) };
}

/** Mean times between the arrivals of two rows, ms; null while nothing is known. */
export interface ArrivalRates {
  /** Of all flows. */
  readonly rowEveryMs: number | null;
  /** Of the job's own flow. */
  readonly ownRowEveryMs: number | null;
}

/**
 * Rows of other flows that will arrive within `readyInMs` and go before a job that has `ownRows` of its own
 * flow before it: flows that ask for less than their share are served as they come. No more than one for
 * each own row, and one step only towards the fixed point of a wait that grows with what arrives in it.
 */
export function rowsToCome(
  ownRows: number,
  readyInMs: number,
  { ownRowEveryMs, rowEveryMs }: ArrivalRates,
): number {
  if (ownRowEveryMs === null || rowEveryMs === null || ownRowEveryMs <= rowEveryMs) return 0;
  const arriving = (1 / rowEveryMs - 1 / ownRowEveryMs) * readyInMs;
  return Math.floor(Math.min(ownRows, arriving + arrivalsTail * Math.sqrt(arriving)) + 0.5);
}

/** Gives the rows ahead to the servers in the order in which they become free. */
function readyByList({ rowEveryMs, rows, rowsAhead, servers }: LineView): number {
  const free = servers.map(({ freeInMs, profile }) => ({ profile, inMs: Math.max(0, freeInMs) }));
  const firstFree = (): (typeof free)[number] =>
    free.reduce((first, server) => (server.inMs < first.inMs ? server : first));
  let ahead = rowsAhead;
  let server = firstFree();
  while (ahead > 0 && ahead + rows > server.profile.rowsMax) {
    const taken = Math.min(ahead, server.profile.rowsMax);
    ahead -= taken;
    server.inMs += serviceMs(server.profile, taken);
    server = firstFree();
  }
  const startInMs = server.inMs;
  const isBusy = startInMs > 0;
  const own = ahead + rows;
  // By the time its batch departs, later jobs have joined it.
  const isJoined = isBusy && rowEveryMs !== null && rowEveryMs > 0;
  const joined = isJoined ? Math.ceil(own + startInMs / rowEveryMs) : 0;
  // Of those that may be first, the one that takes longest.
  let runMs = 0;
  for (const { inMs, profile } of free) {
    if (inMs > startInMs + (isBusy ? closeMs(profile) : 0)) continue;
    const rowsOfRun = Math.max(own, Math.min(profile.rowsMax, joined));
    runMs = Math.max(runMs, profile.tailFactor * serviceMs(profile, rowsOfRun));
  }
  return startInMs + runMs;
}

/** How close the free times of two servers are for either to be first: runs are not that regular. */
function closeMs(profile: ServiceProfile): number {
  const tailMs = (profile.tailFactor - 1) * serviceMs(profile, profile.rowsMax);
  return closeShare * Math.max(0, tailMs);
}

/** All servers as one, of their rates together; half a run for the phase they are in. */
function readyByFluid({ rowsAhead, servers }: LineView): number {
  let rate = 0;
  let owed = 0;
  let run = 0;
  let tailRun = 0;
  for (const { freeInMs, profile } of servers) {
    const runMs = Math.max(serviceMs(profile, profile.rowsMax), 0.001);
    const own = profile.rowsMax / runMs;
    rate += own;
    owed += own * Math.max(0, freeInMs);
    run += own * runMs;
    tailRun += own * profile.tailFactor * runMs;
  }
  return (rowsAhead + owed) / rate + (0.5 * run + tailRun) / rate;
}

/**
 * G2: every window as long as the slowest server's full batch serves one full batch on each. Two of them
 * more where servers claim ahead of their runs.
 */
function startBound({ rows, rowsAhead, servers }: LineView, rowsTogether: number): number {
  const slowestMs = servers.reduce((slowest, server) => Math.max(slowest, cycleMs(server)), 0);
  return Math.ceil((rowsAhead + rows) / rowsTogether) * slowestMs;
}

function cycleMs({ profile }: ServerView): number {
  return profile.tailFactor * serviceMs(profile, profile.rowsMax);
}
