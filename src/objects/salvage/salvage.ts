/**
 * Salvaging a damaged heap: everything that can be reached is put in order where it lies. A slot
 * whose block is lost holds nothing afterwards; a collection whose blocks contradict themselves is
 * made again out of the entries that can be read; what belonged to two slots is copied. Afterwards
 * `check` finds nothing.
 *
 * Where a way was lost, what it led to may be lost with it. So whole objects that nothing refers to
 * are kept under the name `lost+found`, a list; garbage that was not collected yet is among them.
 *
 * Memory: two bits a granule of the heap. Nothing is freed: a collection does that afterwards.
 */
import { assert } from '../../errors.ts';
import { DIRECTORY, HEAD, ROLE, ROLE_MASK, ROLE_SHIFT, SEGMENT_SHIFT }
  from '../../layout-objects.ts';
import { spaceOf } from '../../region/calls.ts';
import { leastBytes } from '../block-sizes.ts';
import { Marks } from '../collector/marks.ts';
import type { Core, Type } from '../core.ts';
import { type Demand, inDirectory, OWNED, placeIn, ROOT, typeAt, TYPED } from '../demand.ts';
import { checkHash } from '../hash/hash-check.ts';
import { any, list, map, str } from '../kinds.ts';
import { checkList } from '../list/list-check.ts';
import { addressAt, type Views } from '../memory.ts';
import type { PersistentList, PersistentMap } from '../persistent.ts';
import { checkTree } from '../tree/tree-check.ts';
import { isWorkHeard, tellWork, TOLD_BLOCKS } from '../../work.ts';
import { rebuild } from './entries.ts';
import { emptySlot, isKey, isStructural, targetOf } from './slots.ts';

/** Something that is not there any more. */
export interface Loss {
  /** Of the block it was in. */
  readonly address: number;
  readonly detail: string;
}

export interface Salvaged {
  /** The first MOST_LOSSES of them. */
  readonly losses: readonly Loss[];
  readonly lossCount: number;
  /** Collections that were made again, and slots that were given a copy of their own. */
  readonly changes: number;
  /** Objects that nothing referred to, now in the list `lost+found`. */
  readonly found: number;
}

const MOST_LOSSES = 1000;
const WORD_BYTES = 4;
const HEADERS: ReadonlySet<number> = new Set([ROLE.object, ROLE.list, ROLE.hash, ROLE.tree]);
const LOST_AND_FOUND = 'lost+found';

/** `head` = reference of a sound head. `root` = the names, once they are in order. */
export function salvage(
  core: Core, head: number, root: () => PersistentMap<string, unknown>,
): Salvaged {
  const { memory } = core;
  // Nothing is given back meanwhile: a block that was seen stays what it was.
  memory.watcher = { born: () => {}, dropped: () => {}, kept: () => {}, settle: () => {} };
  try {
    return new Salvage(core, head).run(root);
  } finally {
    memory.watcher = null;
  }
}

/** A block of a collection; `within` = what the references of a directory may lead to. */
interface Piece {
  readonly ref: number;
  readonly within: Demand | null;
}

class Salvage {
  readonly #core: Core;
  readonly #head: number;
  readonly #seen: Marks;
  /** Objects and collections to be looked into. */
  readonly #stack: number[] = [];
  readonly #losses: Loss[] = [];
  #lossCount = 0;
  #changes = 0;

  constructor(core: Core, head: number) {
    this.#core = core;
    this.#head = head;
    this.#seen = new Marks(core.memory.region);
  }

  run(root: () => PersistentMap<string, unknown>): Salvaged {
    this.#markTypes();
    this.#mendRoot();
    this.#mendAll();
    const strays = this.#lossCount === 0 ? [] : this.#strays();
    if (strays.length > 0) this.#keep(strays, root());
    return { losses: this.#losses, lossCount: this.#lossCount, changes: this.#changes,
      found: strays.length };
  }

  #lost(ref: number, detail: string): void {
    this.#lossCount += 1;
    if (this.#losses.length < MOST_LOSSES) this.#losses.push({ address: addressAt(ref), detail });
  }

