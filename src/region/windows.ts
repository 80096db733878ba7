/**
 * Which open region memory belongs to, so that a view tells its region. Windows of several regions
 * may lie in one buffer: that of a nested region begins inside its outer region's and reaches as
 * far as it may grow, over blocks that are not its own. So a region owns what it has in use only.
 */
import { GRANULE } from '../layout.ts';
import type { Region } from '../types.ts';
import type { Part } from './space.ts';

const claims = new WeakMap<ArrayBufferLike, { region: Region; part: Part }[]>();

/** Open regions in the order they were opened; one that was forgotten unclosed may be collected. */
const open = new Set<WeakRef<Region>>();
const references = new WeakMap<Region, WeakRef<Region>>();

export function claimWindow(part: Part, region: Region): void {
  releaseWindow(part.window, region);
  const { buffer } = part.window;
  claims.set(buffer, [...claimsOn(buffer), { region, part }]);
  const reference = references.get(region) ?? new WeakRef(region);
  references.set(region, reference);
  open.add(reference);
}

export function releaseWindow({ buffer, byteOffset }: Uint8Array, region: Region): void {
  const kept = claimsOn(buffer)
    .filter((claim) => claim.region !== region || claim.part.window.byteOffset !== byteOffset);
  if (kept.length > 0) claims.set(buffer, kept);
  else claims.delete(buffer);
  const reference = references.get(region);
  if (region.closed && reference !== undefined) open.delete(reference);
}

/**
 * Visits every open region of this thread until the visitor returns true; regions that it opens or
 * closes meanwhile are not visited.
 *
 * @example walkRegions((region) => region.check().length > 0)
 */
export function walkRegions(visit: (region: Region) => unknown): void {
  for (const reference of [...open]) {
    const region = reference.deref();
    if (region === undefined) open.delete(reference);
    else if (!region.closed && visit(region) === true) return;
  }
}

/** The innermost open region whose memory a view looks at. */
export function regionOf(view: ArrayBufferView): Region | undefined {
  if (!ArrayBuffer.isView(view)) return undefined;
  let found: { region: Region; part: Part } | undefined;
  for (const claim of claimsOn(view.buffer)) {
    const isInner = found === undefined
      || claim.part.window.byteOffset > found.part.window.byteOffset;
    if (isInner && offsetIn(claim.part, view) >= 0) found = claim;
  }
  return found?.region;
}

/** Address of a view's first byte in `region`, or -1. */
export function placeOf(view: ArrayBufferView, region: Region): number {
  if (!ArrayBuffer.isView(view)) return -1;
  for (const claim of claimsOn(view.buffer)) {
    const offset = claim.region === region ? offsetIn(claim.part, view) : -1;
    if (offset >= 0) return claim.part.base + offset;
  }
  return -1;
}

function claimsOn(buffer: ArrayBufferLike) {
  return claims.get(buffer) ?? [];
}

/** Offset of a view's first byte in the segment, or -1 where the segment does not use it. */
function offsetIn({ window, arena }: Part, view: ArrayBufferView): number {
  const offset = view.byteOffset - window.byteOffset;
  return offset >= 0 && offset < arena.end() * GRANULE ? offset : -1;
}
