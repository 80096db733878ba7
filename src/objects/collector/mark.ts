/**
 * Marking: which blocks of a heap are reached from its head, and from what a program holds. Blocks
 * that were reached and not looked into wait on a stack of references; what has many slots is
 * looked through in pieces, and the next piece comes when everything from the last one is done, so
 * that the stack holds one piece for each such block that lies inside another.
 *
 * A program may go on between two steps (collect.ts). What was reachable when marking began is
 * marked: whoever takes a reference out of a slot tells (`reach`). New blocks are marked, and
 * looked into as well (`born`), since slots are moved into them bit by bit.
 *
 * With `leads`, references to a block that moved (ROLE.forward) are led to where it is, and the
 * signpost is not marked. That writes to slots; a program must not go on in between then.
 *
 * ERR_CORRUPT where a reference leads to no block: then nothing can be said about the others.
 */
import { ANY, DIRECTORY, FORWARD, GRANULE_MASK, HEAD, NO_VALUE, ROLE, ROLE_MASK, ROLE_SHIFT,
  SEGMENT_SHIFT, WORD_SHIFT } from '../../layout-objects.ts';
import { scratchWords } from '../../native/scratch.ts';
import { spaceOf } from '../../region/calls.ts';
import type { Blocks } from '../../types.ts';
import { isWorkHeard, tellWork } from '../../work.ts';
import { type Core, type Family, SLOTS, type Type } from '../core.ts';
import { Marks } from './marks.ts';
import type { Views } from '../memory.ts';
import { placesOf } from '../records.ts';

// Copies: V8 folds constants of this module into the code, imported ones it loads and tests.
const MASK = GRANULE_MASK + 0;
const SEGMENT = SEGMENT_SHIFT + 0;
const WORDS = WORD_SHIFT + 0;
const OBJECT = ROLE.object + 0;
const ROLE_BITS = ROLE_MASK + 0;
const DETAIL = ROLE_SHIFT + 0;
const UNDEFINED = NO_VALUE.ref + 0;
const ANY_REF = ANY.ref + 0;

/** What is done with a block of a role. */
const UNKNOWN = 0;
const LEAF = 1;
const LOOK = 2;
const LEAVES = [ROLE.latin1, ROLE.utf8, ROLE.utf16, ROLE.bytes, ROLE.bigint, ROLE.buckets,
  ROLE.moment];

/** Slots between two looks at the clock: about 10 µs. */
const BETWEEN_LOOKS = 512;
/** Signposts one behind the other. */
const MOST_SIGNPOSTS = 64;
const WORD_BYTES = 4;
const NO_WORDS = new Int32Array(0);

export class Marker {
  readonly marks: Marks;
  /** A key of a hash was led to another block: it is not found until all are hashed again. */
  movedKeys = false;
  readonly #core: Core;
  readonly #leads: boolean;
  /** By role. */
  readonly #ways = new Uint8Array(ROLE_MASK + 1);
  readonly #families: (Family | undefined)[] = [];
  /** By type of objects: words of references, doubled, and one more where the slot is an `any`. */
  readonly #places: (Int32Array | undefined)[] = [];
  /** By type of objects: bytes one takes. */
  readonly #bytes: number[] = [];
  /** By segment. */
  readonly #blocks: readonly Blocks[];
  readonly #words: (Int32Array | undefined)[] = [];
  /** Blocks that were reached and not looked into. */
  #stack = new Int32Array(1024);
  #top = 0;
  /** Threes: a block that is looked through in pieces, where to go on, the floor below it. */
  #pieces = new Int32Array(48);
  #pieceTop = 0;
  /** The stack down to here comes before the next piece. */
  #floor = 0;
  #born = new Int32Array(64);
  #bornTop = 0;
  /** Is a new block looked into, which may not be filled yet? */
  #isNew = false;
  /** The block that is looked into, its role, and the word where it ends. */
  #block = 0;
  #role = 0;
  #end = 0;
  #work = 0;
  #due = BETWEEN_LOOKS;
  /** Blocks, and how many there may be; 0 = nobody wants to know. */
  #reached = 0;
  readonly #all: number;

