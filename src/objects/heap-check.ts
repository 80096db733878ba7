/**
 * Checks a heap, over arbitrary bytes: reads only, never throws, and ends. What is reachable from
 * the head is looked at; what is not, is garbage, whatever it looks like.
 *
 *   O1  the region names a head, which is one, of a version that is known
 *   O2  its types are in a directory that holds them, each with a description of its own
 *   O3  a reference leads to the start of a live block
 *   O4  that is of the role and the type which the slot asks for
 *   O5  a block has room for what it says it holds
 *   O6  texts, bytes and the parts of collections are referred to once
 *   O7  a slot of kind any holds a number, or says what it holds
 *   O8  an object that moved is found where its signposts lead
 *
 * Beside them L1 … of lists, H1 … of hashes, T1 … of sorted maps (list.ts, hash-shape.ts, tree.ts).
 * A finding is about the block at its address: that with the slot, where it is about a reference.
 */
import { RegionError } from '../errors.ts';
import { ANY, DIRECTORY, HEAD, HEAD_ROOT, HEAP_VERSION, NO_VALUE, ROLE, ROLE_MASK, ROLE_SHIFT }
  from '../layout-objects.ts';
import type { Finding } from '../types.ts';
import { leastBytes } from './block-sizes.ts';
import type { Core, Type } from './core.ts';
import { type Demand, demandOf, DESCRIPTION, endOf, inDirectory, OWNED, placeIn, ROOT, satisfies,
  typeAt, TYPED, TYPES } from './demand.ts';
import { checkHash } from './hash/hash-check.ts';
import { checkList } from './list/list-check.ts';
import { Marks } from './collector/marks.ts';
import { addressAt, type Views } from './memory.ts';
import { loadText } from './text.ts';
import { checkTree } from './tree/tree-check.ts';
import { isWorkHeard, tellWork, TOLD_BLOCKS } from '../work.ts';

/** More are not told one by one. */
const MOST_FINDINGS = 1000;
const MOST_SIGNPOSTS = 1000;
const WORD_BYTES = 4;
const ANY_DEMAND = demandOf({ name: 'any' });

/** `head` = reference of the heap's head. [] = sound. */
export function checkHeap(core: Core, head: number): Finding[] {
  const check = new HeapCheck(core);
  const { types } = core;
  // What is read here is to leave no handles or pins behind, and to change no object to a new form.
  core.types = { at: (id) => types.at(id), ofKind: (kind) => types.ofKind(kind),
    plain: () => types.plain(), upgraded: (ref) => ref };
  try {
    core.peek(() => check.run(head));
  } finally {
    core.types = types;
  }
  return check.findings;
}

class HeapCheck {
  readonly findings: Finding[] = [];
  readonly #core: Core;
  readonly #seen: Marks;
  /** Blocks to be looked into. */
  readonly #stack: number[] = [];
  /** Blocks that were met. */
  #count = 0;

  constructor(core: Core) {
    this.#core = core;
    this.#seen = new Marks(core.memory.region);
  }

  run(head: number): void {
    if (!this.#checkHead(head)) return;
    const { memory } = this.#core;
    const { i32 } = memory.views(head);
    const word = memory.word(head);
    this.#seen.set(head);
    this.#checkTypes(head, i32[word + HEAD.types], i32[word + HEAD.typeCount]);
    this.#follow(head, word + HEAD.root, i32[word + HEAD.root], ROOT);
    const { region } = memory;
    const all = isWorkHeard() ? region.stat().busyBlocks : 0;
    let due = 0;
    for (let ref = this.#stack.pop(); ref !== undefined; ref = this.#stack.pop()) {
      this.#guarded(ref, () => this.#lookInto(ref as number));
      if (this.#count < due) continue;
      tellWork('checking objects', this.#count, all, 'count');
      due = this.#count + TOLD_BLOCKS;
    }
  }

  #found(id: string, ref: number, detail: string): void {
    const { length } = this.findings;
    if (length < MOST_FINDINGS) this.findings.push({ id, address: addressAt(ref), detail });
    if (length === MOST_FINDINGS - 1) {
      this.findings.push({ id, address: addressAt(ref), detail: 'and more; they are not listed' });
    }
  }

  /** What a part of the check throws on bytes that it does not expect is a finding. */
  #guarded(ref: number, work: () => void): void {
    try {
      work();
    } catch (error) {
      if (!(error instanceof RegionError)) throw error;
      this.#found('O5', ref, error.message);
    }
  }

  #checkHead(head: number): boolean {
    const { memory } = this.#core;
    const wrong = memory.region.roots.get(HEAD_ROOT) !== addressAt(head)
      ? 'the region does not name it as the head of its heap'
      : memory.held(head) < HEAD.words * WORD_BYTES ? 'no block with room for a head'
        : (memory.tag(head) & ROLE_MASK) !== ROLE.head ? 'no head of a heap' : null;
    if (wrong !== null) this.#found('O1', head, wrong);
    if (wrong !== null) return false;
    const version = memory.views(head).i32[memory.word(head) + HEAD.version];
    if (version === HEAP_VERSION) return true;
    this.#found('O1', head, `version ${version}`);
    return false;
  }

