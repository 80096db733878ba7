/**
 * How a hash gives memory back, without asking for any: it always succeeds.
 *
 * Entries that are alive move down over those that are dead, in their order, inside the blocks that
 * are there. A collection under way may have looked at some of these blocks and not at others, so
 * it is told about every reference that moves.
 */
import { CHUNK_SHIFT, DEAD, DIRECTORY, ENTRIES, ENTRY, HASH, ROLE_SHIFT, ROOM_SHIFT }
  from '../../layout-objects.ts';
import { eachAlive, FEW, giveUp, linkAll } from './hash-room.ts';
import { CHUNK, HEADS, type HashShape } from './hash-shape.ts';
import type { Views } from '../memory.ts';

/** So many dead entries are put up with. */
const SPARE = 32;

/** Is it worth while to renumber the entries: are most of them dead? */
export function isSparse({ memory }: HashShape, ref: number): boolean {
  const { i32 } = memory.views(ref);
  const at = memory.word(ref);
  const used = i32[at + HASH.used];
  const dead = used - i32[at + HASH.size];
  return dead > SPARE && dead > used / 2;
}

/** Renumbers the entries, so that none is dead. */
export function compact(shape: HashShape, ref: number): void {
  const { memory } = shape;
  const { i32 } = memory.views(ref);
  const at = memory.word(ref);
  const size = i32[at + HASH.size];
  if (size === 0) return release(shape, ref);
  i32[at + HASH.first] = 0;
  closeGaps(shape, ref);
  moveDown(shape, ref);
  i32[at + HASH.used] = size;
  trimEntries(shape, ref);
  trimHeads(shape, ref, size <= FEW ? 0 : Math.min(i32[at + HASH.buckets], size));
  linkAll(shape, ref);
}

/** Every block but the header is given up. Slots of entries are the caller's. */
export function release(shape: HashShape, ref: number): void {
  const { memory } = shape;
  const { i32 } = memory.views(ref);
  const at = memory.word(ref);
  const { entries, heads, room, buckets } = HASH;
  giveUpAll(shape, i32[at + entries], Math.ceil(i32[at + room] / CHUNK));
  giveUpAll(shape, i32[at + heads], Math.ceil(i32[at + buckets] / HEADS));
  for (let field = HASH.tag + 1; field < HASH.words; field++) i32[at + field] = 0;
}

/** A block, or, where there are more, a directory with them. */
function giveUpAll(shape: HashShape, block: number, count: number): void {
  if (count > 1) {
    for (let i = capacityOf(shape, block, count) - 1; i >= 0; i--) {
      giveUp(shape, shape.memory.views(block).i32[directoryWord(shape, block) + i]);
    }
  }
  giveUp(shape, block);
}

function directoryWord({ memory }: HashShape, directory: number): number {
  return memory.word(directory) + DIRECTORY.entries;
}

/** `count`, or less where a damaged directory has no room for it. */
function capacityOf({ memory }: HashShape, directory: number, count: number): number {
  return Math.min(count, memory.tag(directory) >>> ROLE_SHIFT);
}

/** Blocks of entries that were freed leave no gap in the directory. */
function closeGaps(shape: HashShape, ref: number): void {
  const { memory } = shape;
  const { i32 } = memory.views(ref);
  const at = memory.word(ref);
  if (i32[at + HASH.room] <= CHUNK) return;
  const directory = i32[at + HASH.entries];
  const words = memory.views(directory).i32;
  const word = directoryWord(shape, directory);
  const count = capacityOf(shape, directory, i32[at + HASH.room] >>> CHUNK_SHIFT);
  let kept = 0;
  for (let i = 0; i < count; i++) {
    const chunk = words[word + i];
    if (chunk === 0) continue;
    // A collection may have looked at one part of the directory and not at the other.
    memory.dropped(chunk);
    words[word + i] = 0;
    words[word + kept++] = chunk;
  }
  i32[at + HASH.used] -= (count - kept) * CHUNK;
  i32[at + HASH.room] = kept * CHUNK;
  if (kept === 1) becomeSingle(shape, ref, HASH.entries);
}

