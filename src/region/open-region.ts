/**
 * Region = discipline × method × header: the verbs of an open region. Addresses are checked here,
 * blocks are the method's, memory is the discipline's.
 *
 * The region remembers nothing that the header and the blocks do not say; `#hot` is only the
 * segment that is asked first. When a region is retired its blocks are replaced by GONE, so that
 * the hot paths need no test for it: GONE refuses everything and the slow path throws.
 */
import { assert, RegionError } from '../errors.ts';
import { GRANULE, GRANULE_SHIFT, SLOT_BYTES } from '../layout.ts';
import { count, flag, type Readers, readOptions } from '../options.ts';
import type {
  Address,
  Blocks,
  Finding,
  Region,
  RegionStat,
  ResizeHow,
  Segment,
  TypedArrayConstructor,
} from '../types.ts';
import { assertLength, assertSize, badAddress, copyBytes, copyWords, take }
  from './arguments.ts';
import { checkRegion } from './check.ts';
import { RootTable } from './roots.ts';
import type { Part, Space } from './space.ts';
import { blocksOf, hasBusy, segmentsOf, statOf } from './survey.ts';
import { encodeText, loadText, storeText, TEXT_BYTES } from './text.ts';
import { claimWindow, placeOf, releaseWindow } from './windows.ts';

// Copies: V8 folds constants of this module into the code, imported ones it loads and tests.
const NO_WORDS = new Int32Array(0);
const UNIT = GRANULE + 0;
const UNIT_SHIFT = GRANULE_SHIFT + 0;
const LOW_BITS = UNIT - 1;
const HOW: Readers<ResizeHow> = { move: flag, copy: flag, zero: flag, from: count(0) };

/** The blocks of a region that can no longer be used. */
const GONE: Blocks = {
  alloc: () => 0,
  align: () => 0,
  free: () => false,
  resize: () => false,
  sizeOf: () => -1,
  startOf: () => 0,
  hide: () => {},
  walk: () => {},
  stat: () => {},
  check: () => {},
  trim: () => {},
  clear: () => {},
  rebuild: () => false,
};

export class OpenRegion implements Region {
  name: string;
  readonly method: string;
  readonly id: string;
  readonly roots: RootTable;
  readonly #space: Space;
  readonly #beforeClose: () => void;
  #hot: Blocks = GONE;
  #hotBase = 0;
  #first: Blocks = GONE;
  #words: Int32Array = NO_WORDS;
  #gone: RegionError | null = null;
  #closed = false;

  /** `space` is attached. `beforeClose` runs before the discipline is closed. */
  constructor(name: string, id: string, space: Space, beforeClose: () => void) {
    this.name = name;
    this.id = id;
    this.method = space.method.name;
    this.#space = space;
    this.#beforeClose = beforeClose;
    this.roots = new RootTable({
      header: space.discipline.window(0),
      assertUsable: () => this.assertUsable(),
      allocHidden: (bytes) => this.#allocHidden(bytes),
      place: (address, bytes) => space.place(address, bytes),
    });
    this.#adopt();
  }

  get closed(): boolean {
    return this.#closed;
  }

