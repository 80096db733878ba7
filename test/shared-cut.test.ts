/**
 * A call over shared memory that is cut short at any store, in the method itself or while what an
 * earlier one left half done is mended: the next call finds everything whole again.
 */
import { describe, expect, test } from 'vitest';
import { shared } from '../src/disciplines/shared-buffer.ts';
import { METHOD_START, SHARED } from '../src/layout.ts';
import { best } from '../src/methods/best.ts';
import { debug } from '../src/methods/debug.ts';
import { last } from '../src/methods/last.ts';
import { pool } from '../src/methods/pool.ts';
import { profile } from '../src/methods/profile.ts';
import { slab } from '../src/methods/slab.ts';
import { createRegion, openRegion } from '../src/region/region.ts';
import type { Address, Method, Region } from '../src/types.ts';
import { cutting } from './support/cutting.ts';
import { expectCode } from './support/expect-code.ts';
import { newSeed, often, randomFrom, type Random } from './support/oracle.ts';

const CUT = new Error('cut short');

/** Stores that are left before the cut. */
const knife = { left: Number.POSITIVE_INFINITY };

function cutMethod(method: Method): Method {
  return cutting(method, () => {
    if (knife.left-- > 0) return;
    knife.left = Number.POSITIVE_INFINITY;
    throw CUT;
  });
}

/** Was the call cut short at its store `at`? */
function isCut(at: number, call: () => unknown): boolean {
  knife.left = at;
  try {
    call();
    return false;
  } catch (error) {
    if (error !== CUT) throw error;
    return true;
  } finally {
    knife.left = Number.POSITIVE_INFINITY;
  }
}

/** Bytes that tell which block they are in. */
function fillOf(address: number, i: number): number {
  return (address / 16 + i * 7) & 255;
}

function isFilled(bytes: Uint8Array, address: number): boolean {
  for (let i = 0; i < bytes.length; i++) if (bytes[i] !== fillOf(address, i)) return false;
  return true;
}

/** What is live, by address, and its usable bytes that were filled. */
type Live = Map<number, number>;

function hold(region: Region, live: Live, address: Address): void {
  const bytes = region.bytes(address);
  for (let i = 0; i < bytes.length; i++) bytes[i] = fillOf(address, i);
  live.set(address, bytes.length);
}

/**
 * Everything but the block that was worked on is as it was; that one is there or not, with either
 * size, its first `kept` bytes as they were. There may be a new one. The model follows.
 */
function settle(region: Region, live: Live, touched: number, kept: number): void {
  expect(region.check()).toEqual([]);
  const busy = new Map([...region.blocks()].filter((block) => block.busy)
    .map(({ address, size }) => [address as number, size]));
  const gone = [...live.keys()].filter((address) => !busy.has(address));
  expect(gone.length === 0 || (gone.length === 1 && gone[0] === touched)).toBe(true);
  for (const address of gone) live.delete(address);
  // Comparisons: thousands of them would cost more as expectations than all else.
  for (const [address, size] of live) {
    const held = busy.get(address) as number;
    if (address !== touched && held !== size) expect.fail(`${address}: ${held} bytes, not ${size}`);
    const bytes = region.bytes(address, Math.min(size, held, address === touched ? kept : size));
    if (!isFilled(bytes, address)) expect.fail(`the block at ${address} has other contents`);
  }
  const fresh = [...busy.keys()].filter((address) => !live.has(address));
  expect(fresh.length).toBeLessThanOrEqual(1);
  for (const address of fresh) hold(region, live, address as Address);
  if (live.has(touched)) hold(region, live, touched as Address);
}

/** A block, what is done to it, and how many of its bytes that has to keep. */
type Call = [touched: number, call: () => unknown, kept: number];

function randomCall(region: Region, live: Live, random: Random): Call {
  const isPool = region.method === 'pool';
  const size = isPool ? 100 : random(3) === 0 ? random(20_000) : random(400);
  const all = [...live.keys()];
  const some = all[random(all.length)] ?? 0;
  const freed = region.method.includes('last') ? Math.max(0, ...all) : some;
  switch (random(live.size > 60 ? 8 : 12)) {
    case 0: case 1: case 2:
      return [freed, () => region.free(freed as Address), 0];
    case 3: case 4:
      return [some, () => region.resize(some as Address, size, { move: false }), size];
    case 5:
      return [0, () => region.compact(), 0];
    case 6:
      return [0, () => region.align(size, isPool ? 1 : 2 ** random(12)), 0];
    default:
      return [0, () => region.alloc(size), 0];
  }
}