  #markTypes(): void {
    const { memory } = this.#core;
    const { i32 } = memory.views(this.#head);
    const at = memory.word(this.#head);
    const directory = i32[at + HEAD.types];
    this.#seen.set(this.#head);
    if (directory === 0) return;
    this.#seen.set(directory);
    const first = memory.word(directory) + DIRECTORY.entries;
    const count = i32[at + HEAD.typeCount];
    for (const ref of memory.views(directory).i32.subarray(first, first + count)) {
      this.#seen.set(ref);
    }
  }

  #mendRoot(): void {
    const core = this.#core;
    const views = core.memory.views(this.#head);
    const index = core.memory.word(this.#head) + HEAD.root;
    const { ref, problem } = targetOf(core, views, index, false, ROOT);
    if (problem !== null) {
      this.#lost(this.#head, `all names: ${problem}`);
      views.i32[index] = core.create(map(str, any), undefined);
    }
    this.#meet(problem === null ? ref : views.i32[index]);
  }

  #meet(ref: number): void {
    if (ref === 0 || this.#seen.has(ref)) return;
    this.#seen.set(ref);
    this.#stack.push(ref);
  }

  #mendAll(): void {
    const all = isWorkHeard() ? this.#core.memory.region.stat().busyBlocks : 0;
    let count = 0;
    for (let ref = this.#stack.pop(); ref !== undefined; ref = this.#stack.pop()) {
      count += 1;
      if (count % TOLD_BLOCKS === 1) tellWork('mending objects', count, all, 'count');
      const type = typeAt(this.#core, this.#core.memory.tag(ref) >>> ROLE_SHIFT);
      if (type !== null) this.#mend(ref, type);
    }
  }

  #mend(ref: number, type: Type): void {
    if (this.#mendSlots(ref, type) && this.#isSound(ref, type)) return;
    const { kept, lost } = rebuild(this.#core, type, ref, (spare) => this.#seen.set(spare));
    this.#changes += 1;
    if (lost > 0) this.#lost(ref, `${lost} of ${lost + kept} entries of a ${type.text}`);
    const isWhole = this.#mendSlots(ref, type) && this.#isSound(ref, type);
    assert(isWhole, `a ${type.text} that was made again is sound`);
  }

  /** Of a collection, by its own invariants. */
  #isSound(ref: number, type: Type): boolean {
    let findings = 0;
    const count = () => {
      findings += 1;
    };
    if (type.role === ROLE.list) checkList(this.#core, type, ref, count);
    if (type.role === ROLE.hash) checkHash(this.#core, type, ref, count);
    if (type.role === ROLE.tree) checkTree(this.#core, ref, count);
    return findings === 0;
  }

  /** Every slot of an object or a collection. False = its structure or its keys are damaged. */
  #mendSlots(header: number, type: Type): boolean {
    const pieces: Piece[] = [{ ref: header, within: null }];
    let isWhole = true;
    for (let piece = pieces.pop(); piece !== undefined; piece = pieces.pop()) {
      const { ref, within } = piece;
      this.#eachSlot(ref, type, within, (views, index, isAny, demand) => {
        if (!this.#mendSlot({ ref, type, header }, views, index, isAny, demand, pieces)) {
          isWhole = false;
        }
      }, () => {
        isWhole = false;
      });
    }
    return isWhole;
  }

  /** Visits the slots a block has room for; `outside` = it says that it has more. */
  #eachSlot(
    ref: number, type: Type, within: Demand | null,
    visit: (views: Views, index: number, isAny: boolean, demand: Demand) => void,
    outside: () => void,
  ): void {
    const core = this.#core;
    const { memory } = core;
    const role = memory.tag(ref) & ROLE_MASK;
    if (role === ROLE.buckets) return;
    const views = memory.views(ref);
    const word = memory.word(ref);
    const end = word + Math.floor(memory.held(ref) / WORD_BYTES);
    const place = within === null ? placeIn(core, type, role) : () => within;
    let isOutside = false;
    let from = 0;
    do {
      from = core.familyOf(type).slots(core, type, views, word, from, (at, index, isAny) => {
        if (index + Number(isAny) >= end) isOutside = true;
        else visit(at, index, isAny, place(at, word, index));
      });
    } while (from !== 0 && !isOutside);
    if (isOutside) outside();
  }

  #mendSlot(
    { ref, type, header }: { ref: number; type: Type; header: number }, views: Views,
    index: number, isAny: boolean, demand: Demand, pieces: Piece[],
  ): boolean {
    const core = this.#core;
    const { memory } = core;
    const { ref: target, problem } = targetOf(core, views, index, isAny, demand);
    const isVital = isStructural(demand) || isKey(core, type, views, memory.word(ref), index);
    if (problem !== null && isVital) return false;
    if (problem !== null) {
      this.#lost(header, `a ${demand.text} in a ${type.text}: ${problem}`);
      emptySlot(views, index, isAny, demand);
    }
    if (target === 0 || demand.isLink) return true;
    const role = memory.tag(target) & ROLE_MASK;
    if (!OWNED.has(role)) this.#meet(target);
    else if (!this.#seen.has(target)) {
      this.#seen.set(target);
      const within = role === ROLE.directory ? inDirectory(demand) : null;
      if (isStructural(demand)) pieces.push({ ref: target, within });
    } else if (isStructural(demand)) return false;
    else this.#copy(views, index, target);
    return true;
  }

