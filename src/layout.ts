/**
 * Every byte of the file format: offsets, widths, tag bits, magics, versions. Nobody else writes a
 * literal offset or mask. FORMAT.md draws these tables and a test compares the two.
 *
 * A region is a row of segments, each at a multiple of SLOT_BYTES in the region's file and address
 * space. Page 0 of segment 0 is the header, page 1 the durable state (written only when a
 * checkpoint is applied, or by a direct region itself); later segments keep both pages too, so that
 * every method starts at the same place.
 */

export const PAGE = 4096;
export const GRANULE = 16;
export const GRANULE_SHIFT = 4;
export const GRANULES_PER_PAGE = PAGE / GRANULE;
/** Address space of one segment, bytes. */
export const SLOT_BYTES = 2 ** 32;
export const SLOT_GRANULES = SLOT_BYTES / GRANULE;
export const SLOT_PAGES = SLOT_BYTES / PAGE;
/** Segments a region may have: 64 × 4 GiB = 256 GiB. */
export const MAX_SEGMENTS = 64;
/** First byte of a segment that belongs to the method. */
export const METHOD_START = 2 * PAGE;

export const MAGIC = 'RGNSTOR1';
export const SEGMENT_MAGIC = 'RGNSEGM1';
export const VERSION = 1;
export const ID_BYTES = 16;
export const NAME_BYTES = 255;

/** Header: page 0 of segment 0. Identity is written once; the live fields change as it grows. */
export const HEADER = {
  magic: 0,
  version: 8,
  pageBytes: 12,
  regionId: 16,
  storeId: 32,
  method: 48,
  methodBytes: 24,
  createdAt: 72,
  identityBytes: 80,
  identityCrc: 80,
  capacity: 88,
  rootsBlock: 96,
  segmentPages: 128,
  roots: 384,
  rootsEnd: PAGE,
} as const;

/** Header of a later segment: page 0 of segments 1 … 63. */
export const SEGMENT_HEADER = { magic: 0, regionId: 16, index: 32, bytes: 36, crc: 36 } as const;

/** Durable state: first sector of page 1 of segment 0. One sector, so it is never torn. */
export const STATE = {
  sequence: 0,
  clean: 8,
  regionId: 16,
  bootId: 32,
  segmentPages: 128,
  crc: 508,
  bytes: 512,
  at: PAGE,
} as const;

/** One root in the header page or in a roots block: the name follows, padded to 8 bytes. */
export const ROOT = { address: 0, hash: 8, nameBytes: 12, live: 14, name: 16, align: 8 } as const;
/** `nameBytes` and `live` are written together, as one word: the length, and this bit. */
export const ROOT_LIVE = 1 << 16;

/** A roots block: the hidden block the roots moved to when they outgrew the header page. */
export const ROOTS_BLOCK = { spare: 0, bytes: 8, entries: 16 } as const;

function ascending(table: Record<string, number>): boolean {
  const offsets = Object.values(table);
  return offsets.every((value, i) => i === 0 || value >= (offsets[i - 1] as number));
}

if (!ascending({ ...HEADER, methodBytes: HEADER.method, identityBytes: HEADER.identityCrc })) {
  throw new Error('layout: header fields overlap');
}
if (HEADER.segmentPages + MAX_SEGMENTS * 4 > HEADER.roots) throw new Error('layout: segment table');
if (STATE.segmentPages + MAX_SEGMENTS * 4 > STATE.crc) throw new Error('layout: state table');

/**
 * Record of one checkpoint: header, region entries, image table, padding, page images. Stored as a
 * blob in the catalog or, above a size, as one or more parts in an image file. A page number counts
 * pages of the region's address space (segment × SLOT_PAGES + page), so it fits 32 bits.
 */
export const RECORD_MAGIC = 'RGNSIMG1';
export const RECORD = {
  magic: 0,
  sequence: 8,
  regionCount: 16,
  imageCount: 20,
  imagesAt: 24,
  crc: 28,
  part: 32,
  bytes: 40,
} as const;
/** Region entry: id, segments in use, images of this region; then one u32 of pages a segment. */
export const RECORD_REGION = { id: 0, segmentCount: 16, imageCount: 20, bytes: 24 } as const;
/** Image table entry: page number, crc32c of the page. */
export const RECORD_IMAGE = { page: 0, crc: 4, bytes: 8 } as const;

