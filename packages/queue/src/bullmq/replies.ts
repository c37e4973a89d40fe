/** What the scripts answer, as the values of the port. */
import type {
  ClassId,
  Estimate,
  JobEnvelope,
  JobId,
  JobRecord,
  Priority,
} from '@inferry/contracts';
import { invariant } from '@inferry/runtime';
import type { Claim, EnqueueRefusal, EnqueueTerms, JobOutline } from '../port.ts';
import type { ClassStats, FlowStats, SweptJob } from '../reports.ts';
import { lateRefusal, modelUnavailable, queueFull, quotaExceeded } from '../refusals.ts';
import type { ClassStatistics } from '../statistics.ts';
import type { Pace } from '../retry-pace.ts';
import { asBytes, asInteger, asList, type Reply } from './script-runner.ts';

export function claimOf(entry: readonly Reply[], fence: string, claimedAtMs: number): Claim {
  const [, data, attempt, suspect, seq, enqueuedUs, deadlineAtMs, overtaken, inline] = entry;
  const [readyUs = 0, startByUs = 0, dueUs = 0] = entry.slice(9).map(asInteger);
  return {
    job: JSON.parse(asBytes(data).toString()) as JobEnvelope,
    fence,
    attempt: asInteger(attempt),
    isSuspect: suspect === 1,
    seq: asInteger(seq),
    enqueuedAtMs: asInteger(enqueuedUs) / 1_000,
    claimedAtMs,
    deadlineAtMs: asInteger(deadlineAtMs),
    overtakenBy: asInteger(overtaken),
    promise:
      readyUs === 0
        ? null
        : {
            readyAtMs: readyUs / 1_000,
            startByMs: startByUs / 1_000,
            dueAtMs: dueUs === 0 ? null : dueUs / 1_000,
          },
    payload: inline === null || inline === undefined ? null : asBytes(inline),
  };
}

/** `reply`: what the find script says of a live job. */
export function liveRecord(reply: readonly Reply[]): JobRecord {
  const job = JSON.parse(asBytes(reply[0]).toString()) as JobEnvelope;
  const [
    attempt = 0,
    enqueuedUs = 0,
    startedUs = 0,
    deadlineAtMs = 0,
    rank = -1,
    flows = 0,
    etaUs = -1,
  ] = reply.slice(1).map(asInteger);
  const isQueued = rank >= 0;
  return {
    job,
    status: isQueued ? 'queued' : 'running',
    attempt,
    enqueuedAtMs: enqueuedUs / 1_000,
    startedAtMs: startedUs === 0 ? null : startedUs / 1_000,
    settledAtMs: null,
    deadlineAtMs,
    expiresAtMs: null,
    ahead: isQueued ? rank : null,
    isAheadApproximate: isQueued && flows > 1,
    etaAtMs: etaUs < 0 ? null : etaUs / 1_000,
    outcome: null,
  };
}

export function estimateOf(
  readyUs: Reply | undefined,
  startBoundUs: Reply | undefined,
): Estimate | null {
  const [ready, startBound] = [asInteger(readyUs), asInteger(startBoundUs)];
  if (ready < 0) return null;
  return { readyInMs: ready / 1_000, startBoundMs: startBound / 1_000 };
}

/** When a refused caller of a tenant may come back, as of now. */
export type RetryAfter = (tenant: string, lateMs: number, rows: number, pace: Pace) => number;

