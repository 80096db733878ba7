/**
 * The state of `debug` in front of the inner method: what its options were, the quarantine's ring,
 * the operation that is under way, the table of call sites. It has whole pages, so that the inner
 * method starts at one.
 */
import { GRANULE, GRANULES_PER_PAGE } from '../layout.ts';
import { DEBUG, DEBUG_FLAGS, DEBUG_MAGIC } from '../layout-debug.ts';
import { count, flag, type Reader, type Readers, readOptions, size } from '../options.ts';
import { RegionError } from '../errors.ts';
import type { Arena } from '../types.ts';
import { formatSites, SiteTable } from './site-table.ts';

/** They are stored in the region. */
export interface DebugOptions {
  /** Record where blocks are allocated and freed, which takes microseconds a call. Default true. */
  sites?: boolean;
  /** Bytes for the text of call sites; default: a part of the capacity, 4 to 256 KiB. */
  siteTable?: number | string;
  /** Bytes of freed blocks that are held back; default: 1 MiB, less where there is little. */
  quarantine?: number | string;
  /** Freed blocks that are held back at most; default 16 to 4096, by the capacity. */
  quarantineBlocks?: number;
  /** The byte new memory is filled with, or false. Default 0xcd. */
  fresh?: number | false;
  /** The byte freed memory is filled with. Default 0xdf. */
  freed?: number;
}

const byte: Reader<number> = (value, name) => {
  if (Number.isInteger(value) && (value as number) >= 0 && (value as number) <= 255) {
    return value as number;
  }
  throw new RegionError('ERR_BAD_OPTION', `${name} is ${String(value)}; give a byte, 0 to 255`);
};

const READERS: Readers<DebugOptions> = {
  sites: flag,
  siteTable: size,
  quarantine: size,
  quarantineBlocks: count(0),
  fresh: (value, name) => (value === false ? value : byte(value, name)),
  freed: byte,
};

const MOST_SLOTS = 2 ** 20;
const MOST_TABLE = 2 ** 26;

/** ERR_BAD_OPTION. */
export function readDebugOptions(given: unknown): Partial<DebugOptions> {
  const read = readOptions<DebugOptions>(given, READERS, 'debug');
  const { quarantineBlocks = 0, siteTable = 0 } = read;
  if (quarantineBlocks > MOST_SLOTS) {
    throw new RegionError('ERR_BAD_OPTION',
      `debug: quarantineBlocks is ${quarantineBlocks}; give at most ${MOST_SLOTS}`);
  }
  if ((siteTable as number) > MOST_TABLE) {
    throw new RegionError('ERR_BAD_OPTION',
      `debug: siteTable is ${siteTable}; give at most ${MOST_TABLE} bytes`);
  }
  return read;
}

/** Where the parts of the state are. */
export interface Geometry {
  /** Granules before the inner method. */
  readonly front: number;
  readonly slots: number;
  readonly siteWords: number;
}

function frontFor(slots: number, siteWords: number): number {
  const granules = Math.ceil(((DEBUG.ring + slots + 1 + siteWords) * 4) / GRANULE);
  return Math.ceil(granules / GRANULES_PER_PAGE) * GRANULES_PER_PAGE;
}

/** The parts of the state are found by these numbers: they are there twice. */
function checkOf(front: number, slots: number, siteWords: number): number {
  return Math.imul(Math.imul(front, 31) + slots, 31) + siteWords ^ DEBUG_MAGIC;
}

function between(least: number, wanted: number, most: number): number {
  return Math.min(most, Math.max(least, Math.floor(wanted)));
}

/** First word of the table of call sites; entries of it need even places. */
export function tableAt(s: number, slots: number): number {
  return s + DEBUG.ring + slots + (slots & 1);
}

/** Writes an empty state; the magic number comes last. */
export function formatState(arena: Arena, options: Partial<DebugOptions>): Geometry {
  const { words, start } = arena;
  const s = start * 4;
  const { slots, siteWords, front } = geometryFor(arena, options);
  const { sites = true, fresh = 0xcd, freed = 0xdf } = options;
  const bytes = Number(options.quarantine ?? Math.min(2 ** 20, windowBytes(arena) / 16));
  words.fill(0, s, s + DEBUG.ring + slots);
  words[s + DEBUG.front] = front;
  words[s + DEBUG.flags] = (sites ? DEBUG_FLAGS.sites : 0) | (fresh === false ? 0
    : DEBUG_FLAGS.fresh);
  words[s + DEBUG.fresh] = wide(fresh === false ? 0 : fresh);
  words[s + DEBUG.freed] = wide(freed);
  words[s + DEBUG.quarantine] = Math.min(2 ** 28, Math.floor(bytes / GRANULE));
  words[s + DEBUG.slots] = slots;
  words[s + DEBUG.siteWords] = siteWords;
  words[s + DEBUG.check] = checkOf(front, slots, siteWords);
  formatSites(words, tableAt(s, slots), siteWords);
  words[s + DEBUG.magic] = DEBUG_MAGIC;
  return { slots, siteWords, front };
}

/** The options that were stored here; a state that cannot be believed has none. */
export function debugOptionsOf(arena: Arena): Partial<DebugOptions> {
  const geometry = geometryOf(arena);
  if (geometry === null) return {};
  const { words, start } = arena;
  const of = (field: number) => words[start * 4 + field];
  const flags = of(DEBUG.flags);
  return {
    sites: (flags & DEBUG_FLAGS.sites) !== 0,
    siteTable: geometry.siteWords * 4,
    quarantine: (of(DEBUG.quarantine) >>> 0) * GRANULE,
    quarantineBlocks: geometry.slots,
    fresh: (flags & DEBUG_FLAGS.fresh) !== 0 && of(DEBUG.fresh) & 0xff,
    freed: of(DEBUG.freed) & 0xff,
  };
}

/** What is to be laid out in this arena. */
export function geometryFor(arena: Arena, options: Partial<DebugOptions>): Geometry {
  const window = windowBytes(arena);
  const slots = options.quarantineBlocks ?? between(16, window / 8192, 4096);
  const table = Number(options.siteTable ?? between(4096, window / 32, 2 ** 18));
  const siteWords = Math.max(64, Math.ceil(table / 8) * 2);
  return { slots, siteWords, front: frontFor(slots, siteWords) };
}

/** What was laid out, or null where the state cannot be believed. */
export function geometryOf(arena: Arena): Geometry | null {
  const { words, start } = arena;
  const s = start * 4;
  const slots = words[s + DEBUG.slots];
  const siteWords = words[s + DEBUG.siteWords];
  const front = words[s + DEBUG.front];
  const isSane = words[s + DEBUG.magic] === DEBUG_MAGIC && slots >= 0 && slots <= MOST_SLOTS
    && siteWords >= 64 && siteWords <= MOST_TABLE / 4 + 2 && front === frontFor(slots, siteWords)
    && words[s + DEBUG.check] === checkOf(front, slots, siteWords);
  return isSane && start + front <= arena.end() ? { front, slots, siteWords } : null;
}

export function tableOf({ words, start }: Arena, { slots, siteWords }: Geometry): SiteTable {
  return new SiteTable(words, tableAt(start * 4, slots), siteWords);
}

function windowBytes({ words, start }: Arena): number {
  return (words.length - start * 4) * 4;
}

function wide(value: number): number {
  return Math.imul(value, 0x01010101);
}
