/**
 * What is particular to heap, mmap, file and, as far as it is a file like them, compressed:
 * options, locks, creation, journal, growth, full disks.
 */
import { spawnSync } from 'node:child_process';
import {
  chmodSync, copyFileSync, existsSync, linkSync, mkdirSync, readdirSync, readFileSync, statSync,
  symlinkSync, truncateSync, unlinkSync, writeFileSync,
} from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { compressed } from '../src/disciplines/compressed.ts';
import { file } from '../src/disciplines/file.ts';
import { readBootId } from '../src/files.ts';
import { heap } from '../src/disciplines/heap.ts';
import { replayJournal, writeJournal } from '../src/disciplines/journal.ts';
import { mmap } from '../src/disciplines/mmap.ts';
import { mmapIoProblem } from '../src/disciplines/mmap-io.ts';
import { HEADER, ID_BYTES, PAGE } from '../src/layout.ts';
import { best } from '../src/methods/best.ts';
import { shimProblem } from '../src/native/load.ts';
import { createRegion, openRegion } from '../src/region/region.ts';
import type { Discipline } from '../src/types.ts';
import { expectCode } from './support/expect-code.ts';
import { newSeed, often, randomFrom } from './support/oracle.ts';
import { temporaryDirectory } from './support/temp.ts';

const hasShim = shimProblem() === null;
const hasMmapIo = mmapIoProblem() === null;

type Open = (path: string, options?: { capacity?: number | string }) => Discipline;
const onDisk: [string, Open][] = [['file', file]];
if (hasShim) onDisk.push(['mmap', (path, options) => mmap(path, { ...options, mapper: 'shim' })]);
if (hasMmapIo) {
  onDisk.push(['mmap-io', (path, options) => mmap(path, { ...options, mapper: 'mmap-io' })]);
}

/** Files that only `compressed` reads. */
const packed: [string, Open][] = [['compressed', compressed]];

function newPath(): string {
  return join(temporaryDirectory(), 'a.region');
}

describe('options', () => {
  test.each([-1, 1.5, '1 MB', 'all', null, 2 ** 50, 0])('a capacity of %s', (capacity) => {
    const wrong = capacity as number;
    expectCode('ERR_BAD_OPTION', () => heap({ capacity: wrong }));
    expectCode('ERR_BAD_OPTION', () => file(newPath(), { capacity: wrong }));
    if (hasShim) expectCode('ERR_BAD_OPTION', () => mmap(newPath(), { capacity: wrong }));
  });

  test('unknown keys and wrong paths are refused', () => {
    expectCode('ERR_BAD_OPTION', () => heap({ capcity: 1 } as object));
    expectCode('ERR_BAD_OPTION', () => file('x', { sparse: true } as object));
    expectCode('ERR_BAD_OPTION', () => mmap('x', { mapper: 'other' as 'shim' }));
    expectCode('ERR_BAD_OPTION', () => file(7 as unknown as string));
    expectCode('ERR_BAD_OPTION', () => mmap('', {}));
  });

  test('strings and numbers mean the same, 4 GiB is the default', () => {
    expect(heap({ capacity: '1MiB' }).capacity).toBe(2 ** 20);
    expect(heap({ capacity: 2 ** 20 }).capacity).toBe(2 ** 20);
    expect(heap().capacity).toBe(2 ** 32);
    expect(file('x').capacity).toBe(2 ** 32);
  });

  test('the boot of this machine has one identity', () => {
    expect(readBootId()).toMatch(process.platform === 'linux' ? /^[0-9a-f]{32}$/ : /^$/);
    expect(readBootId()).toBe(readBootId());
  });
});

