/**
 * Saying no before the body is read. A large body takes time to send and to receive, and is all for nothing
 * where the answer would be late; so the queue is asked first what it would say to the most modest job that
 * the request can turn out to be.
 */
import { classOf, type Failure, type ModelManifest, type Priority } from '@inferry/contracts';
import type { EnqueueTerms } from '@inferry/queue';
import { ok, type Result } from '@inferry/runtime';
import { flowWeight } from '@inferry/scheduling';

import type { GatewayParts } from '../deps.ts';
import type { Exchange } from '../exchange.ts';
import type { Tenant } from './tenants.ts';
import { termsOf } from './terms.ts';

/** Smaller bodies are there as soon as the answer to a question would be. */
const largeBodyBytes = 64 * 1024;

/**
 * For a held request that is refused when it would be late. `deadlineMs` where the headers give one. Errors:
 * those of the queue, for normal priority; none of them would have been spared the request after its body.
 */
export async function refuseEarly(
  request: {
    readonly exchange: Exchange;
    /** As the headers tell. */
    readonly bodyBytes: number;
    readonly manifest: ModelManifest;
    readonly tenant: Tenant;
    readonly deadlineMs: number | undefined;
  },
  { queue, limits, tenants }: GatewayParts,
): Promise<Result<void, Failure>> {
  const { bodyBytes, exchange, manifest, tenant } = request;
  // One that is too large is told that it need not come back.
  if (bodyBytes <= largeBodyBytes || bodyBytes > limits.bodyBytesMax) return ok(undefined);
  const hasTenants = tenants !== undefined;
  const held = {
    usedMs: exchange.elapsedMs(),
    deadlineMs: request.deadlineMs ?? limits.deadlineMsMax,
  };
  const termsFor = (priority: Priority): EnqueueTerms =>
    termsOf({
      manifest,
      limits,
      flowWeight: flowWeight(tenant.weight, priority),
      hasTenants,
      held,
    });
  const { budget } = termsFor('normal');
  if (budget === null) return ok(undefined);
  const outline = {
    class: classOf(manifest.name, manifest.version),
    tenant: tenant.name,
    rows: 1,
    payloadBytes: 0,
  };
  const normal = await queue.quote({ ...outline, priority: 'normal' }, termsFor('normal'));
  if (normal.ok) return ok(undefined);
  if (!hasTenants) return normal;
  // The body says how urgent it is; each priority waits in a line of its own. These are asked without a
  // budget, because each refusal gives away a turn to come back, and the caller comes back once.
  for (const priority of ['high', 'low'] as const) {
    const terms = { ...termsFor(priority), budget: null };
    const quoted = await queue.quote({ ...outline, priority }, terms);
    const readyInMs = quoted.ok ? quoted.value?.readyInMs : undefined;
    if (readyInMs !== undefined && budget.usedMs + readyInMs <= budget.budgetMs) {
      return ok(undefined);
    }
  }
  return normal;
}
