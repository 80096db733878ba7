/** Derives the free list of `pool` again from the ground truth, and what rests on that. */
import { GRANULE, POOL, POOL_CHUNK_SHIFT, POOL_HIDDEN, POOL_MAGIC, POOL_MAP_GRANULES }
  from '../layout.ts';
import { eachBlock, firstOf, hiddenOf, isLive, mapOf } from './pool-places.ts';
import { hasStart } from './starts.ts';

const { fixed: FIXED, granules: GRANULES, top: TOP, free: FREE, directory: DIRECTORY } = POOL;
const CHUNK = 2 ** POOL_CHUNK_SHIFT;
const CHUNKS = POOL.words - POOL.directory;

export function rebuildPool(words: Int32Array, s: number, end: number): boolean {
  const top = words[s + TOP];
  if (words[s + POOL.magic] !== POOL_MAGIC || top < firstOf(s) || top > end) return false;
  if (end > words.length >>> 2) return false;
  const fixed = words[s + FIXED] >>> 0;
  words[s + GRANULES] = fixed === 0 ? 0 : Math.max(1, Math.ceil((fixed - 1) / GRANULE));
  dropBehind(words, s, top);
  const hidden = hiddenOf(words, s);
  const { at, maps, hidden: met } = eachBlock(words, s, top, () => false);
  if (at !== top || met !== hidden.length || maps !== mapCount(words, s)) return false;
  // A killed call may have listed a block as hidden that still has its bit.
  for (const { place } of hidden) dropBit(words, s, place);
  if (!areStarts(words, s, top)) return false;
  linkFree(words, s, top);
  return true;
}

/** Directory entries, hidden places and bits behind `top` are the rest of a call cut short. */
function dropBehind(words: Int32Array, s: number, top: number): void {
  for (let chunk = 0; chunk < CHUNKS; chunk += 1) {
    if (words[s + DIRECTORY + chunk] >= top) words[s + DIRECTORY + chunk] = 0;
  }
  const kept = hiddenOf(words, s).filter(({ place }) => place > 0 && place < top);
  for (let i = 0; i < POOL_HIDDEN; i += 1) {
    words[s + POOL.hidden + 2 * i] = kept[i]?.place ?? 0;
    words[s + POOL.hidden + 2 * i + 1] = kept[i]?.granules ?? 0;
  }
  const map = mapOf(words, s, top) << 2;
  for (let bit = top & (CHUNK - 1); map !== 0 && bit < CHUNK; bit += 1) {
    if (hasStart(words, map, bit)) words[map + (bit >>> 5)] &= ~(1 << bit);
  }
}

export function mapCount(words: Int32Array, s: number): number {
  return words.subarray(s + DIRECTORY, s + POOL.words).reduce((sum, map) => sum + +(map !== 0), 0);
}

function dropBit(words: Int32Array, s: number, place: number): void {
  if (!isLive(words, s, place)) return;
  words[(mapOf(words, s, place) << 2) + ((place & (CHUNK - 1)) >>> 5)] &= ~(1 << place);
}

/** Are bits set at the places of blocks only? By their number. */
function areStarts(words: Int32Array, s: number, top: number): boolean {
  let live = 0;
  eachBlock(words, s, top, (granule) => {
    live += +isLive(words, s, granule);
    return false;
  });
  return live === bitCount(words, s);
}

export function bitCount(words: Int32Array, s: number): number {
  let count = 0;
  for (let chunk = 0; chunk < CHUNKS; chunk += 1) {
    const map = mapOf(words, s, chunk * CHUNK) << 2;
    for (let i = 0; map !== 0 && i < POOL_MAP_GRANULES * 4; i += 1) {
      for (let bits = words[map + i]; bits !== 0; bits &= bits - 1) count += 1;
    }
  }
  return count;
}

/** Every block that is not live, the lowest first. */
function linkFree(words: Int32Array, s: number, top: number): void {
  let last = s + FREE;
  words[last] = 0;
  eachBlock(words, s, top, (granule) => {
    if (isLive(words, s, granule)) return false;
    words[granule << 2] = 0;
    words[last] = granule;
    last = granule << 2;
    return false;
  });
}

/** `top` goes down over free blocks; nothing behind it is ours. */
export function trimPool(words: Int32Array, s: number): void {
  const top = words[s + TOP];
  let kept = firstOf(s);
  const n = words[s + GRANULES];
  eachBlock(words, s, top, (granule) => {
    if (isLive(words, s, granule)) kept = granule + n;
    return false;
  });
  for (const { place, granules } of hiddenOf(words, s)) kept = Math.max(kept, place + granules);
  if (kept >= top) return;
  words[s + TOP] = kept;
  dropBehind(words, s, kept);
  linkFree(words, s, kept);
}

/** `top` first: from then on there is nothing. The size stays. */
export function clearPool(words: Int32Array, s: number): void {
  words[s + TOP] = firstOf(s);
  words[s + FREE] = 0;
  words.fill(0, s + POOL.hidden, s + POOL.words);
  words[s + POOL.magic] = POOL_MAGIC;
}
