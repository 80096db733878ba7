/**
 * debug(inner): every finding is provoked for real, and comes once, with the address and the places
 * in this file where the block was allocated, freed and found.
 */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { heap } from '../src/disciplines/heap.ts';
import { best } from '../src/methods/best.ts';
import { debug } from '../src/methods/debug.ts';
import type { DebugOptions } from '../src/methods/debug-state.ts';
import { last } from '../src/methods/last.ts';
import { poolOf } from '../src/methods/pool.ts';
import { methodNamed, registerMethod } from '../src/methods/registry.ts';
import { createRegion } from '../src/region/region.ts';
import type { RegionFlags } from '../src/events.ts';
import type { Finding, Method, Region } from '../src/types.ts';
import { expectCode } from './support/expect-code.ts';

const HERE = fileURLToPath(import.meta.url);
const lines = readFileSync(HERE, 'utf8').split('\n');

/** `file:line:function` of the one line of this file that ends with a mark. */
function at(mark: string, called = mark): string {
  const line = lines.findIndex((text) => text.endsWith(`// ${mark}`)) + 1;
  expect(line, mark).toBeGreaterThan(0);
  return `${HERE}:${line}:${called}`;
}

interface Watched {
  readonly region: Region;
  readonly told: Finding[];
}

function watched(
  options?: DebugOptions, inner: Method = best, flags: Partial<RegionFlags> = {},
): Watched {
  const told: Finding[] = [];
  const region = createRegion(heap({ capacity: '8MiB' }), debug(inner, options),
    { ...flags, on: { warning: (finding) => told.push(finding) } });
  return { region, told };
}

/** The memory around a block, from `before` bytes in front of it. */
function around(region: Region, address: number, before: number, length: number): Uint8Array {
  const view = region.bytes(address, 0);
  return new Uint8Array(view.buffer, view.byteOffset - before, length);
}

function make(region: Region, size = 100) {
  return region.alloc(size); // make
}

function drop(region: Region, address: number): void {
  region.free(address); // drop
}

function look(region: Region): Finding[] {
  return region.check(); // look
}

