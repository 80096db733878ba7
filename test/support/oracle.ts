/**
 * A region beside what it must hold: every block with its contents, every root. Random steps change
 * both; `verify` compares them byte by byte.
 */
import { expect } from 'vitest';
import type { Address, Region } from '../../src/types.ts';

/** A seeded generator: whole numbers from 0 to below n. */
export type Random = (n: number) => number;

/** mulberry32. */
export function randomFrom(seed: number): Random {
  let state = seed >>> 0;
  return (n) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let t = Math.imul(state ^ (state >>> 15), state | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return Math.floor((((t ^ (t >>> 14)) >>> 0) / 2 ** 32) * n);
  };
}

/** The seed of a run: always the same, unless REGIONSTORE_SEED says another (npm run fuzz). */
export function newSeed(): number {
  return Number(process.env.REGIONSTORE_SEED ?? 20_261_122);
}

/** How often: less in `npm test`, more in `npm run fuzz`, which gives a seed. */
export function often(inTest: number, inFuzz: number): number {
  return process.env.REGIONSTORE_SEED === undefined ? inTest : inFuzz;
}

interface Held {
  address: Address;
  size: number;
  seed: number;
}

export class Oracle {
  region: Region;
  /** In order of allocation or last move. */
  blocks: Held[] = [];
  readonly roots = new Map<string, number>();
  /** 'newest' = only the newest block can be freed. */
  readonly order: 'any' | 'newest';
  /** A number = the region has blocks of that size only: they are asked for instead of others. */
  readonly sizes: 'any' | number;
  #next = 1;

  constructor(region: Region, order: 'any' | 'newest', sizes: 'any' | number = 'any') {
    this.region = region;
    this.order = order;
    this.sizes = sizes;
  }

  /** A size the region can serve. */
  sized(size: number): number {
    return this.sizes === 'any' ? size : this.sizes;
  }

  alloc(asked: number): Address {
    const size = this.sized(asked);
    return this.#hold(this.region.alloc(size), size);
  }

  align(asked: number, wanted: number): Address {
    const size = this.sized(asked);
    const alignment = this.sizes === 'any' ? wanted : Math.min(wanted, 16);
    const address = this.region.align(size, alignment);
    if (address % alignment !== 0) expect.fail(`${address} is not aligned to ${alignment}`);
    return this.#hold(address, size);
  }

  free(index: number): void {
    const at = this.order === 'newest' ? this.blocks.length - 1 : index;
    const [held] = this.blocks.splice(at, 1);
    this.region.free(held.address);
  }

  resize(index: number, asked: number, move = true): void {
    const size = this.sized(asked);
    const held = this.blocks[index];
    const moved = this.region.resize(held.address, size, { move });
    if (moved === 0) {
      expect(move).toBe(false);
      return;
    }
    const kept = Math.min(size, held.size);
    if (!isFilled(this.region.bytes(moved, kept), held.seed)) {
      expect.fail(`the block at ${held.address} lost contents when it became ${size} bytes`);
    }
    if (moved !== held.address) this.blocks.push(...this.blocks.splice(index, 1));
    held.address = moved;
    held.size = size;
    fill(this.region.bytes(moved, size), held.seed);
  }

  set(name: string, value: number): void {
    const isNew = !this.roots.has(name);
    this.region.roots.set(name, value);
    if (isNew) this.roots.delete(name);
    this.roots.set(name, value);
  }

  delete(name: string): void {
    expect(this.region.roots.delete(name)).toBe(this.roots.delete(name));
  }

  clear(): void {
    this.region.clear();
    this.blocks = [];
    this.roots.clear();
  }

  /** Contents, sizes, offsets, roots, the walk, the counts and the invariants. */
  verify(): void {
    const { region } = this;
    for (const held of this.blocks) verifyBlock(region, held);
    const busy = [...region.blocks()].filter((block) => block.busy);
    const addresses = this.blocks.map(({ address }) => address).sort((a, b) => a - b);
    expect(busy.map(({ address }) => address)).toEqual(addresses);
    busy.forEach(({ address, size }, i) => {
      if (i + 1 === busy.length || address + size <= busy[i + 1].address) return;
      expect.fail(`the block at ${address} of ${size} bytes reaches into the next one`);
    });
    const stat = region.stat();
    expect(stat.busyBlocks).toBe(busy.length);
    expect(stat.busyBytes).toBe(busy.reduce((sum, { size }) => sum + size, 0));
    expect(stat.largestBusy).toBe(busy.reduce((most, { size }) => Math.max(most, size), 0));
    expect([...region.roots]).toEqual([...this.roots]);
    expect(region.check()).toEqual([]);
  }

  #hold(address: Address, size: number): Address {
    const seed = this.#next++;
    fill(this.region.bytes(address, size), seed);
    this.blocks.push({ address, size, seed });
    return address;
  }
}

/** One random step; sizes from 0 to about `most` bytes, small ones more often. */
export function randomStep(oracle: Oracle, random: Random, most: number): void {
  const count = oracle.blocks.length;
  const size = Math.floor(2 ** (random(1000) / 1000 * Math.log2(most + 1))) - 1;
  const what = random(100);
  if (what < 40 || count === 0) oracle.alloc(size);
  else if (what < 45) oracle.align(size, 2 ** random(14));
  else if (what < 75) oracle.free(random(count));
  else if (what < 88) oracle.resize(random(count), size);
  else if (what < 91) oracle.resize(random(count), size, false);
  else if (what < 95) oracle.set(`root ${random(200)}`, oracle.blocks[random(count)].address);
  else if (what < 98) oracle.delete(`root ${random(200)}`);
  else if (what < 99) oracle.region.compact();
  else if (random(20) === 0) oracle.clear();
}

/** One block; comparing comes first, since an `expect` costs as much as the rest together. */
function verifyBlock(region: Region, { address, size, seed }: Held): void {
  if (region.sizeOf(address) < size) {
    expect.fail(`the block at ${address} of ${size} bytes has only ${region.sizeOf(address)}`);
  }
  if (!isFilled(region.bytes(address, size), seed)) {
    expect.fail(`the block at ${address} of ${size} bytes has other contents`);
  }
  const last = Math.max(0, size - 1);
  if (region.offsetOf(address + last) !== last) {
    expect.fail(`the last byte of the block at ${address} of ${size} bytes is not its own`);
  }
}

/** Byte i of a block is seed · 31 + i · 7: a part of one row that repeats after 256 bytes. */
const ROW = Buffer.from(Uint8Array.from({ length: 256 * 1025 }, (_, i) => i * 7));
const PIECE = ROW.length - 256;

/** Where the row of a seed starts: 183 · 7 = 1 (mod 256). */
function startOf(seed: number): number {
  return (seed * 31 * 183) & 255;
}

function fill(bytes: Uint8Array, seed: number): void {
  const start = startOf(seed);
  for (let at = 0; at < bytes.length; at += PIECE) {
    bytes.set(ROW.subarray(start, start + Math.min(PIECE, bytes.length - at)), at);
  }
}

function isFilled(bytes: Uint8Array, seed: number): boolean {
  const start = startOf(seed);
  for (let at = 0; at < bytes.length; at += PIECE) {
    const piece = bytes.subarray(at, at + PIECE);
    if (ROW.compare(piece, 0, piece.length, start, start + piece.length) !== 0) return false;
  }
  return true;
}
