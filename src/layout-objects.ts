/**
 * The bytes of object heaps: the part of layout.ts that would not fit into it. The same rules:
 * nobody else writes an offset, a width or a mask.
 *
 * Everything in a heap is a block of its region. A block is named by its reference, the granule of
 * its payload counted over all segments, so that a reference takes 32 bits. 0 = none. The first
 * word of a block says what it is: its role in the low bits, above them what the role needs, a type
 * or a length. Offsets below are in words (4 bytes) from the start of the block, unless they say
 * otherwise.
 */

/** Segments a heap may have, so that a reference fits 32 bits: 16 × 4 GiB. */
export const HEAP_SEGMENTS = 16;
/** Granules of one segment, as a shift: reference = segment << shift | granule. */
export const SEGMENT_SHIFT = 28;
export const GRANULE_MASK = 2 ** SEGMENT_SHIFT - 1;
/** Words of a granule, as a shift. */
export const WORD_SHIFT = 2;

/** What a block is. Its first word: role | detail << shift. */
export const ROLE = {
  /** An object of a struct type; detail = its type. */
  object: 1,
  /** Text; detail = its length in bytes. Every character below U+0100, one byte each. */
  latin1: 2,
  /** Text; detail = its length in bytes. Well-formed, UTF-8. */
  utf8: 3,
  /** Text with lone surrogates; detail = its length in bytes. UTF-16, little-endian. */
  utf16: 4,
  /** Bytes, or a typed array; detail = the kind of its elements (ELEMENT). */
  bytes: 5,
  /** A big integer; detail = 1 where it is negative. */
  bigint: 6,
  /** A growable list; detail = its type, list(…). */
  list: 7,
  /** The elements of a list; detail = the list's type. */
  elements: 8,
  /** A hash map or set; detail = its type. */
  hash: 9,
  /** Entries of a hash; detail = its type. */
  entries: 10,
  /** Heads of the chains of a hash: no references. */
  buckets: 11,
  /** References and nothing else; detail = how many there is room for. */
  directory: 12,
  /** A sorted map; detail = its type. */
  tree: 13,
  /** A node of a sorted map: a leaf; detail = its type. */
  leaf: 14,
  /** The same: an inner node. */
  branch: 15,
  /** The object moved because its type changed: FORWARD. */
  forward: 16,
  /** A moment in time that is the value of an `any`: MOMENT. */
  moment: 17,
  /** The head of the heap: HEAD. */
  head: 18,
} as const;
export const ROLE_SHIFT = 5;
export const ROLE_MASK = 2 ** ROLE_SHIFT - 1;
/** Details end here: types, and the bytes of a text. */
export const MAX_DETAIL = 2 ** (32 - ROLE_SHIFT) - 1;

/** Root of the region under which a heap's head is kept. */
export const HEAD_ROOT = 'regionstore heap';
/**
 * The head: types = a directory of descriptors, texts in JSON, by type; root = the map of named
 * values, map(str, any).
 */
export const HEAD = { tag: 0, version: 1, types: 2, typeCount: 3, root: 4, words: 8 } as const;
export const HEAP_VERSION = 1;

/** Text: its bytes follow the tag. */
export const TEXT = { tag: 0, bytes: 1 } as const;
/** Bytes: their length, then they themselves, at a multiple of 8. */
export const BYTES = { tag: 0, length: 1, data: 2 } as const;
/** Big integer: words of its magnitude, least significant first. */
export const BIGINT = { tag: 0, count: 1, magnitude: 2 } as const;
/** Moment: milliseconds since 1970, f64. */
export const MOMENT = { tag: 0, time: 2 } as const;
/** Where an object went. */
export const FORWARD = { tag: 0, to: 1 } as const;
/** An object: its fields follow the tag, as the descriptor of its type says. */
export const OBJECT = { tag: 0, fields: 1 } as const;
/** A directory: its references follow the tag. */
export const DIRECTORY = { tag: 0, entries: 1 } as const;

