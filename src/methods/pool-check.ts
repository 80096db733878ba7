/** Invariants of `pool`, named in pool.ts. Reads only, bounded by the length of the arena. */
import { GRANULE, POOL, POOL_HIDDEN, POOL_MAGIC } from '../layout.ts';
import type { Finding } from '../types.ts';
import { tellWork, TOLD_GRANULES } from '../work.ts';
import { GranuleSet } from './granule-set.ts';
import { eachBlock, firstOf, hiddenOf, isLive } from './pool-places.ts';
import { bitCount, mapCount } from './pool-rebuild.ts';

/** Findings at most. */
const LIMIT = 100;

type Found = (id: string, granule: number, detail: string) => void;

export function checkPool(
  words: Int32Array,
  s: number,
  end: number,
  report: (finding: Finding) => void,
): void {
  let count = 0;
  const found: Found = (id, granule, detail) => {
    count += 1;
    if (count <= LIMIT) report({ id, address: granule * GRANULE, detail });
  };
  const wrong = wrongState(words, s, end);
  if (wrong !== '') {
    found('P1', s >>> 2, wrong);
    return;
  }
  checkHidden(words, s, found);
  const free = checkPlaces(words, s, found);
  if (free !== null) checkFree(words, s, free, found);
}

function wrongState(words: Int32Array, s: number, end: number): string {
  const fixed = words[s + POOL.fixed] >>> 0;
  const granules = fixed === 0 ? 0 : Math.max(1, Math.ceil((fixed - 1) / GRANULE));
  const top = words[s + POOL.top];
  if (words[s + POOL.magic] !== POOL_MAGIC) return 'this is not a heap of method pool';
  if (words[s + POOL.granules] !== granules) {
    return `blocks of ${fixed - 1} bytes do not have ${words[s + POOL.granules]} granules`;
  }
  if (end > words.length >>> 2) return `the arena cannot end at ${end}`;
  return top < firstOf(s) || top > end ? `the top is ${top}, the arena's end ${end}` : '';
}

function checkHidden(words: Int32Array, s: number, found: Found): void {
  const hidden = hiddenOf(words, s);
  const from = s + POOL.hidden + 2 * hidden.length;
  const rest = words.subarray(from, s + POOL.hidden + 2 * POOL_HIDDEN);
  if (rest.some((word, i) => i % 2 === 0 && word !== 0)) {
    found('P5', s >>> 2, `a gap behind ${hidden.length} hidden places`);
  }
  const top = words[s + POOL.top];
  hidden.forEach(({ place, granules }, i) => {
    const isFirst = hidden.findIndex((other) => other.place === place) === i;
    if (place < firstOf(s) || granules < 1 || place + granules > top || !isFirst) {
      found('P5', Math.max(place, 0), 'no hidden place can be here, or it is listed twice');
    } else if (isLive(words, s, place)) found('P5', place, 'a hidden block is live');
  });
}

/** The blocks that are not live; null = the places make no sense. */
function checkPlaces(words: Int32Array, s: number, found: Found): GranuleSet | null {
  const top = words[s + POOL.top];
  const free = new GranuleSet(top);
  let live = 0;
  let due = 0;
  const { at, maps, hidden } = eachBlock(words, s, top, (granule) => {
    if (granule >= due) {
      tellWork('checking blocks', granule * GRANULE, top * GRANULE);
      due = granule + TOLD_GRANULES;
    }
    if (isLive(words, s, granule)) live += 1;
    else free.add(granule);
    return false;
  });
  if (at !== top) {
    found('P2', Math.min(at, top), `places end at ${at}, not at ${top}`);
    return null;
  }
  if (maps !== mapCount(words, s) || hidden !== hiddenOf(words, s).length) {
    found('P2', s >>> 2, `${maps} bitmaps and ${hidden} hidden places, others are listed`);
    return null;
  }
  const bits = bitCount(words, s);
  if (bits !== live) found('P3', s >>> 2, `${bits} bits are set, ${live} of them at blocks`);
  return free;
}

function checkFree(words: Int32Array, s: number, free: GranuleSet, found: Found): void {
  let before = s >>> 2;
  for (let at = words[s + POOL.free]; at !== 0; at = words[at << 2]) {
    if (!free.delete(at)) {
      found('P4', before, `the free list leads to ${at}, which is not free, or again`);
      return;
    }
    before = at;
  }
  for (const granule of free) found('P4', granule, 'a free block is not in the free list');
}
