/**
 * debug over one arena in which call after call is cut short, at any store, and so is what mends
 * it: nothing is found, and every live block has its size, its bytes and its call site.
 */
import { describe, expect, test } from 'vitest';
import { GRANULE } from '../src/layout.ts';
import { best } from '../src/methods/best.ts';
import { debug } from '../src/methods/debug.ts';
import { last } from '../src/methods/last.ts';
import { profile } from '../src/methods/profile.ts';
import { slab } from '../src/methods/slab.ts';
import type { Blocks, Finding, Method } from '../src/types.ts';
import { busyBlocks, newArena } from './support/arena.ts';
import { cutting } from './support/cutting.ts';
import { newSeed, often, randomFrom, type Random } from './support/oracle.ts';

const CUT = new Error('cut short');
const SMALL = { siteTable: 4096, quarantineBlocks: 8, quarantine: 4096 };
const NEVER = Number.POSITIVE_INFINITY;
const MOST_LIVE = 60;
const SIZE = 90;

/** Three places in a program. */
const PLACES: readonly ((blocks: Blocks, size: number) => number)[] = [
  (blocks, size) => blocks.alloc(size),
  (blocks, size) => blocks.align(size, 64),
  (blocks, size) => blocks.alloc(size),
];

interface Held {
  size: number;
  place: number;
}

/** A method's blocks that are cut short, in the arena they share, and a model of them. */
class Bench {
  readonly arena = newArena(2 ** 19);
  readonly live = new Map<number, Held>();
  blocks: Blocks;
  readonly #method: Method;
  readonly #bytes: Uint8Array;
  readonly #sites = new Map<number, string>();
  #left = NEVER;

  constructor(method: Method) {
    this.#method = cutting(method, () => {
      if (this.#left-- > 0) return;
      this.#left = NEVER;
      throw CUT;
    });
    this.#bytes = new Uint8Array(this.arena.words.buffer);
    this.arena.words.fill(0x5a5a5a5a);
    expect(method.format(this.arena)).toBe(true);
    this.blocks = this.#method.attach(this.arena);
  }

  /** Was the call cut short at its store `at`? */
  isCut(at: number, call: () => unknown): boolean {
    this.#left = at;
    try {
      call();
      return false;
    } catch (error) {
      if (error !== CUT) throw error;
      return true;
    } finally {
      this.#left = NEVER;
    }
  }

  /** What whoever comes next does: somebody else, or the same process. */
  mend(random: Random): void {
    if (random(2) === 0) this.blocks = this.#method.attach(this.arena);
    while (random(2) === 0 && this.isCut(random(60), () => this.blocks.rebuild()));
    expect(this.blocks.rebuild()).toBe(true);
  }

  hold(p: number, place: number): void {
    if (p === 0) return;
    const size = this.blocks.sizeOf(p);
    this.live.set(p, { size, place });
    for (let at = 0; at < size; at++) this.#bytes[p * GRANULE + at] = fillOf(p, at);
  }

  /** All is as in the model, but for the block that was worked on, and one more. */
  settle(touched: number, kept: number, place: number): void {
    const found: Finding[] = [];
    this.blocks.check((finding) => found.push(finding));
    expect(found).toEqual([]);
    const busy = new Map(busyBlocks(this.blocks));
    for (const [p, { size }] of this.live) {
      const now = busy.get(p);
      if (p === touched && now === undefined) this.live.delete(p);
      else if (p !== touched) expect(now, `block ${p}`).toBe(size);
      const least = p === touched ? Math.min(size, now ?? 0, kept) : size;
      for (let at = 0; at < least; at++) {
        if (this.#bytes[p * GRANULE + at] !== fillOf(p, at)) expect.fail(`block ${p}, byte ${at}`);
      }
    }
    const fresh = [...busy.keys()].filter((p) => !this.live.has(p));
    expect(fresh.length).toBeLessThanOrEqual(1);
    for (const p of fresh) this.hold(p, place);
    const held = this.live.get(touched);
    if (held !== undefined) this.hold(touched, held.place);
    this.#compareSites();
  }

  /** Blocks of one place have the same call site, those of two have different ones. */
  #compareSites(): void {
    this.blocks.leaks?.(({ address, allocatedAt = '' }) => {
      const { place } = this.live.get(address / GRANULE) as Held;
      expect(allocatedAt).toContain('debug-cuts');
      const known = this.#sites.get(place);
      if (known !== undefined) expect(allocatedAt).toBe(known);
      else expect([...this.#sites.values()]).not.toContain(allocatedAt);
      this.#sites.set(place, allocatedAt);
    });
  }
}

function fillOf(p: number, at: number): number {
  return (p + at * 7) & 255;
}

/** One call that may be cut short; then all is mended and compared. Was it? */
function step(bench: Bench, random: Random, isOrdered: boolean): boolean {
  const { live } = bench;
  const granules = [...live.keys()];
  const some = granules[random(granules.length || 1)] ?? 0;
  const what = granules.length >= MOST_LIVE ? 5 + random(5) : random(10);
  const size = random(8) === 0 ? random(3000) : random(120);
  const place = random(PLACES.length);
  const at = random(random(2) === 0 ? 20 : 120);
  const newest = isOrdered ? Math.max(0, ...granules) : some;
  const { blocks } = bench;
  let p = 0;
  const [touched, kept, call]: [number, number, () => unknown] =
    what < 5 ? [0, 0, () => { p = PLACES[place](blocks, size); }]
    : what < 8 ? [newest, 0, () => blocks.free(newest)]
    : what < 9 ? [some, size, () => blocks.resize(some, size)]
    : random(8) > 0 ? [0, 0, () => blocks.trim()]
    : [0, 0, () => blocks.startOf(some)];
  const isCut = bench.isCut(at, call);
  if (isCut) bench.mend(random);
  else bench.hold(p, place);
  bench.settle(touched, kept, place);
  return isCut;
}

describe.each([debug(best, SMALL), debug(last, SMALL), debug(slab, SMALL),
  debug(best, { ...SMALL, fresh: false, quarantineBlocks: 0 }), debug(debug(best, SMALL), SMALL),
  debug(profile(best, { siteTable: 4096 }), SMALL)])('$name', (method) => {
  const isOrdered = method.name.includes('last');

  test('cut short again and again', () => {
    const first = newSeed();
    for (let seed = first; seed < first + often(2, 8); seed++) {
      const random = randomFrom(seed);
      const bench = new Bench(method);
      let cuts = 0;
      for (let i = 0; i < 120; i++) {
        try {
          if (step(bench, random, isOrdered)) cuts += 1;
        } catch (error) {
          throw new Error(`seed ${seed}, step ${i}, ${cuts} cuts`, { cause: error });
        }
      }
      expect(cuts, `seed ${seed}`).toBeGreaterThan(10);
    }
  });

  test('the sealed headers of blocks that went with all others seal no new one', () => {
    for (let at = 0, isCut = true; isCut; at++) {
      const bench = new Bench(method);
      for (let i = 0; i < 3; i++) bench.blocks.alloc(100);
      bench.blocks.clear();
      isCut = bench.isCut(at, () => bench.blocks.alloc(SIZE));
      expect(bench.blocks.rebuild()).toBe(true);
      bench.settle(0, 0, 0);
      expect(bench.live.size, `after ${at} stores`).toBeLessThanOrEqual(1);
      for (const p of bench.live.keys()) {
        expect(bench.blocks.sizeOf(p), `after ${at} stores`).toBe(SIZE);
      }
    }
  });
});
