/**
 * The state of `profile` in front of the inner method: options, totals, the table of call sites and
 * that of stacks. A stack is a list of names of call sites, innermost first, with its counters in
 * the entry itself.
 *
 * Counters are f64, so that they count on; `live` and `liveBlocks` can be derived from the blocks.
 */
import { GRANULE, GRANULES_PER_PAGE } from '../layout.ts';
import { PROFILE, PROFILE_MAGIC, PROFILE_SITES, STACK } from '../layout-debug.ts';
import { RegionError } from '../errors.ts';
import { count, flag, type Readers, readOptions, size } from '../options.ts';
import { callStack } from '../sites.ts';
import type { Profile, SiteProfile } from '../profile.ts';
import type { Arena } from '../types.ts';
import { formatSites, SiteTable } from './site-table.ts';

/** They are stored in the region. */
export interface ProfileOptions {
  /** Frames of a call stack that are told apart, 1 to 64; default 8. */
  depth?: number;
  /** Record call stacks, which takes microseconds a call; else only totals. Default true. */
  sites?: boolean;
  /** Bytes for call sites, and for stacks; default: a part of the capacity, 8 to 512 KiB each. */
  siteTable?: number | string;
}

const READERS: Readers<ProfileOptions> = { depth: count(1), sites: flag, siteTable: size };
const MOST_DEPTH = 64;
const MOST_TABLE = 2 ** 26;

/** ERR_BAD_OPTION. */
export function readProfileOptions(given: unknown): Partial<ProfileOptions> {
  const read = readOptions<ProfileOptions>(given, READERS, 'profile');
  if ((read.depth ?? 1) > MOST_DEPTH) {
    throw new RegionError('ERR_BAD_OPTION',
      `profile: depth is ${read.depth}; give at most ${MOST_DEPTH} frames`);
  }
  if (Number(read.siteTable ?? 0) > MOST_TABLE) {
    throw new RegionError('ERR_BAD_OPTION',
      `profile: siteTable is ${read.siteTable}; give at most ${MOST_TABLE} bytes`);
  }
  return read;
}

export interface ProfileGeometry {
  /** Granules before the inner method. */
  readonly front: number;
  readonly siteWords: number;
  readonly stackWords: number;
}

function frontFor(siteWords: number, stackWords: number): number {
  const granules = Math.ceil(((PROFILE.tables + siteWords + stackWords) * 4) / GRANULE);
  return Math.ceil(granules / GRANULES_PER_PAGE) * GRANULES_PER_PAGE;
}

function checkOf(front: number, siteWords: number, stackWords: number): number {
  return Math.imul(Math.imul(front, 31) + siteWords, 31) + stackWords ^ PROFILE_MAGIC;
}

export function profileGeometryFor(
  { words, start }: Arena, options: Partial<ProfileOptions>,
): ProfileGeometry {
  const window = (words.length - start * 4) * 4;
  const usual = Math.min(2 ** 19, Math.max(2 ** 13, Math.floor(window / 64)));
  const siteWords = Math.max(64, Math.ceil(Number(options.siteTable ?? usual) / 8) * 2);
  return { siteWords, stackWords: siteWords, front: frontFor(siteWords, siteWords) };
}

/** The options that were stored here; a state that cannot be believed has none. */
export function profileOptionsOf(arena: Arena): Partial<ProfileOptions> {
  const geometry = profileGeometryOf(arena);
  if (geometry === null) return {};
  const s = arena.start * 4;
  return {
    depth: arena.words[s + PROFILE.depth],
    sites: (arena.words[s + PROFILE.flags] & PROFILE_SITES) !== 0,
    siteTable: geometry.siteWords * 4,
  };
}

