/**
 * Hash maps and sets in memory: what is below their handles. Entries lie in the order of insertion
 * and are chained by the hash of their key, which each of them keeps: keys are compared where
 * hashes are equal, and never hashed twice.
 *
 * Values may run code of the program while they are converted (iterables, getters), and so may
 * memory that is short. So both slots of an entry are written elsewhere first, and moved in when
 * nothing can happen any more.
 *
 * Hashes have no secret in them: a hash of a text is the same in every heap. Who chooses all keys
 * of a map can choose them so that they share one chain, and each of them costs a walk along it.
 */
import { RegionError } from '../../errors.ts';
import { ALIVE_MASK, CHUNK_SHIFT, DEAD, DIRECTORY, ENTRIES, ENTRY, GRANULE_MASK, HASH, ROLE,
  WORD_SHIFT } from '../../layout-objects.ts';
import { type Core, tagOf, type Type } from '../core.ts';
import { addRoom, eachAlive, FEW, giveUp, link, linkAll, nextAlive, reserve } from './hash-room.ts';
import { bucketOf, CHUNK, HashShape } from './hash-shape.ts';
import { dropSlots, release } from './hash-shrink.ts';
import { type Views, viewsOf } from '../memory.ts';

const WORD_BYTES = 4;

/** Slots of an entry that is not in its place yet: a key at word 0, a value at word 2. */
interface Staged {
  readonly views: Views;
}
const STAGED_KEY = 0;
const STAGED_VALUE = 2;
const STAGED_BYTES = 16;

function newStaged(): Staged {
  return { views: viewsOf(new Uint8Array(STAGED_BYTES)) };
}

/** Hashes of one type. `ref` = their header. */
export class HashTable {
  readonly shape: HashShape;
  readonly #isFloat: boolean;
  #spare: Staged | null = newStaged();

  constructor(core: Core, type: Type) {
    this.shape = new HashShape(core, type);
    this.#isFloat = this.shape.key.kind.name === 'f32';
  }

  /** A new one without entries. ERR_NO_SPACE. */
  create(): number {
    const { memory, type } = this.shape;
    const ref = memory.alloc(HASH.words * WORD_BYTES);
    const { i32 } = memory.views(ref);
    const at = memory.word(ref);
    i32.fill(0, at, at + HASH.words);
    i32[at] = tagOf(ROLE.hash, type.id);
    return ref;
  }

  /** Room for so many entries, where there are none yet; more will be found as well. */
  expect(ref: number, count: number): void {
    if (count > 0) addRoom(this.shape, ref, Math.min(count, CHUNK));
  }

  size(ref: number): number {
    const { memory } = this.shape;
    return memory.views(ref).i32[((ref & GRANULE_MASK) << WORD_SHIFT) + HASH.size];
  }

  /** The key as a slot gives it back: 0 for -0, the nearest float of 32 bits. */
  normal(key: unknown): unknown {
    if (typeof key !== 'number') return key;
    return key === 0 ? 0 : this.#isFloat ? Math.fround(key) : key;
  }

  /** Number of the entry of a key, or -1; what cannot be a key of this kind is in no hash. */
  indexOf(ref: number, key: unknown): number {
    const normal = this.normal(key);
    let hash: number;
    try {
      hash = this.shape.key.hash(normal);
    } catch (error) {
      if (error instanceof RegionError && error.code === 'ERR_SCHEMA') return -1;
      throw error;
    }
    return this.find(ref, hash, normal);
  }

  /**
   * Number of the entry of a key, which is normal; it is the found one then. Or -1. Where entries
   * lie is spelled out here, not asked of the shape for each: 20 ns against 35.
   */
  find(ref: number, hash: number, key: unknown): number {
    const { shape } = this;
    const { key: codec, keyAt, stride } = shape;
    const header = shape.memory.views(ref);
    const { i32 } = header;
    const at = (ref & GRANULE_MASK) << WORD_SHIFT;
    const buckets = i32[at + HASH.buckets];
    if (buckets === 0) return this.#look(ref, hash, key);
    const bucket = bucketOf(hash, buckets);
    const heads = shape.headsOf(header, ref, bucket);
    const used = i32[at + HASH.used];
    const entries = i32[at + HASH.entries];
    const isSingle = i32[at + HASH.room] <= CHUNK;
    const directory = shape.near(header, ref, entries).i32;
    const chunks = ((entries & GRANULE_MASK) << WORD_SHIFT) + DIRECTORY.entries;
    let link = shape.near(header, ref, heads).i32[shape.headWord(heads, bucket)];
    for (let steps = used; link !== 0; steps--) {
      if (!(link > 0 && link <= used && steps > 0)) throw this.#badChain(ref, bucket);
      const chunk = isSingle ? entries : directory[chunks + ((link - 1) >>> CHUNK_SHIFT)];
      const views = shape.near(header, ref, chunk);
      const word = ((chunk & GRANULE_MASK) << WORD_SHIFT) + ENTRIES.data
        + ((link - 1) & (CHUNK - 1)) * stride;
      if (views.i32[word + ENTRY.hash] === hash && codec.equals(views, word + keyAt, 0, key)) {
        shape.foundIn = views;
        shape.foundAt = word;
        return link - 1;
      }
      link = views.i32[word + ENTRY.next];
    }
    return -1;
  }

