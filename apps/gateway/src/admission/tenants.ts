/** Whose request it is. */
import { defaultTenant, type Failure, failure } from '@inferry/contracts';
import { err, ok, type Result } from '@inferry/runtime';

export interface Tenant {
  readonly name: string;
  /** Its share of every model against those of the others. */
  readonly weight: number;
}

export const tenantHeader = 'Inferry-Tenant';

/**
 * The tenant that the header names, `default` without one. `weights` is undefined where tenants are not
 * told apart; the header is not looked at then. Error: `invalid_header`.
 */
export function tenantOf(
  header: string | undefined,
  weights: ReadonlyMap<string, number> | undefined,
): Result<Tenant, Failure> {
  const name = weights === undefined ? defaultTenant : (header ?? defaultTenant);
  const weight = weights?.get(name) ?? (name === defaultTenant ? 1 : undefined);
  if (weight !== undefined) return ok({ name, weight });
  const detail = `${tenantHeader} "${name}" is not a tenant of this server.`;
  return err(failure('invalid_header', detail, { extras: { header: tenantHeader } }));
}
