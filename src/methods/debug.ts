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
 * block is live before its header is sealed and until it has left the ring. `rebuild` finishes or
 * takes back what `pending` names.
 */
import { DEBUG, DEBUG_FLAGS, DEBUG_PENDING, GRANULE, GRANULE_SHIFT } from '../layout.ts';
import type { Arena, Blocks, BlockStat, Finding, Method } from '../types.ts';
import { checkDebug, rebuildDebug } from './debug-check.ts';
import { accusation, faultsOfFreed, faultsOfLive, isWhole, leaksIn, type LiveVisit }
  from './debug-findings.ts';
import { fillPayload, HEAD, type Header, paddedBytes, readHeader, roomIn, seal, sealRest, writeLead,
  writeRear } from './debug-header.ts';
import { DebugHeap } from './debug-heap.ts';
import { type DebugOptions, formatState, geometryFor, readDebugOptions } from './debug-state.ts';
import { assertInner, formatBehind } from './inner-arena.ts';

const { ring: RING, head: HEAD_SLOT, count: COUNT, held: HELD, quarantine: LIMIT } = DEBUG;
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
  return {
    name: `debug(${inner.name})`,
    format(arena) {
      const { front } = geometryFor(arena, read);
      const short = arena.start + front - arena.end();
      if (short > 0 && !arena.extend(short)) return false;
      formatState(arena, read);
      return formatBehind(arena, front, inner);
    },
    attach: (arena) => new DebugBlocks(arena, inner),
  };
}

class DebugBlocks implements Blocks {
  readonly discard?: (granule: number) => void;
  readonly #heap: DebugHeap;
  readonly #words: Int32Array;
  readonly #inner: Blocks;
  readonly #s: number;
  readonly #slots: number;

  constructor(arena: Arena, inner: Method) {
    this.#heap = new DebugHeap(arena, (behind) => inner.attach(behind));
    this.#words = this.#heap.words;
    this.#inner = this.#heap.inner;
    this.#s = this.#heap.s;
    const isOrdered = this.#inner.discard !== undefined;
    this.#slots = isOrdered ? 0 : this.#heap.geometry.slots;
    if (isOrdered) this.discard = (granule) => this.#discard(granule);
  }

  alloc(size: number): number {
    return this.#take(size, HEAD, GRANULE, this.#heap.here());
  }

  align(size: number, alignment: number): number {
    return this.#take(size, Math.max(HEAD, alignment / GRANULE), alignment, this.#heap.here());
  }

  free(p: number): boolean {
    const heap = this.#heap;
    const i = heap.innerOf(p);
    if (i === 0 || heap.isFreed(p)) return false;
    const held = this.#inner.sizeOf(i);
    const size = heap.sizeAt(p, i, held);
    if (!isWhole(heap, p, size)) faultsOfLive(heap, p, size, (fault) => heap.seen.push(fault));
    const header = this.#header(p, i, size, heap.here());
    const isDone = this.discard === undefined ? this.#hold(p, i, header, held)
      : this.#pop(p, i, header);
    if (!isDone) heap.seen.length = 0;
    if (heap.seen.length > 0) heap.tell();
    return isDone;
  }

