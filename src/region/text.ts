/** Text in regions: UTF-8 that comes back as it went in, so no lone surrogates and no NUL. */
import { RegionError } from '../errors.ts';

// ignoreBOM keeps a leading U+FEFF, which belongs to the text.
const decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });
const LONE_SURROGATE = /\p{Surrogate}/u;

/** UTF-8 of `text`; ERR_BAD_OPTION when it cannot come back the same. `what` names it. */
export function encodeText(text: unknown, what: string): Uint8Array {
  if (typeof text !== 'string') throw bad(`${what} is ${typeof text}; give a string`);
  if (text.includes('\0')) throw bad(`${what} holds a NUL character; leave it out`);
  if (LONE_SURROGATE.test(text)) {
    throw bad(`${what} holds half a surrogate pair, which is no UTF-8; give whole characters`);
  }
  // From Node's pool: beside windows of GiB, V8 collects garbage for each buffer of its own.
  return Buffer.from(text);
}

/** Bytes in front of a text in its block: its length, u32. */
export const TEXT_BYTES = 4;

/** Writes length and bytes of a text into its block. */
export function storeText(block: Uint8Array, text: Uint8Array): void {
  new Uint32Array(block.buffer, block.byteOffset, 1)[0] = text.length;
  block.set(text, TEXT_BYTES);
}

/** The text in a block, or null when there is none. */
export function loadText(block: Uint8Array): string | null {
  if (block.length < TEXT_BYTES) return null;
  const [length] = new Uint32Array(block.buffer, block.byteOffset, 1);
  if (length > block.length - TEXT_BYTES) return null;
  return decodeText(block.subarray(TEXT_BYTES, TEXT_BYTES + length));
}

/** The text of UTF-8 bytes, or null when they are not UTF-8. */
export function decodeText(bytes: Uint8Array): string | null {
  try {
    return decoder.decode(bytes);
  } catch {
    return null;
  }
}

function bad(message: string): RegionError {
  return new RegionError('ERR_BAD_OPTION', message);
}