/** What the deciding scripts mean by `{0, why, ready us, us of a row, rows of a batch}`. */
export function refusalOf(
  [, why, readyUs, rowUs, batchRows]: readonly Reply[],
  job: JobOutline,
  terms: EnqueueTerms,
  retryAfter: RetryAfter,
): EnqueueRefusal {
  const reason = asBytes(why).toString();
  switch (reason) {
    case 'depth':
    case 'bytes':
      return queueFull(job.class, reason, terms);
    case 'tenant':
      return quotaExceeded(job.class, job.tenant, terms.tenantDepthMax ?? 0);
    case 'worker':
      return modelUnavailable(job.class);
    default: {
      invariant(terms.budget !== null, 'only a budget refuses a job for its time');
      const { budgetMs, usedMs } = terms.budget;
      const estimateMs = usedMs + asInteger(readyUs) / 1_000;
      const code = reason === 'share' ? 'quota_exceeded' : 'deadline_infeasible';
      const tenant = code === 'quota_exceeded' ? job.tenant : '';
      const pace = { rowMs: asInteger(rowUs) / 1_000, batchRows: asInteger(batchRows) };
      const retryAfterMs = retryAfter(tenant, estimateMs - budgetMs, job.rows, pace);
      return lateRefusal(job.class, code, { estimateMs, budgetMs, retryAfterMs });
    }
  }
}

export function jobIds(reply: Reply): readonly JobId[] {
  return asList(reply).map((id) => asBytes(id).toString() as JobId);
}

/** Jobs that a sweep or a claim ended, by their ids and, of each, `<status>/<flow>`. */
export function sweptJobs(ids: readonly JobId[], ends: Reply | undefined): readonly SweptJob[] {
  const texts = asList(ends).map((end) => asBytes(end).toString());
  return ids.map((id, i) => {
    const text = texts[i] ?? '';
    const status = text.startsWith('expired/') ? 'expired' : 'failed';
    return { id, priority: flowOf(text).priority, status };
  });
}

/** What the stats script says of a class. */
export function classStatsOf(cls: ClassId, reply: Reply): ClassStats {
  const parts = asList(reply);
  const [waiting = 0, active = 0, waitingBytes = 0, resultBytes = 0] = parts
    .slice(0, 4)
    .map(asInteger);
  const [waitingRows = 0, arrivedRows = 0, workers = 0] = parts.slice(4, 7).map(asInteger);
  const work = parts[7] ?? null;
  const [high = 0, normal = 0, low = 0] = parts.slice(8, 11).map((us) => asInteger(us) / 1_000);
  return {
    class: cls,
    waiting,
    waitingRows,
    active,
    waitingBytes,
    resultBytes,
    arrivedRows,
    oldestAgeMs: Math.max(high, normal, low),
    oldestAgeMsByPriority: { high, normal, low },
    workers,
    rowWorkMs: work === null ? null : Number(asBytes(work)),
    tenantsWaiting: asInteger(parts[11]),
    givenBackJobs: asInteger(parts[12]),
  };
}

/** What the flows script says of a class. */
export function flowStatsOf(reply: Reply | undefined): readonly FlowStats[] {
  const [waiting, takenRows] = asList(reply).map(numbersOf);
  if (waiting === undefined || takenRows === undefined) return [];
  return [...new Set([...waiting.keys(), ...takenRows.keys()])].map((flow) => ({
    ...flowOf(flow),
    waiting: waiting.get(flow) ?? 0,
    takenRows: takenRows.get(flow) ?? 0,
  }));
}

/** A list of names, each with the number that follows it. */
function numbersOf(reply: Reply): ReadonlyMap<string, number> {
  const list = asList(reply);
  const numbers = new Map<string, number>();
  for (let i = 0; i < list.length; i += 2) {
    const number = list[i + 1];
    const value = typeof number === 'number' ? number : Number(asBytes(number));
    numbers.set(asBytes(list[i]).toString(), value);
  }
  return numbers;
}

/** `<tenant>/<priority>`, as the scripts name a flow. */
function flowOf(name: string): Pick<FlowStats, 'tenant' | 'priority'> {
  const end = name.lastIndexOf('/');
  return { tenant: name.slice(0, end), priority: name.slice(end + 1) as Priority };
}

/** What the statistics script says of a class. */
export function statisticsOf(reply: Reply | undefined): ClassStatistics {
  const { last = 0, ...counters } = Object.fromEntries(numbersOf(reply ?? []));
  return { counters, lastAtMs: last };
}
