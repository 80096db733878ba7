/**
 * Checks the invariants of a hash (hash-shape.ts, H1–H8) over arbitrary bytes: reads only, never
 * throws. Where blocks are not what they should be, what is in them is not looked at. What values
 * refer to is not either: that is the same for every family.
 */
import { RegionError } from '../../errors.ts';
import { ALIVE_MASK, BUCKETS, CHUNK_SHIFT, DEAD, DIRECTORY, ENTRIES, ENTRY, HASH, HEADS_SHIFT,
  ROLE, ROLE_SHIFT, ROOM_SHIFT } from '../../layout-objects.ts';
import { scratchBytes } from '../../native/scratch.ts';
import type { Finding } from '../../types.ts';
import { RefSet } from '../collector/ref-set.ts';
import { type Core, tagOf, type Type } from '../core.ts';
import { type HashTable, tableOf } from './hash.ts';
import { FEW } from './hash-room.ts';
import { bucketOf, CHUNK, HEADS, type HashShape } from './hash-shape.ts';
import { addressAt, type Memory } from '../memory.ts';

/** The header, as numbers. */
type Header = Readonly<Record<keyof typeof HASH, number>>;

interface Check {
  readonly table: HashTable;
  readonly shape: HashShape;
  readonly ref: number;
  readonly header: Header;
  /** Per entry in use: is it alive? */
  readonly alive: Uint8Array;
  /** `ref` = the block where it was found. */
  readonly found: (id: string, ref: number, detail: string) => void;
}

/** `ref` = a live block whose tag is that of maps or sets of this type. */
export function checkHash(
  core: Core, type: Type, ref: number, report: (finding: Finding) => void,
): void {
  const { memory } = core;
  let count = 0;
  const found: Check['found'] = (id, at, detail) => {
    count += 1;
    report({ id, address: addressAt(at), detail });
  };
  if (wordsOf(memory, ref) < HASH.words) return found('H1', ref, 'no room for a header');
  const header = headerAt(memory, ref);
  const wrongCounts = wrongHeader(header);
  if (wrongCounts !== null) return found('H1', ref, wrongCounts);
  const table = tableOf(core, type);
  const { shape } = table;
  const wrong = wrongEntries(shape, header) ?? wrongSum(shape, header);
  if (wrong !== null) return found('H2', ref, wrong);
  const check = { table, shape, ref, header, found, alive: scratchBytes(header.used) };
  checkEntries(check);
  const wrongChains = wrongHeads(shape, header);
  if (wrongChains !== null) return found('H5', ref, wrongChains);
  if (count > 0 || !checkChains(check)) return;
  checkKeys(check);
}

/** What is wrong with the blocks of a hash, which may not be written to then, or null. */
export function wrongBlocks(core: Core, type: Type, ref: number): string | null {
  const { memory } = core;
  if (wordsOf(memory, ref) < HASH.words) return 'no room for a header';
  const header = headerAt(memory, ref);
  const { shape } = tableOf(core, type);
  return wrongHeader(header) ?? wrongEntries(shape, header) ?? wrongSum(shape, header)
    ?? wrongHeads(shape, header);
}

function headerAt(memory: Memory, ref: number): Header {
  const { i32 } = memory.views(ref);
  const at = memory.word(ref);
  return Object.fromEntries(Object.entries(HASH).map(([name, word]) =>
    [name, i32[at + word]])) as unknown as Header;
}

function wrongHeader({ size, used, room, first }: Header): string | null {
  const isRight = size >= 0 && size <= used && used <= room && first >= 0 && first <= used;
  return isRight ? null
    : `${size} of ${used} entries in ${room} places, the first is ${first}`;
}

/** Usable words of a block; -1 where there is none. */
function wordsOf(memory: Memory, ref: number): number {
  try {
    return memory.room(ref) >>> 2;
  } catch (error) {
    if (error instanceof RegionError) return -1;
    throw error;
  }
}

