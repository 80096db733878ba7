/**
 * Region = discipline × method × header: the verbs of an open region. Addresses are checked here,
 * blocks are the method's, memory is the discipline's.
 *
 * The region remembers nothing that header and blocks do not say; `#hot` is the segment that is
 * asked first. When a region is retired, or watched, its hot blocks are replaced by GONE, which
 * refuses everything: the slow path throws, or reports what it does. Where threads share it, its
 * segments as one are hot. Blocks of the first are fixed (fixed.ts); a bit says: they may be asked.
 */
import { assert, RegionError } from '../errors.ts';
import type { Purged, PurgeOptions, ResizeHow } from '../call-options.ts';
import { GRANULE, GRANULE_SHIFT, SLOT_BYTES } from '../layout.ts';
import type { RegionEvents, RegionFlags, TraceSink } from '../events.ts';
import { revert, vacate } from '../tenants.ts';
import type { Address, Discipline, Finding, Method, Region, RegionRecovery, RegionStat, Roots,
  Segment, TypedArrayConstructor } from '../types.ts';
import { arrayBytes, assertAlignment, assertLength, moveWithin } from './arguments.ts';
import { Calls } from './calls.ts';
import { checkRegion } from './check.ts';
import { exchange } from './exchange.ts';
import { fix } from './fixed.ts';
import { evicted, GONE } from './gone.ts';
import { purge } from './purge.ts';
import { RootTable } from './roots.ts';
import { sharedRoots } from './shared-roots.ts';
import type { QuickBlocks } from './shards.ts';
import type { Part, Space } from './space.ts';
import { giveBack } from './supply.ts';
import { blocksOf, leaksOf, offsetIn, segmentAt, segmentsOf, statOf, traceBusy } from './survey.ts';
import { encodeText, loadText, storeText, TEXT_BYTES } from './text.ts';
import { Watch } from './watch.ts';
import { claimWindow, placeOf, releaseWindow } from './windows.ts';

// Copies: V8 folds constants of this module into the code, imported ones it loads and tests.
const UNIT_SHIFT = GRANULE_SHIFT + 0;
const LOW_BITS = GRANULE - 1;

/** What a region needs of whoever made it, and what its program said about it. */
export interface Ties {
  /** Runs before the discipline is closed. */
  readonly beforeClose: () => void;
  /** Another region, of memory of its own. */
  readonly scratch: (method: Method) => Region;
  readonly on: RegionEvents;
  readonly flags: Partial<RegionFlags>;
}

export class OpenRegion implements Region {
  name: string;
  readonly method: string;
  readonly id: string;
  readonly roots: Roots;
  /** Whoever opens it says so. */
  recovery: RegionRecovery | null = null;
  readonly #table: RootTable;
  readonly #space: Space;
  readonly #ties: Ties;
  readonly #watch: Watch;
  readonly #calls: Calls;
  #hot: QuickBlocks = GONE;
  #hotBase = 0;
  /** The first segment's, and whether that is the one asked first. */
  declare private readonly first: QuickBlocks;
  declare private readonly words: Int32Array;
  #isFirst = false;
  #gone: RegionError | null = null;