describe.each([...onDisk, ...packed])('%s', (name, open) => {
  const readers = name === 'compressed' ? packed : onDisk;

  test('a second opener is told who holds it, and gets it afterwards', () => {
    const path = newPath();
    const region = createRegion(open(path, { capacity: '1MiB' }), best);
    for (const [, other] of [...onDisk, ...packed]) {
      const error = expectCode('ERR_LOCKED', () => openRegion(other(path)));
      expect(error.message).toContain(String(process.pid));
    }
    region.close();
    openRegion(open(path)).close();
    expect(readdirSync(dirname(path))).toEqual([basename(path)]);
  });

  test('a lock whose owner is dead is taken over', () => {
    const path = newPath();
    createRegion(open(path, { capacity: '1MiB' }), best).close();
    const { pid } = spawnSync(process.execPath, ['-e', '0']);
    for (const stale of [`${pid} 12345 ${readBootId()}\n`, `1 0 ${'ab'.repeat(16)}\n`, 'garbage']) {
      writeFileSync(`${path}.lock`, stale);
      openRegion(open(path)).close();
      expect(existsSync(`${path}.lock`)).toBe(false);
    }
  });

  test('creation leaves nothing behind when it fails, and takes over what a crash left', () => {
    const path = newPath();
    expectCode('ERR_BAD_OPTION', () => createRegion(open(path), { ...best, name: 'ü' }));
    expect(readdirSync(dirname(path))).toEqual([]);
    writeFileSync(`${path}.creating`, 'half a region');
    writeFileSync(path, '');
    createRegion(open(path, { capacity: '1MiB' }), best).close();
    expect(readdirSync(dirname(path))).toEqual([basename(path)]);
    openRegion(open(path)).close();
  });

  test('links, directories and missing directories are refused', () => {
    const path = newPath();
    createRegion(open(path, { capacity: '1MiB' }), best).close();
    symlinkSync(path, `${path}.link`);
    expectCode('ERR_CORRUPT', () => openRegion(open(`${path}.link`)));
    mkdirSync(`${path}.dir`);
    expectCode('ERR_CORRUPT', () => openRegion(open(`${path}.dir`)));
    expectCode('ERR_NOT_FOUND', () => openRegion(open(join(path, '..', 'none', 'x'))));
    expectCode('ERR_IO', () => createRegion(open(join(path, '..', 'none', 'x')), best));
  });

  test('the file may be moved and copied, and opened by another mapper', () => {
    const path = newPath();
    const region = createRegion(open(path, { capacity: '4MiB' }), best);
    region.roots.set('text', region.strdup('portable'));
    region.close();
    for (const [by, other] of readers) {
      copyFileSync(path, `${path}.${by}`);
      using copy = openRegion(other(`${path}.${by}`));
      expect(copy.string(copy.roots.get('text'))).toBe('portable');
      expect(copy.alloc(1_000_000)).toBeGreaterThan(0);
      expect(copy.check()).toEqual([]);
    }
  });

  test('a hard-linked name is the same file', () => {
    const path = newPath();
    const region = createRegion(open(path, { capacity: '1MiB' }), best);
    linkSync(path, `${path}.too`);
    if (hasShim) expectCode('ERR_LOCKED', () => openRegion(open(`${path}.too`)));
    region.close();
  });

  test('a closed discipline can be opened again', () => {
    const memory = open(newPath(), { capacity: '1MiB' });
    const region = createRegion(memory, best);
    region.roots.set('a', 5);
    expectCode('ERR_BUSY', () => openRegion(memory));
    expect(region.roots.get('a')).toBe(5);
    region.close();
    using again = openRegion(memory);
    expect(again.roots.get('a')).toBe(5);
  });
});