  resize(p: number, size: number): boolean {
    const heap = this.#heap;
    const words = this.#words;
    const i = heap.innerOf(p);
    if (i === 0 || heap.isFreed(p)) return false;
    const padded = paddedBytes(size, p - i);
    if (padded >= MOST_BYTES) return false;
    const old = heap.sizeAt(p, i, this.#inner.sizeOf(i));
    const faults: Finding[] = [];
    if (!isWhole(heap, p, old)) faultsOfLive(heap, p, old, (fault) => faults.push(fault));
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
    if (faults.length > 0) {
      heap.seen.push(...faults);
      heap.tell();
    }
    return true;
  }

  sizeOf(p: number): number {
    const heap = this.#heap;
    const i = heap.innerOf(p);
    if (i === 0 || heap.isFreed(p)) return -1;
    return heap.sizeAt(p, i, this.#inner.sizeOf(i));
  }

  startOf(granule: number): number {
    const heap = this.#heap;
    const i = this.#inner.startOf(granule);
    if (i === 0) return 0;
    const held = this.#inner.sizeOf(i);
    const p = heap.payloadOf(i, held);
    if (p === 0 || granule < p || heap.isFreed(p)) return 0;
    return granule < p + Math.max(1, Math.ceil(heap.sizeAt(p, i, held) / GRANULE)) ? p : 0;
  }

  hide(p: number): void {
    const i = this.#heap.innerOf(p);
    if (i !== 0 && !this.#heap.isFreed(p)) this.#inner.hide(i);
  }

  walk(visit: (granule: number, bytes: number, busy: boolean) => boolean): void {
    const heap = this.#heap;
    this.#inner.walk((i, bytes, busy) => {
      const p = busy ? heap.payloadOf(i, bytes) : i + HEAD;
      if (p === 0) return false;
      if (busy && !heap.isFreed(p)) return visit(p, heap.sizeAt(p, i, bytes), true);
      return visit(p, Math.max(0, roomIn(bytes, p - i)), false);
    });
  }

  stat(into: BlockStat): void {
    const heap = this.#heap;
    let padded = 0;
    this.#inner.walk((i, bytes, busy) => {
      const p = busy ? heap.payloadOf(i, bytes) : i + HEAD;
      if (p === 0) return false;
      if (busy && !heap.isFreed(p)) {
        const size = heap.sizeAt(p, i, bytes);
        padded += bytes;
        into.busyBlocks += 1;
        into.busyBytes += size;
        into.largestBusy = Math.max(into.largestBusy, size);
      } else {
        const room = Math.max(0, roomIn(bytes, p - i));
        into.freeBlocks += 1;
        into.freeBytes += room;
        into.largestFree = Math.max(into.largestFree, room);
      }
      return false;
    });
    into.paddedBytes = (into.paddedBytes ?? 0) + padded;
  }

  check(report: (finding: Finding) => void): void {
    checkDebug(this.#heap, this.#slots, report);
  }

  trim(): void {
    this.#flush();
    this.#inner.trim();
    this.#heap.tell();
  }

  clear(): void {
    this.#inner.clear();
    this.#words[this.#s + COUNT] = 0;
    this.#words[this.#s + HELD] = 0;
    this.#heap.done();
  }

  rebuild(): boolean {
    return this.#heap.isSound && this.#inner.rebuild() && rebuildDebug(this.#heap, this.#slots);
  }

  accuse(address: number): Finding | null {
    return accusation(this.#heap, address);
  }

  leaks(report: (finding: Finding) => void): void {
    leaksIn(this.#heap, (visit) => this.#live(visit), report);
  }

  #live(visit: LiveVisit): void {
    this.walk((p, size, busy) => {
      if (busy) visit(p, size);
      return false;
    });
  }

  #take(size: number, front: number, alignment: number, site: number): number {
    const heap = this.#heap;
    const words = this.#words;
    const padded = paddedBytes(size, front);
    if (padded >= MOST_BYTES) return 0;
    const i = this.#takeInner(padded, alignment);
    if (i === 0) return 0;
    const p = i + front;
    heap.begin(ALLOC, p);
    if (front > HEAD) writeLead(words, i, front);
    this.#fill(p, 0, size);
    writeRear(words, p, size);
    const sequence = (words[this.#s + SEQUENCE] + 1) | 0;
    words[this.#s + SEQUENCE] = sequence;
    seal(words, p, { front, sequence, size, allocatedAt: site, freedAt: 0 }, true);
    heap.done();
    return p;
  }

  /** An inner block; `pending` says so when there is one. 0 = no space, with nothing held back. */
  #takeInner(padded: number, alignment: number): number {
    const { gate, arena } = this.#heap;
    const words = this.#words;
    const extent = arena.end() - arena.start;
    gate.isShut = words[this.#s + HELD] * HELD_PART > extent;
    let i = this.#askInner(padded, alignment);
    gate.isShut = false;
    if (i !== 0 || this.#count() === 0) return i;
    this.#flush();
    this.#heap.tell();
    i = this.#askInner(padded, alignment);
    return i;
  }

  #askInner(padded: number, alignment: number): number {
    this.#heap.begin(ALLOC, 0);
    const i = alignment > GRANULE ? this.#inner.align(padded, alignment)
      : this.#inner.alloc(padded);
    if (i === 0) this.#heap.done();
    return i;
  }

  #fill(p: number, from: number, to: number): void {
    if ((this.#words[this.#s + FLAGS] & DEBUG_FLAGS.fresh) === 0) return;
    fillPayload(this.#words, p, from, to, this.#words[this.#s + FRESH]);
  }

  /** A block is freed: it shows as that, and waits in the quarantine or goes at once. */
  #hold(p: number, i: number, header: Header, held: number): boolean {
    const heap = this.#heap;
    const words = this.#words;
    const s = this.#s;
    const granules = held >>> GRANULE_SHIFT;
    heap.begin(FREE, p);
    fillPayload(words, p, 0, header.size, words[s + FREED]);
    writeRear(words, p, header.size);
    seal(words, p, header, false);
    if (this.#slots === 0 || granules > words[s + LIMIT]) {
      this.#inner.free(i);
      heap.done();
      return true;
    }
    if (this.#count() === this.#slots) this.#release();
    const count = this.#count();
    words[s + RING + ((words[s + HEAD_SLOT] >>> 0) + count) % this.#slots] = p;
    words[s + COUNT] = count + 1;
    words[s + HELD] += granules;
    heap.done();
    while (words[s + HELD] > words[s + LIMIT] && this.#count() > 0) this.#release();
    return true;
  }

  /** The newest block of an ordered method, if it is that; its memory is nobody's then. */
  #pop(p: number, i: number, header: Header): boolean {
    this.#heap.begin(FREE, p);
    const isFree = this.#inner.free(i);
    if (isFree) {
      fillPayload(this.#words, p, 0, header.size, this.#words[this.#s + FREED]);
      sealRest(this.#words, p, header, false);
    }
    this.#heap.done();
    return isFree;
  }

  #discard(p: number): void {
    const i = this.#heap.innerOf(p);
    if (i === 0) return;
    const size = this.#heap.sizeAt(p, i, this.#inner.sizeOf(i));
    const faults: Finding[] = [];
    if (!isWhole(this.#heap, p, size)) {
      faultsOfLive(this.#heap, p, size, (fault) => faults.push(fault));
    }
    const header = this.#header(p, i, size, this.#heap.here());
    this.#heap.begin(FREE, p);
    this.#inner.discard?.(i);
    sealRest(this.#words, p, header, false);
    this.#heap.done();
    this.#heap.seen.push(...faults);
    this.#heap.tell();
  }

  #header(p: number, i: number, size: number, freedAt: number): Header {
    const { sequence, allocatedAt } = readHeader(this.#words, p);
    return { front: p - i, sequence, size, allocatedAt, freedAt };
  }

  /** Blocks that are held back; of a damaged ring nothing is known. */
  #count(): number {
    const words = this.#words;
    const count = words[this.#s + COUNT];
    if (count >= 0 && count <= this.#slots) return count;
    words[this.#s + COUNT] = 0;
    words[this.#s + HELD] = 0;
    return 0;
  }

  /** The block that is held back longest is looked at and really freed. */
  #release(): void {
    const heap = this.#heap;
    const words = this.#words;
    const s = this.#s;
    const p = heap.slotAt(0);
    const i = heap.innerOf(p);
    if (i !== 0) {
      const held = this.#inner.sizeOf(i);
      faultsOfFreed(heap, p, heap.sizeAt(p, i, held), (fault) => heap.seen.push(fault));
      this.#inner.free(i);
      words[s + HELD] = Math.max(0, words[s + HELD] - (held >>> GRANULE_SHIFT));
    }
    words[s + HEAD_SLOT] = ((words[s + HEAD_SLOT] >>> 0) + 1) % this.#slots;
    words[s + COUNT] -= 1;
  }

  /** Nothing is held back any longer. */
  #flush(): void {
    while (this.#count() > 0) this.#release();
    this.#words[this.#s + HELD] = 0;
  }
}