/** What is wrong with a directory that should name so many blocks, or null. */
function wrongDirectory({ memory }: HashShape, ref: number, count: number): string | null {
  const words = wordsOf(memory, ref);
  if (words < DIRECTORY.entries + count) return `no room for ${count} blocks in the directory`;
  const capacity = memory.tag(ref) >>> ROLE_SHIFT;
  return memory.tag(ref) === tagOf(ROLE.directory, capacity) && capacity >= count
    && words >= DIRECTORY.entries + capacity ? null : 'no directory';
}

function wrongEntries(shape: HashShape, { entries, room }: Header): string | null {
  if (room === 0) return entries === 0 ? null : 'entries, but no room for any';
  if (room <= CHUNK) return wrongBlock(shape, entries, room);
  if (room % CHUNK !== 0) return `room for ${room} entries, in blocks of ${CHUNK}`;
  return wrongDirectory(shape, entries, room >>> CHUNK_SHIFT);
}

function wrongBlock({ memory, stride, type }: HashShape, ref: number, room: number): string | null {
  const words = wordsOf(memory, ref);
  if (words < ENTRIES.data + room * stride) return `no room for ${room} entries`;
  if (memory.tag(ref) !== tagOf(ROLE.entries, type.id)) return `no entries of a ${type.text}`;
  const said = memory.views(ref).u32[memory.word(ref) + ENTRIES.counts] >>> ROOM_SHIFT;
  return said === room ? null : `room for ${room} entries, they say ${said}`;
}

/** What is wrong with the blocks of a directory, or null. */
function wrongSum(shape: HashShape, header: Header): string | null {
  const { room, used } = header;
  if (room <= CHUNK) return null;
  for (let i = 0; i < room; i += CHUNK) {
    const chunk = chunkAt(shape, header, i);
    if (chunk === 0 && i + CHUNK <= used) continue;
    const wrong = wrongBlock(shape, chunk, CHUNK);
    if (wrong !== null) return `${wrong} in block ${i >>> CHUNK_SHIFT}`;
  }
  return null;
}

function chunkAt({ memory }: HashShape, { entries, room }: Header, index: number): number {
  if (room <= CHUNK) return entries;
  return memory.views(entries).i32[memory.word(entries) + DIRECTORY.entries
    + (index >>> CHUNK_SHIFT)];
}

/** H3 and H4; learns which entries are alive. */
function checkEntries({ shape, ref, header, alive, found }: Check): void {
  const { memory } = shape;
  const { size, used, room, first } = header;
  let sum = 0;
  for (let start = 0; start < room; start += CHUNK) {
    const chunk = chunkAt(shape, header, start);
    if (chunk === 0) continue;
    const { i32 } = memory.views(chunk);
    let count = 0;
    for (let i = start; i < Math.min(room, start + CHUNK); i++) {
      const word = shape.wordOf(chunk, i);
      if (i >= used) checkUnused(shape, chunk, word, found);
      else if (i32[word + ENTRY.next] !== DEAD) {
        alive[i] = 1;
        count += 1;
        if (i < first) found('H4', chunk, `entry ${i} is alive, the first is ${first}`);
      }
    }
    const said = i32[memory.word(chunk) + ENTRIES.counts] & ALIVE_MASK;
    if (said !== count) found('H3', chunk, `${count} entries are alive, the block says ${said}`);
    sum += count;
  }
  if (sum !== size) found('H3', ref, `${sum} entries are alive, the header says ${size}`);
}

function checkUnused(
  { memory, stride }: HashShape, chunk: number, word: number, found: Check['found'],
): void {
  const { i32 } = memory.views(chunk);
  for (let k = word; k < word + stride; k++) {
    if (i32[k] !== 0) return found('H4', chunk, 'a place that was never used is not zeros');
  }
}

