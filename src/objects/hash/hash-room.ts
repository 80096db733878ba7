/**
 * How a hash grows, a bounded step at a time, and how it shrinks, without new memory.
 *
 * The first block of entries doubles up to 2^CHUNK_SHIFT, then blocks of that size are added; what
 * is copied is bounded, but for the directory: 4 bytes for 2^CHUNK_SHIFT entries. Chains are split
 * a few at a time (linear hashing), in their order, so that heads are read one after the other.
 *
 * Memory is allocated before anything is changed. A link that changes is told to a collection under
 * way, even where the block is found in another way afterwards.
 */
import { RegionError } from '../../errors.ts';
import { ALIVE_MASK, BUCKETS, CHUNK_SHIFT, DEAD, DIRECTORY, ENTRIES, ENTRY, GRANULE_MASK, HASH,
  HEADS_SHIFT, ROLE, ROLE_SHIFT, ROOM_SHIFT, WORD_SHIFT } from '../../layout-objects.ts';
import { tagOf } from '../core.ts';
import { bucketOf, CHUNK, HEADS, type HashShape } from './hash-shape.ts';
import type { Views } from '../memory.ts';

const WORD_BYTES = 4;
/** Up to so many entries are looked through: there are no chains. */
export const FEW = 8;
const FIRST_ENTRIES = 4;
const FIRST_HEADS = 16;
const FIRST_CHUNKS = 7;
/** The number of an entry + 1 fits a link. */
const MOST_CHUNKS = 2 ** (31 - CHUNK_SHIFT) - 1;
/** Chains that are split in one go: their entries are fetched side by side. */
const BATCH = 16;

/** There is room for one more entry, and a chain for it. ERR_NO_SPACE: the hash is as it was. */
export function reserve(shape: HashShape, ref: number): void {
  const { memory } = shape;
  const { i32 } = memory.views(ref);
  const at = memory.word(ref);
  if (i32[at + HASH.used] === i32[at + HASH.room]) addRoom(shape, ref, FIRST_ENTRIES);
  const buckets = i32[at + HASH.buckets];
  if (buckets === 0) {
    if (i32[at + HASH.used] >= FEW) addBuckets(shape, ref);
  } else if (i32[at + HASH.size] >= buckets) splitSome(shape, ref);
}

/** Room for more entries, `first` where there are none yet. */
export function addRoom(shape: HashShape, ref: number, first: number): void {
  const { memory } = shape;
  const { i32 } = memory.views(ref);
  const at = memory.word(ref);
  const room = i32[at + HASH.room];
  if (room >= CHUNK) return addChunk(shape, ref);
  const fresh = newEntries(shape, Math.min(CHUNK, Math.max(first, room * 2)));
  const old = i32[at + HASH.entries];
  const words = memory.views(fresh).i32;
  const word = memory.word(fresh);
  if (old !== 0) {
    const oldWords = memory.views(old).i32;
    const from = memory.word(old);
    const end = from + ENTRIES.data + i32[at + HASH.used] * shape.stride;
    words.set(oldWords.subarray(from + ENTRIES.data, end), word + ENTRIES.data);
    words[word + ENTRIES.counts] |= oldWords[from + ENTRIES.counts] & ALIVE_MASK;
  }
  i32[at + HASH.entries] = fresh;
  i32[at + HASH.room] = words[word + ENTRIES.counts] >>> ROOM_SHIFT;
  giveUp(shape, old);
}

/** Another block of entries, and the directory that names it. */
function addChunk(shape: HashShape, ref: number): void {
  const { memory } = shape;
  const { i32 } = memory.views(ref);
  const at = memory.word(ref);
  const chunks = i32[at + HASH.room] >>> CHUNK_SHIFT;
  if (chunks >= MOST_CHUNKS) {
    throw new RegionError('ERR_NO_SPACE', `a ${shape.type.text} has at most 2^31 entries`);
  }
  const fresh = newEntries(shape, CHUNK);
  freeUnless(shape, fresh, () => addTo(shape, ref, HASH.entries, chunks, fresh));
  i32[at + HASH.room] += CHUNK;
}

/** A block for so many entries, all zeros: what was not written yet refers to nothing. */
function newEntries({ memory, stride, type }: HashShape, room: number): number {
  const fresh = memory.alloc((ENTRIES.data + room * stride) * WORD_BYTES);
  const word = memory.word(fresh);
  const { i32 } = memory.views(fresh);
  const words = memory.room(fresh) >>> 2;
  i32.fill(0, word, word + words);
  i32[word] = tagOf(ROLE.entries, type.id);
  // The block may be larger than was asked for.
  const fit = Math.floor((words - ENTRIES.data) / stride);
  i32[word + ENTRIES.counts] = Math.min(CHUNK, fit) << ROOM_SHIFT;
  return fresh;
}

