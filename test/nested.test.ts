/**
 * Regions in a block of another region: growth in place, what the outer region does to them
 * (closing, clearing, freeing), and that nothing but the block is written.
 */
import { renameSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { file } from '../src/disciplines/file.ts';
import { heap } from '../src/disciplines/heap.ts';
import { nested } from '../src/disciplines/nested.ts';
import { HEADER, METHOD_START, PAGE } from '../src/layout.ts';
import { best } from '../src/methods/best.ts';
import { last } from '../src/methods/last.ts';
import { createRegion, openRegion, toAddress } from '../src/region/region.ts';
import { regionOf } from '../src/region/windows.ts';
import type { Region } from '../src/types.ts';
import { expectCode } from './support/expect-code.ts';
import { isClean } from './support/nested-state.ts';
import { newSeed, Oracle, randomFrom, randomStep } from './support/oracle.ts';
import { codeOf } from './support/stores.ts';
import { temporaryDirectory } from './support/temp.ts';

function outerRegion(capacity = '64MiB'): Region {
  return createRegion(heap({ capacity }), best, { name: 'outer' });
}

describe('arguments', () => {
  test('wrong ones are refused', () => {
    using outer = outerRegion();
    for (const wrong of [undefined, null, 7, 'outer', {}]) {
      expectCode('ERR_BAD_OPTION', () => nested(wrong as unknown as Region));
    }
    for (const capacity of [-1, 1.5, Number.NaN, '1 MB', 2 ** 33, 2 ** 60, 0]) {
      expectCode('ERR_BAD_OPTION', () => nested(outer, { capacity }));
    }
    for (const size of [-1, 0.5, Number.NaN, 'big', 2 ** 60]) {
      expectCode('ERR_BAD_OPTION', () => nested(outer, { size }));
    }
    expectCode('ERR_BAD_OPTION', () => nested(outer, { size: '2MiB', capacity: '1MiB' }));
    expectCode('ERR_BAD_OPTION', () => nested(outer, { root: '' }));
    expectCode('ERR_BAD_OPTION', () => nested(outer, { rot: 'x' } as object));
    expectCode('ERR_BAD_OPTION', () => createRegion(nested(outer, { root: 'a\0b' }), best));
    expect(outer.stat().busyBlocks).toBe(0);
  });

  test('a capacity too small, an outer region too full: nothing stays behind', () => {
    using outer = outerRegion('1MiB');
    expectCode('ERR_NO_SPACE', () => createRegion(nested(outer, { capacity: PAGE }), best));
    expectCode('ERR_NO_SPACE', () => createRegion(nested(outer, { size: '2MiB' }), best));
    expectCode('ERR_BAD_OPTION', () => createRegion(nested(outer), { ...best, name: 'ü' }));
    outer.alloc(1_010_000);
    expectCode('ERR_NO_SPACE', () => createRegion(nested(outer), best));
    expect(outer.stat().busyBlocks).toBe(1);
    expect([...outer.roots]).toEqual([]);
    expect(outer.check()).toEqual([]);
  });

  test('the capacity is what the outer region has from there on', () => {
    using outer = outerRegion('1MiB');
    const inner = createRegion(nested(outer), best);
    const { capacity } = inner.stat();
    expect(capacity % PAGE).toBe(0);
    expect(capacity).toBeGreaterThan(2 ** 20 - outer.roots.get('nested') - PAGE);
    expect(capacity).toBeLessThanOrEqual(2 ** 20 - outer.roots.get('nested'));
    expectCode('ERR_NO_SPACE', () => inner.alloc(1_200_000));
    expect(inner.check()).toEqual([]);
  });
});

describe('the block', () => {
  test('grows in place, shrinks in place, and only its bytes are written', () => {
    using outer = outerRegion();
    const before = outer.alloc(100_000);
    outer.bytes(before).fill(0xa5);
    const inner = createRegion(nested(outer), best, { name: 'inner' });
    const at = outer.roots.get('nested');
    const small = outer.sizeOf(at);
    const big = inner.alloc(5_000_000);
    inner.bytes(big).fill(0x5a);
    expect(outer.roots.get('nested')).toBe(at);
    expect(outer.sizeOf(at)).toBe(inner.stat().extent);
    const after = outer.alloc(100_000);
    outer.bytes(after).fill(0xa5);
    inner.free(big);
    inner.compact();
    expect(outer.sizeOf(at)).toBe(inner.stat().extent);
    expect(outer.sizeOf(at)).toBeLessThanOrEqual(small + PAGE);
    inner.alloc(3_000_000);
    for (const address of [before, after]) {
      expect(new Set(outer.bytes(address))).toEqual(new Set([0xa5]));
    }
    expect([...inner.check(), ...outer.check()]).toEqual([]);
    inner.close();
  });

  test('what stands in its way refuses growth; the message says what to do', () => {
    using outer = outerRegion();
    using inner = createRegion(nested(outer), best, { name: 'inner' });
    const wall = outer.alloc(100_000);
    outer.bytes(wall).fill(9);
    const error = expectCode('ERR_NO_SPACE', () => inner.alloc(1_000_000));
    expect(error.message).toMatch(/cannot grow in place from \d+ to \d+ bytes.*larger `size`/);
    const kept = inner.alloc(500);
    inner.bytes(kept).fill(1);
    expect(inner.check()).toEqual([]);
    expect(new Set(outer.bytes(wall))).toEqual(new Set([9]));
    outer.free(wall);
    expect(inner.alloc(1_000_000)).toBeGreaterThan(0);
  });

  test('size is taken up front, outlives compact, reopening, and nothing takes it away', () => {
    using outer = outerRegion();
    let inner = createRegion(nested(outer, { size: '2MiB' }), best);
    const at = outer.roots.get('nested');
    expect(outer.sizeOf(at)).toBe(2 ** 21);
    outer.alloc(100);
    expect(inner.stat().extent).toBeLessThan(100_000);
    inner.compact();
    expect(outer.sizeOf(at)).toBe(2 ** 21);
    inner.close();
    inner = openRegion(nested(outer));
    inner.compact();
    expect(outer.sizeOf(at)).toBe(2 ** 21);
    const block = inner.alloc(2_000_000);
    inner.free(block);
    expectCode('ERR_NO_SPACE', () => inner.alloc(2_200_000));
    inner.close();
    expectCode('ERR_NO_SPACE', () => openRegion(nested(outer, { size: '3MiB' })));
    inner = openRegion(nested(outer, { size: '1MiB' }));
    inner.compact();
    expect(outer.sizeOf(at)).toBe(2 ** 20);
    inner.close();
    inner = openRegion(nested(outer, { size: 0 }));
    inner.alloc(300_000);
    inner.compact();
    expect(outer.sizeOf(at)).toBe(inner.stat().extent);
    expect(inner.check()).toEqual([]);
    inner.close();
  });

  test('in a region of method last the newest block grows, another one does not', () => {
    using outer = createRegion(heap({ capacity: '8MiB' }), last);
    using inner = createRegion(nested(outer), best);
    const a = inner.alloc(1_000_000);
    inner.free(a);
    expect(inner.compact()).toBeGreaterThan(900_000);
    outer.alloc(10);
    expectCode('ERR_NO_SPACE', () => inner.alloc(1_000_000));
    expect([...inner.check(), ...outer.check()]).toEqual([]);
  });

  test('a block of a later segment of the outer region', () => {
    using outer = createRegion(heap({ capacity: '5GiB' }), best);
    outer.alloc(2 ** 32 - 2 ** 20);
    const inner = createRegion(nested(outer, { size: '2MiB' }), best);
    expect(outer.roots.get('nested')).toBeGreaterThan(2 ** 32);
    expect(inner.stat().capacity).toBeLessThanOrEqual(2 ** 30);
    const a = inner.alloc(5_000_000);
    inner.bytes(a).fill(3);
    expect(inner.addressOf(inner.bytes(a))).toBe(a);
    expect(regionOf(inner.bytes(a))).toBe(inner);
    expect(inner.check()).toEqual([]);
    inner.close();
  });
});

describe('whose memory', () => {
  test('a view belongs to the innermost region; neighbours stay the outer one\'s', () => {
    using outer = outerRegion();
    const before = outer.alloc(100);
    using middle = createRegion(nested(outer, { size: '1MiB' }), best, { name: 'middle' });
    const after = outer.alloc(100);
    using inner = createRegion(nested(middle), best, { name: 'inner' });
    const behind = middle.alloc(100);
    const own = inner.alloc(100);
    expect(regionOf(outer.bytes(before))).toBe(outer);
    expect(regionOf(outer.bytes(after))).toBe(outer);
    expect(regionOf(middle.bytes(behind))).toBe(middle);
    expect(regionOf(inner.bytes(own))).toBe(inner);
    expect(inner.addressOf(inner.bytes(own))).toBe(own);
    const inMiddle = middle.roots.get('nested') + own;
    expect(middle.addressOf(inner.bytes(own))).toBe(inMiddle);
    expect(outer.addressOf(inner.bytes(own))).toBe(outer.roots.get('nested') + inMiddle);
    expectCode('ERR_BAD_ADDRESS', () => inner.addressOf(middle.bytes(behind)));
    expectCode('ERR_BAD_ADDRESS', () => inner.addressOf(outer.bytes(after)));
    expectCode('ERR_BAD_ADDRESS', () => inner.addressOf(outer.bytes(before)));
    inner.close();
    expect(regionOf(middle.bytes(behind))).toBe(middle);
  });

  test('several in one, each by its root', () => {
    using outer = outerRegion();
    const names = ['a', 'b', 'c'];
    const regions = names.map((root) =>
      createRegion(nested(outer, { root, size: '256KiB' }), root === 'b' ? last : best));
    regions.forEach((region, i) => region.roots.set('text', region.strdup(`text ${i}`)));
    for (const region of regions) region.close();
    names.forEach((root, i) => {
      using again = openRegion(nested(outer, { root }));
      expect(again.string(again.roots.get('text'))).toBe(`text ${i}`);
      expect(again.method).toBe(root === 'b' ? 'last' : 'best');
    });
  });

  test('open twice, created twice, one discipline for two, two roots for one block', () => {
    using outer = outerRegion();
    const memory = nested(outer);
    const inner = createRegion(memory, best);
    expectCode('ERR_BUSY', () => openRegion(memory));
    expectCode('ERR_EXISTS', () => createRegion(memory, best));
    expectCode('ERR_LOCKED', () => openRegion(nested(outer)));
    expectCode('ERR_LOCKED', () => createRegion(nested(outer), best));
    outer.roots.set('alias', outer.roots.get('nested'));
    expectCode('ERR_LOCKED', () => openRegion(nested(outer, { root: 'alias' })));
    inner.close();
    expectCode('ERR_EXISTS', () => createRegion(memory, best));
    openRegion(memory).close();
    expectCode('ERR_NOT_FOUND', () => openRegion(nested(outer, { root: 'other' })));
  });
});

describe('the outer region', () => {
  test('closes the inner ones first, to the innermost, and marks them closed', () => {
    const path = join(temporaryDirectory(), 'a.region');
    const outer = createRegion(file(path), best);
    const middle = createRegion(nested(outer, { size: '1MiB' }), best);
    const inner = createRegion(nested(middle, { root: 'deep' }), best);
    inner.roots.set('text', inner.strdup('deep down'));
    expect(isClean(outer)).toBe(false);
    outer.close();
    for (const region of [inner, middle]) {
      expect(region.closed).toBe(true);
      expectCode('ERR_CLOSED', () => region.alloc(1));
      region.close();
    }
    renameSync(path, `${path}.moved`);
    using again = openRegion(file(`${path}.moved`));
    expect(isClean(again)).toBe(true);
    using between = openRegion(nested(again));
    expect(isClean(between, 'deep')).toBe(true);
    using deep = openRegion(nested(between, { root: 'deep' }));
    expect(deep.string(deep.roots.get('text'))).toBe('deep down');
    expectCode('ERR_CLOSED', () => openRegion(nested(outer)));
  });

  test('is cleared: the inner region is stale and writes nothing more', () => {
    using outer = outerRegion();
    const inner = createRegion(nested(outer), best);
    const at = outer.roots.get('nested');
    const view = outer.bytes(at);
    const before = Buffer.from(view);
    outer.clear();
    expectCode('ERR_STALE', () => inner.alloc(1));
    inner.close();
    const [first] = [view.subarray(METHOD_START)];
    expect(Buffer.from(first).equals(before.subarray(METHOD_START))).toBe(true);
    expectCode('ERR_NOT_FOUND', () => openRegion(nested(outer)));
    using fresh = createRegion(nested(outer), best);
    expect(fresh.check()).toEqual([]);
  });

  test('freed the block: opening is refused, whatever is there now', () => {
    using outer = outerRegion();
    createRegion(nested(outer), best).close();
    const at = outer.roots.get('nested');
    outer.free(at);
    expectCode('ERR_NOT_FOUND', () => openRegion(nested(outer)));
    expectCode('ERR_NOT_FOUND', () => createRegion(nested(outer), best));
    const other = outer.alloc(100_000);
    outer.bytes(other).fill(0xff);
    for (const address of [other, other + 16, other + 1, 16, 2 ** 40, outer.alloc(8)]) {
      outer.roots.set('nested', toAddress(address));
      const code = outer.offsetOf(address) === 0 ? 'ERR_CORRUPT' : 'ERR_NOT_FOUND';
      expectCode(code, () => openRegion(nested(outer)));
    }
    expect(new Set(outer.bytes(other))).toEqual(new Set([0xff]));
    outer.roots.delete('nested');
    createRegion(nested(outer), best).close();
  });

  test('freed the block of an open region: it says so and leaves the memory alone', () => {
    using outer = outerRegion();
    for (const close of ['inner', 'outer']) {
      const inner = createRegion(nested(outer), best);
      const at = outer.roots.get('nested');
      outer.free(at);
      const other = outer.alloc(1000);
      outer.bytes(other).fill(0xee);
      expectCode('ERR_STALE', () => inner.check());
      if (close === 'inner') expectCode('ERR_STALE', () => inner.close());
      else outer.close();
      expect(inner.closed).toBe(true);
      if (close === 'inner') expect(new Set(outer.bytes(other))).toEqual(new Set([0xee]));
      if (!outer.closed) outer.clear();
    }
  });

  test('freed it, and nothing is there yet: stale all the same', () => {
    using outer = outerRegion();
    const inner = createRegion(nested(outer, { size: '1MiB' }), best);
    outer.free(outer.roots.get('nested'));
    expectCode('ERR_STALE', () => inner.check());
    expectCode('ERR_STALE', () => inner.alloc(2_000_000));
    outer.close();
    expectCode('ERR_STALE', () => inner.alloc(1));
  });

  test('a damaged header, every byte of it: an error, or a region that is checked', () => {
    using outer = outerRegion();
    createRegion(nested(outer), best).close();
    const block = outer.bytes(outer.roots.get('nested'));
    const good = Buffer.from(block);
    for (let at = 0; at < HEADER.roots; at++) {
      block.set(good);
      block[at] ^= 0x55;
      const code = codeOf(() => {
        using inner = openRegion(nested(outer));
        for (const { id } of inner.check()) expect(id, `byte ${at}`).toMatch(/^R[67]$/);
      });
      expect(code, `byte ${at}`).toMatch(/^(none|ERR_(CORRUPT|VERSION|MISMATCH|NOT_FOUND))$/);
      expect(outer.check()).toEqual([]);
      outer.resize(outer.roots.get('nested'), good.length, { move: false });
    }
  });
});

test.each([best, last])('in memory that is full of what was there before: $name', (method) => {
  const seed = newSeed();
  const random = randomFrom(seed);
  using outer = outerRegion();
  const dirty = outer.alloc(30_000_000);
  const words = outer.array(Int32Array, dirty);
  for (let i = 0; i < words.length; i++) words[i] = random(2) === 0 ? -1 : random(2 ** 20);
  outer.free(dirty);
  using inner = createRegion(nested(outer, { size: '64KiB' }), method);
  const oracle = new Oracle(inner, method === last ? 'newest' : 'any');
  for (let i = 0; i < 400; i++) randomStep(oracle, random, 40_000);
  oracle.verify();
  inner.close();
  oracle.region = openRegion(nested(outer));
  oracle.verify();
  oracle.region.close();
});

test.each([1, 2])('random steps in two regions and around them, run %i', (run) => {
  const seed = newSeed() + run;
  const random = randomFrom(seed);
  const path = join(temporaryDirectory(), 'a.region');
  let outer = createRegion(file(path, { capacity: '64MiB' }), best);
  const around = new Oracle(outer, 'any');
  const oracles = ['a', 'b'].map((root) =>
    new Oracle(createRegion(nested(outer, { root, size: '4MiB' }), best), 'any'));
  const held = ['a', 'b'].map((root) => outer.roots.get(root));
  try {
    for (let i = 0; i < 600; i++) {
      const oracle = oracles[random(2)];
      try {
        randomStep(oracle, random, 60_000);
      } catch (error) {
        if ((error as { code?: string }).code !== 'ERR_NO_SPACE') throw error;
      }
      if (random(3) === 0) around.alloc(random(3000));
      if (random(5) === 0 && around.blocks.length > 0) around.free(random(around.blocks.length));
      if (i % 150 !== 149) continue;
      for (const one of oracles) one.verify();
      if (random(2) === 0) for (const one of oracles) one.region.close();
      outer.close();
      outer = openRegion(file(path));
      expect(outer.check()).toEqual([]);
      around.region = outer;
      oracles.forEach((one, n) => {
        one.region = openRegion(nested(outer, { root: ['a', 'b'][n] }));
        one.verify();
      });
      expect(['a', 'b'].map((root) => outer.roots.get(root))).toEqual(held);
    }
  } catch (error) {
    throw new Error(`seed ${seed}`, { cause: error });
  }
  outer.close();
});
