/** Where a region's blocks come from: the first segment that can, else a new one. */
import { RegionError } from '../errors.ts';
import { GRANULE, SLOT_BYTES } from '../layout.ts';
import { take } from './arguments.ts';
import type { Part, Space } from './space.ts';
import { hasBusy, statOf } from './survey.ts';

/** A block that was found, and whether its segment is new. */
export interface Served {
  readonly part: Part;
  readonly granule: number;
  readonly isNew: boolean;
}

/** A block, or null where there is no room for it; `space.refusal` may say why. */
export function serve(
  space: Space, regionId: string, size: number, alignment: number,
): Served | null {
  space.refusal = null;
  if (alignment >= SLOT_BYTES) return null;
  for (const part of space.parts) {
    const granule = take(part.blocks, size, alignment);
    if (granule !== 0) return { part, granule, isNew: false };
  }
  const part = space.add(regionId);
  if (part === null) return null;
  const granule = take(part.blocks, size, alignment);
  if (granule !== 0) return { part, granule, isNew: true };
  space.drop();
  return null;
}

export function noSpace(
  space: Space, name: string, size: number, alignment: number,
): RegionError {
  const { refusal } = space;
  if (refusal instanceof RegionError && refusal.code !== 'ERR_NO_SPACE') return refusal;
  const { largestFree, extent, capacity } = statOf(space);
  const aligned = alignment > GRANULE ? ` at a multiple of ${alignment}` : '';
  const why = refusal instanceof RegionError ? `${refusal.message}; ` : '';
  return new RegionError('ERR_NO_SPACE',
    `no room for ${size} bytes${aligned} in region '${name}': the largest free block has ` +
      `${largestFree} bytes, ${extent} bytes of ${capacity} are in use; ${why}free blocks, or ` +
      'open the region with a larger capacity', refusal ?? undefined);
}

/** Trailing segments without a visible block and without roots go, never the first. */
export function dropEmpty(
  space: Space, kept: readonly number[], dropped: (part: Part) => void,
): void {
  const { parts } = space;
  for (let i = parts.length - 1; i > 0; i--) {
    const part = parts[i];
    const holdsRoots = kept.some((address) => Math.floor(address / SLOT_BYTES) === i);
    if (holdsRoots || hasBusy(part.blocks)) return;
    space.drop();
    if (parts.length > i) return;
    dropped(part);
  }
}