  #checkTypes(head: number, directory: number, count: number): void {
    const { memory } = this.#core;
    if (directory === 0 && count === 0) return;
    const room = memory.held(directory) / WORD_BYTES - DIRECTORY.entries;
    const isThere = room >= 0 && (memory.tag(directory) & ROLE_MASK) === ROLE.directory;
    if (!isThere || !(count >= 0 && count <= room)) {
      return this.#found('O2', head, isThere ? `${count} types, room for ${room}`
        : `no ${TYPES.text} at ${addressAt(directory)}`);
    }
    this.#seen.set(directory);
    const { i32 } = memory.views(directory);
    const first = memory.word(directory) + DIRECTORY.entries;
    for (let id = 1; id <= count; id++) {
      const ref = i32[first + id - 1];
      this.#follow(directory, first + id - 1, ref, DESCRIPTION);
      if (!this.#isDescribed(ref)) this.#found('O2', directory, `type ${id} has no description`);
    }
  }

  #isDescribed(ref: number): boolean {
    const { memory } = this.#core;
    const room = ref === 0 ? -1 : memory.held(ref);
    if (room < 0 || room < (memory.tag(ref) >>> ROLE_SHIFT)) return false;
    const text = loadText(memory, ref);
    return text !== null && /^\{"(struct|kind)":".*\}$/s.test(text);
  }

  /** A slot of `owner` refers to `target`. */
  #follow(owner: number, index: number, target: number, demand: Demand): void {
    const { memory } = this.#core;
    if (target === 0 || (target === NO_VALUE.ref && demand.isOptional)) return;
    const where = () => `word ${index - memory.word(owner)} leads to ${addressAt(target)}`;
    if (memory.held(target) < 0) {
      return this.#found('O3', owner, `${where()}, where no block starts`);
    }
    const ref = this.#led(owner, target, where);
    if (ref === 0) return;
    const tag = memory.tag(ref);
    if (!satisfies(this.#core, tag, demand)) {
      return this.#found('O4', owner, `${where()}, which is no ${demand.text}`);
    }
    if (demand.isLink) return;
    if (!this.#seen.has(ref)) {
      this.#seen.set(ref);
      this.#count += 1;
      if ((tag & ROLE_MASK) === ROLE.directory) this.#followDirectory(ref, demand);
      else this.#stack.push(ref);
    } else if (OWNED.has(tag & ROLE_MASK)) {
      this.#found('O6', owner, `${where()}, as another slot does`);
    }
  }

  /** Where the block is now; 0 = it is not to be found. */
  #led(owner: number, target: number, where: () => string): number {
    const { memory } = this.#core;
    if ((memory.tag(target) & ROLE_MASK) !== ROLE.forward) return target;
    const end = endOf(this.#core, target, MOST_SIGNPOSTS);
    if (end === 0) this.#found('O8', owner, `${where()}, and from there to nothing`);
    return end;
  }

  #followDirectory(ref: number, demand: Demand): void {
    const { memory } = this.#core;
    const { i32 } = memory.views(ref);
    const first = memory.word(ref) + DIRECTORY.entries;
    const count = i32[memory.word(ref)] >>> ROLE_SHIFT;
    if ((count + DIRECTORY.entries) * WORD_BYTES > memory.held(ref)) {
      return this.#found('O5', ref, `no room for ${count} references`);
    }
    const inside = inDirectory(demand);
    for (let i = first; i < first + count; i++) this.#follow(ref, i, i32[i], inside);
  }

  #lookInto(ref: number): void {
    const { memory } = this.#core;
    const tag = memory.tag(ref);
    const least = leastBytes(this.#core, ref);
    if (least > memory.held(ref)) {
      return this.#found('O5', ref, `${memory.held(ref)} bytes for what takes ${least}`);
    }
    const type = TYPED.has(tag & ROLE_MASK) ? typeAt(this.#core, tag >>> ROLE_SHIFT) : null;
    if (type === null) return;
    this.#lookAtSlots(ref, tag & ROLE_MASK, type);
    this.#checkCollection(ref, tag & ROLE_MASK, type);
  }

  #lookAtSlots(ref: number, role: number, type: Type): void {
    const core = this.#core;
    const { memory } = core;
    const views = memory.views(ref);
    const word = memory.word(ref);
    const end = word + Math.floor(memory.held(ref) / WORD_BYTES);
    const place = placeIn(core, type, role);
    let isOutside = false;
    const visit = (at: Views, index: number, isAny: boolean) => {
      if (index + Number(isAny) >= end) isOutside = true;
      else this.#lookAtSlot(ref, at, index, isAny, place(views, word, index));
    };
    let from = 0;
    do from = core.familyOf(type).slots(core, type, views, word, from, visit);
    while (from !== 0 && !isOutside);
    if (isOutside) this.#found('O5', ref, 'it has more slots than it has room for');
  }

  #lookAtSlot(ref: number, { i32, u32 }: Views, index: number, isAny: boolean, demand: Demand) {
    if (!isAny) return this.#follow(ref, index, i32[index], demand);
    const code = u32[index + 1];
    // A big integer that may be missing lies in such a slot as well.
    if (code === ANY.ref) {
      const isExact = demand.roles.length === 1;
      return this.#follow(ref, index, i32[index], isExact ? demand : ANY_DEMAND);
    }
    if (code <= ANY.ref || code >>> 31 === 1) return;
    const at = index - this.#core.memory.word(ref);
    this.#found('O7', ref, `word ${at} holds no value: ${code.toString(16)}`);
  }

  #checkCollection(ref: number, role: number, type: Type): void {
    const report = (finding: Finding) =>
      this.#found(finding.id, finding.address / addressAt(1), finding.detail);
    if (role === ROLE.list) checkList(this.#core, type, ref, report);
    if (role === ROLE.hash) checkHash(this.#core, type, ref, report);
    if (role === ROLE.tree) {
      checkTree(this.#core, ref, (id, at, what) => this.#found(id, at, what));
    }
  }
}
