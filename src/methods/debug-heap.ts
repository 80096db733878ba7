/**
 * What the parts of `debug` share: the arena, the inner method's blocks, the state, and the way
 * from a payload to its inner block and back. The inner method's own ground truth decides what a
 * block is; headers are only believed about blocks it knows to be there. Granules are those of the
 * inner method's window.
 */
import { GRANULE } from '../layout.ts';
import { DEBUG, DEBUG_FLAGS, DEBUG_PENDING } from '../layout-debug.ts';
import { callSite } from '../sites.ts';
import type { Arena, Blocks, Finding } from '../types.ts';
import { guardBefore, HEAD, isChecked, isTagged, leadAt, readHeader, roomIn, sizeBefore }
  from './debug-header.ts';
import { type Geometry, geometryFor, geometryOf, tableOf } from './debug-state.ts';
import { InnerArena } from './inner-arena.ts';
import type { SiteTable } from './site-table.ts';

const { ring: RING, slots: SLOTS, head: HEAD_SLOT, count: COUNT, known: KNOWN } = DEBUG;
const { flags: FLAGS } = DEBUG;

export class DebugHeap {
  /** Words of the inner method's window: blocks. */
  readonly words: Int32Array;
  /** Words of the arena: the state, from `s` on. */
  readonly state: Int32Array;
  readonly arena: Arena;
  readonly gate: InnerArena;
  readonly inner: Blocks;
  readonly sites: SiteTable;
  readonly geometry: Geometry;
  /** First word of the state. */
  readonly s: number;
  /** Findings that wait until all is whole. */
  readonly seen: Finding[] = [];

  constructor(arena: Arena, attach: (arena: Arena) => Blocks) {
    this.state = arena.words;
    this.arena = arena;
    this.s = arena.start * 4;
    this.geometry = geometryOf(arena) ?? geometryFor(arena, {});
    this.gate = new InnerArena(arena, this.geometry.front);
    this.words = this.gate.words;
    this.sites = tableOf(arena, this.geometry);
    this.inner = attach(this.gate);
  }

  /** Name of the call site in the program; 0 = it is not recorded. */
  here(): number {
    if ((this.state[this.s + FLAGS] & DEBUG_FLAGS.sites) === 0) return 0;
    return this.sites.nameOf(callSite());
  }

  /** An operation on the block at p, 0 = not known yet, is under way. */
  begin(kind: number, p: number): void {
    this.state[this.s + DEBUG.pending] = (p << DEBUG_PENDING.shift) | kind;
  }

  /** An inner block joins those that are known, or leaves them. */
  toggle(i: number): void {
    this.state[this.s + KNOWN] ^= i;
  }

  /** The inner method was to hide a block, or to give it up, and may have refused. */
  forget(i: number): void {
    if (this.inner.sizeOf(i) < 0) this.toggle(i);
  }

  /** An inner block is really freed; false = the inner method cannot. */
  giveBack(i: number): boolean {
    const isFree = this.inner.free(i);
    if (isFree) this.toggle(i);
    return isFree;
  }

  /** What the known blocks and those that are there differ by: 0, or the one that is not known. */
  get unknown(): number {
    let sum = this.state[this.s + KNOWN];
    this.inner.walk((i, _bytes, busy) => {
      if (busy) sum ^= i;
      return false;
    });
    return sum;
  }

  /** All blocks that are there are known. */
  recount(): void {
    this.state[this.s + KNOWN] ^= this.unknown;
  }

  /** All is whole. */
  done(): void {
    this.state[this.s + DEBUG.pending] = 0;
  }

  /** The inner block of a live or freed block with its payload at p, or 0. */
  innerOf(p: number): number {
    const { inner, words } = this;
    const i = p - HEAD;
    if (i < this.gate.start || p >= this.gate.end()) return 0;
    if (inner.sizeOf(i) >= 0) return leadAt(words, i) === 0 ? i : 0;
    const start = inner.startOf(p);
    if (start === 0 || start >= i) return 0;
    const lead = leadAt(words, start);
    if (lead !== 0) return start + lead === p ? start : 0;
    // The lead is damaged: the header may still say what it said.
    if (isTagged(words, start + HEAD) || !isTagged(words, p) || !isChecked(words, p)) return 0;
    return readHeader(words, p).front === p - start ? start : 0;
  }

  /** The payload in an inner block of so many bytes, or 0 where none fits. */
  payloadOf(i: number, bytes: number): number {
    const front = leadAt(this.words, i) || this.#frontInside(i, bytes);
    if (roomIn(bytes, front) >= 0) return i + front;
    return roomIn(bytes, HEAD) >= 0 ? i + HEAD : 0;
  }

  /**
   * Bytes of payload, as far as the header can be true. One that is written over says at most what
   * the inner block has room for.
   */
  sizeAt(p: number, i: number, bytes: number): number {
    const inArena = (this.gate.end() - i) * GRANULE;
    const room = roomIn(Math.min(bytes, inArena), p - i);
    const size = sizeBefore(this.words, p);
    return size <= room ? size : Math.max(0, room);
  }

  /** Was the block with this header freed, and is held back? */
  isFreed(p: number): boolean {
    const guard = guardBefore(this.words, p);
    if (guard === 'live') return false;
    if (guard === 'freed' && isChecked(this.words, p)) return true;
    return this.slotOf(p) >= 0;
  }

  /** Place of a block among those that are held back, counted from the oldest; -1 = none. */
  slotOf(p: number): number {
    const { state, s } = this;
    const { slots } = this.geometry;
    const count = Math.min(state[s + COUNT], slots);
    for (let k = 0; k < count; k++) if (this.slotAt(k) === p) return k;
    return -1;
  }

  /** The k-th oldest block that is held back. */
  slotAt(k: number): number {
    const { slots } = this.geometry;
    return this.state[this.s + RING + ((this.state[this.s + HEAD_SLOT] >>> 0) + k) % slots];
  }

  /** Does the state fit what was laid out? */
  get isSound(): boolean {
    return geometryOf(this.arena) !== null && this.state[this.s + SLOTS] === this.geometry.slots;
  }

  /** Address of a granule of the inner method, bytes from the start of the arena. */
  addressOf(p: number): number {
    return (p + this.gate.shift) * GRANULE;
  }

  /** Tells the region what was seen; last of all, since it may throw. */
  tell(): void {
    for (let next = this.seen.shift(); next !== undefined; next = this.seen.shift()) {
      this.arena.monitor?.warn(next);
    }
  }

  /** A lead that was written over: for the usual alignments the header is found without it. */
  #frontInside(i: number, bytes: number): number {
    const { words } = this;
    if (isTagged(words, i + HEAD) || isChecked(words, i + HEAD)) return HEAD;
    for (let front = HEAD * 2; roomIn(bytes, front) >= 0; front *= 2) {
      if (isTagged(words, i + front) && readHeader(words, i + front).front === front) return front;
    }
    return HEAD;
  }
}