describe('findings', () => {
  test('D1 overrun: at check and at free, once', () => {
    const { region, told } = watched();
    const a = make(region);
    around(region, a, 0, 103).fill(7, 100);
    const detail = '3 bytes from offset 100 written behind the block of 100 bytes (number 1)';
    const found = { id: 'D1', address: a, detail, byProgram: true, allocatedAt: at('make') };
    expect(look(region)).toEqual([{ ...found, detectedAt: at('look') }]);
    expect(look(region)).toHaveLength(1);
    drop(region, a);
    expect(told).toEqual([{ ...found, detectedAt: at('drop') }]);
    expect(look(region)).toEqual([]);
  });

  test('D1 finds one byte behind a block of any size, at resize too', () => {
    for (let size = 0; size < 40; size++) {
      const { region, told } = watched();
      const a = make(region, size);
      around(region, a, 0, size + 1)[size] ^= 1;
      region.resize(a, size + 500);
      expect(told.map(({ id, address }) => [id, address])).toEqual([['D1', a]]);
      expect(look(region)).toEqual([]);
    }
  });

  test('D2 underrun: each byte in front of a block', () => {
    for (let before = 1; before <= 32; before++) {
      const { region, told } = watched();
      const a = make(region);
      around(region, a, before, 1)[0] ^= 0x10;
      const [found, ...more] = look(region);
      expect(more).toEqual([]);
      expect(found).toMatchObject({ id: 'D2', address: a, detectedAt: at('look') });
      if (before <= 4) expect(found.allocatedAt).toBe(at('make'));
      drop(region, a);
      expect(told).toHaveLength(1);
      expect(told[0]).toMatchObject({ id: 'D2', address: a, detectedAt: at('drop') });
      expect(look(region)).toEqual([]);
    }
  });

  test('D2 of an aligned block whose first bytes were written over', () => {
    const { region, told } = watched();
    const a = region.align(100, 256);
    around(region, a, 256, 12).fill(0);
    expect(look(region).map(({ id, address }) => [id, address])).toEqual([['D2', a]]);
    expect(region.sizeOf(a)).toBe(100);
    drop(region, a);
    expect(told).toHaveLength(1);
    expect(look(region)).toEqual([]);
  });

  test('D3 use after free: at check, and when the block leaves the quarantine', () => {
    const { region, told } = watched({ quarantineBlocks: 2 });
    const a = make(region);
    const view = region.bytes(a);
    drop(region, a);
    view.set([1, 2], 40);
    const detail = '2 bytes from offset 40 written to the freed block of 100 bytes (number 1)';
    const found = { id: 'D3', address: a, detail, byProgram: true, allocatedAt: at('make'),
      freedAt: at('drop') };
    expect(look(region)).toEqual([{ ...found, detectedAt: at('look') }]);
    drop(region, make(region));
    expect(told).toEqual([]);
    drop(region, make(region));
    expect(told).toEqual([{ ...found, detectedAt: at('drop') }]);
    expect(look(region)).toEqual([]);
  });

  test('D3 when a block behind its end is written to, after it was freed', () => {
    const { region } = watched();
    const a = make(region);
    const behind = around(region, a, 0, 105);
    drop(region, a);
    behind[104] = 1;
    expect(look(region)).toMatchObject([{ id: 'D3', detail:
      '1 byte from offset 104 written to the freed block of 100 bytes (number 1)' }]);
  });

  test('D4 double free: with the sites of allocation, first free and detection', () => {
    const { region, told } = watched();
    const a = make(region);
    drop(region, a);
    const error = expectCode('ERR_BAD_ADDRESS', () => region.free(a)); // double
    expect(error.message).toContain('D4: the block of 100 bytes (number 1) was freed before');
    const place = told[0].detectedAt?.split(':').at(1);
    expect(place).toBe(at('double', 'x').split(':').at(1));
    expect(told).toMatchObject([{ id: 'D4', address: a, allocatedAt: at('make'),
      freedAt: at('drop') }]);
    expectCode('ERR_BAD_ADDRESS', () => drop(region, a));
    expectCode('ERR_BAD_ADDRESS', () => region.resize(a, 5));
    expectCode('ERR_BAD_ADDRESS', () => region.sizeOf(a));
    expect(told).toHaveLength(1);
  });

  test('D4 although the quarantine is empty, while the memory is nobody else\'s', () => {
    const { region, told } = watched({ quarantine: 0 });
    const a = make(region);
    drop(region, a);
    expectCode('ERR_BAD_ADDRESS', () => drop(region, a));
    expect(told).toMatchObject([{ id: 'D4', address: a, allocatedAt: at('make'),
      freedAt: at('drop'), detectedAt: at('drop') }]);
  });

  test('D4 of a block that was moved by resize', () => {
    for (const inner of [best, last]) {
      const { region, told } = watched({}, inner);
      const a = make(region);
      make(region);
      expect(region.resize(a, 5000)).not.toBe(a);
      expectCode('ERR_BAD_ADDRESS', () => region.resize(a, 6000));
      expect(told.map(({ id, address }) => [id, address])).toEqual([['D4', a]]);
    }
  });

  test('D5 foreign free: inside a block, in front of one, where nothing was', () => {
    const { region, told } = watched();
    const a = make(region);
    const freed = make(region);
    drop(region, freed);
    const cases: [number, string][] = [
      [a + 16, `it is offset 16 into the block of 100 bytes (number 1) at ${a}`],
      [a + 1, `it is offset 1 into the block of 100 bytes (number 1) at ${a}`],
      [a - 16, `it is 16 bytes before the block of 100 bytes (number 1) at ${a}`],
      [a + 108, `it is offset 108 into the block of 100 bytes (number 1) at ${a}`],
      [freed + 16, `it is offset 16 into the freed block of 100 bytes (number 2) at ${freed}`],
      [a + 320, 'no block was ever there, as far as is known'],
    ];
    for (const [address, detail] of cases) {
      expectCode('ERR_BAD_ADDRESS', () => drop(region, address));
      const found = told.pop();
      expect(found).toMatchObject({ id: 'D5', address, detail, detectedAt: at('drop') });
      const isKnown = address < a + 300;
      expect(found?.allocatedAt).toBe(isKnown ? at('make') : undefined);
      expect(found?.freedAt).toBe(address === freed + 16 ? at('drop') : undefined);
    }
    expect(look(region)).toEqual([]);
  });

  test('D6 leaks at close, not of what is hidden or freed', () => {
    const { region, told } = watched();
    for (let i = 0; i < 200; i++) region.roots.set(`a root with a rather long name ${i}`, i);
    drop(region, make(region));
    const a = make(region, 7);
    region.close(); // close
    expect(told).toMatchObject([{ id: 'D6', address: a, allocatedAt: at('make'),
      detail: 'the block of 7 bytes (number 4) was never freed' }]);
    expect(told[0].detectedAt?.split(':')[1]).toBe(at('close').split(':')[1]);
  });

  test('D6 of very many leaks are summed up', () => {
    const { region, told } = watched();
    for (let i = 0; i < 150; i++) make(region, 10);
    region.close();
    expect(told).toHaveLength(101);
    expect(told[100]).toMatchObject({ id: 'D6', address: 0,
      detail: '50 more blocks of 500 bytes in all were never freed' });
  });

  test('a block in the place of another has findings of its own', () => {
    const { region, told } = watched({ quarantine: 0 });
    for (let i = 1; i <= 3; i++) {
      const a = make(region);
      around(region, a, 0, 101)[100] = 0;
      drop(region, a);
      expect(told).toHaveLength(i);
    }
    expect(new Set(told.map(({ address }) => address)).size).toBe(1);
  });

  test('without call sites the findings are the same', () => {
    const { region } = watched({ sites: false });
    const a = make(region);
    around(region, a, 0, 101)[100] = 0;
    expect(look(region)).toEqual([{ id: 'D1', address: a, byProgram: true, detectedAt: at('look'),
      detail: '1 byte from offset 100 written behind the block of 100 bytes (number 1)' }]);
  });

  test('abort throws what was found, when the call has done its work', () => {
    const { region, told } = watched({}, best, { abort: true });
    const a = make(region);
    around(region, a, 0, 101)[100] = 0;
    const error = expectCode('ERR_CORRUPT', () => drop(region, a));
    expect(error.message).toContain(`D1 at ${a}`);
    expect(told).toHaveLength(1);
    expect(region.stat().busyBlocks).toBe(0);
    expect(look(region)).toEqual([]);
  });

  test('every n-th operation is checked', () => {
    const { region, told } = watched({}, best, { check: true, period: 3, start: 1 });
    const a = make(region);
    around(region, a, 0, 101)[100] = 0;
    make(region);
    make(region);
    expect(told).toEqual([]);
    make(region);
    expect(told).toMatchObject([{ id: 'D1', address: a, detectedAt: at('make') }]);
    for (let i = 0; i < 10; i++) make(region);
    drop(region, a);
    expect(told).toHaveLength(1);
  });
});

