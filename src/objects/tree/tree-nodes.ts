/**
 * The nodes of sorted maps: how many entries one has room for, where its slots lie, and moving
 * slots between them. A slot that moves is copied, bit by bit: what it refers to goes with it.
 *
 * A collection under way has to see every reference that was there when it began (memory.ts). A
 * node that is given up stays as it is and is seen; one that gives a part of its slots to a new
 * node tells of all of them before (`tell`), as the new one counts as seen.
 */
import { ANY, NODE, NODE_BYTES, ROLE } from '../../layout-objects.ts';
import type { Codec } from '../codec.ts';
import { type Core, type SlotVisitor, tagOf, type Type } from '../core.ts';
import type { Kind } from '../kinds.ts';
import { type Memory, type Views, viewsOf } from '../memory.ts';
import { loadText } from '../text.ts';
import { admit, hintsAt, hintWords, meld, raise } from './tree-hints.ts';
import { keysOf, type Probe, type TreeKeys } from './tree-keys.ts';

const WORD_BYTES = 4;
/** Entries of the first leaf. */
const LEAST_ROOM = 4;
const REF_BYTES = 4;

type Width = Codec['width'];

const made = new WeakMap<Type, Nodes>();

/** The nodes of a type. */
export function nodesOf(core: Core, type: Type): Nodes {
  const known = made.get(type);
  if (known !== undefined) return known;
  const nodes = new Nodes(core, type);
  made.set(type, nodes);
  return nodes;
}

class Nodes {
  readonly core: Core;
  readonly memory: Memory;
  readonly keys: TreeKeys;
  readonly values: Codec;
  readonly leafTag: number;
  readonly branchTag: number;
  /** Entries of a leaf, keys of a branch: at most. */
  readonly leafRoom: number;
  readonly branchRoom: number;
  readonly #keyWidth: Width;
  readonly #valueWidth: Width;
  readonly #isHinted: boolean;
  /** Words from the start of a branch to its first child. */
  readonly #childWord: number;

  constructor(core: Core, type: Type) {
    const { key, of } = type.kind as { key: Kind; of: Kind };
    this.core = core;
    this.memory = core.memory;
    this.keys = keysOf(core, key);
    this.values = core.codecOf(of);
    this.leafTag = tagOf(ROLE.leaf, type.id);
    this.branchTag = tagOf(ROLE.branch, type.id);
    this.#keyWidth = this.keys.codec.width;
    this.#valueWidth = this.values.width;
    this.#isHinted = this.keys.isHinted === true;
    this.leafRoom = this.#roomFor(this.#valueWidth, 0);
    this.branchRoom = this.#roomFor(REF_BYTES, REF_BYTES);
    this.#childWord = NODE.keys + this.#keyWords(this.branchRoom);
  }

  /** Entries of the leaf at `word`. ERR_CORRUPT where it says what cannot be. */
  leafCount(views: Views, word: number, ref: number): number {
    const { i32 } = views;
    const count = i32[word + NODE.count];
    const room = i32[word + NODE.room];
    if (i32[word] === this.leafTag && count >>> 0 <= room && room <= this.leafRoom) return count;
    throw this.core.corrupt(ref, 'a leaf of a sorted map was expected');
  }

  /** Keys of the branch at `word`. ERR_CORRUPT. */
  branchCount(views: Views, word: number, ref: number): number {
    const { i32 } = views;
    const count = i32[word + NODE.count];
    const isFine = i32[word] === this.branchTag && i32[word + NODE.room] === this.branchRoom;
    if (isFine && count >>> 0 <= this.branchRoom) return count;
    throw this.core.corrupt(ref, 'a branch of a sorted map was expected');
  }

  /** First word of a leaf's values. */
  valuesAt({ i32 }: Views, word: number): number {
    return word + NODE.keys + this.#keyWords(i32[word + NODE.room]);
  }

  /** First word of a branch's children. */
  childrenAt(word: number): number {
    return word + this.#childWord;
  }

