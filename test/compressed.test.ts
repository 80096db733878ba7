/**
 * Compressed region files: options, what is in the file and how large it gets, and that a
 * model agrees across random steps and reopening.
 */
import { copyFileSync, existsSync, readdirSync, readFileSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { compressed } from '../src/disciplines/compressed.ts';
import { codecNamed } from '../src/disciplines/compressed-codec.ts';
import { FreeSpace, inOrder, taken } from '../src/disciplines/compressed-space.ts';
import { file } from '../src/disciplines/file.ts';
import { mmap } from '../src/disciplines/mmap.ts';
import { CHUNK, CODEC, COMPRESSED, COMPRESSED_START, COMPRESSED_UNIT, PAGE }
  from '../src/layout.ts';
import { best } from '../src/methods/best.ts';
import { shimProblem } from '../src/native/load.ts';
import { createRegion, openRegion } from '../src/region/region.ts';
import { filled, rewriteSlots } from './support/compressed-files.ts';
import { expectCode } from './support/expect-code.ts';
import { newSeed, Oracle, randomFrom, randomStep } from './support/oracle.ts';
import { codeOf } from './support/stores.ts';
import { temporaryDirectory } from './support/temp.ts';

function newPath(): string {
  return join(temporaryDirectory(), 'a.region');
}

const hasZstd = codeOf(() => codecNamed('zstd', 'x')) === 'none';

describe('options', () => {
  test('wrong ones are refused', () => {
    const path = newPath();
    for (const capacity of [-1, 1.5, Number.NaN, '1 MB', 2 ** 50, 0]) {
      expectCode('ERR_BAD_OPTION', () => compressed(path, { capacity }));
    }
    for (const level of [0, -1, 1.5, Number.NaN, '6' as unknown as number]) {
      expectCode('ERR_BAD_OPTION', () => compressed(path, { level }));
    }
    expectCode('ERR_BAD_OPTION', () => compressed(path, { codec: 'deflate', level: 10 }));
    expectCode('ERR_BAD_OPTION', () => createRegion(compressed(path, { level: 10 }), best));
    expectCode('ERR_BAD_OPTION', () => compressed(path, { codec: 'gzip' as 'zstd' }));
    expectCode('ERR_BAD_OPTION', () => compressed(path, { levle: 3 } as object));
    expectCode('ERR_BAD_OPTION', () => compressed(7 as unknown as string));
    expect(existsSync(path)).toBe(false);
  });

  test('levels: more work, a smaller file', () => {
    const sizes = [1, 9].map((level) => {
      const path = newPath();
      const region = createRegion(compressed(path, { level }), best);
      const bytes = region.bytes(region.alloc(1_000_000));
      for (let i = 0; i < bytes.length; i++) bytes[i] = (i * i) >> 7;
      region.close();
      return statSync(path).size;
    });
    expect(sizes[1]).toBeLessThan(sizes[0]);
  });

  test.runIf(!hasZstd)('zstd where this Node lacks it names the Node that has it', () => {
    const error = expectCode('ERR_VERSION', () => compressed(newPath(), { codec: 'zstd' }));
    expect(error.message).toContain('Node 22.15');
    const path = newPath();
    filled(path);
    const before = rewriteSlots(path, (slot) => slot.writeUInt32LE(CODEC.zstd, COMPRESSED.codec));
    const other = expectCode('ERR_VERSION', () => openRegion(compressed(path)));
    expect(other.message).toContain('Node 22.15');
    expect(readFileSync(path).equals(before)).toBe(true);
  });

  test.runIf(hasZstd)('zstd: recorded in the file; a file changes its codec when asked', () => {
    const path = newPath();
    filled(path);
    for (const codec of ['zstd', 'deflate', 'zstd'] as const) {
      using region = openRegion(compressed(path, { codec }));
      expect(region.string(region.roots.get('text'))).toBe('packed');
      region.sync();
      const id = readFileSync(path).readUInt32LE(COMPRESSED.codec);
      expect(id).toBe(CODEC[codec]);
    }
    using again = openRegion(compressed(path));
    expect(again.string(again.roots.get('text'))).toBe('packed');
    expect(readFileSync(path).readUInt32LE(COMPRESSED.codec)).toBe(CODEC.zstd);
    expect(again.check()).toEqual([]);
  });
});

describe('the file', () => {
  test('is smaller than the region, nothing stays beside it, zeros take nothing', () => {
    const path = newPath();
    filled(path);
    expect(readdirSync(dirname(path))).toEqual(['a.region']);
    const { size } = statSync(path);
    expect(size).toBeLessThan(250_000);
    const region = openRegion(compressed(path));
    const bytes = region.bytes(region.alloc(20_000_000));
    expect(bytes[19_999_999]).toBe(0);
    region.close();
    expect(statSync(path).size).toBeLessThan(size + 40_000);
    using again = openRegion(compressed(path));
    expect(again.stat().extent).toBeGreaterThan(20_000_000);
  });

  test('a sync without change writes nothing, one change writes little', () => {
    const path = newPath();
    filled(path);
    using region = openRegion(compressed(path));
    region.sync();
    const before = readFileSync(path);
    region.sync();
    expect(readFileSync(path).equals(before)).toBe(true);
    region.roots.set('more', 1);
    region.sync();
    const after = readFileSync(path);
    expect(after.equals(before)).toBe(false);
    expect(after.length).toBeLessThan(before.length + CHUNK);
  });

  test('waste is bounded, however long it is changed', () => {
    const path = newPath();
    const random = randomFrom(newSeed());
    const region = createRegion(compressed(path, { level: 1 }), best);
    const bytes = region.bytes(region.alloc(3_000_000));
    let most = 0;
    for (let round = 0; round < 60; round++) {
      const from = random(2_900_000);
      const noise = random(256);
      for (let i = from; i < from + 100_000; i++) bytes[i] = random(1 + noise);
      region.sync();
      most = Math.max(most, statSync(path).size);
    }
    bytes.fill(0);
    region.sync();
    expect(most).toBeLessThan(3_000_000 * 2 + 300_000);
    expect(statSync(path).size).toBeLessThan(300_000);
    region.close();
    using again = openRegion(compressed(path));
    expect(again.check()).toEqual([]);
  });

  test('is locked, not followed through links, and told from plain region files', () => {
    const path = newPath();
    const region = createRegion(compressed(path), best);
    expectCode('ERR_LOCKED', () => openRegion(compressed(path)));
    expectCode('ERR_LOCKED', () => openRegion(file(path)));
    region.close();
    expectCode('ERR_CORRUPT', () => openRegion(file(path)));
    if (shimProblem() === null) expectCode('ERR_CORRUPT', () => openRegion(mmap(path)));
    expectCode('ERR_CORRUPT', () => openRegion(compressed(dirname(path))));
    const plain = newPath();
    createRegion(file(plain), best).close();
    const error = expectCode('ERR_CORRUPT', () => openRegion(compressed(plain)));
    expect(error.message).toContain('no compressed region');
    expectCode('ERR_EXISTS', () => createRegion(compressed(path), best));
    openRegion(compressed(path)).close();
  });

  test('what was not synced is lost, and only that', () => {
    const path = newPath();
    const region = createRegion(compressed(path), best);
    region.roots.set('a', 1);
    region.sync();
    region.roots.set('a', 2);
    copyFileSync(path, `${path}.copy`);
    using survivor = openRegion(compressed(`${path}.copy`));
    expect(survivor.roots.get('a')).toBe(1);
    region.close();
  });

  test('a capacity smaller than what is there is refused, the file untouched', () => {
    const path = newPath();
    filled(path);
    const before = readFileSync(path);
    expectCode('ERR_BAD_OPTION', () => openRegion(compressed(path, { capacity: '128KiB' })));
    expect(readFileSync(path).equals(before)).toBe(true);
    using region = openRegion(compressed(path, { capacity: '1GiB' }));
    expect(region.stat().capacity).toBe(2 ** 30);
  });

  test('several segments', () => {
    const path = newPath();
    let region = createRegion(compressed(path, { capacity: '6GiB' }), best);
    const first = region.alloc(2 ** 32 - 2 ** 20);
    const second = region.alloc(1_000_000);
    expect(second).toBeGreaterThan(2 ** 32);
    region.bytes(second).fill(5);
    region.bytes(first, 100).fill(6);
    region.roots.set('second', second);
    region.close();
    expect(statSync(path).size).toBeLessThan(200_000);
    region = openRegion(compressed(path));
    expect(new Set(region.bytes(region.roots.get('second')))).toEqual(new Set([5]));
    region.free(second);
    region.compact();
    expect(region.stat().segments).toBe(1);
    region.close();
    using again = openRegion(compressed(path));
    expect(again.stat().segments).toBe(1);
    expect(new Set(again.bytes(first, 100))).toEqual(new Set([6]));
  });
});

test('free space is given out once, and never over what is in use', () => {
  const seed = newSeed();
  const random = randomFrom(seed);
  let ranges: { place: number; length: number }[] = [];
  for (let round = 0; round < 200; round++) {
    const space = new FreeSpace(inOrder(ranges) ?? []);
    for (let i = random(20); i >= 0; i--) {
      const length = 1 + random(random(3) === 0 ? 400_000 : CHUNK);
      ranges.push({ place: space.take(length), length });
    }
    const sorted = inOrder(ranges);
    expect(sorted, `seed ${seed}, round ${round}`).not.toBeNull();
    expect(ranges.every((range) => range.place % COMPRESSED_UNIT === 0)).toBe(true);
    ranges = ranges.filter(() => random(5) > 1);
  }
  const end = ranges.reduce((most, { place, length }) => Math.max(most, place + length), 0);
  const used = ranges.reduce((sum, range) => sum + taken(range.length), 0);
  expect(end - COMPRESSED_START).toBeLessThan(used * 2 + 2 ** 20);
  expect(PAGE % COMPRESSED_UNIT).toBe(0);
});

test('random steps across reopening agree with a model', () => {
  const seed = newSeed();
  const random = randomFrom(seed);
  const path = newPath();
  const oracle = new Oracle(createRegion(compressed(path, { level: 1 }), best), 'any');
  for (let round = 0; round < 8; round++) {
    for (let i = 0; i < 150; i++) randomStep(oracle, random, 100_000);
    oracle.region.sync();
    if (round % 3 === 2) {
      copyFileSync(path, `${path}.copy`);
      const { region } = oracle;
      oracle.region = openRegion(compressed(`${path}.copy`));
      oracle.verify();
      oracle.region.close();
      oracle.region = region;
    }
    oracle.region.close();
    oracle.region = openRegion(compressed(path, { level: 1 }));
    oracle.verify();
  }
  oracle.region.close();
});