describe('blocks', () => {
  test('have exactly the size that was asked for; stat has the padded bytes too', () => {
    const { region } = watched();
    for (const size of [0, 1, 15, 16, 17, 100, 5000]) {
      const a = make(region, size);
      expect(region.sizeOf(a)).toBe(size);
      expect(region.bytes(a).length).toBe(size);
      expect(region.resize(a, size + 3)).not.toBe(0);
    }
    const stat = region.stat();
    expect(stat.busyBytes).toBe([0, 1, 15, 16, 17, 100, 5000].reduce((sum, n) => sum + n + 3, 0));
    expect(stat.paddedBytes).toBeGreaterThan(stat.busyBytes + 7 * 44);
    const shown = [...region.blocks()].filter(({ busy }) => busy).map(({ size }) => size);
    expect(shown.sort((a, b) => a - b)).toEqual([3, 4, 18, 19, 20, 103, 5003]);
  });

  test('hold the pattern of new memory, and what grows does', () => {
    const { region } = watched({ fresh: 0xab });
    const a = make(region, 7);
    expect([...region.bytes(a)]).toEqual(Array(7).fill(0xab));
    region.bytes(a).fill(1);
    const b = region.resize(a, 300);
    expect([...region.bytes(b).subarray(0, 7)]).toEqual(Array(7).fill(1));
    expect(region.bytes(b).subarray(7).every((byte) => byte === 0xab)).toBe(true);
  });

  test('are filled when they are freed', () => {
    const { region } = watched({ freed: 0xee });
    const a = make(region, 9);
    const view = region.bytes(a);
    drop(region, a);
    expect([...view]).toEqual(Array(9).fill(0xee));
  });

  test('show as free while they are held back, and give way when room is needed', () => {
    const { region, told } = watched({ quarantine: '8MiB', quarantineBlocks: 1000 });
    const all = Array.from({ length: 60 }, () => make(region, 100_000));
    for (const a of all) drop(region, a);
    expect(region.stat().busyBlocks).toBe(0);
    const big = make(region, 6_000_000);
    expect(region.sizeOf(big)).toBe(6_000_000);
    expect(told).toEqual([]);
    expect(look(region)).toEqual([]);
  });

  test('the quarantine is bounded by bytes and by count', () => {
    const { region } = watched({ quarantine: 1000, quarantineBlocks: 3 });
    const freed = (n: number, size: number) => {
      const all = Array.from({ length: n }, () => make(region, size));
      for (const a of all) drop(region, a);
      // Memory that is held back is not used again.
      const next = Array.from({ length: n }, () => make(region, size));
      const again = next.filter((a) => all.includes(a)).length;
      for (const a of next) drop(region, a);
      return n - again;
    };
    expect(freed(10, 16)).toBeLessThanOrEqual(6);
    expect(freed(4, 900)).toBeGreaterThanOrEqual(1);
    expect(freed(2, 5000)).toBe(0);
  });
});

