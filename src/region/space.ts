/**
 * The memory of an open region: its segments, each a window, an arena and the method's blocks.
 *
 * The extent has one truth, the pages in use per segment in the header page; it is raised after the
 * discipline gave memory and lowered before memory is given back, so that at every instant the
 * header names only memory that is there. A new segment gets its header last: one without is the
 * rest of an unfinished call and holds nothing.
 */
import { assert, RegionError } from '../errors.ts';
import {
  GRANULE,
  GRANULES_PER_PAGE,
  HEADER,
  MAX_SEGMENTS,
  METHOD_START,
  PAGE,
  SLOT_BYTES,
} from '../layout.ts';
import type { Arena, Blocks, Discipline, Finding, Method, Monitor } from '../types.ts';
import { writeSegmentHeader } from './header.ts';
import type { Place } from './roots.ts';
import { Shards } from './shards.ts';

/** A region grows by at least this part of its extent. */
const GROW_PART = 256;

/** One segment of an open region. */
export interface Part {
  readonly index: number;
  /** Address of its first byte. */
  readonly base: number;
  readonly window: Uint8Array;
  readonly arena: Arena;
  readonly blocks: Blocks;
}

export class Space {
  discipline: Discipline;
  readonly method: Method;
  readonly parts: Part[] = [];
  /** Why the discipline last refused memory, where it said so. */
  refusal: unknown = null;
  /** What methods that watch report to; the open region sets it. */
  readonly ear: { warn: (finding: Finding) => void } = { warn: () => {} };
  /** Address space of one segment, bytes. */
  readonly slotBytes: number;
  /** Only where threads share the region: its segments as one, locked. */
  readonly shards: Shards | null;
  readonly #pages: Uint32Array;

  constructor(discipline: Discipline, method: Method) {
    this.discipline = discipline;
    this.method = method;
    this.slotBytes = discipline.slotBytes ?? SLOT_BYTES;
    const window = discipline.window(0);
    const { buffer, byteOffset } = window;
    const { sharing, capacity } = discipline;
    this.shards = sharing ? new Shards(sharing, window, this.slotBytes, capacity) : null;
    this.#pages = new Uint32Array(buffer, byteOffset + HEADER.segmentPages, MAX_SEGMENTS);
  }

  /** Pages in use of a segment, 0 = no such segment. */
  pages(index: number): number {
    return this.#pages[index];
  }

  setPages(index: number, count: number): void {
    this.#pages[index] = count;
  }

