/**
 * Compressed region files that are damaged, cut off, or made to do harm: the documented error, the
 * file untouched, time and memory bounded. A byte that nobody reads may be any.
 */
import { readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { deflateRawSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import { compressed, unpacked } from '../src/disciplines/compressed.ts';
import { codecOf } from '../src/disciplines/compressed-codec.ts';
import { type Contents, encodeSlot, encodeTable, readContents }
  from '../src/disciplines/compressed-contents.ts';
import { digestOf } from '../src/disciplines/compressed-file.ts';
import { CHUNK, CODEC, COMPRESSED, COMPRESSED_SLOTS, COMPRESSED_START, COMPRESSED_UNIT, ID_BYTES }
  from '../src/layout.ts';
import { openRegion } from '../src/region/region.ts';
import { filled, rewriteSlots } from './support/compressed-files.ts';
import { expectCode } from './support/expect-code.ts';
import { memoryDisk } from './support/memory-disk.ts';
import { newSeed, often, randomFrom } from './support/oracle.ts';
import { codeOf } from './support/stores.ts';
import { temporaryDirectory } from './support/temp.ts';

function newPath(): string {
  return join(temporaryDirectory(), 'a.region');
}

describe('damage', () => {
  const opened = (path: string) => codeOf(() => {
    using region = openRegion(compressed(path));
    expect(region.check()).toEqual([]);
  });

  /** Every chunk is read, as opening does. */
  const read = (bytes: Uint8Array) => codeOf(() => {
    const disk = memoryDisk(bytes);
    const { contents } = readContents(disk);
    unpacked(disk, contents, codecOf(contents.codec, disk.path), contents.capacity).close();
    expect(disk.log).toEqual([]);
  });

  test('every byte of a slot: the other one counts', () => {
    const path = newPath();
    filled(path, often(30_000, 100_000), '4MiB');
    const good = readFileSync(path);
    const { contents } = readContents(memoryDisk(good));
    for (const slot of COMPRESSED_SLOTS) {
      for (let at = 0; at < COMPRESSED.bytes; at++) {
        const bad = Buffer.from(good);
        bad[slot + at] ^= 1 << (at % 8);
        const found = readContents(memoryDisk(bad));
        expect(found, `slot ${slot}, byte ${at}`).toEqual({ contents, isMirrored: false });
        if (at % 97 !== 0) continue;
        writeFileSync(path, bad);
        expect(opened(path), `slot ${slot}, byte ${at}`).toBe('none');
      }
    }
  });

  test('every byte of both slots, of the table, and many elsewhere', () => {
    const path = newPath();
    filled(path, often(30_000, 100_000), '4MiB');
    const good = readFileSync(path);
    const seed = newSeed();
    const random = randomFrom(seed);
    const tableAt = good.readDoubleLE(COMPRESSED.tableAt);
    const places: number[][] = [];
    for (let at = 0; at < COMPRESSED.bytes; at++) places.push(COMPRESSED_SLOTS.map((s) => s + at));
    for (let at = tableAt; at < good.length && at < tableAt + 320; at++) places.push([at]);
    for (let i = 0; i < 300; i++) places.push([random(good.length)]);
    for (const flipped of places) {
      const bad = Buffer.from(good);
      for (const at of flipped) bad[at] ^= 1 << random(8);
      const code = read(bad);
      expect(code, `seed ${seed}, bytes ${flipped}`).toMatch(/^(none|ERR_CORRUPT)$/);
      if (code === 'none' && flipped.length > 1) expect.fail(`both slots, bytes ${flipped}`);
      if (random(60) > 0) continue;
      writeFileSync(path, bad);
      expect(opened(path)).toBe(code);
      if (code !== 'none') expect(readFileSync(path).equals(bad)).toBe(true);
    }
  });

  test('cut off anywhere', () => {
    const path = newPath();
    filled(path);
    const good = readFileSync(path);
    const cuts = [0, 1, 511, 512, 4095, 4096, 4607, 4608, 8191, 8192, good.length - 1];
    for (let i = 0; i < 40; i++) cuts.push(Math.floor((good.length * i) / 40));
    for (const cut of cuts) {
      writeFileSync(path, good);
      truncateSync(path, cut);
      expect(opened(path), `cut at ${cut}`).toBe(cut === 0 ? 'ERR_NOT_FOUND' : 'ERR_CORRUPT');
    }
  });

  test('fields that cannot be, with right checksums', () => {
    const path = newPath();
    filled(path);
    const good = readFileSync(path);
    const wrong: [string, (slot: Buffer) => void, string][] = [
      ['version', (s) => s.writeUInt32LE(2, COMPRESSED.version), 'ERR_VERSION'],
      ['codec', (s) => s.writeUInt32LE(9, COMPRESSED.codec), 'ERR_VERSION'],
      ['region', (s) => s.fill(1, COMPRESSED.regionId, COMPRESSED.regionId + ID_BYTES),
        'ERR_CORRUPT'],
      ...[Number.NaN, -1, 0.5, 2 ** 60, 0].flatMap((n): [string, (s: Buffer) => void, string][] => [
        [`sequence ${n}`, (s) => s.writeDoubleLE(n, COMPRESSED.sequence), 'ERR_CORRUPT'],
        [`capacity ${n}`, (s) => s.writeDoubleLE(n, COMPRESSED.capacity), 'ERR_CORRUPT'],
        [`table ${n}`, (s) => s.writeDoubleLE(n, COMPRESSED.tableAt), 'ERR_CORRUPT'],
      ]),
      ['count', (s) => s.writeUInt32LE(2 ** 31, COMPRESSED.chunkCount), 'ERR_CORRUPT'],
      ['pages', (s) => s.writeUInt32LE(2 ** 31, COMPRESSED.segmentPages), 'ERR_CORRUPT'],
      ['no pages', (s) => s.writeUInt32LE(0, COMPRESSED.segmentPages), 'ERR_CORRUPT'],
      ['odd pages', (s) => s.writeUInt32LE(17, COMPRESSED.segmentPages), 'ERR_CORRUPT'],
    ];
    for (const [what, change, code] of wrong) {
      writeFileSync(path, good);
      const bad = rewriteSlots(path, change);
      expect(opened(path), what).toBe(code);
      expect(readFileSync(path).equals(bad)).toBe(true);
    }
  });
});

/** A file made by hand: chunks with whatever place, length and digest. */
function made(
  path: string, chunks: [number, { place: number; length: number; digest: Buffer }][],
  parts: [number, Uint8Array][], pages = 64,
): void {
  const contents: Contents = {
    sequence: 1, codec: CODEC.deflate, capacity: 2 ** 30, regionId: Buffer.alloc(ID_BYTES),
    segmentPages: [pages], tableAt: 2 ** 20, chunks: new Map(chunks),
  };
  const table = encodeTable(contents);
  const bytes = Buffer.alloc(contents.tableAt + table.length);
  for (const at of COMPRESSED_SLOTS) bytes.set(encodeSlot(contents, table), at);
  bytes.set(table, contents.tableAt);
  for (const [at, part] of parts) bytes.set(part, at);
  writeFileSync(path, bytes);
}

describe('hostile files', () => {
  const chunk = Buffer.alloc(CHUNK, 'abc');
  const digest = digestOf(chunk);
  const packed = deflateRawSync(chunk);
  const place = COMPRESSED_START;
  const { length } = packed;
  const refused = (path: string, what: RegExp) =>
    expect(expectCode('ERR_CORRUPT', () => openRegion(compressed(path))).message).toMatch(what);

  test('chunks that overlap, or lie outside the file, the region or their order', () => {
    const path = newPath();
    const other = { place, length, digest };
    const cases: [string, [number, typeof other][]][] = [
      ['one twice', [[0, other], [1, other]]],
      ['overlapping', [[0, other], [1, { ...other, place: place + COMPRESSED_UNIT }]]],
      ['in the slots', [[0, { ...other, place: 0 }]]],
      ['off a unit', [[0, { ...other, place: place + 1 }]]],
      ['past the end', [[0, { ...other, place: 2 ** 40 }]]],
      ['nowhere', [[0, { ...other, place: Number.NaN }]]],
      ['empty', [[0, { ...other, length: 0 }]]],
      ['too long', [[0, { ...other, length: CHUNK + 1 }]]],
      ['on the table', [[0, { ...other, place: 2 ** 20 }]]],
      ['not in use', [[0, other], [4, { ...other, place: place + CHUNK }]]],
      ['of no segment', [[2 ** 16, other]]],
    ];
    for (const [what, chunks] of cases) {
      made(path, chunks, [[place, packed]]);
      refused(path, /table is wrong|overlap|cut off/);
      expect(what.length).toBeGreaterThan(0);
    }
  });

  test('a chunk that unpacks to more, to less, or to something else', () => {
    const path = newPath();
    const bomb = deflateRawSync(Buffer.alloc(2 ** 24));
    made(path, [[0, { place, length: bomb.length, digest }]], [[place, bomb]]);
    refused(path, /does not unpack/);
    const short = deflateRawSync(chunk.subarray(1));
    made(path, [[0, { place, length: short.length, digest }]], [[place, short]]);
    refused(path, /damaged/);
    made(path, [[0, { place, length, digest: Buffer.alloc(16) }]], [[place, packed]]);
    refused(path, /damaged/);
    made(path, [[0, { place, length: CHUNK, digest }]], [[place, Buffer.alloc(CHUNK)]]);
    refused(path, /damaged/);
  });

  test('one that holds no region', () => {
    const path = newPath();
    made(path, [[1, { place, length, digest }]], [[place, packed]]);
    expectCode('ERR_CORRUPT', () => openRegion(compressed(path)));
    made(path, [[0, { place, length, digest }]], [[place, packed]]);
    refused(path, /another region/);
  });
});