describe('naming', () => {
  test('a stored name is read in parts, and user methods may be wrapped', () => {
    expect(methodNamed('debug(best)').name).toBe('debug(best)');
    expect(methodNamed('debug(debug(best))').name).toBe('debug(debug(best))');
    expect(expectCode('ERR_NOT_FOUND', () => methodNamed('debug(own)')).message)
      .toContain("no method 'own'");
    registerMethod({ ...best, name: 'own' });
    expect(methodNamed('debug(own)').name).toBe('debug(own)');
    for (const wrong of ['debug', 'debug()', 'debug(best', 'other(best)']) {
      expectCode('ERR_NOT_FOUND', () => methodNamed(wrong));
    }
  });

  test('misuse is refused', () => {
    for (const inner of [undefined, null, 'best', {}]) {
      expectCode('ERR_BAD_OPTION', () => debug(inner as unknown as Method));
    }
    const wrong: unknown[] = [null, 5, [], { site: true }, { sites: 1 }, { fresh: 256 },
      { fresh: true }, { freed: -1 }, { freed: false }, { quarantine: '1MB' }, { quarantine: -1 },
      { quarantine: Number.NaN }, { quarantineBlocks: 1.5 }, { quarantineBlocks: 2 ** 40 },
      { siteTable: 2 ** 40 }];
    for (const options of wrong) {
      expectCode('ERR_BAD_OPTION', () => debug(best, options as DebugOptions));
    }
    const near = { qarantine: 1 } as DebugOptions;
    expect(expectCode('ERR_BAD_OPTION', () => debug(best, near)).message)
      .toContain("did you mean 'quarantine'");
    const long = { ...best, name: 'a-name-of-twenty-letters' };
    expectCode('ERR_BAD_OPTION', () => createRegion(heap(), debug(long)));
    expectCode('ERR_NO_SPACE', () =>
      createRegion(heap({ capacity: '64KiB' }), debug(best, { siteTable: '1MiB' })));
  });

  test('over a pool: blocks of one size, and the error says what debug takes of it', () => {
    const region = createRegion(heap(), debug(poolOf(147)));
    const a = make(region, 100);
    expect(region.sizeOf(a)).toBe(100);
    expect(expectCode('ERR_BAD_SIZE', () => make(region, 101)).message)
      .toContain('(debug takes 47 bytes of it)');
    around(region, a, 0, 101)[100] = 0;
    expect(look(region)).toMatchObject([{ id: 'D1', address: a, allocatedAt: at('make') }]);
    drop(region, a);
    expectCode('ERR_BAD_ADDRESS', () => drop(region, a));
    region.roots.set('r'.repeat(250), a);
    for (let i = 0; i < 30; i++) region.roots.set(`${i}${'r'.repeat(200)}`, a);
    expect(look(region)).toEqual([]);
  });

  test('in the smallest region it works', () => {
    const region = createRegion(heap({ capacity: '128KiB' }), debug(best));
    expect(region.sizeOf(make(region, 50_000))).toBe(50_000);
    expect(look(region)).toEqual([]);
  });
});
