/**
 * When would a job that joins the line now have its answer? From the predicted free times of the servers,
 * in time proportional to their number and not to the length of the line, so that a long line does not
 * make its own door slow. The durable queue computes the same in Lua; a test holds the two together.
 */
import type { Estimate, LineView, ServerView, ServiceProfile } from '@inferry/contracts';

/** Beyond so many servers, or two batches for each, the line is taken as a fluid. */
const exactServersMax = 32;
const exactRounds = 2;

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

/** Gives the rows ahead to the servers in the order in which they become free. */
function readyByList({ rowEveryMs, rows, rowsAhead, servers }: LineView): number {
  const freeInMs = servers.map((server) => Math.max(0, server.freeInMs));
  let ahead = rowsAhead;
  for (;;) {
    let next = 0;
    for (let i = 1; i < freeInMs.length; i += 1) {
      if (freeInMs[i]! < freeInMs[next]!) next = i;
    }
    const { profile } = servers[next]!;
    const startInMs = freeInMs[next]!;
    if (ahead > 0 && ahead + rows > profile.rowsMax) {
      const taken = Math.min(ahead, profile.rowsMax);
      ahead -= taken;
      freeInMs[next] = startInMs + serviceMs(profile, taken);
      continue;
    }
    return startInMs + profile.tailFactor * serviceMs(profile, joined());

    /** Rows of its own batch: by the time it departs, later ones have joined. */
    function joined(): number {
      const own = ahead + rows;
      if (startInMs === 0 || rowEveryMs === null || rowEveryMs <= 0) return own;
      return Math.max(own, Math.min(profile.rowsMax, Math.ceil(own + startInMs / rowEveryMs)));
    }
  }
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