  /** A block that belongs to another slot: this one gets one like it. */
  #copy(views: Views, index: number, ref: number): void {
    const { memory } = this.#core;
    const bytes = memory.held(ref);
    const made = memory.alloc(bytes);
    memory.bytes(made, 0, bytes).set(memory.bytes(ref, 0, bytes));
    views.i32[index] = made;
    this.#seen.set(made);
    this.#changes += 1;
  }

  /** Whole objects and collections that were not reached, and to which no other of them refers. */
  #strays(): number[] {
    const core = this.#core;
    const { memory } = core;
    const referred = new Marks(memory.region);
    const candidates: number[] = [];
    this.#eachUnseen((ref) => {
      const tag = memory.tag(ref);
      const type = TYPED.has(tag & ROLE_MASK) ? typeAt(core, tag >>> ROLE_SHIFT) : null;
      const isOne = type !== null && core.family(type.role) === core.family(tag & ROLE_MASK)
        && leastBytes(core, ref) <= memory.held(ref);
      if (!isOne) return;
      if (HEADERS.has(tag & ROLE_MASK) && type.role === (tag & ROLE_MASK)) candidates.push(ref);
      this.#eachSlot(ref, type, null, (views, index, isAny, demand) => {
        const { ref: target } = targetOf(core, views, index, isAny, demand);
        if (target !== 0 && target !== ref && referred.covers(target)) referred.set(target);
      }, () => {});
    });
    return candidates.filter((ref) => !referred.has(ref));
  }

  #eachUnseen(visit: (ref: number) => void): void {
    for (const { index, blocks } of spaceOf(this.#core.memory.region)?.parts ?? []) {
      blocks.walk((granule, bytes, isBusy) => {
        const ref = (index << SEGMENT_SHIFT) | granule;
        if (isBusy && bytes >= WORD_BYTES && !this.#seen.has(ref)) visit(ref);
        return false;
      });
    }
  }

  #keep(strays: readonly number[], root: PersistentMap<string, unknown>): void {
    const core = this.#core;
    let name = LOST_AND_FOUND;
    for (let i = 2; root.has(name); i++) name = `${LOST_AND_FOUND} ${i}`;
    const made = core.create(list(any), undefined);
    const kept = core.handleOf(made) as unknown as PersistentList<unknown>;
    // Each is put in order before anything reads it.
    for (const ref of strays) this.#meet(ref);
    this.#mendAll();
    for (const ref of strays) kept.push(core.handleOf(ref));
    root.set(name, kept);
  }
}
