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
    expect(address % alignment).toBe(0);
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
    expect(isFilled(this.region.bytes(moved, kept), held.seed)).toBe(true);
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
    for (const { address, size, seed } of this.blocks) {
      expect(region.sizeOf(address)).toBeGreaterThanOrEqual(size);
      if (!isFilled(region.bytes(address, size), seed)) {
        expect.fail(`the block at ${address} of ${size} bytes has other contents`);
      }
      expect(region.offsetOf(address + Math.max(0, size - 1))).toBe(Math.max(0, size - 1));
    }
    const busy = [...region.blocks()].filter((block) => block.busy);
    const addresses = this.blocks.map(({ address }) => address).sort((a, b) => a - b);
    expect(busy.map(({ address }) => address)).toEqual(addresses);
    busy.forEach(({ address, size }, i) => {
      const end = address + size;
      if (i + 1 < busy.length) expect(end).toBeLessThanOrEqual(busy[i + 1].address);
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

function fill(bytes: Uint8Array, seed: number): void {
  for (let i = 0; i < bytes.length; i++) bytes[i] = seed * 31 + i * 7;
}

function isFilled(bytes: Uint8Array, seed: number): boolean {
  for (let i = 0; i < bytes.length; i++) {
    if (bytes[i] !== ((seed * 31 + i * 7) & 255)) return false;
  }
  return true;
}