/** What was laid out, or null where the state cannot be believed. */
export function profileGeometryOf(arena: Arena): ProfileGeometry | null {
  const { words, start } = arena;
  const s = start * 4;
  const siteWords = words[s + PROFILE.siteWords];
  const stackWords = words[s + PROFILE.stackWords];
  const front = words[s + PROFILE.front];
  const isWord = (n: number) => n >= 64 && n <= MOST_TABLE / 4 + 2 && n % 2 === 0;
  const isSane = words[s + PROFILE.magic] === PROFILE_MAGIC
    && isWord(siteWords) && isWord(stackWords) && front === frontFor(siteWords, stackWords)
    && words[s + PROFILE.check] === checkOf(front, siteWords, stackWords)
    && start + front <= arena.end();
  return isSane ? { front, siteWords, stackWords } : null;
}

export function formatProfile(arena: Arena, options: Partial<ProfileOptions>): void {
  const { words, start } = arena;
  const s = start * 4;
  const { front, siteWords, stackWords } = profileGeometryFor(arena, options);
  words.fill(0, s, s + PROFILE.tables);
  words[s + PROFILE.front] = front;
  words[s + PROFILE.depth] = options.depth ?? 8;
  words[s + PROFILE.flags] = options.sites === false ? 0 : PROFILE_SITES;
  words[s + PROFILE.siteWords] = siteWords;
  words[s + PROFILE.stackWords] = stackWords;
  words[s + PROFILE.check] = checkOf(front, siteWords, stackWords);
  formatSites(words, s + PROFILE.tables, siteWords);
  formatSites(words, s + PROFILE.tables + siteWords, stackWords, STACK.words);
  words[s + PROFILE.magic] = PROFILE_MAGIC;
}

/** Names and counters of stacks. Stack 0 is every one that has no entry. */
export class Ledger {
  readonly sites: SiteTable;
  readonly stacks: SiteTable;
  readonly #words: Int32Array;
  readonly #counts: Float64Array;
  readonly #s: number;
  readonly #known = new Map<string, number>();

  constructor({ words, start }: Arena, { siteWords, stackWords }: ProfileGeometry) {
    this.#words = words;
    this.#s = start * 4;
    const at = this.#s + PROFILE.tables;
    this.sites = new SiteTable(words, at, siteWords);
    this.stacks = new SiteTable(words, at + siteWords, stackWords, STACK.words);
    this.#counts = new Float64Array(words.buffer, words.byteOffset, words.length >>> 1);
  }

