/**
 * debug(inner): a method that watches the program use the blocks of another one. Every block lies
 * between a header and guard bytes (debug-header.ts), has exactly the size that was asked for, and
 * knows where it was allocated; freed blocks are filled with a pattern and held back for a while in
 * a bounded quarantine. All of it is in the region, so that it is found as well by whoever opens
 * the region later. Vmalloc's Vmdebug.
 *
 * Guards are looked at when a block is freed or resized and by `check`, the pattern when a block
 * leaves the quarantine and by `check`. What is found (debug-findings.ts, D1–D7) is reported when
 * all is whole, because reporting may throw; then the call has done its work.
 *
 * An inner method that can only free its newest block (it has `discard`) gets no quarantine.
 *
 * Order of writes: an operation names itself in `pending`, works, and takes that back. The inner
 * block is live before its header is sealed and until it has left the ring. Then only, when it is
 * whole, an allocation adds its block to `known`: a block that is not in there is one that was cut
 * off, whatever its bytes look like, since they are those of whoever had them before. `rebuild`
 * takes such a block back, finishes what else `pending` names, and may itself be cut off anywhere.
 */
import { GRANULE, GRANULE_SHIFT, PAGE } from '../layout.ts';
import { DEBUG, DEBUG_FLAGS, DEBUG_PENDING } from '../layout-debug.ts';
import type { Profile } from '../profile.ts';
import type { Arena, Blocks, BlockStat, Finding, Method } from '../types.ts';
import { countInto } from './count.ts';
import { checkDebug, rebuildDebug } from './debug-check.ts';
import { accusation, faultsOfLive, isWhole, leaksIn, type LiveVisit } from './debug-findings.ts';
import { fillPayload, HEAD, type Header, paddedBytes, readHeader, roomIn, seal, sealRest, wipeOld,
  writeLead, writeRear } from './debug-header.ts';
import { DebugHeap } from './debug-heap.ts';
import { Quarantine } from './debug-quarantine.ts';
import { type DebugOptions, debugOptionsOf, formatState, geometryFor, readDebugOptions }
  from './debug-state.ts';
import { assertInner, formatBehind, walkStart } from './inner-arena.ts';

const { alloc: ALLOC, free: FREE, resize: RESIZE } = DEBUG_PENDING;
const { sequence: SEQUENCE, flags: FLAGS, fresh: FRESH, freed: FREED } = DEBUG;
/** The inner method may grow while at most this part of the arena is held back. */
const HELD_PART = 8;
const MOST_BYTES = 2 ** 32;

/**
 * A method that finds what goes wrong with the blocks of another: overruns, underruns, use after
 * free, double and foreign free, leaks. ERR_BAD_OPTION.
 *
 * @example
 * const found = [];
 * const region = createRegion(heap(), debug(best), { on: { warning: (f) => found.push(f) } });
 */
export function debug(inner: Method, options?: DebugOptions): Method {
  assertInner(inner, 'debug');
  const read = readDebugOptions(options);
  return debugWith(inner, () => read);
}

/** For one region that is there: later segments get the options its first one was made with. */
export function debugAsStored(inner: Method): Method {
  let stored: Partial<DebugOptions> | null = null;
  const method = debugWith(inner, () => stored ?? {});
  return {
    ...method,
    attach(arena) {
      stored ??= debugOptionsOf(arena);
      return method.attach(arena);
    },
  };
}

function debugWith(inner: Method, options: () => Partial<DebugOptions>): Method {
  return {
    name: `debug(${inner.name})`,
    format: (arena) => formatBehind(arena, geometryFor(arena, options()).front, inner,
      () => formatState(arena, options())),
    attach: (arena) => new DebugBlocks(arena, inner),
  };
}