  constructor(core: Core, leads: boolean) {
    this.#core = core;
    this.#leads = leads;
    this.marks = new Marks(core.memory.region);
    this.#all = isWorkHeard() ? core.memory.region.stat().busyBlocks : 0;
    this.#blocks = spaceOf(core.memory.region)?.parts.map(({ blocks }) => blocks) ?? [];
    for (let role = 0; role <= ROLE_MASK; role++) {
      this.#families.push(core.family(role));
      if (this.#families[role] !== undefined) this.#ways[role] = LOOK;
    }
    for (const role of LEAVES) this.#ways[role] = LEAF;
    this.#ways[ROLE.head] = LOOK;
    this.#ways[ROLE.directory] = LOOK;
  }

  /** The block is reached, if it is one: 0 and the reference of `undefined` are none. */
  reach(ref: number): void {
    this.#reach(ref, NO_WORDS, 0);
  }

  /** The block is new: it is marked, and looked into later, when it is filled. */
  born(ref: number): void {
    this.marks.set(ref);
    if (this.#bornTop === this.#born.length) this.#born = doubled(this.#born);
    this.#born[this.#bornTop] = ref;
    this.#bornTop += 1;
  }

  /** Looks into what was reached, until nothing is left or `isOver` says so; true = all is done. */
  drain(isOver: () => boolean): boolean {
    for (;;) {
      while (this.#top > this.#floor) {
        this.#top -= 1;
        this.#lookInto(this.#stack[this.#top], 0);
        if (this.#work >= this.#due && this.#isOver(isOver)) return this.#isDone();
      }
      if (!this.#goOn() && !this.#nextBorn()) return true;
      if (this.#work >= this.#due && this.#isOver(isOver)) return this.#isDone();
    }
  }

  #isOver(isOver: () => boolean): boolean {
    this.#due = this.#work + BETWEEN_LOOKS;
    tellWork('finding objects in use', this.#reached, this.#all, 'count');
    return isOver();
  }

  #isDone(): boolean {
    return this.#top === 0 && this.#pieceTop === 0 && this.#bornTop === 0;
  }

  /** The next piece of the block that is looked through; false = there is none. */
  #goOn(): boolean {
    if (this.#pieceTop === 0) return false;
    this.#pieceTop -= 3;
    const ref = this.#pieces[this.#pieceTop];
    const from = this.#pieces[this.#pieceTop + 1];
    this.#floor = this.#pieces[this.#pieceTop + 2];
    this.#lookInto(ref, from);
    return true;
  }

  #nextBorn(): boolean {
    if (this.#bornTop === 0) return false;
    this.#bornTop -= 1;
    this.#isNew = true;
    try {
      this.#lookInto(this.#born[this.#bornTop], 0);
    } finally {
      this.#isNew = false;
    }
    return true;
  }

  #reach(ref: number, slots: Int32Array, index: number): void {
    if (ref === 0 || ref === UNDEFINED) return;
    const bits = this.marks.bits[ref >>> SEGMENT];
    const granule = ref & MASK;
    const w = granule >>> 5;
    if (bits === undefined || w >= bits.length) return this.#refuse(ref, 'it is outside');
    const old = bits[w];
    const bit = 1 << granule;
    if ((old & bit) !== 0) return;
    // A third of the time of marking; without it damage would be taken for blocks, and written to.
    const room = this.#blocks[ref >>> SEGMENT]?.sizeOf(granule) ?? -1;
    if (room < 0) return this.#refuse(ref, 'where no block starts');
    const tag = this.#wordsOf(ref)[granule << WORDS];
    if ((tag & ROLE_BITS) === OBJECT) {
      const places = this.#places[tag >>> DETAIL] ?? this.#learn(ref, tag >>> DETAIL);
      if (room < this.#bytes[tag >>> DETAIL]) return this.#refuse(ref, 'which is too small');
      bits[w] = old | bit;
      this.#reached += 1;
      if (places.length === 0) return;
    } else {
      const way = this.#ways[tag & ROLE_BITS];
      if (way === UNKNOWN) return this.#reachOther(ref, tag, slots, index);
      bits[w] = old | bit;
      this.#reached += 1;
      if (way === LEAF) return;
    }
    if (this.#top === this.#stack.length) this.#stack = doubled(this.#stack);
    this.#stack[this.#top] = ref;
    this.#top += 1;
  }

  /** A signpost, or no block of a heap. */
  #reachOther(ref: number, tag: number, slots: Int32Array, index: number): void {
    if ((tag & ROLE_BITS) !== ROLE.forward) return this.#refuse(ref, 'it is of no role');
    let to = ref;
    for (let i = 0; i < MOST_SIGNPOSTS; i++) {
      if (!this.#leads) this.marks.set(to);
      to = this.#wordsOf(to)[((to & MASK) << WORDS) + FORWARD.to];
      if (!this.marks.covers(to)) return this.#refuse(to, 'it is outside');
      if ((this.#wordsOf(to)[(to & MASK) << WORDS] & ROLE_BITS) === ROLE.forward) continue;
      if (this.#leads && slots !== NO_WORDS) {
        slots[index] = to;
        if (this.#role === ROLE.entries) this.movedKeys = true;
      }
      return this.#reach(to, NO_WORDS, 0);
    }
    this.#refuse(ref, 'it leads in a circle');
  }

  readonly #visit = ({ i32 }: Views, index: number, isAny: boolean): void => {
    this.#work += 1;
    if (index >= this.#end) return this.#refuse(this.#block, 'it holds more than it has room for');
    if (isAny && i32[index + 1] !== ANY_REF) return;
    this.#reach(i32[index], i32, index);
  };

  /** Objects are most of a heap: a loop here takes a third of the time of a call per slot. */
  #lookInto(ref: number, from: number): void {
    const words = this.#wordsOf(ref);
    const word = (ref & MASK) << WORDS;
    const tag = words[word];
    this.#role = tag & ROLE_BITS;
    if (this.#role !== OBJECT) return this.#lookIntoOther(ref, tag, from);
    const places = this.#places[tag >>> DETAIL] ?? this.#learn(ref, tag >>> DETAIL);
    this.#work += places.length + 1;
    for (let i = 0; i < places.length; i++) {
      const index = word + (places[i] >> 1);
      if ((places[i] & 1) === 0 || words[index + 1] === ANY_REF) {
        this.#reach(words[index], words, index);
      }
    }
  }

  #lookIntoOther(ref: number, tag: number, from: number): void {
    this.#work += 1;
    if (this.#role === ROLE.forward) return this.#reachOther(ref, tag, NO_WORDS, 0);
    if (this.#ways[this.#role] !== LOOK) return;
    const { memory } = this.#core;
    const room = memory.held(ref);
    if (room < 0) return this.#refuse(ref, 'no block starts there');
    const word = memory.word(ref);
    this.#block = ref;
    this.#end = word + Math.floor(room / WORD_BYTES);
    const floor = this.#top;
    const next = this.#slots(memory.views(ref), word, tag, from);
    if (next !== 0) this.#later(ref, next, floor);
  }

  /** Visits slots of a block; returns where to go on, 0 = that was all. */
  #slots(views: Views, word: number, tag: number, from: number): number {
    if (this.#role === ROLE.head) {
      this.#visit(views, word + HEAD.types, false);
      this.#visit(views, word + HEAD.root, false);
      return 0;
    }
    if (this.#role === ROLE.directory) return this.#directory(views, word, tag, from);
    const family = this.#families[this.#role];
    if (family === undefined) return 0;
    const type = this.#typeOf(this.#block, tag >>> DETAIL, family);
    return type === null ? 0 : family.slots(this.#core, type, views, word, from, this.#visit);
  }

  #directory(views: Views, word: number, tag: number, from: number): number {
    const first = word + DIRECTORY.entries + from;
    const end = Math.min(this.#end, word + DIRECTORY.entries + (tag >>> DETAIL));
    const last = Math.min(first + SLOTS, end);
    for (let index = first; index < last; index++) this.#visit(views, index, false);
    return last < end ? from + SLOTS : 0;
  }

  /** The type of a block of a family; null = it is not filled yet. */
  #typeOf(ref: number, id: number, family: Family): Type | null {
    try {
      const type = this.#core.types.at(id);
      if (this.#families[type.role] === family) return type;
      this.#refuse(ref, `its type is ${type.text}`);
    } catch (error) {
      if (!this.#isNew) throw error;
    }
    return null;
  }

  /** The rest of the block comes when everything above this place of the stack is done. */
  #later(ref: number, from: number, floor: number): void {
    if (this.#pieceTop + 3 > this.#pieces.length) this.#pieces = doubled(this.#pieces);
    this.#pieces[this.#pieceTop] = ref;
    this.#pieces[this.#pieceTop + 1] = from;
    this.#pieces[this.#pieceTop + 2] = this.#floor;
    this.#pieceTop += 3;
    this.#floor = floor;
  }

  /** Where objects of a type hold references. */
  #learn(ref: number, id: number): Int32Array {
    const family = this.#families[OBJECT] as Family;
    const layout = this.#typeOf(ref, id, family)?.layout;
    if (layout === undefined || layout === null) return NO_WORDS;
    const places = placesOf(this.#core, layout).map(({ word, isAny }) => word * 2 + Number(isAny));
    this.#places[id] = Int32Array.from(places);
    this.#bytes[id] = layout.bytes;
    return this.#places[id];
  }

  #wordsOf(ref: number): Int32Array {
    return this.#words[ref >>> SEGMENT] ?? this.#takeWords(ref);
  }

  #takeWords(ref: number): Int32Array {
    const { i32 } = this.#core.memory.views(ref);
    this.#words[ref >>> SEGMENT] = i32;
    return i32;
  }

  /** What a new block seems to say need not be true. */
  #refuse(ref: number, what: string): void {
    if (!this.#isNew) throw this.#core.corrupt(ref, `a reference leads there, ${what}`);
  }
}

function doubled(words: Int32Array): Int32Array<ArrayBuffer> {
  const longer = scratchWords(words.length * 2);
  longer.set(words);
  return longer;
}