  #badChain(ref: number, bucket: number): RegionError {
    return this.shape.core.corrupt(ref, `chain ${bucket} leads nowhere`);
  }

  /** The same where there are no chains. */
  #look(ref: number, hash: number, key: unknown): number {
    const { shape } = this;
    const header = shape.memory.views(ref);
    const at = (ref & GRANULE_MASK) << WORD_SHIFT;
    const chunk = header.i32[at + HASH.entries];
    const used = Math.min(header.i32[at + HASH.used], FEW);
    const views = shape.near(header, ref, chunk);
    let word = shape.wordOf(chunk, 0);
    for (let i = 0; i < used; i++, word += shape.stride) {
      if (views.i32[word + ENTRY.hash] === hash && views.i32[word + ENTRY.next] !== DEAD
        && shape.key.equals(views, word + shape.keyAt, 0, key)) {
        shape.foundIn = views;
        shape.foundAt = word;
        return i;
      }
    }
    return -1;
  }

  /** The value of the entry that was found; undefined in a set. */
  foundValue(): unknown {
    const { value, foundIn, foundAt, valueAt } = this.shape;
    return value === null ? undefined : value.load(foundIn, foundAt + valueAt, 0);
  }

  /** A value, ready to be put in. Runs code of the program. ERR_SCHEMA, ERR_NO_SPACE. */
  stage(value: unknown): Staged {
    const staged = this.#spare ?? newStaged();
    this.#spare = null;
    if (this.shape.value === null) return staged;
    staged.views.i32[STAGED_VALUE] = 0;
    this.shape.value.init(staged.views, STAGED_VALUE, 0, value);
    return staged;
  }

  /** The key has the staged value from now on. On ERR_NO_SPACE nothing has changed. */
  put(ref: number, hash: number, key: unknown, staged: Staged): void {
    const { shape } = this;
    let index = this.find(ref, hash, key);
    if (index < 0) index = this.#prepare(ref, hash, key, staged);
    if (index < 0) this.#append(ref, hash, staged);
    else if (shape.value !== null) this.#replace(staged);
    this.#spare = staged;
  }

  /**
   * Stages the key and makes room. If that ran code of the program, the key may have come in
   * meanwhile: the number of its entry, else -1.
   */
  #prepare(ref: number, hash: number, key: unknown, staged: Staged): number {
    const { shape } = this;
    const { memory } = shape;
    const { i32 } = memory.views(ref);
    const at = (ref & GRANULE_MASK) << WORD_SHIFT;
    const used = i32[at + HASH.used];
    const size = i32[at + HASH.size];
    let isKeyStaged = false;
    try {
      staged.views.i32[STAGED_KEY] = 0;
      shape.key.init(staged.views, STAGED_KEY, 0, key);
      isKeyStaged = true;
      reserve(shape, ref);
    } catch (error) {
      if (isKeyStaged) shape.key.drop(staged.views, STAGED_KEY, 0);
      shape.value?.drop(staged.views, STAGED_VALUE, 0);
      throw error;
    }
    if (i32[at + HASH.used] === used && i32[at + HASH.size] === size) return -1;
    const index = this.find(ref, hash, key);
    if (index >= 0) shape.key.drop(staged.views, STAGED_KEY, 0);
    return index;
  }

  #append(ref: number, hash: number, { views: { i32: staged } }: Staged): void {
    const { shape } = this;
    const { keyAt, valueAt } = shape;
    const header = shape.memory.views(ref);
    const at = (ref & GRANULE_MASK) << WORD_SHIFT;
    const index = header.i32[at + HASH.used];
    const chunk = shape.chunkOf(header, ref, index);
    const words = shape.near(header, ref, chunk).i32;
    const word = shape.wordOf(chunk, index);
    words[word + ENTRY.hash] = hash;
    words[word + ENTRY.next] = 0;
    words[word + keyAt] = staged[STAGED_KEY];
    if (shape.keyWords === 2) words[word + keyAt + 1] = staged[STAGED_KEY + 1];
    if (shape.valueWords > 0) words[word + valueAt] = staged[STAGED_VALUE];
    if (shape.valueWords === 2) words[word + valueAt + 1] = staged[STAGED_VALUE + 1];
    words[((chunk & GRANULE_MASK) << WORD_SHIFT) + ENTRIES.counts] += 1;
    if (header.i32[at + HASH.buckets] > 0) link(shape, header, ref, index, words, word);
    header.i32[at + HASH.used] = index + 1;
    header.i32[at + HASH.size] += 1;
  }

  /** The entry that was found gets another value. */
  #replace({ views: { i32: staged } }: Staged): void {
    const { value, foundIn, foundAt, valueAt, valueWords } = this.shape;
    const word = foundAt + valueAt;
    value?.drop(foundIn, word, 0);
    foundIn.i32[word] = staged[STAGED_VALUE];
    if (valueWords === 2) foundIn.i32[word + 1] = staged[STAGED_VALUE + 1];
  }

  /**
   * Removes the entry that was found, number `index`. That stays taken until the hash is compacted.
   */
  remove(ref: number, index: number): void {
    const { shape } = this;
    const { foundIn: views, foundAt: word } = shape;
    const header = shape.memory.views(ref);
    const { i32 } = header;
    const at = (ref & GRANULE_MASK) << WORD_SHIFT;
    if (i32[at + HASH.buckets] > 0) this.#unlink(ref, index, views.i32, word);
    views.i32[word + ENTRY.next] = DEAD;
    i32[at + HASH.size] -= 1;
    dropSlots(shape, views, word);
    const chunk = shape.chunkOf(header, ref, index);
    const counts = ((chunk & GRANULE_MASK) << WORD_SHIFT) + ENTRIES.counts;
    views.i32[counts] -= 1;
    if ((views.i32[counts] & ALIVE_MASK) === 0) this.#freeChunk(ref, index);
    if (index !== i32[at + HASH.first]) return;
    const next = nextAlive(shape, ref, index);
    i32[at + HASH.first] = next < 0 ? i32[at + HASH.used] : next;
  }

  #unlink(ref: number, index: number, words: Int32Array, word: number): void {
    const { shape } = this;
    const header = shape.memory.views(ref);
    const at = (ref & GRANULE_MASK) << WORD_SHIFT;
    const used = header.i32[at + HASH.used];
    const bucket = bucketOf(words[word + ENTRY.hash], header.i32[at + HASH.buckets]);
    const heads = shape.headsOf(header, ref, bucket);
    let linkWords = shape.near(header, ref, heads).i32;
    let linkWord = shape.headWord(heads, bucket);
    for (let steps = used; linkWords[linkWord] !== index + 1; steps--) {
      const link = linkWords[linkWord];
      if (!(link > 0 && link <= used && steps > 0)) throw this.#badChain(ref, bucket);
      const chunk = shape.chunkOf(header, ref, link - 1);
      linkWords = shape.near(header, ref, chunk).i32;
      linkWord = shape.wordOf(chunk, link - 1) + ENTRY.next;
    }
    linkWords[linkWord] = words[word + ENTRY.next];
  }

  /** The block of an entry has none that is alive; it goes, unless entries will be added to it. */
  #freeChunk(ref: number, index: number): void {
    const { shape } = this;
    const { memory } = shape;
    const { i32 } = memory.views(ref);
    const at = memory.word(ref);
    const number = index >>> CHUNK_SHIFT;
    if (i32[at + HASH.room] <= CHUNK || number >= i32[at + HASH.used] >>> CHUNK_SHIFT) return;
    const directory = i32[at + HASH.entries];
    const words = memory.views(directory).i32;
    const word = memory.word(directory) + DIRECTORY.entries + number;
    const chunk = words[word];
    words[word] = 0;
    giveUp(shape, chunk);
  }

  /** No entries any more. */
  clear(ref: number): void {
    const { shape } = this;
    const { key, value } = shape;
    if (key.holds !== 'nothing' || (value !== null && value.holds !== 'nothing')) {
      eachAlive(shape, ref, (views, word) => dropSlots(shape, views, word));
    }
    release(shape, ref);
  }

  /** Gives up a hash that nobody refers to. */
  destroy(ref: number): void {
    this.clear(ref);
    this.shape.memory.free(ref);
  }

  /** Blocks moved: hashes that come from places are worked out again, the chains as well. */
  rehash(ref: number): void {
    const { shape } = this;
    const { key } = shape;
    if (key.hashNow === undefined) return;
    eachAlive(shape, ref, (views, word) => {
      const known = views.i32[word + ENTRY.hash];
      views.i32[word + ENTRY.hash] = key.hashNow?.(views, word + shape.keyAt, 0, known) ?? known;
    });
    linkAll(shape, ref);
  }
}

/** A type belongs to one heap. */
const tables = new WeakMap<Type, HashTable>();

/** The hashes of a type. */
export function tableOf(core: Core, type: Type): HashTable {
  const known = tables.get(type);
  if (known !== undefined) return known;
  const table = new HashTable(core, type);
  tables.set(type, table);
  return table;
}
