/**
 * Which open region a window belongs to, so that a view tells its region. Windows of several
 * regions may lie in one buffer: those of a nested region lie inside its outer region's.
 */
import type { Region } from '../types.ts';

/** A window of an open region; `from` and `to` are offsets of its buffer. */
interface Claim {
  readonly region: Region;
  readonly from: number;
  readonly to: number;
  /** Address of the byte at `from`. */
  readonly base: number;
}

const claims = new WeakMap<ArrayBufferLike, Claim[]>();
/** Open regions in the order they were opened; one that was forgotten unclosed may be collected. */
const open = new Set<WeakRef<Region>>();
const references = new WeakMap<Region, WeakRef<Region>>();

export function claimWindow(window: Uint8Array, region: Region, base: number): void {
  releaseWindow(window, region);
  const { buffer, byteOffset: from, length } = window;
  claims.set(buffer, [...claimsOn(buffer), { region, from, to: from + length, base }]);
  const reference = references.get(region) ?? new WeakRef(region);
  references.set(region, reference);
  open.add(reference);
}

export function releaseWindow({ buffer, byteOffset }: Uint8Array, region: Region): void {
  const kept = claimsOn(buffer)
    .filter((claim) => claim.region !== region || claim.from !== byteOffset);
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
  let found: Claim | undefined;
  for (const claim of claimsOn(view.buffer)) {
    const isInner = found === undefined || claim.from > found.from
      || (claim.from === found.from && claim.to < found.to);
    if (isInner && holds(claim, view)) found = claim;
  }
  return found?.region;
}

/** Address of a view's first byte in `region`, or -1. */
export function placeOf(view: ArrayBufferView, region: Region): number {
  if (!ArrayBuffer.isView(view)) return -1;
  const claim = claimsOn(view.buffer).find((one) => one.region === region && holds(one, view));
  return claim === undefined ? -1 : claim.base + view.byteOffset - claim.from;
}

function claimsOn(buffer: ArrayBufferLike): readonly Claim[] {
  return claims.get(buffer) ?? [];
}

function holds({ from, to }: Claim, view: ArrayBufferView): boolean {
  return view.byteOffset >= from && view.byteOffset < to;
}