const plain = [best, last, pool, slab];
const wrapped = [debug(best), debug(last), debug(slab), profile(best)];

describe.each([...plain, ...wrapped])('$name', (method) => {
  test.each([1, 4])('over %i shards: at any store of any call', (shards) => {
    const seed = newSeed();
    const random = randomFrom(seed);
    using region = createRegion(shared({ capacity: '4MiB', shards }), cutMethod(method));
    const live: Live = new Map();
    for (let i = 0; i < 20; i++) hold(region, live, region.alloc(100));
    let cuts = 0;
    for (let i = 0; i < often(70, 240); i++) {
      const [touched, call, kept] = randomCall(region, live, random);
      if (isCut(random(12), call)) {
        cuts += 1;
        // While it is mended too.
        while (random(2) === 0 && isCut(random(60), () => region.stat()));
      }
      settle(region, live, touched, kept);
    }
    expect(cuts, `seed ${seed}`).toBeGreaterThan(5);
  });
});

describe.each(plain)('$name', (method) => {
  test('a shard that cannot be mended is condemned, and the others go on', () => {
    const memory = shared({ capacity: '4MiB', shards: 2 });
    using region = createRegion(memory, cutMethod(method));
    using other = openRegion(shared(memory.buffer));
    const kept = region.alloc(100);
    const rest = region.alloc(100);
    region.bytes(rest).fill(7);
    const view = region.bytes(rest);
    expect(isCut(0, () => region.alloc(100))).toBe(true);
    new Int32Array(memory.buffer)[METHOD_START / 4] = 0;
    for (const one of [other, region]) {
      expectCode('ERR_CORRUPT', () => one.sizeOf(kept));
      expectCode('ERR_CORRUPT', () => one.free(rest));
      expectCode('ERR_CORRUPT', () => one.resize(rest, 10));
      expectCode('ERR_CORRUPT', () => one.stat());
      expectCode('ERR_CORRUPT', () => one.compact());
      expect(one.check().map(({ id, address }) => [id, address]))
        .toContainEqual(['T2', SHARED.lock]);
      for (let i = 0; i < 200; i++) {
        expect(one.alloc(100)).toBeGreaterThan(2 ** 21);
      }
      one.roots.set('goes on', rest);
    }
    expect(view.every((byte) => byte === 7)).toBe(true);
    expectCode('ERR_CORRUPT', () => region.alloc(2 ** 21 - 2 ** 14));
  });

  test('where the only shard is condemned nothing is allocated', () => {
    const memory = shared({ capacity: '1MiB' });
    using region = createRegion(memory, cutMethod(method));
    expect(isCut(0, () => region.alloc(100))).toBe(true);
    new Int32Array(memory.buffer)[METHOD_START / 4] = 0;
    expectCode('ERR_CORRUPT', () => region.alloc(100));
    expectCode('ERR_CORRUPT', () => region.alloc(100));
  });

  test('a stack that overflows leaves nothing half done', () => {
    using region = createRegion(shared({ capacity: '64MiB', shards: 2 }), method);
    const kept = region.alloc(100);
    region.bytes(kept).fill(5);
    const deeper = (n: number): number => region.alloc(100) + deeper(n + 1);
    for (let i = 0; i < 4; i++) expect(() => deeper(i)).toThrow(RangeError);
    expect(region.check()).toEqual([]);
    expect(region.bytes(kept).every((byte) => byte === 5)).toBe(true);
  });

  test('T1: the words about the buffer', () => {
    const memory = shared({ capacity: '4MiB', shards: 2 });
    using region = createRegion(memory, method);
    for (const at of [SHARED.shards, SHARED.slotShift, SHARED.capacity]) {
      const words = new Int32Array(memory.buffer);
      words[at / 4] += 1;
      expect(region.check().map(({ id }) => id)).toEqual(['T1']);
      expectCode('ERR_CORRUPT', () => openRegion(shared(memory.buffer)));
      words[at / 4] -= 1;
    }
    expect(region.check()).toEqual([]);
  });
});
