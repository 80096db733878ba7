/**
 * The bytes of the methods that watch, debug and profile, and of their tables of call sites: the
 * part of layout.ts that would not fit into it. The same rules: nobody else writes an offset.
 */

/**
 * State of the method `debug`: offsets in words from its first granule. `front` = granules before
 * the inner method's; `quarantine` and `held` are granules, `slots` is the length of the ring that
 * starts at `ring`; behind it lies the table of call sites, of `siteWords` words. `known` is the
 * exclusive or of all inner blocks, as granules.
 */
export const DEBUG = {
  magic: 0,
  front: 1,
  flags: 2,
  fresh: 3,
  freed: 4,
  quarantine: 5,
  slots: 6,
  head: 7,
  count: 8,
  held: 9,
  sequence: 10,
  pending: 11,
  siteWords: 12,
  check: 13,
  known: 14,
  ring: 16,
} as const;
export const DEBUG_MAGIC = 0x47554244;
/** Bits of `flags`: call sites are recorded; new memory is filled. */
export const DEBUG_FLAGS = { sites: 1, fresh: 2 } as const;
/** What `pending` says is under way: a kind, and from `shift` up the payload's granule, or 0. */
export const DEBUG_PENDING = { alloc: 1, free: 2, resize: 3, shift: 2 } as const;
/** Header in front of a payload: offsets in words from it. Free lists may use the first three. */
export const DEBUG_HEADER = {
  tag: -8,
  front: -7,
  sequence: -6,
  size: -5,
  allocatedAt: -4,
  freedAt: -3,
  check: -2,
  guard: -1,
} as const;
/** Granules of the header; guard words behind the word that holds the last byte of a payload. */
export const DEBUG_BLOCK = { head: 2, rearWords: 3 } as const;
/** First word of a block whose payload is further in, for its alignment; then how far, granules. */
export const LEAD = { tag: 0, front: 1, check: 2 } as const;
export const LEAD_MAGIC = 0x4441454c;
/** The word in front of a payload that is live, or freed; the words behind it. */
export const GUARD = { live: 0x3ca5c35a, freed: 0x55aa0ff0, rear: 0x7eb15ac6 } as const;

if (DEBUG_HEADER.tag !== -DEBUG_BLOCK.head * 4) throw new Error('layout: debug header');

/**
 * A table of interned keys: offsets in words from its start; entries follow the buckets. An entry
 * is named by its offset; `extra` words that belong to its owner lie between its fields and key.
 */
export const SITES = { magic: 0, room: 1, used: 2, count: 3, extra: 4, buckets: 6 } as const;
export const SITES_MAGIC = 0x45544953;
export const SITE = { next: 0, hash: 1, keyBytes: 2, words: 4 } as const;

/**
 * State of the method `profile`: offsets in words from its first granule; counters are f64. Behind
 * `tables` lie the table of call sites, of `siteWords` words, and that of stacks, of `stackWords`.
 */
export const PROFILE = {
  magic: 0,
  front: 1,
  depth: 2,
  flags: 3,
  siteWords: 4,
  stackWords: 5,
  check: 6,
  allocs: 8,
  frees: 10,
  bytes: 12,
  live: 14,
  liveBlocks: 16,
  peak: 18,
  peakExtent: 20,
  tables: 24,
} as const;
export const PROFILE_MAGIC = 0x464f5250;
/** Bit of `flags`: call stacks are recorded. */
export const PROFILE_SITES = 1;
/** Words of a stack's entry that are counters, f64, as offsets from the first. */
export const STACK = {
  allocs: 0,
  frees: 2,
  bytes: 4,
  live: 6,
  liveBlocks: 8,
  peak: 10,
  words: 12,
} as const;
/** Header in front of a profiled payload: offsets in words from it; its granules. */
export const PROFILE_HEADER = { stack: -4, size: -3, front: -2, check: -1 } as const;
export const PROFILE_HEAD = 1;

if (PROFILE_HEADER.stack !== -PROFILE_HEAD * 4) throw new Error('layout: profile header');