  extent(): number {
    return this.parts.reduce((sum, part) => sum + this.#pages[part.index] * PAGE, 0);
  }

  /** The segment of an address that may be the start of a block, or null. */
  partOf(address: number): Part | null {
    if (!Number.isSafeInteger(address) || address < METHOD_START) return null;
    if (address % GRANULE !== 0) return null;
    return this.parts[Math.floor(address / this.slotBytes)] ?? null;
  }

  /** Where `bytes` bytes at an address are, or null when they are not all in use for blocks. */
  place(address: number, bytes: number): Place | null {
    const part = this.partOf(address);
    const at = part === null ? 0 : address - part.base;
    if (part === null || at < METHOD_START) return null;
    if (at + bytes > part.arena.end() * GRANULE) return null;
    return { buffer: part.window.buffer, at: part.window.byteOffset + at };
  }

  /** Bytes a segment may ever have: its window, in whole rounds. */
  limit(index: number): number {
    const { capacity, round } = this.discipline;
    return floorTo(Math.min(this.slotBytes, capacity - index * this.slotBytes), round);
  }

  /** Does `work` while no other thread changes anything; a check looks at damage too. */
  whole<T>(work: () => T, isCheck = false): T {
    return this.shards === null ? work() : this.shards.whole(work, isCheck);
  }

  /** Takes the segments as the header names them now. */
  attach(): void {
    this.parts.length = 0;
    for (let i = 0; i < MAX_SEGMENTS && this.#pages[i] !== 0; i++) this.#take(i);
  }

  /** Lays out the next segment; null = refused. The first one has its header already. */
  add(regionId: string): Part | null {
    const index = this.parts.length;
    const first = ceilTo(METHOD_START, this.discipline.round);
    if (index === MAX_SEGMENTS || first > this.limit(index)) return null;
    if (!this.#resize(index, first)) return null;
    const page = this.discipline.window(index).subarray(0, PAGE);
    if (index > 0) page.fill(0);
    this.#pages[index] = first / PAGE;
    if (!this.method.format(new SegmentArena(this, index, this.discipline.window(index)))) {
      this.#pages[index] = 0;
      this.#resize(index, 0);
      return null;
    }
    if (index > 0) writeSegmentHeader(page, regionId, index);
    return this.#take(index);
  }

  /** Gives the last segment back. */
  drop(): void {
    const part = this.parts.pop();
    assert(part !== undefined, 'a segment to drop');
    const held = this.#pages[part.index];
    this.#pages[part.index] = 0;
    if (this.#resize(part.index, 0)) return;
    this.#pages[part.index] = held;
    this.parts.push(part);
  }

  /** At least `bytes` more for a segment; false = refused. */
  extend(index: number, bytes: number): boolean {
    const { round } = this.discipline;
    const held = this.#pages[index] * PAGE;
    const limit = this.limit(index);
    const exact = ceilTo(held + bytes, round);
    if (exact > limit) return false;
    const more = Math.max(bytes, Math.floor(this.extent() / GROW_PART));
    const generous = Math.min(limit, ceilTo(held + more, round));
    return this.#grow(index, generous) || (generous > exact && this.#grow(index, exact));
  }

  /** Gives back what a segment does not need beyond `bytes`. */
  retract(index: number, bytes: number): void {
    const held = this.#pages[index] * PAGE;
    const kept = ceilTo(Math.max(bytes, METHOD_START), this.discipline.round);
    if (kept >= held) return;
    this.#pages[index] = kept / PAGE;
    if (!this.#resize(index, kept)) this.#pages[index] = held / PAGE;
  }

  #grow(index: number, bytes: number): boolean {
    if (!this.#resize(index, bytes)) return false;
    this.#pages[index] = bytes / PAGE;
    return true;
  }

  /** A refusal is remembered, not thrown: methods call this in the middle of their work. */
  #resize(index: number, bytes: number): boolean {
    try {
      return this.discipline.resize(index, bytes);
    } catch (error) {
      if (!(error instanceof RegionError)) throw error;
      this.refusal = error;
      return false;
    }
  }

  #take(index: number): Part {
    const window = this.discipline.window(index);
    const arena = new SegmentArena(this, index, window);
    const own = this.method.attach(arena);
    const blocks = this.shards === null ? own : this.shards.add(own);
    const part = { index, base: index * this.slotBytes, window, arena, blocks };
    this.parts.push(part);
    return part;
  }
}

class SegmentArena implements Arena {
  readonly words: Int32Array;
  readonly start = METHOD_START / GRANULE;
  readonly monitor: Monitor;
  readonly #space: Space;
  readonly #index: number;

  constructor(space: Space, index: number, { buffer, byteOffset, length }: Uint8Array) {
    this.#space = space;
    this.#index = index;
    this.monitor = { warn: (finding) => space.ear.warn({ ...finding, address:
      index * space.slotBytes + finding.address }) };
    this.words = new Int32Array(buffer, byteOffset, length / Int32Array.BYTES_PER_ELEMENT);
  }

  end(): number {
    return this.#space.pages(this.#index) * GRANULES_PER_PAGE;
  }

  extend(granules: number): boolean {
    return this.#space.extend(this.#index, granules * GRANULE);
  }

  retract(end: number): void {
    this.#space.retract(this.#index, end * GRANULE);
  }
}

function floorTo(bytes: number, step: number): number {
  return Math.floor(bytes / step) * step;
}

function ceilTo(bytes: number, step: number): number {
  return Math.ceil(bytes / step) * step;
}
