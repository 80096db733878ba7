/** Creating, opening, refusing; many segments; death of the writer. */
import { spawn } from 'node:child_process';
import { copyFileSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { file } from '../src/disciplines/file.ts';
import { heap } from '../src/disciplines/heap.ts';
import { mmap } from '../src/disciplines/mmap.ts';
import { ERROR_CODES, RegionError } from '../src/errors.ts';
import { HEADER, PAGE, SEGMENT_HEADER, SLOT_BYTES, STATE } from '../src/layout.ts';
import { best } from '../src/methods/best.ts';
import { last } from '../src/methods/last.ts';
import { shimProblem } from '../src/native/load.ts';
import { attachRegion, createRegion, formatRegion, openRegion, toAddress }
  from '../src/region/region.ts';
import type { Method } from '../src/types.ts';
import { expectCode } from './support/expect-code.ts';
import { memoryOf } from './support/memory.ts';
import { newSeed, often, Oracle, randomFrom, randomStep } from './support/oracle.ts';
import { temporaryDirectory } from './support/temp.ts';

const hasShim = shimProblem() === null;
const GIB = 2 ** 30;

function regionFile(): string {
  return join(temporaryDirectory(), 'a.region');
}

/** Bytes of a closed `file` region with a few blocks, and its path. */
function sample(method: Method = best): { path: string; bytes: Buffer } {
  const path = regionFile();
  const region = createRegion(file(path, { capacity: '1MiB' }), method);
  for (let i = 0; i < 20; i++) region.bytes(region.alloc(i * 100)).fill(i);
  region.roots.set('root', region.strdup('text'));
  region.close();
  return { path, bytes: readFileSync(path) };
}

describe('opening', () => {
  test('heap memory: nothing to open, one region at a time', () => {
    const memory = heap({ capacity: '1MiB' });
    expectCode('ERR_NOT_FOUND', () => openRegion(memory));
    const region = createRegion(memory, best, { name: 'first' });
    const a = region.strdup('kept');
    expectCode('ERR_EXISTS', () => createRegion(memory, best));
    expect(region.string(a)).toBe('kept');
    expect(region.name).toBe('first');
  });

  test('options are checked', () => {
    expectCode('ERR_BAD_OPTION', () => createRegion(heap(), best, { nam: 'x' } as object));
    expectCode('ERR_BAD_OPTION', () => openRegion(heap(), { name: 5 } as object));
    expectCode('ERR_BAD_OPTION', () => createRegion(heap(), { ...best, name: 'ü' }));
    expectCode('ERR_BAD_OPTION', () => createRegion(heap(), { ...best, name: 'm'.repeat(25) }));
    expect(toAddress(16)).toBe(16);
    for (const n of [-1, 0.5, Number.NaN]) expectCode('ERR_BAD_ADDRESS', () => toAddress(n));
  });

  test('a method nobody registered is named', () => {
    const path = regionFile();
    createRegion(file(path, { capacity: '1MiB' }), { ...best, name: 'mine' }).close();
    expect(expectCode('ERR_NOT_FOUND', () => openRegion(file(path))).message).toContain('mine');
  });

  test('a newer format is refused untouched', () => {
    const { path, bytes } = sample();
    bytes.writeUInt32LE(2, HEADER.version);
    writeFileSync(path, bytes);
    expectCode('ERR_VERSION', () => openRegion(file(path)));
    expect(readFileSync(path).equals(bytes)).toBe(true);
  });

  test('a region of a store is not opened without it', () => {
    const path = regionFile();
    const id = 'ab'.repeat(16);
    const memory = file(path, { capacity: '1MiB' });
    formatRegion(memory, best,
      { regionId: id, storeId: id, createdAt: 0, capacity: 2 ** 20, name: 'n' });
    memory.sync();
    memory.close();
    expectCode('ERR_MISMATCH', () => openRegion(file(path)));
    const again = file(path);
    expectCode('ERR_MISMATCH', () => attachRegion(again, { regionId: id, storeId: '' }, 'n'));
    again.close();
    const handle = attachRegion(again, { regionId: id, storeId: id }, 'n');
    expect(handle.region.id).toBe(id);
    expect(handle.region.check()).toEqual([]);
  });

  test('a handle revives after its memory was reverted, and retires with its error', () => {
    const memory = heap({ capacity: '1MiB' });
    const id = 'cd'.repeat(16);
    const handle = formatRegion(memory, best,
      { regionId: id, storeId: id, createdAt: 0, capacity: 2 ** 20, name: 'n' });
    const { region } = handle;
    const a = region.strdup('before');
    const image = memory.window(0).slice(0, region.stat().extent);
    for (let i = 0; i < 300; i++) region.roots.set(`a root with quite a long name ${i}`, i);
    region.alloc(500_000);
    memory.window(0).set(image);
    handle.revive();
    expect(region.string(a)).toBe('before');
    expect([...region.roots]).toEqual([]);
    expect(region.check()).toEqual([]);
    const view = region.bytes(a);
    handle.retire(new RegionError('ERR_STALE', 'gone'));
    for (const call of [() => region.alloc(1), () => region.free(a), () => region.resize(a, 5),
      () => region.bytes(a), () => region.stat(), () => region.check(), () => region.roots.get('a'),
      () => region.offsetOf(a), () => region.clear(), () => region.align(1, 64)]) {
      expectCode('ERR_STALE', call);
    }
    expect(view.length).toBeGreaterThan(0);
    region.close();
    expect(memory.window(0).byteLength).toBe(2 ** 20);
  });

  test('the capacity can be raised, and not lowered below what is in use', () => {
    const path = regionFile();
    const region = createRegion(file(path, { capacity: '1MiB' }), best);
    const a = region.alloc(900_000);
    expectCode('ERR_NO_SPACE', () => region.alloc(900_000));
    region.close();
    expectCode('ERR_BAD_OPTION', () => openRegion(file(path, { capacity: '512KiB' })));
    using larger = openRegion(file(path, { capacity: '8MiB' }));
    larger.alloc(900_000);
    expect(larger.sizeOf(a)).toBeGreaterThanOrEqual(900_000);
    expect(larger.stat().capacity).toBe(8 * 2 ** 20);
    expect(larger.check()).toEqual([]);
  });
});

describe('hostile files', () => {
  test.each([best, last])('any byte of the first pages changed: $name', (method) => {
    const memory = memoryOf(new Uint8Array(0), 2 ** 18);
    const region = createRegion(memory, method);
    for (let i = 0; i < 20; i++) region.bytes(region.alloc(i * 100)).fill(i);
    region.roots.set('root', region.strdup('text'));
    region.close();
    const image = memory.bytes().slice();
    const outcomes = new Map<string, number>();
    // Most of the header, the roots and the durable state, once, as they are the same under every
    // method, less of what is unused or blocks; in fuzz every byte.
    const stride = often(13, 1);
    const dense = method === best ? PAGE + STATE.bytes : 0;
    for (let at = 0; at < 5 * PAGE; at += at < dense ? often(5, 1) : stride) {
      const damaged = image.slice();
      damaged[at] ^= 0xff;
      const outcome = outcomeOf(damaged);
      outcomes.set(outcome, (outcomes.get(outcome) ?? 0) + 1);
    }
    expect(outcomes.get('ERR_CORRUPT')).toBeGreaterThan(method === best ? 40 : 10);
    expect(outcomes.get('sound')).toBeGreaterThan(200);
    const codes: readonly string[] = [...ERROR_CODES, 'sound', 'findings'];
    expect([...outcomes.keys()].filter((key) => !codes.includes(key))).toEqual([]);
  });

  test.each([0, 1, 100, 4095, 4096, 8191, 8192, 20_000, 65535])('cut off at %d bytes', (length) => {
    const { path, bytes } = sample();
    writeFileSync(path, bytes.subarray(0, length));
    const code = length === 0 ? 'ERR_NOT_FOUND' : 'ERR_CORRUPT';
    expectCode(code, () => openRegion(file(path)));
    if (length > 0) expectCode('ERR_EXISTS', () => createRegion(file(path), best));
    expect(readFileSync(path).equals(bytes.subarray(0, length))).toBe(true);
  });

  test.each([1, 5000, 100_000])('a foreign file of %d bytes is left as it was', (length) => {
    const path = regionFile();
    const bytes = Buffer.alloc(length, 'not a region ');
    writeFileSync(path, bytes);
    const openers = [() => file(path), ...(hasShim ? [() => mmap(path)] : [])];
    for (const open of openers) {
      expectCode('ERR_CORRUPT', () => openRegion(open()));
      expectCode('ERR_EXISTS', () => createRegion(open(), best));
    }
    expect(readFileSync(path).equals(bytes)).toBe(true);
  });
});

/**
 * Opens, checks, allocates, closes: the code of the documented error, or 'sound', or 'findings'.
 */
function outcomeOf(image: Uint8Array): string {
  try {
    const region = openRegion(memoryOf(image, 2 ** 18));
    try {
      const isSound = region.check().length === 0;
      for (let i = 0; i < 5; i++) region.alloc(100);
      return isSound ? 'sound' : 'findings';
    } finally {
      region.close();
    }
  } catch (error) {
    return error instanceof RegionError ? error.code : `other: ${String(error)}`;
  }
}

describe('many segments', () => {
  const large = Math.floor(3.9 * GIB);

  test.each([best, last])('heap: four blocks of 3.9 GiB and small ones: $name', (method) => {
    const memory = heap({ capacity: '64GiB' });
    using region = createRegion(memory, method);
    const small = region.strdup('first');
    const blocks = [1, 2, 3, 4].map((n) => touch(region.alloc(large), n));
    expect(region.stat().segments).toBe(4);
    blocks.forEach(([address], i) => expect(Math.floor(address / SLOT_BYTES)).toBe(i));
    verifyTouched(blocks);
    expect(region.offsetOf(blocks[3][0] + large - 1)).toBe(large - 1);
    expect(region.addressOf(region.bytes(blocks[2][0], 1))).toBe(blocks[2][0]);
    expect(region.check()).toEqual([]);
    expect(region.stat().capacity).toBe(64 * GIB);
    expectCode('ERR_BAD_SIZE', () => region.alloc(SLOT_BYTES));
    for (const [address] of blocks.reverse()) region.free(address);
    expect(region.string(small)).toBe('first');
    region.compact();
    expect(region.stat().segments).toBe(1);
    expect(region.check()).toEqual([]);

    function touch(address: number, n: number): [number, number] {
      const bytes = region.bytes(address);
      bytes[0] = n;
      bytes[large - 1] = n + 10;
      return [address, n];
    }
    function verifyTouched(all: [number, number][]): void {
      for (const [address, n] of all) {
        const bytes = region.bytes(address);
        expect([bytes[0], bytes[large - 1]]).toEqual([n, n + 10]);
      }
    }
  });

  test('R5: the header of a later segment', () => {
    const memory = heap({ capacity: '8GiB' });
    using region = createRegion(memory, best);
    region.alloc(large);
    region.alloc(large);
    const view = new DataView(memory.window(1).buffer);
    for (const at of [SEGMENT_HEADER.magic, SEGMENT_HEADER.regionId, SEGMENT_HEADER.index,
      SEGMENT_HEADER.crc]) {
      view.setUint8(at, view.getUint8(at) ^ 1);
      expect(region.check().map(({ id, address }) => [id, address])).toEqual([['R5', SLOT_BYTES]]);
      view.setUint8(at, view.getUint8(at) ^ 1);
    }
  });

  test.runIf(hasShim)('sparse mmap of 64 GiB: reopened with every block, then given back', () => {
    const path = regionFile();
    const options = { capacity: '64GiB', sparse: true };
    const region = createRegion(mmap(path, options), best);
    const addresses = [1, 2, 3, 4, 5].map((n) => {
      const address = region.alloc(large);
      const bytes = region.bytes(address);
      bytes[0] = n;
      bytes[bytes.length - 1] = n + 100;
      region.roots.set(`block ${n}`, address);
      return address;
    });
    const size = region.sizeOf(addresses[0]);
    region.close();
    const again = openRegion(mmap(path, { sparse: true }));
    expect(again.stat()).toMatchObject({ segments: 5, capacity: 64 * GIB });
    addresses.forEach((address, i) => {
      expect(again.roots.get(`block ${i + 1}`)).toBe(address);
      const bytes = again.bytes(address);
      expect([bytes[0], bytes[size - 1]]).toEqual([i + 1, i + 101]);
    });
    expect(again.check()).toEqual([]);
    for (const address of addresses.slice(1)) again.free(address);
    expect(again.compact()).toBeGreaterThan(15 * GIB);
    expect(statSync(path).size).toBeLessThan(SLOT_BYTES);
    expect(again.bytes(addresses[0])[size - 1]).toBe(101);
    again.close();
  });
});

describe('death of the writer', () => {
  test.each([best, last])('a region that was not closed is rebuilt: $name', (method) => {
    const path = regionFile();
    const seed = newSeed();
    const random = randomFrom(seed);
    const region = createRegion(file(path, { capacity: '16MiB' }), method);
    const oracle = new Oracle(region, method === last ? 'newest' : 'any');
    for (let i = 0; i < 400; i++) randomStep(oracle, random, 10_000);
    region.sync();
    const copy = `${path}.copy`;
    copyFileSync(path, copy);
    region.close();
    oracle.region = openRegion(file(copy));
    oracle.verify();
    oracle.region.close();
  });

  test.runIf(hasShim)('SIGKILL in the middle of writing a mapped region', async () => {
    const path = regionFile();
    const child = fileURLToPath(new URL('../dist/test/support/region-child.js', import.meta.url));
    let acknowledged = 0;
    for (let round = 0; round < often(4, 10); round++) {
      acknowledged = Math.max(acknowledged, await killAfter(child, path, 60 + round * 37));
      using region = openRegion(mmap(path));
      expect(region.check()).toEqual([]);
      const written = region.roots.get('count');
      expect(written).toBeGreaterThanOrEqual(acknowledged);
      for (let i = Math.max(0, written - 50); i < written; i++) {
        const address = region.roots.get(`block ${i % 50}`);
        const n = region.array(Uint32Array, address, 2);
        expect(n[0] % 50).toBe(i % 50);
        expect(n[1]).toBe(n[0] ^ 0x5a5a);
      }
    }
    expect(acknowledged).toBeGreaterThan(100);
  });
});

/**
 * Runs the child until `ms` after its second report, which is 100 steps behind the first one; kills
 * it, returns the last count it reported.
 */
function killAfter(script: string, path: string, ms: number): Promise<number> {
  return new Promise((done, failed) => {
    const child = spawn(process.execPath, [script, path], { stdio: ['ignore', 'pipe', 'pipe'] });
    let output = '';
    let errors = '';
    let isDoomed = false;
    child.stdout.on('data', (chunk) => {
      output += chunk;
      if (isDoomed || output.split('\n').length <= 2) return;
      isDoomed = true;
      setTimeout(() => child.kill('SIGKILL'), ms);
    });
    child.stderr.on('data', (chunk) => {
      errors += chunk;
    });
    child.on('close', (code) => {
      if (code !== null) failed(new Error(`the child ended with ${code}: ${errors}`));
      const lines = output.split('\n');
      done(Number(lines[lines.length - 2] ?? 0));
    });
  });
}
