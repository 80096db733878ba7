/**
 * Text in blocks: Latin-1 where it fits, else UTF-8, and UTF-16 for what has lone surrogates, so
 * that every string comes back as it was. The length is in the tag; the empty text has no block.
 * A text belongs to one slot.
 */
import { RegionError } from '../errors.ts';
import { MAX_DETAIL, ROLE, ROLE_MASK, ROLE_SHIFT, TEXT, GRANULE_MASK, WORD_SHIFT }
  from '../layout-objects.ts';
import type { Memory } from './memory.ts';

const WIDE = /[\u0100-\uffff]/;
const LONE_SURROGATE = /\p{Surrogate}/u;
const LATIN1 = 0xff;
/** Up to so many characters a loop writes faster (13: 18 ns) than a call into V8 (45 ns). */
const SHORT = 24;
/** The same for reading; from 13 characters on V8 would not join them, but refer to the parts. */
const SHORT_TO_READ = 12;
const WORD_BYTES = 4;

/** A new block with the text; 0 for the empty one. ERR_BAD_SIZE above 128 MiB, ERR_NO_SPACE. */
export function newText(memory: Memory, text: string): number {
  if (text.length <= SHORT) {
    const ref = newShort(memory, text);
    if (ref !== -1) return ref;
  }
  if (!WIDE.test(text)) {
    const ref = newBlock(memory, ROLE.latin1, text.length);
    memory.views(ref).bytes.latin1Write(text, startOf(memory, ref), text.length);
    return ref;
  }
  const isLone = LONE_SURROGATE.test(text);
  const bytes = isLone ? text.length * 2 : Buffer.byteLength(text);
  const ref = newBlock(memory, isLone ? ROLE.utf16 : ROLE.utf8, bytes);
  const target = memory.views(ref).bytes;
  if (isLone) target.ucs2Write(text, startOf(memory, ref), bytes);
  else target.utf8Write(text, startOf(memory, ref), bytes);
  return ref;
}

/** The words of a short text: looked at and put together in one go, before there is a block. */
const words = new Int32Array(SHORT / WORD_BYTES);
let packed = 0;

/** The same for a few characters below U+0100, without a call; -1 = it has others. */
function newShort(memory: Memory, text: string): number {
  const { length } = text;
  if (length === 0) return 0;
  if (pack(text) > LATIN1) return -1;
  const mine = packed;
  const count = (length + WORD_BYTES - 1) >> 2;
  // Whole words are written, so they are asked for.
  const ref = memory.alloc((TEXT.bytes + count) * WORD_BYTES);
  // Where there is no room, code of the program is asked, which may have made texts.
  if (packed !== mine) pack(text);
  const { i32 } = memory.views(ref);
  const at = (ref & GRANULE_MASK) << WORD_SHIFT;
  i32[at] = ROLE.latin1 | (length << ROLE_SHIFT);
  for (let k = 0; k < count; k++) i32[at + TEXT.bytes + k] = words[k];
  return ref;
}

/** Puts characters into words, four each; returns the bits that any of them has. */
function pack(text: string): number {
  const { length } = text;
  const whole = length & -WORD_BYTES;
  let all = 0;
  let count = 0;
  let i = 0;
  while (i < whole) {
    const a = text.charCodeAt(i);
    const b = text.charCodeAt(i + 1);
    const c = text.charCodeAt(i + 2);
    const d = text.charCodeAt(i + 3);
    all |= a | b | c | d;
    words[count++] = a | (b << 8) | (c << 16) | (d << 24);
    i += WORD_BYTES;
  }
  let last = 0;
  for (let shift = 0; i < length; shift += 8) {
    const a = text.charCodeAt(i++);
    all |= a;
    last |= a << shift;
  }
  if (count < words.length) words[count] = last;
  packed += 1;
  return all;
}

function newBlock(memory: Memory, role: number, bytes: number): number {
  if (bytes > MAX_DETAIL) {
    throw new RegionError('ERR_BAD_SIZE',
      `a string of ${bytes} bytes is too long: at most ${MAX_DETAIL}; keep it as bytes()`);
  }
  const ref = memory.alloc(TEXT.bytes * WORD_BYTES + bytes);
  memory.views(ref).i32[memory.word(ref)] = role | (bytes << ROLE_SHIFT);
  return ref;
}

/** Where the bytes of a text start in its segment. */
function startOf(memory: Memory, ref: number): number {
  return (memory.word(ref) + TEXT.bytes) * WORD_BYTES;
}

/** The text of a block; '' for 0, null where the block holds no text. */
export function loadText(memory: Memory, ref: number): string | null {
  if (ref === 0) return '';
  const { i32, bytes } = memory.views(ref);
  const from = ((ref & GRANULE_MASK) << WORD_SHIFT) + TEXT.bytes;
  const tag = i32[from - TEXT.bytes];
  const length = tag >>> ROLE_SHIFT;
  const role = tag & ROLE_MASK;
  const start = from * WORD_BYTES;
  const end = start + length;
  if (end > i32.byteLength) return null;
  if (role === ROLE.latin1) {
    return length <= SHORT_TO_READ ? loadShort(i32, from, length) : bytes.latin1Slice(start, end);
  }
  if (role === ROLE.utf8) return bytes.utf8Slice(start, end);
  return role === ROLE.utf16 ? bytes.ucs2Slice(start, end) : null;
}

