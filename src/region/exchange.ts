/** Another discipline for the same memory: what Vmalloc's vmdisc does. */
import { RegionError } from '../errors.ts';
import { PAGE } from '../layout.ts';
import type { RegionEvents } from '../events.ts';
import type { Discipline, Region } from '../types.ts';
import type { Space } from './space.ts';

/** Puts `next` in place of the region's discipline, which is returned. */
export function exchange(
  space: Space, region: Region, on: RegionEvents, next: Discipline,
): Discipline {
  const problem = problemOf(space, next);
  if (problem !== null) {
    throw new RegionError('ERR_MISMATCH',
      `the discipline '${String(next?.name)}' does not serve the memory of region ` +
        `'${region.name}': ${problem}`);
  }
  if (on.discipline?.(next, region) === false) {
    throw new RegionError('ERR_BUSY',
      `region '${region.name}' keeps its discipline: its handler 'discipline' vetoed another`);
  }
  const before = space.discipline;
  space.discipline = next;
  return before;
}

function problemOf(space: Space, next: Discipline): string | null {
  if (typeof next?.window !== 'function' || typeof next.resize !== 'function') {
    return 'it is no discipline';
  }
  if (space.shards !== null || next.sharing) return 'it is shared by threads, whose locks stay';
  const { round, durable } = next;
  if (!(round > 0) || round % PAGE !== 0) return `its round of ${round} bytes is no page multiple`;
  if (durable !== space.discipline.durable) return 'one of the two is not durable';
  for (const { index, window } of space.parts) {
    if ((space.pages(index) * PAGE) % round !== 0) {
      return `segment ${index} is no multiple of its round of ${round} bytes`;
    }
    const other = next.window(index);
    const isSame = other.buffer === window.buffer && other.byteOffset === window.byteOffset
      && other.length === window.length;
    if (!isSame) return `its window of segment ${index} is another one`;
  }
  return null;
}