/** `block` becomes number `count` of the directory that `field` names, or of a new one. */
function addTo(
  { memory }: HashShape, ref: number, field: number, count: number, block: number,
): void {
  const { i32 } = memory.views(ref);
  const at = memory.word(ref) + field;
  const old = i32[at];
  const capacity = count === 1 ? 0 : memory.tag(old) >>> ROLE_SHIFT;
  if (count < capacity) {
    memory.views(old).i32[memory.word(old) + DIRECTORY.entries + count] = block;
    return;
  }
  const fresh = memory.alloc((DIRECTORY.entries + Math.max(FIRST_CHUNKS, count * 2)) * WORD_BYTES);
  const { i32: words } = memory.views(fresh);
  const to = memory.word(fresh);
  const room = (memory.room(fresh) >>> 2) - DIRECTORY.entries;
  words.fill(0, to, to + DIRECTORY.entries + room);
  words[to] = tagOf(ROLE.directory, room);
  const from = memory.word(old) + DIRECTORY.entries;
  if (count === 1) words[to + DIRECTORY.entries] = old;
  else words.set(memory.views(old).i32.subarray(from, from + count), to + DIRECTORY.entries);
  words[to + DIRECTORY.entries + count] = block;
  i32[at] = fresh;
  memory.dropped(old);
  if (count > 1) memory.free(old);
}

function newHeads({ memory }: HashShape, room: number): number {
  const fresh = memory.alloc((BUCKETS.heads + room) * WORD_BYTES);
  const word = memory.word(fresh);
  const words = memory.room(fresh) >>> 2;
  const { i32 } = memory.views(fresh);
  i32.fill(0, word, word + words);
  i32[word] = tagOf(ROLE.buckets, 0);
  i32[word + BUCKETS.room] = Math.min(HEADS, words - BUCKETS.heads);
  return fresh;
}

/** The entries get chains. */
function addBuckets(shape: HashShape, ref: number): void {
  const { memory } = shape;
  const heads = newHeads(shape, FIRST_HEADS);
  const { i32 } = memory.views(ref);
  const at = memory.word(ref);
  i32[at + HASH.heads] = heads;
  i32[at + HASH.buckets] = memory.views(heads).i32[memory.word(heads) + BUCKETS.room];
  linkAll(shape, ref);
}

/** Some chains more: the next ones in turn are split. */
function splitSome(shape: HashShape, ref: number): void {
  const { memory } = shape;
  const { i32 } = memory.views(ref);
  const at = memory.word(ref);
  const room = headsRoom(shape, ref);
  const buckets = i32[at + HASH.buckets];
  const end = Math.min(buckets === room ? addHeads(shape, ref) : room, buckets + BATCH);
  for (let fresh = buckets; fresh < end; fresh++) {
    i32[at + HASH.buckets] = fresh + 1;
    split(shape, ref, fresh);
  }
}

/** Chains there is room for. */
function headsRoom({ memory }: HashShape, ref: number): number {
  const { i32 } = memory.views(ref);
  const at = memory.word(ref);
  const buckets = i32[at + HASH.buckets];
  if (buckets > HEADS) return Math.ceil(buckets / HEADS) * HEADS;
  const heads = i32[at + HASH.heads];
  return memory.views(heads).i32[memory.word(heads) + BUCKETS.room];
}

/** Room for more chains where there is none: how many there may be then. */
function addHeads(shape: HashShape, ref: number): number {
  const { memory } = shape;
  const { i32 } = memory.views(ref);
  const at = memory.word(ref);
  const buckets = i32[at + HASH.buckets];
  const fresh = newHeads(shape, Math.min(HEADS, buckets * 2));
  if (buckets >= HEADS) {
    freeUnless(shape, fresh, () => {
      addTo(shape, ref, HASH.heads, buckets >>> HEADS_SHIFT, fresh);
    });
    return buckets + HEADS;
  }
  const old = i32[at + HASH.heads];
  const from = memory.word(old) + BUCKETS.heads;
  memory.views(fresh).i32.set(memory.views(old).i32.subarray(from, from + buckets),
    memory.word(fresh) + BUCKETS.heads);
  i32[at + HASH.heads] = fresh;
  giveUp(shape, old);
  return memory.views(fresh).i32[memory.word(fresh) + BUCKETS.room];
}

/** A block that was just made is freed where it cannot be put to use. */
function freeUnless({ memory }: HashShape, fresh: number, use: () => void): void {
  try {
    use();
  } catch (error) {
    memory.free(fresh);
    throw error;
  }
}