/** One call of fromCharCode for each two words: 12 ns for 8 characters. */
function loadShort(i32: Int32Array, from: number, length: number): string {
  if (length < 8) return length === 0 ? '' : loadPart(i32[from], i32[from + 1], length);
  const w = i32[from];
  const v = i32[from + 1];
  const text = String.fromCharCode(w & 255, (w >>> 8) & 255, (w >>> 16) & 255, w >>> 24,
    v & 255, (v >>> 8) & 255, (v >>> 16) & 255, v >>> 24);
  return length === 8 ? text : text + loadPart(i32[from + 2], 0, length - 8);
}

/** The first 1 to 7 characters of two words. */
function loadPart(w: number, v: number, length: number): string {
  const a = w & 255;
  const b = (w >>> 8) & 255;
  const c = (w >>> 16) & 255;
  const d = w >>> 24;
  const e = v & 255;
  const f = (v >>> 8) & 255;
  if (length === 1) return String.fromCharCode(a);
  if (length === 2) return String.fromCharCode(a, b);
  if (length === 3) return String.fromCharCode(a, b, c);
  if (length === 4) return String.fromCharCode(a, b, c, d);
  if (length === 5) return String.fromCharCode(a, b, c, d, e);
  if (length === 6) return String.fromCharCode(a, b, c, d, e, f);
  return String.fromCharCode(a, b, c, d, e, f, (v >>> 16) & 255);
}

/** Is it the text of the block? Does not build the block's text where it is Latin-1. */
export function equalsText(memory: Memory, ref: number, text: string): boolean {
  if (ref === 0) return text.length === 0;
  const { i32 } = memory.views(ref);
  const word = (ref & GRANULE_MASK) << WORD_SHIFT;
  const tag = i32[word];
  if ((tag & ROLE_MASK) !== ROLE.latin1) return loadText(memory, ref) === text;
  const { length } = text;
  if (tag >>> ROLE_SHIFT !== length) return false;
  const from = word + TEXT.bytes;
  for (let i = 0; i < length; i++) {
    if (text.charCodeAt(i) !== ((i32[from + (i >> 2)] >>> ((i & 3) << 3)) & 0xff)) return false;
  }
  return true;
}

/**
 * Negative, 0, positive: is the block's text before, equal to or behind `text`, by UTF-16 units, as
 * `<` has it? NaN where the block holds no text. Builds no string where the block is Latin-1.
 */
export function compareText(memory: Memory, ref: number, text: string): number {
  const { length } = text;
  if (ref === 0) return 0 - length;
  const { i32 } = memory.views(ref);
  const word = (ref & GRANULE_MASK) << WORD_SHIFT;
  const tag = i32[word];
  if ((tag & ROLE_MASK) !== ROLE.latin1) return compareWide(memory, ref, text);
  const bytes = tag >>> ROLE_SHIFT;
  const both = Math.min(bytes, length);
  const from = word + TEXT.bytes;
  for (let i = 0; i < both; i++) {
    const apart = ((i32[from + (i >> 2)] >>> ((i & 3) << 3)) & 0xff) - text.charCodeAt(i);
    if (apart !== 0) return apart;
  }
  return bytes - length;
}

function compareWide(memory: Memory, ref: number, text: string): number {
  const mine = loadText(memory, ref);
  if (mine === null) return Number.NaN;
  return mine < text ? -1 : Number(mine > text);
}

/** How many of the first `most` UTF-16 units a block's text and another one have in common. */
export function sharedUnits(memory: Memory, ref: number, text: string, most: number): number {
  const { i32 } = memory.views(ref);
  const word = (ref & GRANULE_MASK) << WORD_SHIFT;
  const tag = i32[word];
  if (ref === 0 || (tag & ROLE_MASK) !== ROLE.latin1) return sharedWide(memory, ref, text, most);
  let end = tag >>> ROLE_SHIFT;
  if (text.length < end) end = text.length;
  if (most < end) end = most;
  const from = word + TEXT.bytes;
  for (let i = 0; i < end; i++) {
    if (text.charCodeAt(i) !== ((i32[from + (i >> 2)] >>> ((i & 3) << 3)) & 0xff)) return i;
  }
  return end;
}

function sharedWide(memory: Memory, ref: number, text: string, most: number): number {
  const mine = ref === 0 ? '' : loadText(memory, ref) ?? '';
  const end = Math.min(mine.length, text.length, most);
  for (let i = 0; i < end; i++) if (text.charCodeAt(i) !== mine.charCodeAt(i)) return i;
  return end;
}

/** A UTF-16 unit of a block's text; 0 behind its end, and where the block holds none. */
export function unitAt(memory: Memory, ref: number, i: number): number {
  if (ref === 0) return 0;
  const { i32 } = memory.views(ref);
  const word = (ref & GRANULE_MASK) << WORD_SHIFT;
  const tag = i32[word];
  if ((tag & ROLE_MASK) !== ROLE.latin1) return (loadText(memory, ref) ?? '').charCodeAt(i) | 0;
  if (i >= tag >>> ROLE_SHIFT) return 0;
  return (i32[word + TEXT.bytes + (i >> 2)] >>> ((i & 3) << 3)) & 0xff;
}

const FNV_PRIME = 0x01000193;
const FNV_START = 0x811c9dc5 | 0;

/** FNV-1a over UTF-16 units, then mixed; a signed 32-bit integer. */
export function hashText(text: string): number {
  let hash = FNV_START;
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), FNV_PRIME);
  return mix(hash);
}

/** Spreads every bit over all others (murmur3's finalizer). */
export function mix(hash: number): number {
  let h = hash ^ (hash >>> 16);
  h = Math.imul(h, 0x85ebca6b);
  h ^= h >>> 13;
  h = Math.imul(h, 0xc2b2ae35);
  return h ^ (h >>> 16);
}