describe.runIf(hasShim)('mmap with the shim', () => {
  test('create: false makes no file', () => {
    const path = newPath();
    expectCode('ERR_NOT_FOUND', () => createRegion(mmap(path, { create: false }), best));
    expect(existsSync(path)).toBe(false);
  });

  test('stores are in the file at once, growth allocates disk, shrinking gives it back', () => {
    const path = newPath();
    using region = createRegion(mmap(path), best);
    const a = region.alloc(10_000_000);
    region.bytes(a).fill(0x77);
    expect(readFileSync(path)[a + 5_000_000]).toBe(0x77);
    const { size, blocks } = statSync(path);
    expect(size).toBe(region.stat().extent);
    expect(blocks * 512).toBeGreaterThanOrEqual(size);
    region.free(a);
    region.compact();
    expect(statSync(path).size).toBe(region.stat().extent);
    expect(statSync(path).size).toBeLessThan(200_000);
  });

  test('sparse takes disk only where it is written', () => {
    const path = newPath();
    using region = createRegion(mmap(path, { sparse: true }), best);
    region.alloc(500_000_000);
    const { size, blocks } = statSync(path);
    expect(size).toBeGreaterThan(500_000_000);
    expect(blocks * 512).toBeLessThan(20_000_000);
  });

  test('a stale view after compact and after close is empty or zero, never a fault', () => {
    const path = newPath();
    const region = createRegion(mmap(path), best);
    const a = region.alloc(5_000_000);
    const view = region.bytes(a);
    view.fill(1);
    region.free(a);
    region.compact();
    let sum = 0;
    for (let i = 1_000_000; i < view.length; i++) sum += view[i];
    expect(sum).toBe(0);
    region.close();
    expect(view.length).toBe(0);
  });

  test('a file cut off under the map: the process lives and sync tells', () => {
    const path = newPath();
    const region = createRegion(mmap(path), best);
    const a = region.alloc(1_000_000);
    const bytes = region.bytes(a);
    bytes.fill(5);
    truncateSync(path, 2 * PAGE);
    expect(bytes[900_000]).toBe(0);
    expectCode('ERR_IO', () => region.sync());
    expectCode('ERR_IO', () => region.close());
    expect(region.closed).toBe(true);
    expectCode('ERR_CORRUPT', () => openRegion(mmap(path)));
  });

  test('growth a crash left unused is given back', () => {
    const path = newPath();
    createRegion(mmap(path), best).close();
    const { size } = statSync(path);
    truncateSync(path, size + 10 * 65536 + 100);
    using region = openRegion(mmap(path));
    expect(region.check()).toEqual([]);
    expect(statSync(path).size).toBe(size);
  });
});

describe.runIf(hasMmapIo)('mmap with mmap-io', () => {
  test('a capacity of 2 GiB is too much', () => {
    expectCode('ERR_BAD_OPTION', () => mmap(newPath(), { mapper: 'mmap-io', capacity: '2GiB' }));
  });
  test('the file has its whole length at once', () => {
    const path = newPath();
    using region = createRegion(mmap(path, { mapper: 'mmap-io', capacity: '8MiB' }), best);
    expect(statSync(path).size).toBe(8 * 2 ** 20);
    expect(region.stat().extent).toBeLessThan(2 ** 20);
  });
});

/** For regions that are opened again and again: V8 collects each time for the usual 4 GiB. */
const SMALL = { capacity: '16MiB' };

