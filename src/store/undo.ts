/**
 * Undo: what pages held before a checkpoint changed them, so that history can go back. Records of
 * the same form as those of a checkpoint, committed with it: applied to what it made, they give
 * what was there before.
 *
 * A page that was not there before needs none; one that is cut off does, so that the file can be
 * shortened at once.
 */
import { SLOT_PAGES, STATE, PAGE } from '../layout.ts';
import type { Move } from './catalog-history.ts';
import type { RegionRow } from './catalog.ts';
import type { StoreCore } from './core.ts';
import type { Changes } from './capture.ts';
import { isHistoryKept } from './history.ts';
import type { RegionCapture } from './record.ts';
import type { RegionFile } from './region-file.ts';

const STATE_PAGE = STATE.at / PAGE;

/** What is to be kept of the state before these changes; null = nobody can go back to it. */
export function captureUndo(core: StoreCore, { captures, files }: Changes): RegionCapture[] | null {
  if (!isHistoryKept(core)) return null;
  return captures.flatMap((capture, i) => {
    const file = files[i] as RegionFile;
    if (!core.committed.has(file.id)) return [];
    const segmentPages = file.committedPages;
    const pages = pagesBefore(capture, segmentPages);
    return [{ id: file.id, segmentPages, pages,
      gather: (list, out, at, crcs) => file.original(list, out, at, crcs) }];
  });
}

/** Of the pages that were there before, those that changed or are no longer in use. */
function pagesBefore(capture: RegionCapture, before: readonly number[]): Int32Array {
  const wasThere = (page: number) =>
    page % SLOT_PAGES < (before[Math.floor(page / SLOT_PAGES)] ?? 0);
  const changed = capture.pages.filter(wasThere);
  const cut: number[] = [];
  before.forEach((count, segment) => {
    const from = capture.segmentPages[segment] ?? 0;
    for (let page = from; page < count; page++) cut.push(segment * SLOT_PAGES + page);
  });
  if (cut.length === 0) return changed;
  const isState = (page: number) => page === STATE_PAGE;
  return Int32Array.from([...changed, ...cut.filter((page) => !isState(page))]).sort();
}

/** What regions that are made, renamed or dropped were called before. */
export function movesOf(core: StoreCore, sequence: number, rows: readonly RegionRow[]): Move[] {
  return rows.filter(({ kind }) => kind !== 'ring').map(({ id }) => {
    const before = core.committed.get(id);
    return { sequence, id, name: before?.dropped === null ? before.name : null };
  });
}