  /** Name of the program's stack now; 0 = it is not recorded. */
  here(): number {
    const depth = this.#words[this.#s + PROFILE.depth];
    if ((this.#words[this.#s + PROFILE.flags] & PROFILE_SITES) === 0) return 0;
    const stack = callStack(depth >= 1 && depth <= MOST_DEPTH ? depth : 1);
    const text = stack.join('\n');
    return this.#known.get(text) ?? this.#learn(text, stack);
  }

  /** A block of `size` bytes is there that was not. */
  allocated(stack: number, size: number, end: number): void {
    this.#add(stack, PROFILE.allocs, STACK.allocs, 1);
    this.#add(stack, PROFILE.bytes, STACK.bytes, size);
    this.#add(stack, PROFILE.liveBlocks, STACK.liveBlocks, 1);
    this.#live(stack, size);
    const extent = (this.#s + PROFILE.peakExtent) >>> 1;
    if (end * GRANULE > this.#counts[extent]) this.#counts[extent] = end * GRANULE;
  }

  freed(stack: number, size: number): void {
    this.#add(stack, PROFILE.frees, STACK.frees, 1);
    this.#add(stack, PROFILE.liveBlocks, STACK.liveBlocks, -1);
    this.#live(stack, -size);
  }

  resized(stack: number, old: number, size: number): void {
    if (size > old) this.#add(stack, PROFILE.bytes, STACK.bytes, size - old);
    this.#live(stack, size - old);
  }

  /** A block is the region's own from now on: as if it had never been. */
  forgotten(stack: number, size: number): void {
    this.#add(stack, PROFILE.allocs, STACK.allocs, -1);
    this.#add(stack, PROFILE.bytes, STACK.bytes, -size);
    this.#add(stack, PROFILE.liveBlocks, STACK.liveBlocks, -1);
    this.#live(stack, -size);
  }

  /** The live counters are what the blocks say: sizes and numbers by stack. */
  setLive(live: ReadonlyMap<number, { readonly bytes: number; readonly blocks: number }>): void {
    let bytes = 0;
    let blocks = 0;
    for (const held of live.values()) {
      bytes += held.bytes;
      blocks += held.blocks;
    }
    this.#settle(this.#s, PROFILE, bytes, blocks);
    for (const name of this.stacks.names()) {
      const held = live.get(name) ?? { bytes: 0, blocks: 0 };
      this.#settle(this.stacks.extraOf(name), STACK, held.bytes, held.blocks);
    }
  }

  /** Is there a stack of this name? */
  has(stack: number): boolean {
    return stack === 0 || this.stacks.keyOf(stack) !== null;
  }

  read(): Profile {
    const total = { ...this.#counters(this.#s, PROFILE),
      peakExtent: this.#counts[(this.#s + PROFILE.peakExtent) >>> 1] };
    const sites: SiteProfile[] = [];
    for (const name of this.stacks.names()) {
      const counters = this.#counters(this.stacks.extraOf(name), STACK);
      sites.push({ stack: this.#textsOf(name), ...counters });
    }
    return { sites, total };
  }

  /** Live bytes and blocks that are counted for a stack. */
  liveOf(stack: number): { bytes: number; blocks: number } {
    const { live, liveBlocks } = this.#counters(this.stacks.extraOf(stack), STACK);
    return { bytes: live, blocks: liveBlocks };
  }

  #settle(at: number, place: Counters, bytes: number, blocks: number): void {
    const counts = this.#counts;
    counts[(at + place.live) >>> 1] = bytes;
    counts[(at + place.liveBlocks) >>> 1] = blocks;
    const allocs = Math.max(blocks, counts[(at + place.allocs) >>> 1]);
    counts[(at + place.allocs) >>> 1] = allocs;
    counts[(at + place.frees) >>> 1] = allocs - blocks;
    counts[(at + place.peak) >>> 1] = Math.max(bytes, counts[(at + place.peak) >>> 1]);
  }

  #learn(text: string, stack: readonly string[]): number {
    const names = stack.map((site) => this.sites.nameOf(site));
    const key = new Uint8Array(new Int32Array(names).buffer);
    const name = stack.length === 0 ? 0 : this.stacks.intern(key);
    if (name !== 0) this.#known.set(text, name);
    return name;
  }

  #textsOf(name: number): string[] {
    const key = this.stacks.keyOf(name)?.slice() ?? new Uint8Array();
    const names = new Int32Array(key.buffer, 0, key.length >>> 2);
    return [...names].map((site) => this.sites.textOf(site) || '(unknown)');
  }

  #add(stack: number, total: number, own: number, n: number): void {
    this.#counts[(this.#s + total) >>> 1] += n;
    if (stack !== 0) this.#counts[(this.stacks.extraOf(stack) + own) >>> 1] += n;
  }

  #live(stack: number, n: number): void {
    this.#raise((this.#s + PROFILE.live) >>> 1, (this.#s + PROFILE.peak) >>> 1, n);
    if (stack === 0) return;
    const at = this.stacks.extraOf(stack);
    this.#raise((at + STACK.live) >>> 1, (at + STACK.peak) >>> 1, n);
  }

  #raise(live: number, peak: number, n: number): void {
    const counts = this.#counts;
    counts[live] += n;
    if (counts[live] > counts[peak]) counts[peak] = counts[live];
  }

  #counters(at: number, place: Counters): Omit<SiteProfile, 'stack'> {
    const of = (offset: number) => this.#counts[(at + offset) >>> 1];
    return { allocs: of(place.allocs), frees: of(place.frees), bytes: of(place.bytes),
      live: of(place.live), liveBlocks: of(place.liveBlocks), peak: of(place.peak) };
  }
}

/** Where the counters are, words. */
type Counters = Record<keyof Omit<SiteProfile, 'stack'>, number>;
