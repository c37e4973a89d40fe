/** Whether a class takes a job, and what is known of its wait: the same for one that is only asked about. */
import type { Estimate } from '@inferry/contracts';
import { err, ok, type Random, type Result } from '@inferry/runtime';
import type { EnqueueRefusal, EnqueueTerms, JobOutline } from '../port.ts';
import {
  lateRefusal,
  modelUnavailable,
  queueFull,
  quotaExceeded,
  retryAfterLateMs,
} from '../refusals.ts';
import type { QueueRules } from '../rules.ts';
import type { Arrivals } from './arrivals.ts';
import type { Servers } from './servers.ts';
import type { WaitLine } from './wait-line.ts';

export interface ClassView {
  readonly line: WaitLine;
  readonly servers: Servers;
  readonly arrivals: Arrivals;
  readonly rules: QueueRules;
  readonly random: Random;
}

export interface Admitted {
  readonly ahead: number;
  readonly estimate: Estimate | null;
}

/** Bounds first, then the budget. Changes nothing. */
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
  const ahead = line.aheadOf(line.tagOf(job));
  const estimate = estimateOf(view, ahead, job.rows);
  if (budget === null) return ok({ ahead, estimate });
  if (estimate === null) {
    return budget.needsWorker ? err(modelUnavailable(job.class)) : ok({ ahead, estimate });
  }
  const leftMs = budget.budgetMs - budget.usedMs;
  if (estimate.readyInMs <= leftMs) return ok({ ahead, estimate });
  const lateMs = estimate.readyInMs - leftMs;
  return err(
    lateRefusal(job.class, isOwnDoing() ? 'quota_exceeded' : 'deadline_infeasible', {
      estimateMs: budget.usedMs + estimate.readyInMs,
      budgetMs: budget.budgetMs,
      retryAfterMs: retryAfterLateMs(lateMs, view.random.unit()),
    }),
  );

  /** Where tenants are told apart: it would be in time but for what its own flow has asked for before. */
  function isOwnDoing(): boolean {
    if (tenantDepthMax === null) return false;
    const alone = estimateOf(view, line.aheadOf(line.virtualTime), job.rows);
    return alone !== null && alone.readyInMs <= leftMs;
  }
}

/** Of a job with so many rows behind the first `ahead` of those that wait. */
export function estimateOf(view: ClassView, ahead: number, rows: number): Estimate | null {
  const { arrivals, line, rules, servers } = view;
  return rules.estimate({
    rowsAhead: line.rowsOfFirst(ahead),
    rows,
    servers: servers.views(),
    rowEveryMs: arrivals.rowEveryMs,
  });
}
