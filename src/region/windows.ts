/**
 * Which open region memory belongs to, so that a view tells its region. Windows of several regions
 * may lie in one buffer: that of a nested region begins inside its outer region's and reaches as
 * far as it may grow, over blocks that are not its own. So a region owns what it has in use only.
 */
import { GRANULE } from '../layout.ts';
import type { Region } from '../types.ts';
import type { Part } from './space.ts';

const claims = new WeakMap<ArrayBufferLike, { region: Region; part: Part }[]>();

export function claimWindow(part: Part, region: Region): void {
  releaseWindow(part.window, region);
  const { buffer } = part.window;
  claims.set(buffer, [...claimsOn(buffer), { region, part }]);
}

export function releaseWindow({ buffer, byteOffset }: Uint8Array, region: Region): void {
  const kept = claimsOn(buffer)
    .filter((claim) => claim.region !== region || claim.part.window.byteOffset !== byteOffset);
  if (kept.length > 0) claims.set(buffer, kept);
  else claims.delete(buffer);
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
