/** Invariants of `last`, named in last.ts. Reads only, bounded by the length of the arena. */
import { GRANULE, LAST, LAST_BLOCK, LAST_MAGIC, LAST_MAP_GRANULES, LAST_SLAB_SHIFT }
  from '../layout.ts';
import type { Arena, Blocks } from '../types.ts';
import { tellWork, TOLD_GRANULES } from '../work.ts';
import { firstOf, startAbove, startAboveNewest } from './last-starts.ts';

const { magic: MAGIC, newest: NEWEST, end: END, directory: DIRECTORY } = LAST;
const { size: SIZE, previous: PREVIOUS, next: NEXT, hidden: HIDDEN, sizeShift: SHIFT } = LAST_BLOCK;
/** Findings about blocks after which the rest is not looked at. */
const MOST = 100;

type Report = Parameters<Blocks['check']>[0];
type Span = { readonly start: number; readonly end: number };

export function checkLast(arena: Arena, report: Report): void {
  const { words } = arena;
  const s = arena.start * 4;
  const newest = words[s + NEWEST];
  const end = arena.end();
  if (words[s + MAGIC] !== LAST_MAGIC) found(report, 'L1', s / 4, 'the magic number is missing');
  if (words[s + END] !== end) {
    found(report, 'L1', s / 4, `the end is ${words[s + END]}, the arena's is ${end}`);
  }
  if (newest === 0) return;
  if (newest < firstOf(s) || newest >= end) {
    found(report, 'L1', s / 4, `the newest block cannot be at granule ${newest}`);
    return;
  }
  const maps = checkDirectory(arena, s, report);
  if (maps !== null) checkBlocks(arena, s, maps, report);
}

/** The bitmaps; null = entries make no sense, so that bits cannot be read. */
function checkDirectory(arena: Arena, s: number, report: Report): Span[] | null {
  const { words } = arena;
  const newest = words[s + NEWEST];
  const maps: Span[] = [];
  let isSane = true;
  let least = firstOf(s);
  for (let slab = 0; slab <= newest >>> LAST_SLAB_SHIFT; slab++) {
    const map = words[s + DIRECTORY + slab];
    if (map === 0) continue;
    const end = map + LAST_MAP_GRANULES;
    if (map < least || end > newest) {
      found(report, 'L2', s / 4, `slab ${slab} cannot have its bitmap at granule ${map}`);
      isSane = false;
    } else {
      maps.push({ start: map, end });
      least = end;
    }
  }
  return isSane ? maps : null;
}

function checkBlocks(arena: Arena, s: number, maps: readonly Span[], report: Report): void {
  const { words } = arena;
  const newest = words[s + NEWEST];
  let below = 0;
  let top = firstOf(s);
  let nextMap = 0;
  let count = 0;
  let due = 0;
  const complain: Report = (finding) => {
    count += 1;
    report(finding);
  };
  for (let p = startAbove(words, s, 0); p !== 0 && count < MOST; p = startAbove(words, s, p + 1)) {
    for (; nextMap < maps.length && maps[nextMap].end <= p; nextMap++) {
      const { start, end } = maps[nextMap];
      if (start < top) found(complain, 'L2', start, `a bitmap overlaps the block at ${below}`);
      top = Math.max(top, end + 1);
    }
    if (p >= due) {
      tellWork('checking blocks', p * GRANULE, newest * GRANULE);
      due = p + TOLD_GRANULES;
    }
    checkBlock(arena, p, top, complain);
    checkLinks(words, below, p, complain);
    below = p;
    top = p + Math.max(1, words[p * 4 + SIZE] >>> SHIFT);
  }
  if (count >= MOST) return;
  if (below !== newest) found(report, 'L5', newest, 'the newest block has no start bit');
  const above = startAboveNewest(words, s);
  if (above !== 0) found(report, 'L5', above, 'a start bit above the newest block');
}

function checkBlock(arena: Arena, p: number, least: number, report: Report): void {
  const header = arena.words[p * 4 + SIZE];
  const n = header >>> SHIFT;
  if (p < least) found(report, 'L3', p, 'the block starts inside the one below it');
  if (n < 1 || p + n > arena.end()) found(report, 'L3', p, `impossible size of ${n} granules`);
  if ((header & (2 ** SHIFT - 1) & ~HIDDEN) !== 0) found(report, 'L3', p, 'unknown flag');
}

function checkLinks(words: Int32Array, below: number, p: number, report: Report): void {
  const previous = words[p * 4 + PREVIOUS];
  if (previous !== below) found(report, 'L4', p, `below it is ${below}, not ${previous}`);
  const next = below === 0 ? p : words[below * 4 + NEXT];
  if (next !== p) found(report, 'L4', below, `above it is ${p}, not ${next}`);
}

function found(report: Report, id: string, granule: number, detail: string): void {
  report({ id, address: granule * GRANULE, detail });
}
