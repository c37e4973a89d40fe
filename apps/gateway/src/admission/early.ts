/**
 * Saying no before the body is read. A large body takes time to send and to receive, and is all for nothing
 * where the answer would be late; so the queue is asked first what it would say to the most modest job that
 * the request can turn out to be.
 */
import { classOf, type Failure, type ModelManifest, priorities } from '@inferry/contracts';
import { ok, type Result } from '@inferry/runtime';
import { flowWeight } from '@inferry/scheduling';

import type { GatewayParts } from '../deps.ts';
import type { GatewayContext } from '../http/exchange.ts';
import type { Tenant } from './tenants.ts';
import { termsOf } from './terms.ts';

/** Smaller bodies are there as soon as the answer to a question would be. */
const largeBodyBytes = 64 * 1024;

/**
 * For a held request that is refused when it would be late. `deadlineMs` where the headers give one. Errors:
 * those of the queue; none of them would have been spared the request after its body.
 */
export async function refuseEarly(
  c: GatewayContext,
  request: {
    readonly manifest: ModelManifest;
    readonly tenant: Tenant;
    readonly deadlineMs: number | undefined;
  },
  { queue, limits, tenants }: GatewayParts,
): Promise<Result<void, Failure>> {
  if (Number(c.req.header('content-length') ?? 0) <= largeBodyBytes) return ok(undefined);
  const { manifest, tenant } = request;
  const hasTenants = tenants !== undefined;
  const held = {
    usedMs: c.get('exchange').elapsedMs(),
    deadlineMs: request.deadlineMs ?? limits.deadlineMsMax,
  };
  // The body says how urgent it is; each priority waits in a line of its own.
  let refusal: Result<void, Failure> = ok(undefined);
  for (const priority of hasTenants ? priorities : (['normal'] as const)) {
    const weight = flowWeight(tenant.weight, priority);
    const terms = termsOf({ manifest, limits, flowWeight: weight, hasTenants, held });
    if (terms.budget === null) return ok(undefined);
    const outline = {
      class: classOf(manifest.name, manifest.version),
      tenant: tenant.name,
      priority,
      rows: 1,
      payloadBytes: 0,
    };
    const quoted = await queue.quote(outline, terms);
    if (quoted.ok) return ok(undefined);
    refusal = quoted;
  }
  return refusal;
}
