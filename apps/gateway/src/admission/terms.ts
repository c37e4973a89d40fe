/** On what terms the queue is asked to take a job. Pure: from what the operator set and the caller asked. */
import type { Limits, ModelManifest } from '@inferry/contracts';
import type { Budget, EnqueueTerms } from '@inferry/queue';

/**
 * What becomes of a held request that would be late: it is refused, held all the same, or accepted as a job
 * to come back for.
 */
export type WhenLate = 'refuse' | 'hold' | 'defer';

export interface TermsView {
  readonly manifest: Pick<ModelManifest, 'admission' | 'queueDepthMax'>;
  readonly limits: Limits;
  /** Of the job's tenant and priority together. */
  readonly flowWeight: number;
  readonly hasTenants: boolean;
  /** Of a request that waits for its answer and must not be late; null for every other. */
  readonly held: {
    /** Since its headers were read. */
    readonly usedMs: number;
    /** Its own time limit, which begins when it is accepted. */
    readonly deadlineMs: number;
  } | null;
}

export function termsOf(view: TermsView): EnqueueTerms {
  const { manifest, limits, flowWeight, hasTenants } = view;
  const classMax = limits.queueDepthPerClassMax;
  const isBounded = manifest.admission.mode !== 'off';
  return {
    depthMax: isBounded ? Math.min(manifest.queueDepthMax, classMax) : classMax,
    bytesMax: limits.queueBytesPerClassMax,
    tenantDepthMax: hasTenants ? limits.queueDepthPerTenantMax : null,
    weight: flowWeight,
    budget: budgetOf(view),
  };
}

function budgetOf({ manifest, held }: TermsView): Budget | null {
  if (held === null) return null;
  const { mode, budgetMs } = manifest.admission;
  // What was spent before acceptance, on a slow body above all, is no part of it.
  const ownLimit = { usedMs: 0, budgetMs: held.deadlineMs };
  switch (mode) {
    case 'target': {
      const { usedMs } = held;
      const isNearer = budgetMs !== null && budgetMs - usedMs <= held.deadlineMs;
      return { ...(isNearer ? { usedMs, budgetMs } : ownLimit), needsWorker: true };
    }
    case 'timeout':
      return { ...ownLimit, needsWorker: false };
    case 'depth':
    case 'off':
      return null;
  }
}
