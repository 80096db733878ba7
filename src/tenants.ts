/**
 * Who lives inside a region: regions nested in its blocks. The region that owns the memory tells
 * them when it goes back in time or away.
 */
import type { Region, Tenant } from './types.ts';

const tenants = new WeakMap<Region, Set<Tenant>>();

/** From now on the tenant is told; the answer ends that. */
export function lodge(region: Region, tenant: Tenant): () => void {
  const all = tenants.get(region) ?? new Set();
  tenants.set(region, all.add(tenant));
  return () => all.delete(tenant);
}

/** The region's memory is about to go: its tenants leave. */
export function vacate(region: Region, error: Error): void {
  for (const tenant of tenantsOf(region)) tenant.evicted(error);
}

/** The region's memory went back in time. */
export function revert(region: Region): void {
  for (const tenant of tenantsOf(region)) tenant.reverted();
}

/** As they are now: telling one may make another leave. */
function tenantsOf(region: Region): readonly Tenant[] {
  return [...(tenants.get(region) ?? [])];
}
