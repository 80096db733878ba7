/** Where a region's blocks come from: the first segment that can, else a new one. */
import { RegionError } from '../errors.ts';
import { GRANULE } from '../layout.ts';
import { take } from './arguments.ts';
import type { Shards } from './shards.ts';
import type { Part, Space } from './space.ts';
import { hasBusy } from './survey.ts';

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
  if (alignment >= space.slotBytes) return null;
  if (space.shards !== null) return serveShared(space, space.shards, size, alignment);
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

/** From whichever segment is free; there will be no others. */
function serveShared(
  space: Space, shards: Shards, size: number, alignment: number,
): Served | null {
  const granule = take(shards, size, alignment);
  const part = granule === 0 ? null : space.partOf(granule * GRANULE);
  return part && { part, granule: granule - part.base / GRANULE, isNew: false };
}

export function noSpace(
  space: Space, name: string, size: number, alignment: number,
): RegionError {
  const { refusal } = space;
  if (refusal instanceof RegionError && refusal.code !== 'ERR_NO_SPACE') return refusal;
  // Nothing is walked for the message: a program may live with a full region.
  const extent = space.extent();
  const { capacity } = space.discipline;
  // A shard that is condemned says so: what it held may have been room enough.
  if (space.shards !== null) for (const { blocks } of space.parts) blocks.sizeOf(0);
  const aligned = alignment > GRANULE ? ` at a multiple of ${alignment}` : '';
  if (space.shards !== null && size > space.shards.mostBytes) {
    return new RegionError('ERR_NO_SPACE',
      `no room for ${size} bytes in region '${name}': a block is smaller than one of its ` +
        `${space.shards.count} shards of ${space.slotBytes} bytes; make it with fewer shards, or ` +
        'in a larger buffer');
  }
  const why = refusal instanceof RegionError ? `${refusal.message}; ` : '';
  return new RegionError('ERR_NO_SPACE',
    `no room for ${size} bytes${aligned} in region '${name}', which has ${extent} bytes of at ` +
      `most ${capacity}; ${why}free blocks, or open the region with a larger capacity`,
    refusal ?? undefined);
}

/** Bytes given back by every segment; `kept` are the blocks of the roots. */
export function giveBack(
  space: Space, kept: readonly number[], dropped: (part: Part) => void,
): number {
  const before = space.extent();
  space.refusal = null;
  for (const { blocks } of space.parts) blocks.trim();
  dropEmpty(space, kept, dropped);
  return before - space.extent();
}

/** Trailing segments without a visible block and without roots go, never the first or shared. */
function dropEmpty(
  space: Space, kept: readonly number[], dropped: (part: Part) => void,
): void {
  const { parts, shards, slotBytes } = space;
  if (shards !== null) return;
  for (let i = parts.length - 1; i > 0; i--) {
    const part = parts[i];
    const holdsRoots = kept.some((address) => Math.floor(address / slotBytes) === i);
    if (holdsRoots || hasBusy(part.blocks)) return;
    space.drop();
    if (parts.length > i) return;
    dropped(part);
  }
}
