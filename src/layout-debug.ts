/**
 * The bytes of the methods that watch, debug and profile, and of their tables of call sites: the
 * part of layout.ts that would not fit into it. The same rules: nobody else writes an offset.
 */

/**
 * State of the method `debug`: offsets in words from its first granule. `front` = granules before
 * the inner method's; `quarantine` and `held` are granules, `slots` is the length of the ring that
 * starts at `ring`; behind it lies the table of call sites, of `siteWords` words.
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
  ring: 16,
} as const;
export const DEBUG_MAGIC = 0x47554244;
/** Bits of `flags`: call sites are recorded; new memory is filled. */
export const DEBUG_FLAGS = { sites: 1, fresh: 2 } as const;
/** What `pending` says is under way: a kind, and from `shift` up the granule of the payload. */
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