class DebugBlocks implements Blocks {
  readonly discard?: (granule: number) => void;
  readonly profile?: () => Profile;
  readonly allocHidden?: (size: number) => number;
  readonly misfit?: (size: number, alignment: number) => string | null;
  readonly #heap: DebugHeap;
  readonly #quarantine: Quarantine;
  readonly #words: Int32Array;
  readonly #state: Int32Array;
  readonly #inner: Blocks;
  readonly #s: number;
  readonly #shift: number;

  constructor(arena: Arena, inner: Method) {
    this.#heap = new DebugHeap(arena, (behind) => inner.attach(behind));
    this.#words = this.#heap.words;
    this.#state = this.#heap.state;
    this.#inner = this.#heap.inner;
    this.#s = this.#heap.s;
    this.#shift = this.#heap.gate.shift;
    const isOrdered = this.#inner.discard !== undefined;
    this.#quarantine = new Quarantine(this.#heap, isOrdered ? 0 : this.#heap.geometry.slots);
    const inside = this.#inner;
    if (inside.profile !== undefined) this.profile = () => inside.profile?.() as Profile;
    if (inside.misfit !== undefined) {
      this.misfit = (size, alignment) => {
        const padded = this.#padded(size, HEAD);
        const why = inside.misfit?.(padded, alignment) ?? null;
        return why === null ? null : `${why} (debug takes ${padded - size} bytes of it)`;
      };
    }
    if (inside.allocHidden !== undefined) {
      // Without a header: nobody but the region sees it.
      this.allocHidden = (size) => {
        this.#heap.begin(ALLOC, 0);
        const i = inside.allocHidden?.(size) ?? 0;
        this.#heap.done();
        return i === 0 ? 0 : i + this.#shift;
      };
    }
    if (isOrdered) this.discard = (granule) => this.#discard(granule - this.#shift);
  }

  alloc(size: number): number {
    return this.#take(size, GRANULE, this.#heap.here());
  }

  align(size: number, alignment: number): number {
    return this.#take(size, alignment, this.#heap.here());
  }

