/**
 * What is left of a damaged collection, entry by entry, read from its blocks without its counts,
 * its chains or the order of its branches; and the collection made again out of that.
 */
import { RegionError } from '../../errors.ts';
import { ALIVE_MASK, DEAD, DIRECTORY, ELEMENTS, ENTRIES, ENTRY, HASH, LIST, NODE, ROLE, ROLE_MASK,
  ROLE_SHIFT, ROOM_SHIFT, TREE, TREE_LEVELS } from '../../layout-objects.ts';
import type { Codec } from '../codec.ts';
import { RefSet } from '../collector/ref-set.ts';
import { type Core, tagOf, type Type } from '../core.ts';
import { demandOf } from '../demand.ts';
import { tableOf } from '../hash/hash.ts';
import { CHUNK } from '../hash/hash-shape.ts';
import { shapeOf } from '../list/list-elements.ts';
import { nodesOf } from '../tree/tree-nodes.ts';
import { targetOf } from './slots.ts';
import type { Views } from '../memory.ts';

const WORD_BYTES = 4;
/** Words of a header behind its tag. */
const HEADERS: Readonly<Record<number, number>> = { [ROLE.list]: LIST.words,
  [ROLE.hash]: HASH.words, [ROLE.tree]: TREE.words };

interface Entry {
  readonly key: unknown;
  readonly value: unknown;
}

/** What a handle of a collection takes. */
interface Taking {
  push?(value: unknown): void;
  set?(key: unknown, value: unknown): void;
  add?(key: unknown): void;
}

/** How many entries there are now, and were to be read and are not. */
export interface Rebuilt {
  readonly kept: number;
  readonly lost: number;
}

/**
 * Makes the collection at `ref` again out of what is left of it. Its header stays where it is; the
 * blocks it had before are garbage. `done` is told of the header that was needed for that.
 */
export function rebuild(core: Core, type: Type, ref: number, done: (ref: number) => void): Rebuilt {
  const fresh = core.familyOf(type).create(core, type, undefined);
  let kept = 0;
  let lost = 0;
  core.peek(() => {
    const handle = core.handleOf(fresh) as unknown as Taking;
    for (const entry of entriesOf(core, type, ref)) {
      if (entry !== null && take(handle, entry)) kept += 1;
      else lost += 1;
    }
  });
  const { memory } = core;
  const [from, to] = [memory.word(fresh), memory.word(ref)];
  const [source, target] = [memory.views(fresh).i32, memory.views(ref).i32];
  const said = target[to + SIZE[type.role]];
  for (let word = 1; word < HEADERS[type.role]; word++) {
    target[to + word] = source[from + word];
    source[from + word] = 0;
  }
  done(fresh);
  return { kept, lost: Math.max(lost, isPossible(said) ? said - kept : 0) };
}

/** Where a header says how many there are. */
const SIZE: Readonly<Record<number, number>> = { [ROLE.list]: LIST.length, [ROLE.hash]: HASH.size,
  [ROLE.tree]: TREE.count };

/** A count that a damaged header could still mean. */
function isPossible(count: number): boolean {
  return count >= 0 && count < 2 ** 24;
}

function take(handle: Taking, { key, value }: Entry): boolean {
  try {
    if (handle.push !== undefined) handle.push(value);
    else if (handle.set !== undefined) handle.set(key, value);
    else handle.add?.(key);
    return true;
  } catch (error) {
    if (error instanceof RegionError && error.code !== 'ERR_NO_SPACE') return false;
    throw error;
  }
}

/** null = an entry that cannot be read. */
function entriesOf(core: Core, type: Type, ref: number): Iterable<Entry | null> {
  if (type.role === ROLE.list) return elements(core, type, ref);
  return type.role === ROLE.hash ? hashEntries(core, type, ref) : leafEntries(core, type, ref);
}

function read(codec: Codec, views: Views, word: number, i = 0): { value: unknown } | null {
  try {
    return { value: codec.load(views, word, i) };
  } catch (error) {
    if (error instanceof RegionError) return null;
    throw error;
  }
}

/** Is there a block of this tag at a reference, with room for so many words? */
function hasBlock(core: Core, ref: number, tag: number, words: number): boolean {
  const { memory } = core;
  return ref !== 0 && memory.held(ref) >= words * WORD_BYTES && memory.tag(ref) === tag;
}

function* elements(core: Core, type: Type, ref: number): IterableIterator<Entry | null> {
  const { memory } = core;
  const { codec, tag, width } = shapeOf(core, type);
  const { i32 } = memory.views(ref);
  const at = memory.word(ref);
  const block = i32[at + LIST.elements];
  if (!hasBlock(core, block, tag, ELEMENTS.data)) return;
  const room = Math.floor((memory.held(block) - ELEMENTS.data * WORD_BYTES) / width);
  const length = i32[at + LIST.length];
  const count = length >= 0 && length <= room ? length
    : Math.min(room, Math.max(0, memory.views(block).i32[memory.word(block) + ELEMENTS.room]));
  for (let i = 0; i < count; i++) {
    const found = read(codec, memory.views(block), memory.word(block) + ELEMENTS.data, i);
    yield found === null ? null : { key: null, value: found.value };
  }
}