/** What belongs to chain `fresh`, which is new, leaves the chain where it was until now. */
function split(shape: HashShape, ref: number, fresh: number): void {
  const { memory } = shape;
  const header = memory.views(ref);
  const half = 1 << (31 - Math.clz32(fresh));
  const oldHeads = shape.headsOf(header, ref, fresh - half);
  const newHeads = shape.headsOf(header, ref, fresh);
  const oldWords = shape.near(header, ref, oldHeads).i32;
  const oldWord = shape.headWord(oldHeads, fresh - half);
  const used = header.i32[memory.word(ref) + HASH.used];
  let link = oldWords[oldWord];
  let stays = 0;
  let goes = 0;
  for (let steps = used; link !== 0; steps--) {
    if (!(link > 0 && link <= used && steps > 0)) throw shape.core.corrupt(ref, `chain ${fresh}`);
    const chunk = shape.chunkOf(header, ref, link - 1);
    const words = shape.near(header, ref, chunk).i32;
    const word = shape.wordOf(chunk, link - 1);
    const next = words[word + ENTRY.next];
    if ((words[word + ENTRY.hash] & half) === 0) {
      words[word + ENTRY.next] = stays;
      stays = link;
    } else {
      words[word + ENTRY.next] = goes;
      goes = link;
    }
    link = next;
  }
  oldWords[oldWord] = stays;
  shape.near(header, ref, newHeads).i32[shape.headWord(newHeads, fresh)] = goes;
}

/** Number of the first entry from `index` on that is alive, which is the found one then; or -1. */
export function nextAlive(shape: HashShape, ref: number, index: number): number {
  const { stride } = shape;
  const header = shape.memory.views(ref);
  const { i32 } = header;
  const at = (ref & GRANULE_MASK) << WORD_SHIFT;
  const used = Math.min(i32[at + HASH.used], i32[at + HASH.room]);
  for (let i = Math.max(index, i32[at + HASH.first]); i < used;) {
    const chunk = shape.chunkOf(header, ref, i);
    const end = Math.min(used, ((i >>> CHUNK_SHIFT) + 1) * CHUNK);
    if (chunk === 0 || chunk === undefined) {
      i = end;
      continue;
    }
    const views = shape.near(header, ref, chunk);
    let word = shape.wordOf(chunk, i);
    for (; i < end; i++, word += stride) {
      if (views.i32[word + ENTRY.next] === DEAD) continue;
      shape.foundIn = views;
      shape.foundAt = word;
      return i;
    }
  }
  return -1;
}

/** An entry, where it lies. */
export type EntryVisitor = (views: Views, word: number, index: number) => void;

/** Visits the entries that are alive, in their order; they may move down, or die. */
export function eachAlive(shape: HashShape, ref: number, visit: EntryVisitor): void {
  const { memory, stride } = shape;
  const { i32 } = memory.views(ref);
  const at = memory.word(ref);
  const used = Math.min(i32[at + HASH.used], i32[at + HASH.room]);
  for (let i = nextAlive(shape, ref, 0); i !== -1; i = nextAlive(shape, ref, i)) {
    const end = Math.min(used, ((i >>> CHUNK_SHIFT) + 1) * CHUNK);
    const views = shape.foundIn;
    let word = shape.foundAt;
    for (; i < end; i++, word += stride) {
      if (views.i32[word + ENTRY.next] !== DEAD) visit(views, word, i);
    }
  }
}

/** Every entry that is alive is put into its chain. */
export function linkAll(shape: HashShape, ref: number): void {
  const { memory } = shape;
  const header = memory.views(ref);
  const buckets = header.i32[memory.word(ref) + HASH.buckets];
  for (let first = 0; first < buckets; first += HEADS) {
    const heads = shape.headsOf(header, ref, first);
    const word = shape.headWord(heads, first);
    memory.views(heads).i32.fill(0, word, word + Math.min(HEADS, buckets - first));
  }
  eachAlive(shape, ref, (views, word, index) => {
    if (buckets > 0) link(shape, header, ref, index, views.i32, word);
    else views.i32[word + ENTRY.next] = 0;
  });
}

/**
 * An entry becomes the first of its chain. `header`, `ref` = where the header lies, `words`, `word`
 * = where the entry does.
 */
export function link(
  shape: HashShape, header: Views, ref: number, index: number, words: Int32Array, word: number,
): void {
  const at = (ref & GRANULE_MASK) << WORD_SHIFT;
  const bucket = bucketOf(words[word + ENTRY.hash], header.i32[at + HASH.buckets]);
  const heads = shape.headsOf(header, ref, bucket);
  const headWords = shape.near(header, ref, heads).i32;
  const headWord = shape.headWord(heads, bucket);
  words[word + ENTRY.next] = headWords[headWord];
  headWords[headWord] = index + 1;
}

/** A block that a hash no longer names. */
export function giveUp({ memory }: HashShape, block: number): void {
  memory.dropped(block);
  memory.free(block);
}