/** Sidecar of a region: one crc32c (u32) per page, a table per segment; 0 = never imaged. */
export const SUM_BYTES = 4;

/** Catalog: SQLite application id ('RGST') and schema version. */
export const CATALOG_APPLICATION = 0x52475354;
export const CATALOG_VERSION = 2;

// ---- best ------------------------------------------------------------------------------------

/**
 * State of the method `best`: offsets in words from its first granule. Granules: `top`, `end`,
 * `cover`, `hidden`; `map` is the word index of the block map; `rest` counts frees.
 * Word 6 is not used any more.
 */
export const BEST = {
  magic: 0,
  top: 1,
  end: 2,
  map: 3,
  cover: 4,
  rest: 5,
  summary: 7,
  hidden: 8,
  binMap: 48,
  caches: 72,
  bins: 592,
  words: 2128,
} as const;

export const BEST_MAGIC = 0x54534542;
export const BEST_HIDDEN = 40;
/** Bins: one per size below 64 granules, then 32 per power of two up to 2^28; two words each. */
export const BEST_BINS = { count: 768, linear: 64, splitShift: 5 } as const;
/** Blocks of 1 … 64 granules are small: their end is found in the map. */
export const BEST_SMALL = 64;
/** Blocks of 1 … 512 granules are cached when they are freed. */
export const BEST_CACHED = 512;
/** The block map: for 32 granules a word of boundary bits, then a word of live bits. */
export const BEST_MAP = { granulesShift: 5, pairShift: 1, live: 1, reach: 128 } as const;
/** Words of a free block: its neighbours in the bin, its size; of a cached one: ~the next. */
export const FREE = { next: 0, previous: 1, size: 2 } as const;

if (BEST.hidden + BEST_HIDDEN > BEST.binMap) throw new Error('layout: hidden blocks');
if (BEST.binMap + BEST_BINS.count / 32 > BEST.caches) throw new Error('layout: bin map');
if (BEST.caches + BEST_CACHED + 1 > BEST.bins) throw new Error('layout: caches');
if (BEST.bins + 2 * BEST_BINS.count > BEST.words) throw new Error('layout: bins');
if ((BEST.words * 4) % GRANULE !== 0) throw new Error('layout: best state is not whole granules');

// ---- last ------------------------------------------------------------------------------------

/**
 * State of the method `last`: offsets in words from its first granule; `newest` and `end` are
 * granules. The directory has a word per slab of 65,536 granules: the granule of its start bitmap.
 */
export const LAST = { magic: 0, newest: 1, end: 2, directory: 4, words: 4100 } as const;
export const LAST_MAGIC = 0x5453414c;
export const LAST_SLAB_SHIFT = 16;
/** Granules of the start bitmap of one slab. */
export const LAST_MAP_GRANULES = 2 ** LAST_SLAB_SHIFT / 8 / GRANULE;
/** Words in front of a payload, as offsets from it: size in granules and flags, both neighbours. */
export const LAST_BLOCK = { size: -3, previous: -2, next: -1, hidden: 1, sizeShift: 2 } as const;

if (LAST.directory + SLOT_GRANULES / 2 ** LAST_SLAB_SHIFT !== LAST.words) {
  throw new Error('layout: last');
}

// ---- slab ------------------------------------------------------------------------------------

/**
 * State of the method `slab`: offsets in words from its first granule. `pages` is how many there
 * are, `due` the number at which empty ones are looked for; `sealed` is 1 while none is empty;
 * `hidden` holds granules; `heads` the first listed group of each class, by its size in granules;
 * `directory` has a word per MiB of the window: the word index of its table, negative while sealed,
 * 0 = no page lies there. A heap of `best` follows.
 */
export const SLAB = {
  magic: 0,
  pages: 1,
  due: 2,
  sealed: 3,
  hidden: 4,
  heads: 44,
  directory: 80,
  words: 4176,
} as const;

