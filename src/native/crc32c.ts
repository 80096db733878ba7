/**
 * CRC-32C (Castagnoli) in TypeScript, for machines without the shim: eight tables, eight bytes a
 * step ("slicing by 8", Intel 2006). The same results as Shim.crc32c.
 */

const POLYNOMIAL = 0x82f63b78;
const SLICES = 8;
const BYTE_VALUES = 256;
const TABLES = fillTables();

function fillTables(): Int32Array {
  const tables = new Int32Array(SLICES * BYTE_VALUES);
  for (let n = 0; n < BYTE_VALUES; n++) {
    let crc = n;
    for (let bit = 0; bit < 8; bit++) crc = (crc >>> 1) ^ (crc & 1 ? POLYNOMIAL : 0);
    tables[n] = crc;
  }
  for (let i = BYTE_VALUES; i < tables.length; i++) {
    const before = tables[i - BYTE_VALUES];
    tables[i] = (before >>> 8) ^ tables[before & 255];
  }
  return tables;
}

/** One byte: table 0. */
function step(crc: number, byte: number): number {
  return (crc >>> 8) ^ TABLES[(crc ^ byte) & 255];
}

/** Four bytes, in `word`, that are followed by `behind` more bytes of the same step. */
function fold(word: number, behind: number): number {
  const last = behind * BYTE_VALUES;
  return (
    TABLES[last + 768 + (word & 255)] ^
    TABLES[last + 512 + ((word >>> 8) & 255)] ^
    TABLES[last + 256 + ((word >>> 16) & 255)] ^
    TABLES[last + (word >>> 24)]
  );
}

function wordAt(data: Uint8Array, at: number): number {
  return data[at] | (data[at + 1] << 8) | (data[at + 2] << 16) | (data[at + 3] << 24);
}

/**
 * CRC of `bytes` bytes from `at` on; `seed` is the crc of what came before, 0 at the start.
 * Throws a RangeError for bytes outside the array.
 */
export function crc32c(data: Uint8Array, at: number, bytes: number, seed: number): number {
  const inside = Number.isInteger(at) && Number.isInteger(bytes) && at >= 0 && bytes >= 0;
  if (!inside || at + bytes > data.length) {
    throw new RangeError(`crc32c: bytes ${at} … ${at + bytes} of ${data.length}`);
  }
  const end = at + bytes;
  let crc = ~seed;
  let i = at;
  for (; i + SLICES <= end; i += SLICES) {
    crc = fold(crc ^ wordAt(data, i), 4) ^ fold(wordAt(data, i + 4), 0);
  }
  for (; i < end; i++) crc = step(crc, data[i]);
  return ~crc >>> 0;
}
