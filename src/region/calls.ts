/**
 * The complete forms of alloc, resize and free: every segment, every option, handlers, tracing. The
 * region takes a shorter way where it can.
 */
import { RegionError } from '../errors.ts';
import { GRANULE } from '../layout.ts';
import { count, flag, type Readers, readOptions } from '../options.ts';
import type { ResizeHow } from '../call-options.ts';
import type { Address, Region } from '../types.ts';
import { assertSize, badAddress, copyBytes } from './arguments.ts';
import type { Part, Space } from './space.ts';
import { noSpace, serve } from './supply.ts';
import type { Watch } from './watch.ts';
import { claimWindow } from './windows.ts';

const HOW: Readers<ResizeHow> = { move: flag, copy: flag, zero: flag, from: count(0) };

/** What the calls need of their region. */
export interface Host {
  assertUsable(): void;
  /** The segment that is to be asked first. */
  heat(part: Part): void;
  /** The same, unless a lower one is. */
  heatLower(part: Part): void;
  /** Whether the short ways may be taken has changed. */
  adopt(): void;
}

/** The memory of every region that was opened, for those who look into it. */
const spaces = new WeakMap<Region, Space>();

export function spaceOf(region: Region): Space | undefined {
  return spaces.get(region);
}

const asking = new WeakSet<Region>();

/** Is it in the middle of a call, in which its handler `noMemory` is asked? */
export function isAsking(region: Region): boolean {
  return asking.has(region);
}

export class Calls {
  /** The program was asked to free something, and has not answered yet. */
  isAsking = false;
  readonly #region: Region;
  readonly #space: Space;
  readonly #watch: Watch;
  readonly #host: Host;
  #frees = 0;

  constructor(region: Region, space: Space, watch: Watch, host: Host) {
    this.#region = region;
    this.#space = space;
    spaces.set(region, space);
    this.#watch = watch;
    this.#host = host;
  }

  /** Every block was freed. */
  cleared(): void {
    this.#frees += 1;
    this.#watch.cleared();
  }

  alloc(size: number, alignment: number): Address {
    const address = this.serve(size, alignment);
    if (this.#watch.isOn) {
      const align = alignment > GRANULE ? alignment : 0;
      this.#watch.after({ old: 0, new: address, size, align, zero: false });
    }
    return address;
  }

  /** A block, wherever there is room or the program makes some; `alignment` 0 = a hidden one. */
  serve(size: number, alignment: number): Address {
    this.#host.assertUsable();
    assertSize(size);
    if (alignment !== 0) this.#assertFits(size, alignment);
    for (;;) {
      const found = serve(this.#space, this.#region.id, size, alignment);
      if (found !== null) {
        if (found.isNew) claimWindow(found.part, this.#region);
        this.#host.heat(found.part);
        return (found.part.base + found.granule * GRANULE) as Address;
      }
      if (this.#space.discipline.relieve?.() === true) continue;
      if (!this.#askForRoom(size)) throw noSpace(this.#space, this.#region.name, size, alignment);
    }
  }

  #assertFits(size: number, alignment: number): void {
    const why = this.#space.parts[0]?.blocks.misfit?.(size, alignment) ?? null;
    if (why === null) return;
    const aligned = alignment > GRANULE ? ` at a multiple of ${alignment}` : '';
    throw new RegionError('ERR_BAD_SIZE',
      `no block of ${size} bytes${aligned} in region '${this.#region.name}': ${why}`);
  }

  /** The handler may free blocks. true = it did, and wants another try. */
  #askForRoom(size: number): boolean {
    const { noMemory } = this.#watch.on;
    if (noMemory === undefined || this.isAsking) return false;
    const before = this.#frees;
    this.isAsking = true;
    asking.add(this.#region);
    this.#host.adopt();
    let answer: unknown;
    try {
      answer = noMemory(size, this.#region);
    } finally {
      this.isAsking = false;
      asking.delete(this.#region);
      this.#host.adopt();
    }
    this.#host.assertUsable();
    return answer === 'retry' && this.#frees > before;
  }

  resize(address: Address | number, size: number, given?: ResizeHow): Address {
    this.#host.assertUsable();
    const how = given === undefined ? {} : readOptions(given, HOW, 'resize');
    assertSize(size);
    const held = this.#heldBy(address);
    const place = address === 0 ? this.#resizeNothing(size, how) : this.#move(address, size, how);
    if (this.#watch.isOn && place !== 0) {
      const { zero = false } = how;
      this.#watch.after({ old: address, new: place, size, align: 0, zero }, held);
    }
    return place;
  }

  #resizeNothing(size: number, { zero = false, from = 0 }: ResizeHow): Address {
    const fresh = this.serve(size, GRANULE);
    if (zero) this.#region.bytes(fresh).fill(0, from);
    return fresh;
  }

  #move(address: number, size: number, how: ResizeHow): Address {
    const old = this.#region.sizeOf(address);
    this.#assertFits(size, GRANULE);
    const { blocks, base } = this.#space.partOf(address) as Part;
    const granule = (address - base) / GRANULE;
    let place = address;
    if (!blocks.resize(granule, size)) {
      if (how.move === false) return 0 as Address;
      place = this.serve(size, GRANULE);
      if (how.copy !== false) copyBytes(this.#region.bytes(address), this.#region.bytes(place));
      if (blocks.discard === undefined) blocks.free(granule);
      else blocks.discard(granule);
    }
    this.#frees += 1;
    if (how.zero === true) this.#region.bytes(place).fill(0, how.from ?? old);
    return place as Address;
  }

  free(address: Address | number): void {
    this.#host.assertUsable();
    if (address === 0) return;
    const part = this.#space.partOf(address);
    const held = this.#heldBy(address);
    if (part === null || !part.blocks.free((address - part.base) / GRANULE)) {
      throw this.refused(address);
    }
    this.#frees += 1;
    this.#host.heatLower(part);
    if (this.#watch.isOn) {
      this.#watch.after({ old: address, new: 0, size: 0, align: 0, zero: false }, held);
    }
  }

  /** Bytes of a block, where the watch list needs to know; else 0. */
  #heldBy(address: number): number {
    const part = this.#watch.isWatching ? this.#space.partOf(address) : null;
    return part === null ? 0 : part.blocks.sizeOf((address - part.base) / GRANULE);
  }

  /** What is thrown for an address that is not the start of a live block. */
  refused(address: number): RegionError {
    const part = this.#space.partOf(Math.floor(address / GRANULE) * GRANULE);
    const finding = part?.blocks.accuse?.(address - part.base) ?? null;
    if (finding !== null && part !== null) {
      this.#watch.warn({ ...finding, address: part.base + finding.address });
    }
    this.#watch.on.badAddress?.(address, this.#region);
    return badAddress(address, finding);
  }
}