describe('file', () => {
  test('what was not synced is lost, and only that', () => {
    const path = newPath();
    const region = createRegion(file(path, SMALL), best);
    region.roots.set('a', 1);
    region.sync();
    region.roots.set('a', 2);
    copyFileSync(path, `${path}.copy`);
    using survivor = openRegion(file(`${path}.copy`));
    expect(survivor.roots.get('a')).toBe(1);
    region.close();
  });

  test('a crash at every write of a sync leaves the state before or after', () => {
    const seed = newSeed();
    const random = randomFrom(seed);
    const path = newPath();
    const region = createRegion(file(path, SMALL), best);
    const a = region.alloc(40 * PAGE);
    region.roots.set('a', a);
    region.bytes(a).fill(1);
    region.sync();
    const before = readFileSync(path);
    region.bytes(a).fill(2);
    region.sync();
    const after = readFileSync(path);
    region.close();
    const images: { page: number; bytes: Uint8Array }[] = [];
    for (let page = 0; page * PAGE < after.length; page++) {
      const bytes = after.subarray(page * PAGE, (page + 1) * PAGE);
      const had = before.subarray(page * PAGE, (page + 1) * PAGE);
      if (!bytes.equals(had)) images.push({ page, bytes });
    }
    expect(images.length).toBeGreaterThanOrEqual(40);
    const id = after.subarray(HEADER.regionId, HEADER.regionId + ID_BYTES);
    writeJournal(`${path}.full`, id, after.length, images);
    const journal = readFileSync(`${path}.full`);
    const fillOf = () => {
      using survivor = openRegion(file(path));
      expect(survivor.check()).toEqual([]);
      return new Set(survivor.bytes(survivor.roots.get('a')).subarray(0, 40 * PAGE));
    };
    for (let cut = 0; cut < often(8, 60); cut++) {
      writeFileSync(path, before);
      writeFileSync(`${path}.journal`, journal.subarray(0, random(journal.length)));
      expect(fillOf(), `seed ${seed}`).toEqual(new Set([1]));
      expect(existsSync(`${path}.journal`)).toBe(false);
    }
    for (let cut = 0; cut < often(8, 60); cut++) {
      const mixed = Buffer.from(before);
      for (const { page, bytes } of images) {
        if (random(2) === 0) mixed.set(bytes.subarray(0, 512 * (1 + random(8))), page * PAGE);
      }
      writeFileSync(path, mixed);
      writeFileSync(`${path}.journal`, journal);
      expect(fillOf(), `seed ${seed}`).toEqual(new Set([2]));
    }
  });

  test('a damaged journal is dropped, that of another region is refused', () => {
    const path = newPath();
    createRegion(file(path, SMALL), best).close();
    const image = { page: 9, bytes: new Uint8Array(PAGE).fill(1) };
    const before = readFileSync(path);
    const id = before.subarray(HEADER.regionId, HEADER.regionId + ID_BYTES);
    writeJournal(`${path}.good`, id, before.length, [image]);
    const journal = readFileSync(`${path}.good`);
    for (let at = 0; at < journal.length; at += at < 60 ? 1 : 501) {
      const bad = Buffer.from(journal);
      bad[at] ^= 0x10;
      writeFileSync(`${path}.journal`, bad);
      openRegion(file(path)).close();
      expect(readFileSync(path)[9 * PAGE + 5], `byte ${at}`).toBe(before[9 * PAGE + 5]);
    }
    writeJournal(`${path}.journal`, new Uint8Array(ID_BYTES), before.length, [image]);
    expectCode('ERR_MISMATCH', () => openRegion(file(path)));
    expect(existsSync(`${path}.journal`)).toBe(true);
    unlinkSync(`${path}.journal`);
    openRegion(file(path)).close();
    expect(replayJournal(`${path}.none`, 0)).toBe(0);
  });

  test('a journal that cannot be written: the error says so, memory stays, a retry works', () => {
    const path = newPath();
    const region = createRegion(file(path, SMALL), best);
    region.roots.set('a', 1);
    mkdirSync(`${path}.journal`);
    expectCode('ERR_IO', () => region.sync());
    expect(region.roots.get('a')).toBe(1);
    rmDirectory(`${path}.journal`);
    region.sync();
    region.close();
    using again = openRegion(file(path));
    expect(again.roots.get('a')).toBe(1);
  });

  test('the file follows the extent, both ways', () => {
    const path = newPath();
    const region = createRegion(file(path, SMALL), best);
    const a = region.alloc(3_000_000);
    region.sync();
    expect(statSync(path).size).toBe(region.stat().extent);
    region.free(a);
    region.compact();
    region.sync();
    expect(statSync(path).size).toBe(region.stat().extent);
    expect(statSync(path).size).toBeLessThan(200_000);
    chmodSync(path, 0o600);
    region.close();
  });
});

function rmDirectory(path: string): void {
  spawnSync('rmdir', [path]);
}