  /** Room of the leaf that follows one which was the only one and is full. */
  grown(room: number): number {
    return Math.min(this.leafRoom, Math.max(LEAST_ROOM, room * 2));
  }

  /** A new leaf without entries. ERR_NO_SPACE. */
  newLeaf(room: number): number {
    return this.#make(this.leafTag, room,
      (NODE.keys + this.#keyWords(room)) * WORD_BYTES + room * this.#valueWidth);
  }

  /** A new branch without keys, and without the child that one has. ERR_NO_SPACE. */
  newBranch(): number {
    return this.#make(this.branchTag, this.branchRoom,
      this.#childWord * WORD_BYTES + (this.branchRoom + 1) * REF_BYTES);
  }

  /** Entries of `valueWidth` that fit into a node, besides `extra` bytes. */
  #roomFor(valueWidth: number, extra: number): number {
    const bytes = NODE_BYTES - NODE.keys * WORD_BYTES - extra;
    let room = Math.floor(bytes / (this.#keyWidth + valueWidth));
    while (this.#keyWords(room) * WORD_BYTES + room * valueWidth > bytes) room--;
    return room;
  }

  /** Words of `room` keys, hints included; an even number, so that what follows is aligned. */
  #keyWords(room: number): number {
    const words = ((room * this.#keyWidth + 7) >>> 3) << 1;
    return this.#isHinted ? words + hintWords(room) : words;
  }

  #make(tag: number, room: number, bytes: number): number {
    const { memory } = this;
    const ref = memory.alloc(bytes);
    const { i32 } = memory.views(ref);
    const word = memory.word(ref);
    i32[word] = tag;
    i32[word + NODE.count] = 0;
    i32[word + NODE.room] = room;
    i32[word + NODE.next] = 0;
    if (this.#isHinted) i32[hintsAt(memory.views(ref), word + NODE.keys)] = 0;
    return ref;
  }

  /**
   * Nothing leads to the node any more. Its tag goes, so that a second way to it, which only damage
   * makes, ends in ERR_CORRUPT; a collection under way finds it as it was.
   */
  release(ref: number): void {
    const { memory } = this;
    memory.dropped(ref);
    if (memory.watcher !== null) return;
    memory.views(ref).i32[memory.word(ref)] = 0;
    memory.free(ref);
  }

  /** Tells a collection under way of everything the node refers to. */
  tell(ref: number): void {
    const { memory } = this;
    if (memory.watcher === null) return;
    this.visit(memory.views(ref), memory.word(ref), (views, index, isAny) => {
      if (!isAny) memory.dropped(views.i32[index]);
      else if (views.i32[index + 1] === ANY.ref) memory.dropped(views.i32[index]);
    });
  }

  /** Visits the slots of a node that may hold references, within its bounds whatever it says. */
  visit(views: Views, word: number, visit: SlotVisitor): void {
    const { i32 } = views;
    const isLeaf = i32[word] === this.leafTag;
    const room = isLeaf ? i32[word + NODE.room] : this.branchRoom;
    const most = Math.min(i32[word + NODE.count] >>> 0, room);
    if (room >>> 0 > (isLeaf ? this.leafRoom : this.branchRoom)) return;
    visitSlots(this.keys.codec, views, word + NODE.keys, most, visit);
    if (isLeaf) {
      visitSlots(this.values, views, this.valuesAt(views, word), most, visit);
      visit(views, word + NODE.next, false);
    } else {
      const first = this.childrenAt(word);
      for (let i = 0; i <= most; i++) visit(views, first + i, false);
    }
  }

  /** Words of the node at `word`, whose tag and room are sane. */
  wordsOf(views: Views, word: number): number {
    if (views.i32[word] === this.branchTag) return this.#childWord + this.branchRoom + 1;
    const room = views.i32[word + NODE.room];
    return this.valuesAt(views, word) - word + Math.ceil(room * this.#valueWidth / WORD_BYTES);
  }

  countOf(ref: number): number {
    return this.memory.views(ref).i32[this.memory.word(ref) + NODE.count];
  }

  setCount(ref: number, count: number): void {
    this.memory.views(ref).i32[this.memory.word(ref) + NODE.count] = count;
  }

  roomOf(ref: number): number {
    return this.memory.views(ref).i32[this.memory.word(ref) + NODE.room];
  }

  /** The leaf behind a leaf, or 0. */
  nextOf(ref: number): number {
    return this.memory.views(ref).i32[this.memory.word(ref) + NODE.next];
  }

  setNext(ref: number, next: number): void {
    const { i32 } = this.memory.views(ref);
    const at = this.memory.word(ref) + NODE.next;
    this.memory.dropped(i32[at]);
    i32[at] = next;
  }

  child(branch: number, place: number): number {
    return this.memory.views(branch).i32[this.childrenAt(this.memory.word(branch)) + place];
  }

  /** Where there was none. */
  setChild(branch: number, place: number, child: number): void {
    this.memory.views(branch).i32[this.childrenAt(this.memory.word(branch)) + place] = child;
  }

  /** Copies `n` entries, from the `i`-th on, behind those of another leaf. */
  pour(from: number, i: number, to: number, n: number): void {
    const { memory } = this;
    const [source, word] = [memory.views(from), memory.word(from)];
    const [goal, target] = [memory.views(to), memory.word(to)];
    const count = goal.i32[target + NODE.count];
    this.#pourKeys(source, word + NODE.keys, i, goal, target + NODE.keys, count, n);
    const [base, end] = [this.valuesAt(source, word), this.valuesAt(goal, target)];
    this.moveValues(source, base, i, goal, end, count, n);
    goal.i32[target + NODE.count] = count + n;
  }

  /** Copies `n` keys and their children, one more, behind the keys of another branch. */
  pourBranch(from: number, i: number, to: number, n: number): void {
    const { memory } = this;
    const [source, word] = [memory.views(from), memory.word(from)];
    const [goal, target] = [memory.views(to), memory.word(to)];
    const count = goal.i32[target + NODE.count];
    this.#pourKeys(source, word + NODE.keys, i, goal, target + NODE.keys, count, n);
    this.moveChildren(from, i, to, count, n + 1);
    goal.i32[target + NODE.count] = count + n;
  }

  #pourKeys(from: Views, base: number, i: number, to: Views, goal: number, j: number, n: number) {
    moveSlots(this.#keyWidth, from, base, i, to, goal, j, n);
    if (!this.#isHinted) return;
    meld(this.memory, from, base, n, to, goal, j);
    moveWords(from.i32, hintsAt(from, base) + 1 + i, to.i32, hintsAt(to, goal) + 1 + j, n);
  }

  moveChildren(from: number, i: number, to: number, j: number, n: number): void {
    const { memory } = this;
    moveWords(memory.views(from).i32, this.childrenAt(memory.word(from)) + i, memory.views(to).i32,
      this.childrenAt(memory.word(to)) + j, n);
  }

  /** Two leaves whose entries fit into the first one. ERR_CORRUPT. */
  assertLeaves(into: number, from: number): void {
    const { memory } = this;
    const both = this.leafCount(memory.views(into), memory.word(into), into)
      + this.leafCount(memory.views(from), memory.word(from), from);
    if (into === from || both > this.roomOf(into)) {
      throw this.core.corrupt(from, 'two leaves of a sorted map do not fit together');
    }
  }

  /** Two branches whose keys fit into the first one, with one between them. ERR_CORRUPT. */
  assertBranches(into: number, from: number): void {
    const { memory } = this;
    const both = this.branchCount(memory.views(into), memory.word(into), into)
      + this.branchCount(memory.views(from), memory.word(from), from);
    if (into === from || both >= this.branchRoom) {
      throw this.core.corrupt(from, 'two branches of a sorted map do not fit together');
    }
  }

  /**
   * Puts a key between those of a node that has room; the count stays. `from`, `at` = where its
   * slot is; `probe` = the key, where it is known.
   */
  insertKey(views: Views, word: number, place: number, from: Views, at: number, probe?: Probe) {
    const { memory } = this;
    const base = word + NODE.keys;
    const count = views.i32[word + NODE.count];
    const text = this.#isHinted ? probe ?? loadText(memory, from.i32[at]) ?? '' : '';
    const hint = this.#isHinted ? admit(memory, views, base, count, text as string) : 0;
    this.#shiftKeys(views, base, place, place + 1, count - place);
    moveSlots(this.#keyWidth, from, at, 0, views, base, place, 1);
    if (this.#isHinted) views.i32[hintsAt(views, base) + 1 + place] = hint;
  }

  /** Takes a key out of a node; the count stays, and what belongs to the key. */
  removeKey(views: Views, word: number, place: number): void {
    const behind = views.i32[word + NODE.count] - place - 1;
    this.#shiftKeys(views, word + NODE.keys, place + 1, place, behind);
  }

  /** Copies the slot of a key to one outside. */
  copyKey(views: Views, word: number, place: number, to: Views, at: number): void {
    moveSlots(this.#keyWidth, views, word + NODE.keys, place, to, at, 0, 1);
  }

  /** Copies one spare slot of a key to another one. */
  copySpare(at: number, to: number): void {
    moveSlots(this.#keyWidth, SPARE, at, 0, SPARE, to, 0, 1);
  }

  /** After a split there may be more that all keys of a node have in common. */
  sharpen(ref: number): void {
    const { memory } = this;
    if (this.#isHinted) {
      raise(memory, memory.views(ref), memory.word(ref) + NODE.keys, this.countOf(ref));
    }
  }

  #shiftKeys(views: Views, base: number, from: number, to: number, n: number): void {
    moveSlots(this.#keyWidth, views, base, from, views, base, to, n);
    if (!this.#isHinted) return;
    const hints = hintsAt(views, base) + 1;
    moveWords(views.i32, hints + from, views.i32, hints + to, n);
  }

  /** Moves `n` values; `base`, `goal` = first words of the arrays they lie in. */
  moveValues(from: Views, base: number, i: number, to: Views, goal: number, j: number, n: number) {
    moveSlots(this.#valueWidth, from, base, i, to, goal, j, n);
  }
}

export type { Nodes };

function visitSlots(codec: Codec, views: Views, base: number, count: number, visit: SlotVisitor) {
  if (codec.holds === 'nothing') return;
  const isAny = codec.holds === 'any';
  const words = codec.width >>> 2;
  for (let i = 0; i < count; i++) visit(views, base + i * words, isAny);
}

/** Copies `n` slots as they are; they may overlap where both arrays are in one segment. */
export function moveSlots(width: Width, from: Views, base: number, i: number, to: Views,
                          target: number, j: number, n: number): void {
  if (width < WORD_BYTES) {
    const at = base * WORD_BYTES + i * width;
    to.u8.set(from.u8.subarray(at, at + n * width), target * WORD_BYTES + j * width);
    return;
  }
  const shift = width === 8 ? 1 : 0;
  const source = base + (i << shift);
  const goal = target + (j << shift);
  moveWords(from.i32, source, to.i32, goal, n << shift);
}

/** By a loop: for the few words of a node that is faster than a call into V8. */
function moveWords(from: Int32Array, source: number, to: Int32Array, goal: number,
                          n: number): void {
  if (source >= goal) for (let k = 0; k < n; k++) to[goal + k] = from[source + k];
  else for (let k = n - 1; k >= 0; k--) to[goal + k] = from[source + k];
}

/** Slots outside the region: a key and a value before it is known where they go, and others. */
export const SPARE: Views = viewsOf(new Uint8Array(10 * WORD_BYTES));
/** Their places, by words: a new key, a new value, an old value, what parts two nodes. */
export const SPARE_SLOT = { key: 0, value: 2, old: 4, part: 6, up: 8 } as const;
