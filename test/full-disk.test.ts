/**
 * A disk that is really full: a small memory file system, mounted for the test. Needs root;
 * elsewhere the reason is printed and the torture's injected ENOSPC stands in.
 */
import { spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statfsSync, writeFileSync }
  from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openStore } from '../src/store/store.ts';
import { codeOf, MAPPERS, open, regionFile } from './support/stores.ts';

const mounted = join(mkdtempSync(join(tmpdir(), 'regionstore-full-')), 'disk');
mkdirSync(mounted);
const mount = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=12m', 'regionstore', mounted]);
const isMounted = mount.status === 0;
if (!isMounted) {
  const reason = mount.error?.message ?? mount.stderr.toString().trim();
  process.stderr.write(`full-disk tests left out: cannot mount a small file system (${reason})\n`);
}

const filler = join(mounted, 'filler');

/** Takes all but `left` bytes of the disk. */
function fill(left: number): void {
  const { bavail, bsize } = statfsSync(mounted);
  writeFileSync(filler, new Uint8Array(Math.max(0, bavail * bsize - left)));
}

describe.runIf(isMounted).each(MAPPERS)('a full disk, %s', (mapper) => {
  const dir = join(mounted, mapper);
  const options = { mapper, inlinePages: 4, settleBytes: '1MiB' } as const;

  beforeAll(() => rmSync(dir, { recursive: true, force: true }));
  afterAll(() => rmSync(dir, { recursive: true, force: true }));

  test('growing, checkpointing and opening are refused cleanly and work again later', () => {
    const store = open(dir, options);
    const region = store.region('app', { capacity: '64MiB' });
    const kept = region.alloc(300_000);
    region.roots.set('kept', kept);
    region.bytes(kept).fill(1);
    store.checkpoint();

    fill(400_000);
    expect(codeOf(() => region.alloc(4_000_000))).toBe('ERR_NO_SPACE');
    expect(region.check()).toEqual([]);
    region.bytes(kept).fill(2);
    rmSync(filler);
    fill(20_000);
    expect(codeOf(() => store.checkpoint())).toBe('ERR_NO_SPACE');
    expect(store.stat().poisoned).toBeNull();
    expect(new Set(region.bytes(kept))).toEqual(new Set([2]));
    expect(codeOf(() => store.close())).toBe('ERR_NO_SPACE');
    expect(store.closed).toBe(false);

    rmSync(filler);
    expect(store.checkpoint()).toMatchObject({ id: 2 });
    region.bytes(kept).fill(3);
    fill(0);
    expect(codeOf(() => store.checkpoint())).toBe('ERR_NO_SPACE');
    store.rollback();
    expect(new Set(region.bytes(kept))).toEqual(new Set([2]));
    store.abandon();

    const reader = open(dir, { mapper, readOnly: true });
    expect(new Set(reader.region('app').bytes(kept))).toEqual(new Set([2]));
    reader.close();
    rmSync(filler);
    const again = open(dir, options);
    expect(again.check()).toEqual([]);
    expect(new Set(again.region('app').bytes(kept))).toEqual(new Set([2]));
    again.close();
  });

  test('a file system in memory is refused unless durability is not wanted', () => {
    const plain = join(mounted, `${mapper}-plain`);
    expect(codeOf(() => openStore(plain, { mapper }))).toBe('ERR_BAD_OPTION');
    const store = openStore(plain, { mapper, sync: 'off' });
    store.region('app').alloc(10);
    store.close();
    rmSync(plain, { recursive: true });
  });

  test('a store on a file system that is mounted for reading only can be read', () => {
    const store = open(dir, options);
    store.region('app').bytes(store.region('app').roots.get('kept')).fill(5);
    store.checkpoint();
    const copy = join(mounted, `${mapper}-died`);
    cpSync(dir, copy, { recursive: true });
    store.close();
    expect(spawnSync('mount', ['-o', 'remount,ro', mounted]).status).toBe(0);
    try {
      for (const found of [dir, copy]) {
        const reader = open(found, { mapper, readOnly: true });
        const region = reader.region('app');
        expect(new Set(region.bytes(region.roots.get('kept')))).toEqual(new Set([5]));
        expect(reader.check()).toEqual([]);
        reader.close();
        expect(codeOf(() => open(found, { mapper }))).toBe('ERR_IO');
      }
    } finally {
      spawnSync('mount', ['-o', 'remount,rw', mounted]);
    }
    rmSync(copy, { recursive: true });
  });

  test('a crashed store on a full disk can be read, and is recovered later', () => {
    const store = open(dir, { ...options, settleBytes: '1GiB' });
    const region = store.region('app');
    region.bytes(region.roots.get('kept')).fill(7);
    store.checkpoint();
    const copy = join(mounted, `${mapper}-copy`);
    cpSync(dir, copy, { recursive: true });
    store.close();
    fill(0);
    const before = readFileSync(regionFile(copy));
    const reader = open(copy, { mapper, readOnly: true });
    const found = reader.region('app');
    expect(new Set(found.bytes(found.roots.get('kept')))).toEqual(new Set([7]));
    reader.close();
    expect(readFileSync(regionFile(copy)).equals(before)).toBe(true);
    rmSync(filler);
    const again = open(copy, { mapper });
    expect(again.recovery?.replayedCheckpoints).toBe(1);
    expect(again.check()).toEqual([]);
    again.close();
    rmSync(copy, { recursive: true });
  });
});

afterAll(() => {
  if (isMounted) spawnSync('umount', [mounted]);
  rmSync(join(mounted, '..'), { recursive: true, force: true });
});