/** The first block of a directory is the only one: no directory is needed. */
function becomeSingle(shape: HashShape, ref: number, field: number): void {
  const { memory } = shape;
  const { i32 } = memory.views(ref);
  const at = memory.word(ref) + field;
  const directory = i32[at];
  i32[at] = memory.views(directory).i32[directoryWord(shape, directory)];
  giveUp(shape, directory);
}

function moveDown(shape: HashShape, ref: number): void {
  const { memory, stride } = shape;
  const header = memory.views(ref);
  let to = 0;
  eachAlive(shape, ref, (views, word, index) => {
    const target = shape.chunkOf(header, ref, to);
    const targetWords = shape.near(header, ref, target).i32;
    const targetWord = shape.wordOf(target, to);
    to += 1;
    if (index === to - 1) return;
    if (memory.watcher !== null) dropSlots(shape, views, word);
    for (let k = 0; k < stride; k++) targetWords[targetWord + k] = views.i32[word + k];
    views.i32[word + ENTRY.next] = DEAD;
  });
}

/** The slots of an entry go: what belongs to them is freed, or a collection told. */
export function dropSlots(
  { key, value, keyAt, valueAt }: HashShape, views: Views, word: number,
): void {
  if (key.holds !== 'nothing') key.drop(views, word + keyAt, 0);
  if (value !== null && value.holds !== 'nothing') value.drop(views, word + valueAt, 0);
}

/** Blocks of entries behind the last one go; what is left of it is zeros, and counted anew. */
function trimEntries(shape: HashShape, ref: number): void {
  const { memory, stride } = shape;
  const { i32 } = memory.views(ref);
  const at = memory.word(ref);
  const used = i32[at + HASH.used];
  const count = Math.ceil(used / CHUNK);
  dropBlocks(shape, ref, HASH.entries, Math.ceil(i32[at + HASH.room] / CHUNK), count);
  if (i32[at + HASH.room] > CHUNK) i32[at + HASH.room] = count * CHUNK;
  for (let i = 0; i < count; i++) {
    const chunk = shape.chunkOf(memory.views(ref), ref, i * CHUNK);
    const words = memory.views(chunk).i32;
    const word = memory.word(chunk);
    const alive = Math.min(CHUNK, used - i * CHUNK);
    const room = Math.min(CHUNK, words[word + ENTRIES.counts] >>> ROOM_SHIFT);
    words[word + ENTRIES.counts] = alive | (room << ROOM_SHIFT);
    words.fill(0, word + ENTRIES.data + alive * stride, word + ENTRIES.data + room * stride);
  }
}

/** So many chains from now on, of which the entries are out. */
function trimHeads(shape: HashShape, ref: number, buckets: number): void {
  const { memory } = shape;
  const { i32 } = memory.views(ref);
  const at = memory.word(ref);
  const count = Math.ceil(i32[at + HASH.buckets] / HEADS);
  i32[at + HASH.buckets] = buckets;
  dropBlocks(shape, ref, HASH.heads, count, Math.max(1, Math.ceil(buckets / HEADS)));
  if (buckets > 0) return;
  giveUp(shape, i32[at + HASH.heads]);
  i32[at + HASH.heads] = 0;
}

/** Of `count` blocks only the first `kept` stay; one needs no directory. */
function dropBlocks(
  shape: HashShape, ref: number, field: number, count: number, kept: number,
): void {
  const { memory } = shape;
  if (count <= 1) return;
  const directory = memory.views(ref).i32[memory.word(ref) + field];
  const words = memory.views(directory).i32;
  const word = directoryWord(shape, directory);
  for (let i = capacityOf(shape, directory, count) - 1; i >= kept; i--) {
    giveUp(shape, words[word + i]);
    words[word + i] = 0;
  }
  if (kept === 1) becomeSingle(shape, ref, field);
}
