/**
 * The blocks of a region as text, one JSON object a line: a region of raw blocks as `export` writes
 * it and `import` makes a new one of it (FORMAT.md, A region as text). Addresses inside of blocks
 * are bytes like any others: where blocks come to lie elsewhere, those would mislead, so it is said
 * how many did.
 */
import { RegionError } from '../errors.ts';
import { scratchBytes } from '../native/scratch.ts';
import type { Address, Region } from '../types.ts';

const FORMAT = 'regionstore blocks';
const VERSION = 1;
/** Bytes of a block on one line. */
const PIECE = 3 * 2 ** 18;

export interface RawCount {
  blocks: number;
  bytes: number;
}

export function* rawLines(region: Region, count: RawCount): IterableIterator<string> {
  yield JSON.stringify({ $format: FORMAT, version: VERSION, method: region.method });
  for (const { address, size, busy } of region.blocks()) {
    if (!busy) continue;
    const bytes = region.bytes(address);
    for (let from = 0; from === 0 || from < size; from += PIECE) {
      const text = Buffer.from(bytes.buffer, bytes.byteOffset + from, Math.min(PIECE, size - from))
        .toString('base64');
      yield JSON.stringify(from === 0 ? { at: address, size, bytes: text }
        : { more: address, bytes: text });
    }
    count.blocks += 1;
    count.bytes += size;
  }
  yield JSON.stringify({ $roots: [...region.roots], blocks: count.blocks });
}

export interface RawImported extends RawCount {
  readonly roots: number;
  /** Blocks that lie elsewhere than where they were exported. */
  readonly moved: number;
}

/** The method an export names; null where it is none of blocks. ERR_CORRUPT, ERR_VERSION. */
export function rawMethodOf(first: string): string | null {
  if (!first.includes(`"${FORMAT}"`)) return null;
  const { $format, version, method } = parsed(first, 1);
  if ($format !== FORMAT) return null;
  if (version !== VERSION) {
    throw new RegionError('ERR_VERSION',
      `the export has version ${String(version)}, this program reads ${VERSION}; update it`);
  }
  if (typeof method === 'string') return method;
  throw wrong(1, 'it names no method');
}

/** Fills an empty region; `lines` are those behind the first. ERR_CORRUPT names the line. */
export function fillFrom(region: Region, lines: Iterable<string>): RawImported {
  const reading = new Reading(region);
  for (const line of lines) reading.take(line);
  return reading.end();
}

class Reading {
  readonly #region: Region;
  readonly #moved = new MovedBlocks();
  #blocks = 0;
  #line = 1;
  /** The block that is being filled: where it was, its bytes, how many are there. */
  #open: { readonly at: number; readonly bytes: Uint8Array; filled: number } | null = null;
  #last = -1;
  #bytes = 0;
  #roots = -1;

  constructor(region: Region) {
    this.#region = region;
  }

  take(line: string): void {
    this.#line += 1;
    if (line.trim() === '') return;
    const found = parsed(line, this.#line);
    if (this.#roots >= 0) throw this.#wrong('something follows its last line');
    if ('more' in found) this.#fill(found);
    else {
      this.#close();
      if ('$roots' in found) this.#finish(found);
      else this.#block(found);
    }
  }

  end(): RawImported {
    if (this.#roots < 0) throw this.#wrong('it was cut off: the line with the roots is missing');
    return { blocks: this.#blocks, bytes: this.#bytes, roots: this.#roots,
      moved: this.#moved.count };
  }

  #block({ at, size, bytes }: Found): void {
    if (!isCount(at) || at <= this.#last) throw this.#wrong('no address behind the one before');
    if (!isCount(size)) throw this.#wrong('no size of a block');
    this.#last = at;
    const address = this.#region.alloc(size);
    if (address !== at) this.#moved.add(at, address);
    this.#blocks += 1;
    this.#open = { at, bytes: this.#region.bytes(address).subarray(0, size), filled: 0 };
    this.#bytes += size;
    this.#fill({ more: at, bytes });
  }

  #fill({ more, bytes: text }: Found): void {
    const open = this.#open;
    if (open === null || more !== open.at) throw this.#wrong('more of a block that is not open');
    if (typeof text !== 'string' || !/^[A-Za-z0-9+/]*={0,2}$/.test(text)) {
      throw this.#wrong('its bytes are no Base64');
    }
    const bytes = Buffer.from(text, 'base64');
    if (bytes.length > open.bytes.length - open.filled) throw this.#wrong('more than its size');
    open.bytes.set(bytes, open.filled);
    open.filled += bytes.length;
  }

  #close(): void {
    const open = this.#open;
    if (open !== null && open.filled < open.bytes.length) {
      throw this.#wrong(`the block at ${open.at} has ${open.filled} of ${open.bytes.length} bytes`);
    }
    this.#open = null;
  }

  /** A root that was the address of a block is that of the same block. */
  #finish({ $roots, blocks }: Found): void {
    if (blocks !== this.#blocks) throw this.#wrong(`it has not the ${String(blocks)} blocks`);
    if (!Array.isArray($roots)) throw this.#wrong('no roots');
    for (const root of $roots as unknown[]) {
      const [name, value] = Array.isArray(root) ? root as unknown[] : [];
      if (typeof name !== 'string' || !isCount(value)) throw this.#wrong('no name and value');
      this.#region.roots.set(name, this.#moved.find(value));
    }
    this.#roots = $roots.length;
  }

  #wrong(what: string): RegionError {
    return wrong(this.#line, what);
  }
}

/** Blocks that are not where they were, in the order of where they were. */
class MovedBlocks {
  /** Pairs: from, to. */
  #pairs = numbers(1024);
  #length = 0;

  get count(): number {
    return this.#length / 2;
  }

  add(from: number, to: Address): void {
    if (this.#length === this.#pairs.length) {
      const pairs = numbers(this.#length * 2);
      pairs.set(this.#pairs);
      this.#pairs = pairs;
    }
    this.#pairs[this.#length] = from;
    this.#pairs[this.#length + 1] = to;
    this.#length += 2;
  }

  /** Where a block is now; what is no address of a block that moved stays as it is. */
  find(from: number): Address {
    let low = 0;
    for (let high = this.count; low < high;) {
      const middle = Math.floor((low + high) / 2);
      if (this.#pairs[2 * middle] < from) low = middle + 1;
      else high = middle;
    }
    const isMoved = low < this.count && this.#pairs[2 * low] === from;
    return (isMoved ? this.#pairs[2 * low + 1] : from) as Address;
  }
}

function numbers(count: number): Float64Array<ArrayBuffer> {
  return new Float64Array(scratchBytes(count * 8).buffer, 0, count);
}

type Found = Readonly<Record<string, unknown>>;

function parsed(line: string, number: number): Found {
  try {
    const found: unknown = JSON.parse(line);
    if (typeof found === 'object' && found !== null && !Array.isArray(found)) return found as Found;
  } catch (error) {
    throw new RegionError('ERR_CORRUPT',
      `line ${number} of the export is no JSON: ${(error as Error).message}`, error);
  }
  throw wrong(number, 'it is no object');
}

function wrong(line: number, what: string): RegionError {
  return new RegionError('ERR_CORRUPT', `line ${line} of the export: ${what}; nothing was changed`);
}

function isCount(value: unknown): value is number {
  return Number.isSafeInteger(value) && (value as number) >= 0;
}