export const SLAB_MAGIC = 0x32424c53;
export const SLAB_HIDDEN = 40;
/** Blocks of 1 … 16 granules lie in slabs. */
export const SLAB_CLASSES = 16;
/** Granules of a page of slab: its blocks have one size. */
export const SLAB_PAGE = { granules: 256, shift: 8 } as const;
/** The table of a MiB: which MiB it is, a kind per page, then its groups of 32 granules. */
export const SLAB_TABLE = { chunk: 0, kinds: 4, groups: 260, words: 4356, shift: 16 } as const;
/** A group: a bit per granule, set where a free block starts; the next group of the list. */
export const SLAB_GROUP = { free: 0, next: 1, words: 2, granules: 32 } as const;
/** The first group of a list: the word with its bits; its last granule, by which it is named. */
export const SLAB_HEAD = { word: 0, last: 1, words: 2 } as const;
/** Kind of a page: its class, whether it has hidden blocks. 0 = no page lies there. */
export const SLAB_KIND = { class: 31, guarded: 32 } as const;

if (SLAB.hidden + SLAB_HIDDEN > SLAB.heads) throw new Error('layout: hidden blocks of slab');
if (SLAB.heads + SLAB_HEAD.words * (SLAB_CLASSES + 1) > SLAB.directory) {
  throw new Error('layout: classes');
}
if (SLAB.directory + SLOT_GRANULES / 2 ** SLAB_TABLE.shift !== SLAB.words) {
  throw new Error('layout: directory of slab');
}
if (SLAB_TABLE.kinds + 2 ** (SLAB_TABLE.shift - SLAB_PAGE.shift) !== SLAB_TABLE.groups
  || SLAB_TABLE.groups + SLAB_GROUP.words * 2 ** SLAB_TABLE.shift / SLAB_GROUP.granules
    !== SLAB_TABLE.words) throw new Error('layout: table of slab');

// ---- regions shared by threads -----------------------------------------------------------------

/**
 * Page 1 of the segments of a region in a SharedArrayBuffer, offsets of the segment. Each segment
 * has its `lock`; the rest is segment 0's alone. Every field is a 32-bit word; `capacity` counts
 * pages.
 */
export const SHARED = {
  lock: PAGE + 512,
  magic: PAGE + 576,
  shards: PAGE + 580,
  slotShift: PAGE + 584,
  capacity: PAGE + 588,
  maker: PAGE + 592,
  isReady: PAGE + 596,
  takeovers: PAGE + 600,
  rootsLock: PAGE + 640,
  threads: PAGE + 704,
} as const;
export const SHARED_MAGIC = 0x52485347;
/** Shards a region may have: their numbers are bits of a word. */
export const MAX_SHARDS = 32;
/** One entry of the table of threads: whose it is (u64, 0 = nobody's), the how-manieth. */
export const THREAD = { identity: 0, generation: 8, threadId: 12, bytes: 16 } as const;
export const MAX_THREADS = 200;
/** Identity of a thread: its id in the system above, when it started below. */
export const THREAD_ID_SHIFT = 32n;
/** Marks the identity of a thread whose id in the system is not known. */
export const THREAD_UNKNOWN = 2n ** 62n;
/**
 * A lock word: FREE, LEFT half done, CONDEMNED, or its owner's ticket: whether others wait, place
 * in the table of threads + 1, generation.
 */
export const LOCK = { free: 0, left: -2, condemned: -4 } as const;
export const LOCK_WAITING = 1;
export const TICKET = {
  placeShift: 1, placeBits: 8, generationShift: 9, generationBits: 22,
} as const;

if (SHARED.lock < STATE.at + STATE.bytes) throw new Error('layout: lock of a segment');
if (SHARED.threads + MAX_THREADS * THREAD.bytes > METHOD_START) throw new Error('layout: threads');
if (MAX_THREADS >= 2 ** TICKET.placeBits) throw new Error('layout: tickets');
// ---- pool ------------------------------------------------------------------------------------

/**
 * State of the method `pool`: offsets in words from its first granule. `fixed` is the size of its
 * blocks + 1, 0 = not fixed yet; `granules` that size, `top` and `free` are granules; `hidden` has
 * two words a block, where and how long. The directory has a word per 65,536 granules: the granule
 * of the bitmap of the blocks that start there.
 */
export const POOL = {
  magic: 0,
  fixed: 1,
  granules: 2,
  top: 3,
  free: 4,
  hidden: 8,
  directory: 88,
  words: 4184,
} as const;
export const POOL_MAGIC = 0x4c4f4f50;
export const POOL_HIDDEN = 40;
export const POOL_CHUNK_SHIFT = 16;
/** Granules of the bitmap of one entry of the directory. */
export const POOL_MAP_GRANULES = 2 ** POOL_CHUNK_SHIFT / 8 / GRANULE;

