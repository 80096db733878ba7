/**
 * Free memory inside a region that needs no disk: whole pages of free blocks, behind what their
 * method keeps there. They are cleared, which a checkpoint makes durable as every change; then the
 * discipline knows where a hole in its file reads the same.
 */
import { count, type Readers, readOptions } from '../options.ts';
import { GRANULE, PAGE } from '../layout.ts';
import type { Purged, PurgeOptions } from '../call-options.ts';
import { tellWork } from '../work.ts';
import type { Part, Space } from './space.ts';

/** Shorter runs are not worth a hole: they make the map of a file long. */
const LEAST_PAGES = 16;
const ZEROS = new Uint8Array(LEAST_PAGES * PAGE);
const OPTIONS: Readers<PurgeOptions> = { clearBytes: count(0) };

export function purge(space: Space, options: PurgeOptions | undefined): Purged {
  const { clearBytes = Infinity } = readOptions<PurgeOptions>(options, OPTIONS, 'purge');
  const { discipline, parts } = space;
  let [bytes, cleared, clear] = [0, 0, 0];
  for (const part of discipline.hollow === undefined ? [] : parts) {
    const runs: number[] = [];
    for (const [first, pages] of freeRuns(part)) {
      const change = clearRun(part, first, pages, clearBytes - cleared);
      bytes += pages * PAGE;
      cleared += change.cleared;
      clear += change.pages * PAGE;
      if (change.pages > 0) runs.push(first, change.pages);
      tellWork('clearing free memory', first * PAGE, part.arena.end() * GRANULE);
    }
    discipline.hollow?.(part.index, Int32Array.from(runs));
  }
  return { bytes, cleared, done: clear === bytes };
}

/** Runs of whole pages inside free blocks: their first page, and how many. */
function freeRuns({ blocks, arena }: Part): [number, number][] {
  const head = blocks.freeHead;
  const runs: [number, number][] = [];
  if (head === undefined) return runs;
  const extent = arena.end() * GRANULE;
  blocks.walk((granule, bytes, busy) => {
    if (busy || bytes < LEAST_PAGES * PAGE) return false;
    const at = granule * GRANULE;
    const first = Math.ceil((at + head) / PAGE);
    const pages = Math.floor(Math.min(at + bytes, extent) / PAGE) - first;
    if (pages >= LEAST_PAGES) runs.push([first, pages]);
    return false;
  });
  return runs;
}

/** How many pages from the first on are clear now, and the bytes that were not before. */
function clearRun(
  { window }: Part, first: number, pages: number, most: number,
): { pages: number; cleared: number } {
  let cleared = 0;
  for (let page = first; page < first + pages; page += LEAST_PAGES) {
    const end = Math.min(page + LEAST_PAGES, first + pages);
    if (isClear(window, page, end)) continue;
    for (let at = page; at < end; at++) {
      if (isClear(window, at, at + 1)) continue;
      if (cleared >= most) return { pages: at - first, cleared };
      window.fill(0, at * PAGE, (at + 1) * PAGE);
      cleared += PAGE;
    }
  }
  return { pages, cleared };
}

/** Pages that are clear already are not written: each would be one that changed. */
function isClear(window: Uint8Array, from: number, to: number): boolean {
  const memory = window.subarray(from * PAGE, to * PAGE);
  return Buffer.compare(memory, ZEROS.subarray(0, memory.length)) === 0;
}
