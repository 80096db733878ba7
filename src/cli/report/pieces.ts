/**
 * The memory of a region as pieces for the map of a report: block by block where there are few
 * enough, in cells of one size else, so that neither the report nor what makes it grows with the
 * region. A piece is two numbers of 32 bits: its length in granules, and a code:
 *
 *   bits 0–1    0 free, 1 live, 2 kept by the method, 3 a cell with some of all
 *   bits 2–9    of a cell: how much of it is live, 0 … 255
 *   bits 10–19  which type, the one with most bytes
 *   bits 20–25  which checkpoint it is there since
 *   bits 26–31  size of the block, or of the blocks on average: its binary logarithm
 */
import { GRANULE } from '../../layout.ts';

export const PIECE = { free: 0, live: 1, method: 2, cell: 3, shareShift: 2, typeShift: 10,
  sinceShift: 20, sizeShift: 26 } as const;
/** Blocks that are drawn one by one. */
export const MOST_BLOCKS = 100_000;
const MOST_CELLS = 2 ** 16;
export const MOST_TYPES = 1023;
const MOST_SINCE = 63;

export interface Part {
  readonly address: number;
  /** Bytes. */
  readonly size: number;
}

/** One of the two below. */
export interface Pieces {
  /** Blocks by address; `type` and `since` count where they are live. */
  add(address: number, size: number, isLive: boolean, type: number, since: number): void;
  /** Length and code of each, the whole region. */
  finish(): Uint32Array;
  /** Bytes of a cell; null = blocks one by one. */
  readonly cellBytes: number | null;
}

export function piecesFor(segments: readonly Part[], blocks: number): Pieces {
  return blocks <= MOST_BLOCKS ? new BlockPieces(segments) : new CellPieces(segments);
}

/** The place of an address where segments follow each other without gaps. */
class Places {
  readonly #segments: readonly Part[];
  #at = 0;
  #before = 0;

  constructor(segments: readonly Part[]) {
    this.#segments = segments;
  }

  /** Addresses go up. */
  of(address: number): number {
    while (this.#at + 1 < this.#segments.length
      && address >= (this.#segments[this.#at + 1] as Part).address) {
      this.#before += (this.#segments[this.#at] as Part).size;
      this.#at += 1;
    }
    return this.#before + address - (this.#segments[this.#at] as Part).address;
  }
}

function extentOf(segments: readonly Part[]): number {
  return segments.reduce((sum, { size }) => sum + size, 0);
}

function codeOf(kind: number, size: number, type: number, since: number, share = 0): number {
  const log = Math.min(63, Math.round(Math.log2(Math.max(1, size))));
  return (kind | (share << PIECE.shareShift) | (Math.min(type, MOST_TYPES) << PIECE.typeShift)
    | (Math.min(since, MOST_SINCE) << PIECE.sinceShift) | (log << PIECE.sizeShift)) >>> 0;
}

class BlockPieces implements Pieces {
  readonly cellBytes = null;
  readonly #places: Places;
  readonly #extent: number;
  readonly #words: number[] = [];
  #end = 0;

  constructor(segments: readonly Part[]) {
    this.#places = new Places(segments);
    this.#extent = extentOf(segments);
  }

  add(address: number, size: number, isLive: boolean, type: number, since: number): void {
    const at = this.#places.of(address);
    this.#keep(at);
    this.#words.push(Math.round(size / GRANULE),
      codeOf(isLive ? PIECE.live : PIECE.free, size, type, since));
    this.#end = at + Math.round(size / GRANULE) * GRANULE;
  }

  finish(): Uint32Array {
    this.#keep(this.#extent);
    return Uint32Array.from(this.#words);
  }

  /** What lies before a block and is none is the method's. */
  #keep(to: number): void {
    const size = to - this.#end;
    if (size >= GRANULE) {
      this.#words.push(Math.round(size / GRANULE), codeOf(PIECE.method, size, 0, 0));
    }
  }
}

/** What is known of a cell. */
interface Sums {
  readonly live: Float64Array;
  readonly free: Float64Array;
  readonly blocks: Float64Array;
  /** What most of its live bytes have in common, by majority vote, and how sure that is. */
  readonly votes: { readonly type: Int32Array; readonly since: Int32Array;
    readonly lead: Float64Array; readonly sinceLead: Float64Array };
}

class CellPieces implements Pieces {
  readonly cellBytes: number;
  readonly #places: Places;
  readonly #extent: number;
  readonly #sums: Sums;

  constructor(segments: readonly Part[]) {
    this.#places = new Places(segments);
    this.#extent = extentOf(segments);
    let cellBytes = GRANULE;
    while (this.#extent / cellBytes > MOST_CELLS) cellBytes *= 2;
    this.cellBytes = cellBytes;
    const count = Math.ceil(this.#extent / cellBytes);
    this.#sums = { live: new Float64Array(count), free: new Float64Array(count),
      blocks: new Float64Array(count),
      votes: { type: new Int32Array(count), since: new Int32Array(count),
        lead: new Float64Array(count), sinceLead: new Float64Array(count) } };
  }

  add(address: number, size: number, isLive: boolean, type: number, since: number): void {
    const { cellBytes } = this;
    const { live, free, blocks, votes } = this.#sums;
    const at = this.#places.of(address);
    const end = Math.min(at + size, this.#extent);
    if (isLive) blocks[Math.floor(at / cellBytes)] += 1;
    for (let from = at; from < end;) {
      const cell = Math.floor(from / cellBytes);
      const to = Math.min(end, (cell + 1) * cellBytes);
      (isLive ? live : free)[cell] += to - from;
      if (isLive) {
        vote(votes.type, votes.lead, cell, type, to - from);
        vote(votes.since, votes.sinceLead, cell, since, to - from);
      }
      from = to;
    }
  }

  finish(): Uint32Array {
    const { live, free, blocks, votes } = this.#sums;
    const words = new Uint32Array(live.length * 2);
    live.forEach((bytes, cell) => {
      const size = Math.min(this.cellBytes, this.#extent - cell * this.cellBytes);
      const kind = bytes + (free[cell] as number) === 0 ? PIECE.method : PIECE.cell;
      const share = Math.min(255, Math.round((255 * bytes) / size));
      words[2 * cell] = size / GRANULE;
      words[2 * cell + 1] = codeOf(kind, bytes / Math.max(1, blocks[cell] as number),
        votes.type[cell] as number, votes.since[cell] as number, share);
    });
    return words;
  }
}

/** Boyer and Moore's vote: what has more than half of the weight wins. */
function vote(
  chosen: Int32Array, lead: Float64Array, cell: number, value: number, weight: number,
): void {
  const before = lead[cell] as number;
  if (chosen[cell] === value) lead[cell] = before + weight;
  else if (before >= weight) lead[cell] = before - weight;
  else {
    chosen[cell] = value;
    lead[cell] = weight - before;
  }
}