function* hashEntries(core: Core, type: Type, ref: number): IterableIterator<Entry | null> {
  const { memory } = core;
  const { i32 } = memory.views(ref);
  const at = memory.word(ref);
  const [size, used, room] = [i32[at + HASH.size], i32[at + HASH.used], i32[at + HASH.room]];
  const isSane = size >= 0 && size <= used && used <= room;
  const blocks = chunksOf(core, type, i32[at + HASH.entries]);
  for (let chunk = 0; chunk < blocks.length; chunk++) {
    const most = isSane ? Math.min(CHUNK, used - chunk * CHUNK) : CHUNK;
    if (blocks[chunk] !== 0) yield* entriesIn(core, type, blocks[chunk], most, isSane);
  }
}

/** The blocks of entries below a reference, 0 for one that is not there. */
function chunksOf(core: Core, type: Type, ref: number): number[] {
  const { memory } = core;
  const entries = tagOf(ROLE.entries, type.id);
  const whole = (block: number) => hasBlock(core, block, entries, ENTRIES.data) ? block : 0;
  if (whole(ref) !== 0) return [ref];
  if (ref === 0 || memory.held(ref) < 0) return [];
  const tag = memory.tag(ref);
  if ((tag & ROLE_MASK) !== ROLE.directory) return [];
  const room = Math.floor(memory.held(ref) / WORD_BYTES) - DIRECTORY.entries;
  const count = Math.min(tag >>> ROLE_SHIFT, room);
  const first = memory.word(ref) + DIRECTORY.entries;
  return [...memory.views(ref).i32.subarray(first, first + count)].map(whole);
}

function* entriesIn(
  core: Core, type: Type, block: number, most: number, isSane: boolean,
): IterableIterator<Entry | null> {
  const { memory } = core;
  const { key, value, stride, keyAt, valueAt } = tableOf(core, type).shape;
  const views = memory.views(block);
  const counts = views.u32[memory.word(block) + ENTRIES.counts];
  const words = Math.floor(memory.held(block) / WORD_BYTES) - ENTRIES.data;
  const room = Math.min(counts >>> ROOM_SHIFT, CHUNK, Math.floor(words / stride), most);
  // Where nothing says how many were ever used, as many as the block says are alive.
  let left = isSane ? room : counts & ALIVE_MASK;
  const demand = demandOf(key.kind);
  for (let i = 0; i < room && left > 0; i++) {
    const at = memory.word(block) + ENTRIES.data + i * stride;
    if (views.i32[at + ENTRY.next] === DEAD) continue;
    left -= 1;
    const isThere = key.holds === 'nothing'
      || targetOf(core, views, at + keyAt, key.holds === 'any', demand).problem === null;
    const name = isThere ? read(key, views, at + keyAt) : null;
    const found = value === null ? { value: undefined } : read(value, views, at + valueAt);
    yield name === null || found === null ? null : { key: name.value, value: found.value };
  }
}

/** The entries of the leaves that can be reached, in order. */
function* leafEntries(core: Core, type: Type, ref: number): IterableIterator<Entry | null> {
  const { memory } = core;
  const seen = new RefSet(memory.region);
  const stack = [{ node: memory.views(ref).i32[memory.word(ref) + TREE.root], level: 0 }];
  for (let next = stack.pop(); next !== undefined; next = stack.pop()) {
    const { node, level } = next;
    if (node === 0 || level > TREE_LEVELS || seen.has(node) || memory.held(node) < 0) continue;
    seen.add(node);
    const nodes = nodesOf(core, type);
    const tag = memory.tag(node);
    if (tag === nodes.leafTag) yield* entriesOfLeaf(core, type, node);
    if (tag !== nodes.branchTag) continue;
    const { i32 } = memory.views(node);
    const first = nodes.childrenAt(memory.word(node));
    const end = Math.min(memory.word(node) + Math.floor(memory.held(node) / WORD_BYTES),
      first + nodes.branchRoom + 1);
    const count = i32[memory.word(node) + NODE.count];
    const last = count >= 0 && first + count < end ? first + count : end - 1;
    for (let i = last; i >= first; i--) stack.push({ node: i32[i], level: level + 1 });
  }
}

function* entriesOfLeaf(core: Core, type: Type, leaf: number): IterableIterator<Entry | null> {
  const { memory } = core;
  const nodes = nodesOf(core, type);
  const { codec: key } = nodes.keys;
  const { values } = nodes;
  const views = memory.views(leaf);
  const word = memory.word(leaf);
  const room = views.i32[word + NODE.room];
  if (room < 0 || room > nodes.leafRoom) return;
  const valuesAt = nodes.valuesAt(views, word);
  const end = word + Math.floor(memory.held(leaf) / WORD_BYTES);
  if (valuesAt + Math.ceil((room * values.width) / WORD_BYTES) > end) return;
  const count = views.i32[word + NODE.count];
  const demand = demandOf(key.kind);
  for (let i = 0; i < (count >= 0 && count <= room ? count : room); i++) {
    const isThere = key.holds === 'nothing'
      || targetOf(core, views, word + NODE.keys + i, false, demand).problem === null;
    const name = isThere ? read(key, views, word + NODE.keys, i) : null;
    const found = read(values, views, valuesAt, i);
    yield name === null || found === null ? null : { key: name.value, value: found.value };
  }
}