/** A list: `length` elements, in one block with room for `room`. */
export const LIST = { tag: 0, length: 1, room: 2, elements: 3, words: 4 } as const;
/**
 * The elements of a list: room for `room`, from a multiple of 8 on, each as wide as a slot of its
 * kind. Where they may hold references, what is not in use is zeros.
 */
export const ELEMENTS = { tag: 0, room: 1, data: 2 } as const;

/**
 * A hash map or set: `size` entries that are alive among `used`, with room for `room`. `first` = no
 * entry before it is alive. `buckets` chains, 0 while there are few entries. `entries` and `heads`
 * name one block each, or, where that does not suffice, a directory of blocks.
 */
export const HASH = { tag: 0, size: 1, used: 2, room: 3, first: 4, buckets: 5, entries: 6, heads: 7,
  words: 8 } as const;
/**
 * Entries of a hash in the order of insertion: alive | room << ROOM_SHIFT, how many are alive and
 * how many there is room for, then they, at a multiple of 8.
 */
export const ENTRIES = { tag: 0, counts: 1, data: 2 } as const;
export const ROOM_SHIFT = 16;
export const ALIVE_MASK = 2 ** ROOM_SHIFT - 1;
/**
 * An entry: the hash of its key, the number of the next entry in its chain + 1, 0 at the end. Then
 * come key and value, wide ones first.
 */
export const ENTRY = { hash: 0, next: 1, slots: 2 } as const;
/** `next` of an entry that was deleted. */
export const DEAD = -1;
/** Entries of a block that a directory names, as a shift. */
export const CHUNK_SHIFT = 10;
/** Chains: room for how many, then the number of the first entry of each + 1, 0 = none. */
export const BUCKETS = { tag: 0, room: 1, heads: 2 } as const;
/** Chains of a block that a directory names, as a shift. */
export const HEADS_SHIFT = 12;

/**
 * A sorted map: `count` entries below `root`, a leaf or a branch, 0 where it is empty. `changes` =
 * how often an entry came or went, modulo 2^32; iterations compare it.
 */
export const TREE = { tag: 0, count: 1, root: 2, changes: 3, words: 4 } as const;
/**
 * A node of a sorted map: `count` keys with room for `room`. The keys begin at `keys`; what belongs
 * to them, at the next multiple of 8: in a leaf the values, in a branch its children, one more than
 * keys. `next` = the leaf behind a leaf; unused in a branch.
 */
export const NODE = { tag: 0, count: 1, room: 2, next: 3, keys: 4 } as const;
/** Bytes of a node with all the room there is. */
export const NODE_BYTES = 512;
/** Levels of a tree, its leaves included. */
export const TREE_LEVELS = 16;

/** Kinds of elements of `bytes` blocks, as the detail of their tag. */
export const ELEMENT = { u8: 0, i8: 1, u8c: 2, u16: 3, i16: 4, u32: 5, i32: 6, f32: 7, f64: 8,
  i64: 9, u64: 10 } as const;

/**
 * A slot of kind `any` is a 64-bit float. What is not a number is a NaN whose high word is one of
 * these; its low word is the reference, or 0. Numbers that are NaN have the high word `nan`.
 */
export const ANY = {
  nan: 0x7ff80000,
  undefined: 0x7ff80001,
  null: 0x7ff80002,
  false: 0x7ff80003,
  true: 0x7ff80004,
  /** A reference; the block's own tag says to what. */
  ref: 0x7ff80005,
} as const;

/**
 * What an empty slot of kind `optional` holds: a reference that leads nowhere, the least number of
 * a wider slot, neither 0 nor 1. Floats and dates: the NaN `ANY.undefined`.
 */
export const NO_VALUE = { ref: 1, half: -(2 ** 15), word: -(2 ** 31), bool: 2 } as const;