function wrongHeads(shape: HashShape, { buckets, heads, used }: Header): string | null {
  if (buckets === 0) {
    return heads === 0 && used <= FEW ? null : `${used} entries without chains, heads ${heads}`;
  }
  if (buckets < 0) return `${buckets} chains`;
  if (buckets <= HEADS) return wrongBuckets(shape, heads, buckets);
  const count = Math.ceil(buckets / HEADS);
  const wrong = wrongDirectory(shape, heads, count);
  if (wrong !== null) return wrong;
  const { memory } = shape;
  const words = memory.views(heads).i32;
  for (let i = 0; i < count; i++) {
    const block = words[memory.word(heads) + DIRECTORY.entries + i];
    const found = wrongBuckets(shape, block, HEADS);
    if (found !== null) return `${found} in block ${i} of ${2 ** HEADS_SHIFT}`;
  }
  return null;
}

function wrongBuckets({ memory }: HashShape, ref: number, count: number): string | null {
  const words = wordsOf(memory, ref);
  if (words < BUCKETS.heads || memory.tag(ref) !== tagOf(ROLE.buckets, 0)) return 'no chains';
  const room = memory.views(ref).i32[memory.word(ref) + BUCKETS.room];
  return room >= count && room <= HEADS && words >= BUCKETS.heads + room ? null
    : `${count} chains, room for ${room}`;
}

/** H6; answers whether keys can be looked up. */
function checkChains({ shape, ref, header, alive, found }: Check): boolean {
  const { memory } = shape;
  const { buckets, used, size } = header;
  if (buckets === 0) return true;
  const headerViews = memory.views(ref);
  const seen = scratchBytes(used);
  let count = 0;
  for (let bucket = 0; bucket < buckets; bucket++) {
    const heads = shape.headsOf(headerViews, ref, bucket);
    let link = memory.views(heads).i32[shape.headWord(heads, bucket)];
    while (link !== 0) {
      const index = link - 1;
      if (!(index >= 0 && index < used) || alive[index] === 0 || seen[index] === 1) {
        found('H6', heads, `chain ${bucket} leads to ${index}, not alive or seen before`);
        return false;
      }
      seen[index] = 1;
      count += 1;
      const chunk = chunkAt(shape, header, index);
      const words = memory.views(chunk).i32;
      const word = shape.wordOf(chunk, index);
      if (bucketOf(words[word + ENTRY.hash], buckets) !== bucket) {
        found('H6', chunk, `entry ${index} is in chain ${bucket}`);
      }
      link = words[word + ENTRY.next];
    }
  }
  if (count !== size) found('H6', ref, `${count} of ${size} entries are in chains`);
  return count === size;
}

/** H7 and H8. Keys that are references are compared as such, so that no handles are made. */
function checkKeys({ table, shape, ref, header, alive, found }: Check): void {
  const { memory, key, keyAt } = shape;
  const isRef = key.kind.name === 'ref';
  const refs = new RefSet(memory.region);
  for (let index = 0; index < alive.length; index++) {
    if (alive[index] === 0) continue;
    const chunk = chunkAt(shape, header, index);
    const views = memory.views(chunk);
    const word = shape.wordOf(chunk, index);
    const kept = views.i32[word + ENTRY.hash];
    try {
      const value = isRef ? views.i32[word + keyAt] : key.load(views, word + keyAt, 0);
      const hash = isRef ? key.hashNow?.(views, word + keyAt, 0, kept) : key.hash(value);
      if (hash !== kept) found('H7', chunk, `entry ${index} keeps ${kept}, its key has ${hash}`);
      else if (isRef ? refs.has(value as number) : table.find(ref, kept, value) !== index) {
        found('H8', chunk, `entry ${index} is not the only one with its key`);
      }
      if (isRef) refs.add(value as number);
    } catch (error) {
      if (!(error instanceof RegionError)) throw error;
      found('H7', chunk, `entry ${index}: ${error.message}`);
    }
  }
}
