/**
 * Text in blocks: Latin-1 where it fits, else UTF-8, and UTF-16 for what has lone surrogates, so
 * that every string comes back as it was. The length is in the tag; the empty text has no block.
 * A text belongs to one slot.
 */
import { RegionError } from '../errors.ts';
import { MAX_DETAIL, ROLE, ROLE_MASK, ROLE_SHIFT, TEXT, GRANULE_MASK, WORD_SHIFT }
  from '../layout-objects.ts';
import type { Memory } from './memory.ts';

const WIDE = /[^\u0000-\u00ff]/;
const LONE_SURROGATE = /\p{Surrogate}/u;
/** Up to so many bytes a loop is faster than a call into V8. */
const SHORT = 24;
const WORD_BYTES = 4;

/** A new block with the text; 0 for the empty one. ERR_BAD_SIZE above 128 MiB, ERR_NO_SPACE. */
export function newText(memory: Memory, text: string): number {
  if (text.length <= SHORT) {
    const ref = newShort(memory, text);
    if (ref !== -1) return ref;
  }
  if (!WIDE.test(text)) return newEncoded(memory, text, ROLE.latin1, 'latin1', text.length);
  if (LONE_SURROGATE.test(text)) {
    return newEncoded(memory, text, ROLE.utf16, 'utf16le', text.length * 2);
  }
  return newEncoded(memory, text, ROLE.utf8, 'utf8', Buffer.byteLength(text));
}

/** The same for a few characters below U+0100, without a call; -1 = it has others. */
function newShort(memory: Memory, text: string): number {
  const { length } = text;
  if (length === 0) return 0;
  for (let i = 0; i < length; i++) if (text.charCodeAt(i) > 0xff) return -1;
  const ref = memory.alloc(TEXT.bytes * WORD_BYTES + length);
  const { i32 } = memory.views(ref);
  let at = (ref & GRANULE_MASK) << WORD_SHIFT;
  i32[at] = ROLE.latin1 | (length << ROLE_SHIFT);
  for (let i = 0; i < length; i += 4) {
    at += 1;
    // Characters past the end are NaN, which the operators take for 0.
    i32[at] = text.charCodeAt(i) | (text.charCodeAt(i + 1) << 8) | (text.charCodeAt(i + 2) << 16)
      | (text.charCodeAt(i + 3) << 24);
  }
  return ref;
}

function newEncoded(
  memory: Memory, text: string, role: number, encoding: BufferEncoding, bytes: number,
): number {
  if (bytes > MAX_DETAIL) {
    throw new RegionError('ERR_BAD_SIZE',
      `a string of ${bytes} bytes is too long: at most ${MAX_DETAIL}; keep it as bytes()`);
  }
  const ref = memory.alloc(TEXT.bytes * WORD_BYTES + bytes);
  bufferOf(memory, ref, bytes).write(text, encoding);
  memory.views(ref).i32[memory.word(ref)] = role | (bytes << ROLE_SHIFT);
  return ref;
}

/** The text of a block; '' for 0, null where the block holds no text. */
export function loadText(memory: Memory, ref: number): string | null {
  if (ref === 0) return '';
  const { i32 } = memory.views(ref);
  const word = (ref & GRANULE_MASK) << WORD_SHIFT;
  const tag = i32[word];
  const bytes = tag >>> ROLE_SHIFT;
  const role = tag & ROLE_MASK;
  if ((word + TEXT.bytes) * WORD_BYTES + bytes > i32.byteLength) return null;
  if (role === ROLE.latin1) {
    return bytes <= SHORT ? loadShort(i32, word + TEXT.bytes, bytes)
      : bufferOf(memory, ref, bytes).latin1Slice();
  }
  if (role === ROLE.utf8) return bufferOf(memory, ref, bytes).utf8Slice();
  return role === ROLE.utf16 ? bufferOf(memory, ref, bytes).ucs2Slice() : null;
}

function loadShort(i32: Int32Array, from: number, bytes: number): string {
  let text = '';
  for (let i = 0; i < bytes; i++) {
    text += String.fromCharCode((i32[from + (i >> 2)] >>> ((i & 3) << 3)) & 0xff);
  }
  return text;
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
  const both = bytes < length ? bytes : length;
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

interface Slices extends Buffer {
  latin1Slice(): string;
  utf8Slice(): string;
  ucs2Slice(): string;
}

/** The bytes of a text, as a Buffer. */
function bufferOf(memory: Memory, ref: number, bytes: number): Slices {
  const { buffer, byteOffset } = memory.views(ref).u8;
  const at = byteOffset + memory.word(ref) * WORD_BYTES + TEXT.bytes * WORD_BYTES;
  return Buffer.from(buffer as ArrayBuffer, at, bytes) as Slices;
}