  alloc(size: number): Address {
    if (size >>> 0 === size) {
      const granule = this.#hot.alloc(size);
      if (granule !== 0) return (this.#hotBase + granule * UNIT) as Address;
    }
    return this.#serve(size, GRANULE);
  }

  align(size: number, alignment: number): Address {
    const isPower = Number.isSafeInteger(alignment) && alignment >= 1
      && 2 ** Math.round(Math.log2(alignment)) === alignment;
    if (!isPower) {
      throw new RegionError('ERR_BAD_OPTION',
        `alignment ${String(alignment)} is not a power of two; give 1, 2, 4, 8, …`);
    }
    if (alignment <= GRANULE) return this.alloc(size);
    return this.#serve(size, alignment);
  }

  resize(address: Address | number, size: number, how?: ResizeHow): Address {
    const low = address >>> 0;
    if (low === address && (low & LOW_BITS) === 0 && low !== 0 && size >>> 0 === size) {
      if (how === undefined) {
        const granule = low >>> UNIT_SHIFT;
        if (this.#first.resize(granule, size)) return address as Address;
        const moved = this.#moveInFirst(granule, size);
        if (moved !== 0) return moved as Address;
      }
    }
    return this.#resizeSlow(address, size, how);
  }

  free(address: Address | number): void {
    const low = address >>> 0;
    if (low === address && (low & LOW_BITS) === 0 && this.#first.free(low >>> UNIT_SHIFT)) {
      if (this.#hotBase !== 0) this.#heat(this.#space.parts[0]);
      return;
    }
    this.#freeSlow(address);
  }

  sizeOf(address: Address | number): number {
    const part = this.#partOf(address);
    const size = part === null ? -1 : part.blocks.sizeOf((address - part.base) / GRANULE);
    if (size < 0) throw badAddress(address);
    return size;
  }

  offsetOf(address: number): number {
    this.assertUsable();
    const byte = Math.floor(address);
    const part = byte >= 0 ? this.#space.parts[Math.floor(byte / SLOT_BYTES)] : undefined;
    if (part === undefined || byte !== address) return -1;
    const offset = byte - part.base;
    if (offset >= part.arena.end() * GRANULE) return -1;
    const start = part.blocks.startOf(Math.floor(offset / GRANULE));
    if (start === 0) return -1;
    const inside = offset - start * GRANULE;
    return inside < part.blocks.sizeOf(start) ? inside : -1;
  }

  addressOf(view: ArrayBufferView): Address {
    this.assertUsable();
    const address = placeOf(view, this);
    if (address >= 0) return address as Address;
    throw new RegionError('ERR_BAD_ADDRESS',
      `the view does not look at memory of region '${this.name}'; take it from bytes() or array()`);
  }

  bytes(address: Address | number, length?: number): Uint8Array {
    const usable = this.sizeOf(address);
    const { window, base } = this.#partOf(address) as Part;
    if (length === undefined) return new Uint8Array(window, address - base, usable);
    assertLength(length, 1, usable, address);
    return new Uint8Array(window, address - base, length);
  }

  array<T>(type: TypedArrayConstructor<T>, address: Address | number, length?: number): T {
    const usable = this.sizeOf(address);
    const { window, base } = this.#partOf(address) as Part;
    const width = type.BYTES_PER_ELEMENT;
    if (length !== undefined) assertLength(length, width, usable, address);
    return new type(window, address - base, length ?? Math.floor(usable / width));
  }

  strdup(text: string): Address {
    this.assertUsable();
    const bytes = encodeText(text, 'the text');
    const address = this.alloc(TEXT_BYTES + bytes.length);
    storeText(this.bytes(address), bytes);
    return address;
  }

  string(address: Address | number): string {
    const text = loadText(this.bytes(address));
    if (text !== null) return text;
    throw new RegionError('ERR_CORRUPT',
      `the block at ${address} holds no text: it was not made by strdup(), or was overwritten`);
  }

  segments(): Iterable<Segment> {
    this.assertUsable();
    return segmentsOf(this.#space);
  }

  /** Every block in address order, as it was when its segment was reached. */
  blocks(): Iterable<{ address: Address; size: number; busy: boolean }> {
    this.assertUsable();
    return blocksOf(this.#space);
  }

  stat(): RegionStat {
    this.assertUsable();
    return statOf(this.#space);
  }

  check(): Finding[] {
    this.assertUsable();
    return checkRegion(this.#space, this.id);
  }

  compact(): number {
    this.assertUsable();
    const before = this.#space.extent();
    const kept = this.roots.blocksInUse();
    this.#space.refusal = null;
    for (const { blocks } of this.#space.parts) blocks.trim();
    this.#dropEmpty(kept);
    this.#heat(this.#space.parts[0]);
    const { refusal } = this.#space;
    if (refusal instanceof RegionError && refusal.code !== 'ERR_NO_SPACE') throw refusal;
    return before - this.#space.extent();
  }

  clear(): void {
    this.assertUsable();
    this.roots.clear();
    for (const { blocks } of this.#space.parts) blocks.clear();
    this.#heat(this.#space.parts[0]);
  }

  sync(): void {
    this.assertUsable();
    this.#space.discipline.sync();
  }

  close(): void {
    if (this.#gone !== null) return;
    try {
      this.#beforeClose();
    } finally {
      this.retire(new RegionError('ERR_CLOSED', `region '${this.name}' is closed; open it again`));
      this.#space.discipline.close();
    }
  }

  [Symbol.dispose](): void {
    this.close();
  }

  assertUsable(): void {
    if (this.#gone !== null) throw this.#gone;
  }

  /** From now on every call throws `error`. The discipline is left alone. */
  retire(error: RegionError): void {
    if (this.#gone !== null) return;
    this.#gone = error;
    this.#closed = true;
    this.#hot = GONE;
    this.#first = GONE;
    this.#words = NO_WORDS;
    for (const { window } of this.#space.parts) releaseWindow(window, this);
    this.#space.parts.length = 0;
  }

  /** Memory was replaced under it: segments and blocks are taken from the header again. */
  revive(): void {
    this.assertUsable();
    for (const { window } of this.#space.parts) releaseWindow(window, this);
    this.#space.attach();
    this.roots.revive();
    this.#adopt();
  }

  #adopt(): void {
    const [first] = this.#space.parts;
    assert(first !== undefined, 'a first segment');
    this.#first = first.blocks;
    this.#words = first.arena.words;
    for (const { window, base } of this.#space.parts) claimWindow(window, this, base);
    this.#heat(first);
  }

  #heat(part: Part): void {
    this.#hot = part.blocks;
    this.#hotBase = part.base;
  }

  /** From the first segment that can, else a new one. */
  #serve(size: number, alignment: number): Address {
    this.assertUsable();
    assertSize(size);
    this.#space.refusal = null;
    if (alignment < SLOT_BYTES) {
      for (const part of this.#space.parts) {
        const granule = take(part.blocks, size, alignment);
        if (granule !== 0) return this.#served(part, granule);
      }
      const part = this.#space.add(this.id);
      if (part !== null) {
        claimWindow(part.window, this, part.base);
        const granule = take(part.blocks, size, alignment);
        if (granule !== 0) return this.#served(part, granule);
        this.#space.drop();
      }
    }
    throw this.#noSpace(size, alignment);
  }

  #served(part: Part, granule: number): Address {
    this.#heat(part);
    return (part.base + granule * GRANULE) as Address;
  }

  #noSpace(size: number, alignment: number): RegionError {
    const { refusal } = this.#space;
    if (refusal instanceof RegionError && refusal.code !== 'ERR_NO_SPACE') return refusal;
    const { largestFree, extent, capacity } = this.stat();
    const aligned = alignment > GRANULE ? ` at a multiple of ${alignment}` : '';
    const why = refusal instanceof RegionError ? `${refusal.message}; ` : '';
    return new RegionError('ERR_NO_SPACE',
      `no room for ${size} bytes${aligned} in region '${this.name}': the largest free block has ` +
        `${largestFree} bytes, ${extent} bytes of ${capacity} are in use; ${why}free blocks, or ` +
        'open the region with a larger capacity', refusal ?? undefined);
  }

  /** Moves a block within the first segment, contents kept; 0 = the slow path has to look at it. */
  #moveInFirst(granule: number, size: number): number {
    const blocks = this.#first;
    const old = blocks.sizeOf(granule);
    if (old < 0) return 0;
    const fresh = blocks.alloc(size);
    if (fresh === 0) return 0;
    copyWords(this.#words, granule, fresh, Math.min(old, blocks.sizeOf(fresh)));
    if (blocks.discard === undefined) blocks.free(granule);
    else blocks.discard(granule);
    return fresh * GRANULE;
  }

  #resizeSlow(address: Address | number, size: number, given?: ResizeHow): Address {
    this.assertUsable();
    const how = given === undefined ? {} : readOptions(given, HOW, 'resize');
    assertSize(size);
    if (address === 0) {
      const fresh = this.alloc(size);
      if (how.zero === true) this.bytes(fresh).fill(0, how.from ?? 0);
      return fresh;
    }
    const old = this.sizeOf(address);
    const { blocks, base } = this.#partOf(address) as Part;
    const granule = (address - base) / GRANULE;
    let place = address;
    if (!blocks.resize(granule, size)) {
      if (how.move === false) return 0 as Address;
      place = this.alloc(size);
      if (how.copy !== false) copyBytes(this.bytes(address), this.bytes(place));
      if (blocks.discard === undefined) blocks.free(granule);
      else blocks.discard(granule);
    }
    if (how.zero === true) this.bytes(place).fill(0, how.from ?? old);
    return place as Address;
  }

  #freeSlow(address: Address | number): void {
    this.assertUsable();
    if (address === 0) return;
    const part = this.#partOf(address);
    if (part === null || !part.blocks.free((address - part.base) / GRANULE)) {
      throw badAddress(address);
    }
    if (part.base < this.#hotBase) this.#heat(part);
  }

  #partOf(address: number): Part | null {
    this.assertUsable();
    return this.#space.partOf(address);
  }

  #allocHidden(bytes: number): Address {
    const address = this.alloc(bytes);
    const { blocks, base } = this.#partOf(address) as Part;
    blocks.hide((address - base) / GRANULE);
    return address;
  }

  /** Trailing segments without a visible block and without roots go, never the first. */
  #dropEmpty(kept: readonly number[]): void {
    const { parts } = this.#space;
    for (let i = parts.length - 1; i > 0; i--) {
      const part = parts[i];
      const holdsRoots = kept.some((address) => Math.floor(address / SLOT_BYTES) === i);
      if (holdsRoots || hasBusy(part.blocks)) return;
      this.#space.drop();
      if (parts.length > i) return;
      releaseWindow(part.window, this);
    }
  }
}