  free(granule: number): boolean {
    const heap = this.#heap;
    const p = granule - this.#shift;
    const i = heap.innerOf(p);
    if (i === 0 || heap.isFreed(p)) return false;
    const bytes = this.#inner.sizeOf(i);
    const size = heap.sizeAt(p, i, bytes);
    const faults = this.#faultsOf(p, size);
    const header = this.#header(p, i, size, heap.here());
    if (this.discard !== undefined && !this.#pop(p, i, header)) return false;
    if (this.discard === undefined) this.#hold(p, i, header, bytes >>> GRANULE_SHIFT);
    if (faults !== null) heap.seen.unshift(...faults);
    if (heap.seen.length > 0) heap.tell();
    return true;
  }

  resize(granule: number, size: number): boolean {
    const heap = this.#heap;
    const words = this.#words;
    const p = granule - this.#shift;
    const i = heap.innerOf(p);
    if (i === 0 || heap.isFreed(p)) return false;
    const padded = this.#padded(size, p - i);
    if (padded >= MOST_BYTES) return false;
    const old = heap.sizeAt(p, i, this.#inner.sizeOf(i));
    const faults = this.#faultsOf(p, old);
    heap.begin(RESIZE, p);
    if (!this.#inner.resize(i, padded)) {
      heap.done();
      return false;
    }
    if (size > old) this.#fill(p, old, size);
    writeRear(words, p, size);
    const { sequence, allocatedAt } = readHeader(words, p);
    seal(words, p, { front: p - i, sequence, size, allocatedAt, freedAt: 0 }, true);
    heap.done();
    if (faults !== null) {
      heap.seen.push(...faults);
      heap.tell();
    }
    return true;
  }

  sizeOf(granule: number): number {
    const heap = this.#heap;
    const p = granule - this.#shift;
    const i = heap.innerOf(p);
    if (i === 0 || heap.isFreed(p)) return -1;
    return heap.sizeAt(p, i, this.#inner.sizeOf(i));
  }

  startOf(granule: number): number {
    const heap = this.#heap;
    const place = granule - this.#shift;
    const i = place > 0 ? this.#inner.startOf(place) : 0;
    if (i === 0) return 0;
    const bytes = this.#inner.sizeOf(i);
    const p = heap.payloadOf(i, bytes);
    if (p === 0 || place < p || heap.isFreed(p)) return 0;
    const end = p + Math.max(1, Math.ceil(heap.sizeAt(p, i, bytes) / GRANULE));
    return place < end ? p + this.#shift : 0;
  }

  hide(granule: number): void {
    const p = granule - this.#shift;
    const i = this.#heap.innerOf(p);
    if (i === 0 || this.#heap.isFreed(p)) return;
    this.#inner.hide(i);
    this.#heap.forget(i);
  }

  walk(visit: (granule: number, bytes: number, busy: boolean) => boolean, from = 0): void {
    this.#each((p, bytes, busy) =>
      p + this.#shift >= from && visit(p + this.#shift, bytes, busy), from - this.#shift);
  }

  stat(into: BlockStat): void {
    let padded = 0;
    const count = countInto(into);
    this.#each((p, bytes, busy, held) => {
      if (busy) padded += held;
      return count(p, bytes, busy);
    });
    into.paddedBytes = (into.paddedBytes ?? 0) + padded;
  }

  check(report: (finding: Finding) => void): void {
    checkDebug(this.#heap, this.#quarantine.slots, report);
  }

  trim(): void {
    this.#quarantine.flush();
    this.#inner.trim();
    this.#heap.tell();
  }

  clear(): void {
    this.#inner.clear();
    this.#quarantine.clear();
    this.#heap.recount();
    this.#heap.done();
  }

  rebuild(): boolean {
    if (!this.#heap.isSound || !this.#inner.rebuild()) return false;
    rebuildDebug(this.#heap, this.#quarantine.slots);
    return true;
  }

  accuse(address: number): Finding | null {
    return accusation(this.#heap, address);
  }

  leaks(report: (finding: Finding) => void): void {
    const live = (visit: LiveVisit) => this.#each((p, bytes, busy) => {
      if (busy) visit(p, bytes);
      return false;
    });
    leaksIn(this.#heap, live, report);
  }

  /**
   * Every block: payload, its bytes, those of the inner block. What is held back is not busy. All
   * with payloads at or behind `place` are met.
   */
  #each(
    visit: (p: number, bytes: number, busy: boolean, held: number) => boolean, place = 0,
  ): void {
    const heap = this.#heap;
    this.#inner.walk((i, held, busy) => {
      const p = busy ? heap.payloadOf(i, held) : i + HEAD;
      if (p === 0) return false;
      if (busy && !heap.isFreed(p)) return visit(p, heap.sizeAt(p, i, held), true, held);
      return visit(p, Math.max(0, roomIn(held, p - i)), false, held);
    }, walkStart(this.#inner, place, HEAD));
  }

  /** D1, D2 of a live block; null = it is whole. */
  #faultsOf(p: number, size: number): Finding[] | null {
    if (isWhole(this.#heap, p, size)) return null;
    const faults: Finding[] = [];
    faultsOfLive(this.#heap, p, size, (fault) => faults.push(fault));
    return faults;
  }

  #take(size: number, alignment: number, site: number): number {
    const heap = this.#heap;
    const words = this.#words;
    // The window of the inner method begins at a page; it knows no larger alignment.
    const step = alignment / GRANULE;
    const isFar = alignment > PAGE;
    const least = isFar ? step + HEAD : Math.max(HEAD, step);
    const padded = this.#padded(size, least);
    // A method of one size makes no room for an alignment; `misfit` says so.
    const isUnfit = this.misfit !== undefined && alignment > GRANULE;
    if (padded >= MOST_BYTES || isUnfit) return 0;
    const i = this.#takeInner(padded, isFar ? GRANULE : alignment);
    if (i === 0) return 0;
    const p = isFar ? this.#alignedBehind(i, step) : i + least;
    if (p - i > HEAD) {
      wipeOld(words, i, p - i);
      writeLead(words, i, p - i);
    }
    this.#fill(p, 0, size);
    writeRear(words, p, size);
    const sequence = (this.#state[this.#s + SEQUENCE] + 1) | 0;
    this.#state[this.#s + SEQUENCE] = sequence;
    seal(words, p, { front: p - i, sequence, size, allocatedAt: site, freedAt: 0 }, true);
    heap.toggle(i);
    heap.done();
    return p + this.#shift;
  }

  /** Bytes of an inner block; each size has its own where the inner method tells them apart. */
  #padded(size: number, front: number): number {
    const padded = paddedBytes(size, front);
    return this.misfit === undefined ? padded : padded + 3 - ((4 - (size & 3)) & 3);
  }

  /** The first multiple of `step` granules with room for a header, and for a lead if it is far. */
  #alignedBehind(i: number, step: number): number {
    const least = i + HEAD + this.#shift;
    return Math.ceil(least / step) * step - this.#shift;
  }

  /** An inner block, `pending` says so then; 0 = no space, with nothing held back. */
  #takeInner(padded: number, alignment: number): number {
    const { gate, arena } = this.#heap;
    gate.isShut = this.#quarantine.held * HELD_PART > arena.end() - arena.start;
    const i = this.#askInner(padded, alignment);
    gate.isShut = false;
    if (i !== 0 || this.#quarantine.count === 0) return i;
    this.#quarantine.flush();
    this.#heap.tell();
    return this.#askInner(padded, alignment);
  }

  #askInner(padded: number, alignment: number): number {
    this.#heap.begin(ALLOC, 0);
    const i = alignment > GRANULE ? this.#inner.align(padded, alignment)
      : this.#inner.alloc(padded);
    if (i === 0) this.#heap.done();
    return i;
  }

  #fill(p: number, from: number, to: number): void {
    if ((this.#state[this.#s + FLAGS] & DEBUG_FLAGS.fresh) === 0) return;
    fillPayload(this.#words, p, from, to, this.#state[this.#s + FRESH]);
  }

  /** A block is freed: it shows as that, and waits in the quarantine or goes at once. */
  #hold(p: number, i: number, header: Header, granules: number): void {
    const heap = this.#heap;
    heap.begin(FREE, p);
    fillPayload(this.#words, p, 0, header.size, this.#state[this.#s + FREED]);
    writeRear(this.#words, p, header.size);
    seal(this.#words, p, header, false);
    if (this.#quarantine.takes(granules)) this.#quarantine.add(p, granules);
    else heap.giveBack(i);
    heap.done();
    this.#quarantine.trim();
  }

  /** The newest block of an ordered method, if it is that; its memory is nobody's then. */
  #pop(p: number, i: number, header: Header): boolean {
    this.#heap.begin(FREE, p);
    const isFree = this.#heap.giveBack(i);
    if (isFree) {
      fillPayload(this.#words, p, 0, header.size, this.#state[this.#s + FREED]);
      sealRest(this.#words, p, header, false);
    }
    this.#heap.done();
    return isFree;
  }

  #discard(p: number): void {
    const heap = this.#heap;
    const i = heap.innerOf(p);
    if (i === 0) return;
    const size = heap.sizeAt(p, i, this.#inner.sizeOf(i));
    const faults = this.#faultsOf(p, size);
    const header = this.#header(p, i, size, heap.here());
    heap.begin(FREE, p);
    this.#inner.discard?.(i);
    heap.forget(i);
    sealRest(this.#words, p, header, false);
    heap.done();
    if (faults !== null) heap.seen.push(...faults);
    heap.tell();
  }

  #header(p: number, i: number, size: number, freedAt: number): Header {
    const { sequence, allocatedAt } = readHeader(this.#words, p);
    return { front: p - i, sequence, size, allocatedAt, freedAt };
  }
}
