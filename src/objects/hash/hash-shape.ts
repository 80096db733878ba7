/**
 * Where the parts of a hash of one type lie: its entries, its chains. What is common to all maps or
 * sets of the type is worked out once.
 *
 *   header ─ entries ─▶ entries                    up to 2^CHUNK_SHIFT
 *                    ─▶ directory ─▶ entries …     more; 0 = nothing in there is alive
 *          ─ heads ───▶ 0                          few entries: they are looked through
 *                    ─▶ buckets                    up to 2^HEADS_SHIFT
 *                    ─▶ directory ─▶ buckets …
 *
 * What holds of it, and hash-check.ts checks:
 *   H1  0 ≤ size ≤ used ≤ room, and first ≤ used.
 *   H2  `entries` are blocks of this type with `room` places; only those below the last that is
 *       used may be missing from the directory.
 *   H3  A block says how many of its entries are alive, the header how many in all.
 *   H4  No entry before `first` is alive; places that were never used are zeros.
 *   H5  `heads` are blocks with room for as many chains; there are none only for few entries.
 *   H6  Every entry that is alive is in the chain of its hash, once; no other is in a chain.
 *   H7  An entry keeps the hash of its key.
 *   H8  No two keys are equal.
 */
import { BUCKETS, CHUNK_SHIFT, DIRECTORY, ENTRIES, ENTRY, GRANULE_MASK, HASH, HEADS_SHIFT,
  SEGMENT_SHIFT, WORD_SHIFT } from '../../layout-objects.ts';
import type { Codec, KeyCodec } from '../codec.ts';
import type { Core, Type } from '../core.ts';
import type { Kind } from '../kinds.ts';
import type { Memory, Views } from '../memory.ts';

export const CHUNK = 2 ** CHUNK_SHIFT;
export const HEADS = 2 ** HEADS_SHIFT;
const WIDEST = 8;

/** The blocks of hashes of one type. */
export class HashShape {
  readonly core: Core;
  readonly memory: Memory;
  readonly type: Type;
  readonly key: KeyCodec;
  /** null = a set. */
  readonly value: Codec | null;
  /** Words of an entry; of its key and value; where these begin. */
  readonly stride: number;
  readonly keyWords: number;
  readonly valueWords: number;
  readonly keyAt: number;
  readonly valueAt: number;
  /** The entry that was looked for last, if it was found. */
  foundIn: Views;
  foundAt = 0;

  constructor(core: Core, type: Type) {
    const { key, of } = type.kind as Kind;
    this.core = core;
    this.memory = core.memory;
    this.foundIn = core.memory.views(0);
    this.type = type;
    this.key = core.codecOf(key as Kind) as KeyCodec;
    this.value = of === undefined ? null : core.codecOf(of);
    const valueWidth = this.value === null ? 0 : this.value.width;
    this.keyWords = this.key.width === WIDEST ? 2 : 1;
    this.valueWords = this.value === null ? 0 : valueWidth === WIDEST ? 2 : 1;
    const keyFirst = this.keyWords >= this.valueWords;
    this.keyAt = ENTRY.slots + (keyFirst ? 0 : this.valueWords);
    this.valueAt = ENTRY.slots + (keyFirst ? this.keyWords : 0);
    const words = ENTRY.slots + this.keyWords + this.valueWords;
    const isWide = this.keyWords === 2 || this.valueWords === 2;
    this.stride = isWide ? words + (words & 1) : words;
  }

  /**
   * Views of a block; `views` = those of `ref`, which is mostly in the same segment. It is half of
   * the time of a lookup to ask for them each time (16 ns against 35).
   */
  near(views: Views, ref: number, block: number): Views {
    return (ref ^ block) >>> SEGMENT_SHIFT === 0 ? views : this.memory.views(block);
  }

  /** The block that holds an entry; 0 where none of its entries is alive. `ref` = the header. */
  chunkOf(views: Views, ref: number, index: number): number {
    const at = (ref & GRANULE_MASK) << WORD_SHIFT;
    const entries = views.i32[at + HASH.entries];
    if (views.i32[at + HASH.room] <= CHUNK) return entries;
    const word = ((entries & GRANULE_MASK) << WORD_SHIFT) + DIRECTORY.entries;
    return this.near(views, ref, entries).i32[word + (index >>> CHUNK_SHIFT)];
  }

  /** First word of an entry in its block. */
  wordOf(chunk: number, index: number): number {
    const first = ((chunk & GRANULE_MASK) << WORD_SHIFT) + ENTRIES.data;
    return first + (index & (CHUNK - 1)) * this.stride;
  }

  /** The block that holds the head of a chain. */
  headsOf(views: Views, ref: number, bucket: number): number {
    const at = (ref & GRANULE_MASK) << WORD_SHIFT;
    const heads = views.i32[at + HASH.heads];
    if (views.i32[at + HASH.buckets] <= HEADS) return heads;
    const word = ((heads & GRANULE_MASK) << WORD_SHIFT) + DIRECTORY.entries;
    return this.near(views, ref, heads).i32[word + (bucket >>> HEADS_SHIFT)];
  }

  /** Word of the head of a chain in its block. */
  headWord(heads: number, bucket: number): number {
    return ((heads & GRANULE_MASK) << WORD_SHIFT) + BUCKETS.heads + (bucket & (HEADS - 1));
  }
}

/**
 * The chain of a hash among `buckets`, by linear hashing (Litwin, 1980): as many low bits as number
 * the chains, and one less where there is no such chain yet.
 */
export function bucketOf(hash: number, buckets: number): number {
  const half = 1 << (31 - Math.clz32(buckets));
  const bucket = hash & (2 * half - 1);
  return bucket < buckets ? bucket : bucket - half;
}