  /** `space` is attached. */
  constructor(name: string, id: string, space: Space, ties: Ties) {
    this.name = name;
    this.id = id;
    this.method = space.method.name;
    this.#space = space;
    this.#ties = ties;
    const { shards } = space;
    this.#table = new RootTable({
      header: space.discipline.window(0),
      isShared: shards !== null,
      assertUsable: () => this.assertUsable(),
      allocHidden: (bytes) => this.#calls.serve(bytes, 0),
      place: (address, bytes) => space.place(address, bytes),
    });
    this.roots = shards === null ? this.#table
      : sharedRoots(this.#table, shards, () => this.assertUsable());
    this.#watch = new Watch(this, ties.on, () => space.extent(), shards !== null);
    this.#watch.configure(ties.flags);
    this.#calls = new Calls(this, space, this.#watch, {
      assertUsable: () => this.assertUsable(),
      heat: (part) => this.#heat(part),
      heatLower: (part) => part.base < this.#hotBase && this.#heat(part),
      adopt: () => this.#gone === null && this.#adopt(),
    });
    space.ear.warn = (finding) => this.#watch.warn(finding);
    shards?.hear(space.ear);
    space.discipline.lend?.({
      reverted: () => this.#gone === null && this.revive(),
      evicted: (error) => this.#evict(error),
    });
    this.#adopt();
  }

  get closed(): boolean {
    return this.#gone !== null;
  }

  alloc(size: number): Address {
    if (this.#isFirst === true && size >>> 0 === size) {
      const granule = this.first.alloc(size);
      if (granule !== 0) return ((granule << UNIT_SHIFT) >>> 0) as Address;
    }
    return this.#allocLater(size);
  }

  align(size: number, alignment: number): Address {
    assertAlignment(alignment);
    if (this.#isFirst === true && size >>> 0 === size && alignment > GRANULE
      && alignment < SLOT_BYTES) {
      const granule = this.first.align(size, alignment);
      if (granule !== 0) return ((granule << UNIT_SHIFT) >>> 0) as Address;
    }
    return this.#calls.alloc(size, alignment);
  }

  resize(address: Address | number, size: number, how?: ResizeHow): Address {
    const low = address >>> 0;
    if (low === address && (low & LOW_BITS) === 0 && low !== 0 && size >>> 0 === size) {
      if (this.#isFirst === true && how === undefined) {
        const granule = low >>> UNIT_SHIFT;
        if (this.first.resize(granule, size)) return address as Address;
        const moved = moveWithin(this.first, this.words, granule, size);
        if (moved !== 0) return ((moved << UNIT_SHIFT) >>> 0) as Address;
      }
    }
    return this.#calls.resize(address, size, how);
  }

  free(address: Address | number): void {
    const low = address >>> 0;
    if (this.#isFirst === true && low === address && (low & LOW_BITS) === 0) {
      if (this.first.free(low >>> UNIT_SHIFT) === true) return;
    }
    this.#calls.free(address);
  }

  sizeOf(address: Address | number): number {
    const part = this.#partOf(address);
    const size = part === null ? -1 : part.blocks.sizeOf((address - part.base) / GRANULE);
    if (size < 0) throw this.#calls.refused(address);
    return size;
  }

  offsetOf(address: number): number {
    this.assertUsable();
    return offsetIn(this.#space, address);
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
    const at = window.byteOffset + address - base;
    if (length === undefined) return new Uint8Array(window.buffer, at, usable);
    assertLength(length, 1, usable, address);
    return new Uint8Array(window.buffer, at, length);
  }

  array<T>(type: TypedArrayConstructor<T>, address: Address | number, length?: number): T {
    const usable = this.sizeOf(address);
    const { window, base } = this.#partOf(address) as Part;
    const width = type.BYTES_PER_ELEMENT;
    if (length !== undefined) assertLength(length, width, usable, address);
    const at = window.byteOffset + address - base;
    return new type(window.buffer, at, length ?? Math.floor(usable / width));
  }

  newOf(address: Address | number, type: { readonly BYTES_PER_ELEMENT: number }, length: number,
        extra = 0): Address {
    return this.resize(address, arrayBytes(type, length, extra), { zero: true });
  }

  oldOf(address: Address | number, type: { readonly BYTES_PER_ELEMENT: number }, length: number,
        extra = 0): Address {
    return this.resize(address, arrayBytes(type, length, extra), { copy: false });
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

  segmentOf(address: number): Segment | null {
    this.assertUsable();
    return segmentAt(this.#space, address);
  }

  walk(visit: (segment: Segment) => unknown): void {
    for (const segment of this.segments()) if (visit(segment) === true) return;
  }

  /** Every block in address order, as it was when its segment was reached. */
  blocks(): Iterable<{ address: Address; size: number; busy: boolean }> {
    this.assertUsable();
    return blocksOf(this.#space);
  }

  stat(): RegionStat {
    this.assertUsable();
    return this.#space.whole(() => statOf(this.#space));
  }

  check(): Finding[] {
    this.assertUsable();
    return this.#space.whole(() => checkRegion(this.#space, this.id), true);
  }

  configure(flags: Partial<RegionFlags>): RegionFlags {
    this.assertUsable();
    const before = this.#watch.configure(flags);
    this.#adopt();
    return before;
  }

  setDiscipline(next: Discipline): Discipline {
    this.assertUsable();
    return exchange(this.#space, this, this.#watch.on, next);
  }

  busyTrace(sink: TraceSink): void {
    this.assertUsable();
    traceBusy(this.#space, this, sink);
  }

  scratch(): Region {
    this.assertUsable();
    return this.#ties.scratch(this.#space.method);
  }

  compact(): number {
    this.assertUsable();
    const given = this.#space.whole(() =>
      giveBack(this.#space, this.#table.blocksInUse(), (part) => releaseWindow(part.window, this)));
    this.#heat(this.#space.parts[0]);
    const { refusal } = this.#space;
    if (refusal instanceof RegionError && refusal.code !== 'ERR_NO_SPACE') throw refusal;
    this.#watch.tellSize();
    return given;
  }

  purge(options?: PurgeOptions): Purged {
    this.assertUsable();
    return purge(this.#space, options);
  }

  clear(): void {
    this.assertUsable();
    vacate(this, new RegionError('ERR_STALE', `region '${this.name}' was cleared`));
    this.#space.whole(() => {
      this.#table.clear();
      for (const { blocks } of this.#space.parts) blocks.clear();
    });
    this.#calls.cleared();
    this.#heat(this.#space.parts[0]);
  }

  sync(): void {
    this.assertUsable();
    this.#space.discipline.sync();
  }

  close(): void {
    if (this.#gone !== null) return;
    this.askToClose();
    this.#shut(new RegionError('ERR_CLOSED', `region '${this.name}' is closed; open it again`));
  }

  [Symbol.dispose](): void {
    this.close();
  }

  assertUsable(): void {
    if (this.#gone !== null) throw this.#gone;
  }

  /** It is ready: the program may know. */
  announce(how: 'created' | 'opened'): void {
    this.#watch.on.open?.(this, how);
  }

  /** ERR_BUSY where the program vetoes closing it. */
  askToClose(): void {
    if (this.#gone !== null || this.#watch.on.close?.(this) !== false) return;
    throw new RegionError('ERR_BUSY',
      `region '${this.name}' stays open: its handler 'close' vetoed closing it`);
  }

  listen(on: RegionEvents): void {
    this.#watch.on = on;
    this.#adopt();
  }

  /** From now on every call throws `error`. The discipline is left alone. */
  retire(error: RegionError): void {
    if (this.#gone !== null) return;
    vacate(this, error);
    this.#gone = error;
    this.#hot = GONE;
    this.#isFirst = false;
    for (const { window } of this.#space.parts) releaseWindow(window, this);
    this.#space.parts.length = 0;
  }

  /** Memory was replaced under it: segments and blocks are taken from the header again. */
  revive(): void {
    this.assertUsable();
    for (const { window } of this.#space.parts) releaseWindow(window, this);
    this.#space.attach();
    this.#table.revive();
    this.#adopt();
    this.#watch.reverted();
    revert(this);
  }

  #shut(error: RegionError): void {
    vacate(this, error);
    try {
      leaksOf(this.#space, (finding) => this.#watch.warn(finding));
      this.#ties.beforeClose();
    } finally {
      this.#leave(error);
    }
  }

  #leave(error: RegionError): void {
    this.retire(error);
    this.#space.discipline.close();
  }

  /** The memory is about to be closed, or is no longer this region's: then it is not touched. */
  #evict(error: Error): void {
    if (this.#gone !== null) return;
    const why = evicted(this.name, error);
    if (why.code === 'ERR_CLOSED') this.#shut(why);
    else this.#leave(why);
  }

  #adopt(): void {
    const { parts, shards } = this.#space;
    const [first] = parts;
    assert(first !== undefined, 'a first segment');
    fix<OpenRegion>(this, 'first', shards ?? first.blocks);
    fix<OpenRegion>(this, 'words', (shards ?? first.arena).words);
    for (const part of parts) claimWindow(part, this);
    this.#heat(first);
  }

  /** The segment that is asked first, unless calls are to be seen. */
  #heat(part: Part): void {
    const { shards } = this.#space;
    const isQuick = !this.#watch.isOn && !this.#calls.isAsking;
    this.#hot = isQuick ? shards ?? part.blocks : GONE;
    this.#hotBase = shards === null ? part.base : 0;
    this.#isFirst = isQuick && this.#hotBase === 0;
  }

  /** The segment that is asked first may be a later one. */
  #allocLater(size: number): Address {
    if (this.#hotBase !== 0 && size >>> 0 === size) {
      const granule = this.#hot.alloc(size);
      if (granule !== 0) return (this.#hotBase + granule * GRANULE) as Address;
    }
    return this.#calls.alloc(size, GRANULE);
  }

  #partOf(address: number): Part | null {
    this.assertUsable();
    return this.#space.partOf(address);
  }
}
