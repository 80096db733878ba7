/** Recoverable buffers: plain bytes that are committed, rolled back and resized alone. */
import { createHash } from 'node:crypto';
import { closeSync, openSync, readFileSync, writeFileSync, writeSync } from 'node:fs';
import { open as openFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { gunzipSync, gzipSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import { checkBufferIn } from '../src/buffers/buffer.ts';
import { createRegion } from '../src/region/region.ts';
import { heap } from '../src/disciplines/heap.ts';
import { last } from '../src/methods/last.ts';
import { regionIn } from '../src/store/store.ts';
import type { Address } from '../src/types.ts';
import { codeOf, MAPPERS, open, reopen, temporaryFolder } from './support/stores.ts';

const text = (bytes: Uint8Array) => Buffer.from(bytes).toString('latin1');

describe.each(MAPPERS)('mapper %s', (mapper) => {
  test('what is committed survives, what is not does not', () => {
    const store = open(temporaryFolder(), { mapper });
    const buffer = store.buffer('frame', { size: 10_000 });
    expect([buffer.name, buffer.size, buffer.bytes.length]).toEqual(['frame', 10_000, 10_000]);
    expect(buffer.bytes.every((byte) => byte === 0)).toBe(true);
    buffer.bytes.set(Buffer.from('first'));
    expect(buffer.commit('one')).toMatchObject({ id: 1, label: 'one', regions: 1 });
    buffer.bytes.set(Buffer.from('other'));
    store.abandon();
    const again = open(store.dir, { mapper });
    const found = again.buffer('frame');
    expect([found.size, text(found.bytes.subarray(0, 5))]).toEqual([10_000, 'first']);
    expect(again.buffer('frame', { size: '10000' })).toBe(found);
    expect(again.check()).toEqual([]);
    again.close();
  });

  test('one changed byte is one page', () => {
    using store = open(temporaryFolder(), { mapper });
    const { bytes, commit } = bind(store.buffer('frame', { size: '1MiB' }));
    commit();
    expect(bytes().byteOffset % 4096).toBe(0);
    bytes()[500_000] = 1;
    expect(commit()).toMatchObject({ id: 2, pages: 1, regions: 1 });
    expect(commit()).toMatchObject({ id: 2 });
  });

  test('a commit is of this buffer alone', () => {
    const store = open(temporaryFolder(), { mapper });
    const a = store.buffer('a', { size: 5000 });
    const b = store.buffer('b', { size: 5000 });
    const region = store.region('r', { capacity: '4MiB' });
    a.bytes[0] = 1;
    b.bytes[0] = 1;
    a.commit();
    region.roots.set('x', 16 as Address);
    expect(store.regions().map((r) => [r.name, r.born])).toEqual(
      [['a', false], ['b', true], ['r', true]]);
    store.abandon();
    const again = open(store.dir, { mapper });
    expect(again.regions().map((r) => r.name)).toEqual(['a']);
    again.buffer('b', { size: 5000 }).bytes[0] = 2;
    again.buffer('a').bytes[0] = 2;
    expect(again.checkpoint()).toMatchObject({ regions: 2 });
    again.buffer('a').bytes[0] = 3;
    again.buffer('b').bytes[0] = 3;
    again.buffer('b').commit();
    again.rollback();
    expect([again.buffer('a').bytes[0], again.buffer('b').bytes[0]]).toEqual([2, 3]);
    again.close();
  });

  test('rollback is of this buffer alone, contents and size', () => {
    using store = open(temporaryFolder(), { mapper });
    const a = store.buffer('a', { size: 5000 });
    const b = store.buffer('b', { size: 5000 });
    a.bytes.fill(9);
    a.resize(100);
    a.rollback();
    expect([a.size, a.bytes.some((byte) => byte !== 0)]).toEqual([5000, false]);
    a.bytes.fill(1);
    b.bytes.fill(1);
    store.checkpoint();
    a.resize(20_000);
    a.bytes.fill(2);
    b.bytes.fill(2);
    a.rollback();
    expect([a.size, a.bytes[4999], b.bytes[4999]]).toEqual([5000, 1, 2]);
  });

  test('resizing keeps contents, and new bytes are zero', () => {
    const store = open(temporaryFolder(), { mapper });
    const buffer = store.buffer('a', { size: 10 });
    buffer.bytes.fill(7);
    buffer.resize('300KiB');
    expect(text(buffer.bytes.subarray(8, 12))).toBe('\x07\x07\0\0');
    buffer.bytes.fill(8);
    buffer.resize(9);
    buffer.resize(14);
    expect([...buffer.bytes]).toEqual([...Buffer.alloc(9, 8), 0, 0, 0, 0, 0]);
    buffer.resize('300KiB');
    expect(buffer.bytes.subarray(14).every((byte) => byte === 0)).toBe(true);
    buffer.resize(0);
    expect(buffer.bytes.length).toBe(0);
    buffer.resize(3);
    const again = reopen(store, { mapper });
    expect([...again.buffer('a').bytes]).toEqual([0, 0, 0]);
    expect(again.check()).toEqual([]);
    again.close();
  });

  test('numbers', () => {
    using store = open(temporaryFolder(), { mapper });
    const buffer = store.buffer('n', { size: 8 * 4 + 3 });
    const numbers = buffer.as(Float64Array);
    numbers.set([1.5, -2, Number.NaN, 4]);
    expect(buffer.as(BigUint64Array).length).toBe(4);
    const { buffer: memory, byteOffset } = buffer.bytes;
    expect(new DataView(memory, byteOffset).getFloat64(0, true)).toBe(1.5);
  });
});

function bind(buffer: ReturnType<ReturnType<typeof open>['buffer']>) {
  return { bytes: () => buffer.bytes, commit: () => buffer.commit() };
}

describe('in place of a Buffer', () => {
  test('files, streams, compression and hashes', async () => {
    const folder = temporaryFolder();
    const file = join(folder, 'payload');
    const payload = Buffer.from('the quick brown fox '.repeat(2000));
    writeFileSync(file, payload);
    using store = open(temporaryFolder());
    const buffer = store.buffer('b', { size: payload.length });
    const handle = await openFile(file);
    await handle.read(buffer.bytes, 0, buffer.size, 0);
    await handle.close();
    buffer.commit();
    expect(payload.equals(buffer.bytes)).toBe(true);
    const sum = (bytes: Uint8Array) => createHash('sha256').update(bytes).digest('hex');
    expect(sum(buffer.bytes)).toBe(sum(payload));
    expect(gunzipSync(gzipSync(buffer.bytes)).equals(payload)).toBe(true);
    const fd = openSync(join(folder, 'copy'), 'w');
    writeSync(fd, buffer.bytes);
    closeSync(fd);
    expect(readFileSync(join(folder, 'copy')).equals(payload)).toBe(true);
    let at = 0;
    buffer.bytes.fill(0);
    await pipeline(Readable.from([payload.subarray(0, 100), payload.subarray(100)]),
      async (chunks) => {
        for await (const chunk of chunks as AsyncIterable<Uint8Array>) {
          buffer.bytes.set(chunk, at);
          at += chunk.length;
        }
      });
    expect(payload.equals(buffer.bytes)).toBe(true);
  });
});

describe('misuse', () => {
  test('sizes and names', () => {
    using store = open(temporaryFolder());
    for (const size of [undefined, -1, 1.5, Number.NaN, 2 ** 53, 'much', null, {}, 2 ** 32]) {
      const options = { size: size as number };
      expect([size, codeOf(() => store.buffer('a', options))]).toEqual(
        [size, size === 2 ** 32 ? 'ERR_BAD_SIZE' : 'ERR_BAD_OPTION']);
    }
    expect(codeOf(() => store.buffer('a'))).toBe('ERR_BAD_OPTION');
    expect(codeOf(() => store.buffer('a', { size: 1, sise: 2 } as object))).toBe('ERR_BAD_OPTION');
    expect(codeOf(() => store.buffer('a/b', { size: 1 }))).toBe('ERR_BAD_OPTION');
    expect(store.has('a')).toBe(false);
    const buffer = store.buffer('a', { size: 100, capacity: '64KiB' });
    expect(codeOf(() => store.buffer('a', { size: 101 }))).toBe('ERR_MISMATCH');
    expect(codeOf(() => store.region('a'))).toBe('ERR_MISMATCH');
    expect(codeOf(() => store.heap('a'))).toBe('ERR_MISMATCH');
    store.region('r', { capacity: '1MiB' });
    expect(codeOf(() => store.buffer('r', { size: 1 }))).toBe('ERR_MISMATCH');
    for (const size of [-1, 1.5, 'x', null, undefined]) {
      expect(codeOf(() => buffer.resize(size as number))).toBe('ERR_BAD_OPTION');
    }
    expect(codeOf(() => buffer.resize('1GiB'))).toBe('ERR_NO_SPACE');
    expect(() => buffer.resize('1GiB')).toThrow(/capacity/);
    expect([buffer.size, buffer.bytes.length]).toEqual([100, 100]);
    expect(codeOf(() => buffer.commit(''))).toBe('ERR_BAD_OPTION');
    expect(codeOf(() => buffer.commit(5 as never))).toBe('ERR_BAD_OPTION');
  });

  test('a name that is still another one’s at the last checkpoint', () => {
    const store = open(temporaryFolder());
    store.region('x', { capacity: '1MiB' });
    store.buffer('b', { size: 10 }).commit();
    store.checkpoint();
    store.rename('x', 'y');
    store.rename('b', 'x');
    const buffer = store.buffer('x');
    expect(codeOf(() => buffer.commit())).toBe('ERR_BUSY');
    store.checkpoint();
    buffer.bytes[0] = 1;
    buffer.commit();
    const again = reopen(store);
    expect(again.regions().map(({ name, kind }) => [name, kind])).toEqual(
      [['x', 'buffer'], ['y', 'region']]);
    again.close();
  });

  test('gone, closed, read-only', () => {
    const store = open(temporaryFolder());
    const buffer = store.buffer('a', { size: 10 });
    const dropped = store.buffer('d', { size: 10 });
    const all = (one: typeof buffer) => [() => one.bytes, () => one.size, () => one.as(Uint8Array),
      () => one.commit(), () => one.rollback(), () => one.resize(5)].map(codeOf);
    store.drop('d');
    expect(new Set(all(dropped))).toEqual(new Set(['ERR_STALE']));
    expect([dropped.closed, buffer.closed]).toEqual([true, false]);
    buffer.commit();
    buffer.close();
    buffer.close();
    expect(new Set(all(buffer))).toEqual(new Set(['ERR_CLOSED']));
    const again = store.buffer('a');
    const { bytes } = again;
    store.close();
    expect(new Set(all(again))).toEqual(new Set(['ERR_CLOSED']));
    expect(bytes.length).toBe(0);
    using reader = open(store.dir, { readOnly: true });
    const seen = reader.buffer('a');
    expect(seen.bytes.length).toBe(10);
    expect([() => seen.commit(), () => seen.rollback()].map(codeOf)).toEqual(
      ['ERR_READ_ONLY', 'ERR_READ_ONLY']);
    expect(codeOf(() => reader.buffer('new', { size: 1 }))).toBe('ERR_READ_ONLY');
  });

  test('a buffer that is born and rolled back with the store is gone', () => {
    using store = open(temporaryFolder());
    const buffer = store.buffer('a', { size: 10 });
    store.rollback();
    expect(codeOf(() => buffer.bytes)).toBe('ERR_STALE');
    expect(store.has('a')).toBe(false);
  });
});

describe('invariants', () => {
  const findings = (spoil: (region: ReturnType<typeof regionIn>) => void): string[] => {
    using store = open(temporaryFolder());
    store.buffer('a', { size: 100 });
    spoil(regionIn(store, 'a'));
    const found = store.check();
    store.abandon();
    return found.map(({ id }) => id);
  };

  test('B1: one block, named by the root, at the start of a page', () => {
    expect(findings((region) => region.alloc(10))).toEqual(['B1']);
    expect(findings((region) => region.roots.set('buffer', 4096 as Address))).toEqual(['B1']);
    const loose = createRegion(heap({ capacity: '1MiB' }), last);
    expect(checkBufferIn(loose).map(({ id }) => id)).toEqual(['B1']);
    loose.roots.set('buffer', loose.alloc(10));
    expect(checkBufferIn(loose).map(({ id }) => id)).toEqual(['B1']);
  });

  test('B2: as many bytes as the block has, at most', () => {
    expect(findings((region) => region.roots.set('bytes', 1e9 as Address))).toEqual(['B2']);
  });

  test('a region whose roots are damaged is no buffer', () => {
    const store = open(temporaryFolder());
    store.buffer('a', { size: 100 });
    store.checkpoint();
    regionIn(store, 'a').roots.set('bytes', 1e9 as Address);
    store.close();
    const again = open(store.dir);
    expect(codeOf(() => again.buffer('a'))).toBe('ERR_CORRUPT');
    expect(again.check().map(({ id }) => id)).toEqual(['B2']);
    again.close();
  });
});