if (POOL.hidden + 2 * POOL_HIDDEN > POOL.directory) throw new Error('layout: hidden of pool');
if (POOL.directory + SLOT_GRANULES / 2 ** POOL_CHUNK_SHIFT !== POOL.words) {
  throw new Error('layout: pool');
}

// ---- files of direct regions -----------------------------------------------------------------

/**
 * Journal of the discipline `file`: header, table, page images. A page number counts pages of the
 * region's address space. `crc` covers the header before it and the table.
 */
export const JOURNAL_MAGIC = 'RGNJRNL1';
export const JOURNAL = {
  magic: 0,
  regionId: 8,
  fileBytes: 24,
  pageCount: 32,
  crc: 36,
  bytes: 40,
} as const;
export const JOURNAL_ENTRY = { page: 0, crc: 4, bytes: 8 } as const;

// ---- compressed regions ----------------------------------------------------------------------

/**
 * File of the discipline `compressed`: two slots, a page each, that say what the file holds; then,
 * in whole units, anywhere, the table and the chunks it lists. A chunk number counts chunks of the
 * region's address space. `tableCrc` is of the table, `crc` of the slot before it.
 */
export const COMPRESSED_MAGIC = 'RGNCOMP1';
export const COMPRESSED_VERSION = 1;
export const COMPRESSED = {
  magic: 0,
  version: 8,
  codec: 12,
  regionId: 16,
  sequence: 32,
  capacity: 40,
  tableAt: 48,
  chunkCount: 56,
  tableCrc: 60,
  segmentPages: 128,
  crc: 508,
  bytes: 512,
} as const;
/** Table entry of a chunk that is not all zero, by chunk number. */
export const COMPRESSED_CHUNK = { chunk: 0, length: 4, place: 8, digest: 16, bytes: 32 } as const;
export const COMPRESSED_SLOTS = [0, PAGE] as const;
/** Where units begin, and how long one is. */
export const COMPRESSED_START = 2 * PAGE;
export const COMPRESSED_UNIT = 64;
export const CHUNK = 64 * 1024;
export const CHUNKS_PER_SEGMENT = SLOT_BYTES / CHUNK;
export const CODEC = { deflate: 1, zstd: 2 } as const;

if (COMPRESSED.segmentPages + MAX_SEGMENTS * 4 > COMPRESSED.crc) {
  throw new Error('layout: compressed segment table');
}

// ---- traces ----------------------------------------------------------------------------------

/** Allocation traces (.vmt): 32-bit little-endian words, header then records of two words. */
export const TRACE_MAGIC = 0x31544d56;
/** The bytes `VMT`: a trace of whatever version, in the low 24 bits of its first word. */
export const TRACE_FAMILY = 0x544d56;
export const TRACE_FAMILY_MASK = 0xffffff;
export const TRACE = {
  magic: 0,
  headerWords: 1,
  records: 2,
  slots: 3,
  operations: 4,
  peakBytes: 5,
  peakBlocks: 7,
  flags: 8,
  leftBlocks: 9,
  leftBytes: 10,
  words: 16,
} as const;
/** Bits of the field `flags`: nothing is left over; only the beginning was recorded. */
export const TRACE_FLAGS = { nothingLeft: 1, cutOff: 2 } as const;
export const TRACE_RECORD = {
  words: 2,
  operation: 3,
  zero: 4,
  slotShift: 3,
  alloc: 0,
  free: 1,
  resize: 2,
  align: 3,
  /** One past the largest slot. */
  slots: 2 ** 29,
} as const;
/** First line of a line trace, and the start of its last. */
export const TRACE_HEAD = '# regionstore trace ';
export const TRACE_LINE_VERSION = 1;
export const TRACE_END = '# end ';

/**
 * Counters of the writer of a store, in one page that is mapped shared, is never synced and belongs
 * to no checkpoint. Each field is an f64, stored alone.
 */
export const COUNTERS_MAGIC = 'RGNCNTR1';
export const COUNTERS = {
  magic: 0,
  storeId: 16,
  pid: 32,
  openedAt: 40,
  closedAt: 48,
  updatedAt: 56,
  sequence: 64,
  checkpoints: 72,
  pages: 80,
  imageBytes: 88,
  busyMs: 96,
  lastMs: 104,
  grownBytes: 112,
  rollbacks: 120,
} as const;
