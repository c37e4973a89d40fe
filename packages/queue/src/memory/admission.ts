/** Whether a class takes a job, and what is known of its wait: the same for one that is only asked about. */
import type { Estimate } from '@inferry/contracts';
import { type Clock, err, ok, type Result } from '@inferry/runtime';
import type { EnqueueRefusal, EnqueueTerms, JobOutline } from '../port.ts';
import { lateRefusal, modelUnavailable, queueFull, quotaExceeded } from '../refusals.ts';
import { type Pace, RetryPace } from '../retry-pace.ts';
import type { QueueRules } from '../rules.ts';
import type { Arrivals } from './arrivals.ts';
import type { Servers } from './servers.ts';
import type { WaitLine } from './wait-line.ts';

export interface ClassView {
  readonly line: WaitLine;
  readonly servers: Servers;
  readonly arrivals: Arrivals;
  readonly rules: QueueRules;
  /** When a refused caller of a tenant may come back. */
  readonly retryAfter: (tenant: string, lateMs: number, rows: number, pace: Pace) => number;
}

export interface Admitted {
  readonly ahead: number;
  readonly estimate: Estimate | null;
}

/** Paces those who are told to come back, all of the class together or those of a tenant. */
export function pacing(clock: Clock): ClassView['retryAfter'] {
  const paces = new Map<string, RetryPace>();
  return (tenant, lateMs, rows, served) => {
    const pace = paces.get(tenant) ?? new RetryPace();
    paces.set(tenant, pace);
    return pace.retryAfterMs(lateMs, rows, served, clock.nowMs());
  };
}

/** Bounds first, then the budget. Changes nothing that is stored. */
export function admit(
  view: ClassView,
  job: JobOutline,
  terms: EnqueueTerms,
): Result<Admitted, EnqueueRefusal> {
  const { line } = view;
  const { budget, tenantDepthMax } = terms;
  if (line.jobs >= terms.depthMax) return err(queueFull(job.class, 'depth', terms));
  if (line.bytes + job.payloadBytes > terms.bytesMax) {
    return err(queueFull(job.class, 'bytes', terms));
  }
  if (tenantDepthMax !== null && line.jobsOf(job.tenant) >= tenantDepthMax) {
    return err(quotaExceeded(job.class, job.tenant, tenantDepthMax));
  }
  const tag = line.tagOf(job);
  const ahead = line.aheadOf(tag);
  const estimate = estimateAt(tag);
  if (budget === null) return ok({ ahead, estimate });
  if (estimate === null) {
    return budget.needsWorker ? err(modelUnavailable(job.class)) : ok({ ahead, estimate });
  }
  const leftMs = budget.budgetMs - budget.usedMs;
  if (estimate.readyInMs <= leftMs) return ok({ ahead, estimate });
  const lateMs = estimate.readyInMs - leftMs;
  const code = isOwnDoing() ? 'quota_exceeded' : 'deadline_infeasible';
  const tenant = code === 'quota_exceeded' ? job.tenant : '';
  return err(
    lateRefusal(job.class, code, {
      estimateMs: budget.usedMs + estimate.readyInMs,
      budgetMs: budget.budgetMs,
      retryAfterMs: view.retryAfter(tenant, lateMs, job.rows, view.servers.pace),
    }),
  );

  /** Those of other flows count, too, that come before its turn. */
  function estimateAt(tag: number): Estimate | null {
    const { arrivals, rules } = view;
    const first = estimateOf(view, ahead, job.rows);
    if (first === null) return null;
    const ownRows = rules.rowsBetween(line.virtualTime, tag, terms.weight);
    const toCome = rules.rowsToCome(ownRows, first.readyInMs, {
      rowEveryMs: arrivals.rowEveryMs,
      ownRowEveryMs: line.rowEveryMsOf(job),
    });
    return toCome === 0 ? first : estimateOf(view, ahead, job.rows, toCome);
  }

  /** Where tenants are told apart: it would be in time but for what its own flow has asked for before. */
  function isOwnDoing(): boolean {
    if (tenantDepthMax === null) return false;
    const alone = estimateOf(view, line.aheadOf(line.virtualTime), job.rows);
    return alone !== null && alone.readyInMs <= leftMs;
  }
}

/** Of a job with so many rows behind the first `ahead` of those that wait, and behind `rowsToCome`. */
export function estimateOf(
  view: ClassView,
  ahead: number,
  rows: number,
  rowsToCome = 0,
): Estimate | null {
  const { arrivals, line, rules, servers } = view;
  return rules.estimate({
    rowsAhead: line.rowsOfFirst(ahead) + rowsToCome,
    rows,
    servers: servers.views(),
    rowEveryMs: arrivals.rowEveryMs,
  });
}
