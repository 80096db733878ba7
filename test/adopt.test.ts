/** Region files from elsewhere, taken into a store. */
import { cpSync, existsSync, readdirSync, readFileSync, renameSync, rmSync, truncateSync,
  writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { file } from '../src/disciplines/file.ts';
import { best } from '../src/methods/best.ts';
import { crc32c } from '../src/native/crc32c.ts';
import { list, u32 } from '../src/objects/kinds.ts';
import { createRegion, openRegion } from '../src/region/region.ts';
import type { Store } from '../src/store/api.ts';
import { codeOf, MAPPERS, open, reopen, temporaryFolder } from './support/stores.ts';

const SMALL = { capacity: '4MiB' };
const PAGE = 4096;

/** A closed store with a region, a heap and a buffer. */
function donor(folder: string): Record<'region' | 'heap' | 'buffer' | 'ring', string> {
  const store = open(join(folder, 'donor'));
  const region = store.region('region', SMALL);
  region.roots.set('text', region.strdup('kept'));
  region.bytes(region.alloc(50_000)).fill(5);
  const numbers = store.heap('heap', SMALL).create(list(u32), [1, 2, 3]);
  store.heap('heap').root.set('numbers', numbers);
  store.buffer('buffer', { size: 10_000 }).bytes.fill(7);
  store.ring('ring', { size: 4096 }).append('one');
  store.checkpoint();
  const paths = store.regions().map(({ name, id, kind }) =>
    [name, join(store.dir, 'regions', `${id}.${kind === 'ring' ? 'ring' : 'region'}`)]);
  store.close();
  return Object.fromEntries(paths);
}

/** What the three hold, whichever name they have. */
function contents(store: Store): unknown[] {
  const region = store.region('r');
  const numbers = store.heap('h').root.get('numbers') as Iterable<number>;
  return [region.string(region.roots.get('text')), [...numbers], store.buffer('b').bytes[9_999]];
}

const CONTENTS = ['kept', [1, 2, 3], 7];

describe.each(MAPPERS)('mapper %s', (mapper) => {
  test('regions, heaps and buffers of a store whose catalog is lost', () => {
    const folder = temporaryFolder();
    const files = donor(folder);
    for (const name of readdirSync(join(folder, 'donor'))) {
      if (name !== 'regions') rmSync(join(folder, 'donor', name), { recursive: true });
    }
    expect(codeOf(() => open(join(folder, 'donor')))).toBe('ERR_CORRUPT');
    const store = open(join(folder, 'store'), { mapper });
    const before = readFileSync(files.region);
    expect(store.adopt(files.region, 'r')).toMatchObject(
      { name: 'r', kind: 'region', method: 'best', capacity: 4 * 2 ** 20, born: true });
    expect(store.adopt(files.heap, 'h')).toMatchObject({ kind: 'heap', method: 'slab' });
    expect(store.adopt(files.buffer, 'b')).toMatchObject({ kind: 'buffer', method: 'last' });
    expect(readFileSync(files.region).equals(before)).toBe(true);
    expect(store.adopt(files.ring, 'log')).toMatchObject({ kind: 'ring', capacity: 4096 });
    expect(store.ring('log').tail(5).map(({ seq, bytes }) => [seq, String(Buffer.from(bytes))]))
      .toEqual([[1, 'one']]);
    expect(contents(store)).toEqual(CONTENTS);
    store.checkpoint();
    const again = reopen(store, { mapper });
    expect(contents(again)).toEqual(CONTENTS);
    // From here on they are like every other.
    again.region('r').free(again.region('r').roots.get('text'));
    again.buffer('b').bytes.fill(8);
    again.checkpoint();
    again.restore(1);
    expect(contents(again)).toEqual(CONTENTS);
    expect(again.check()).toEqual([]);
    const last = reopen(again, { mapper });
    expect(contents(last)).toEqual(CONTENTS);
  });

  test('a region by itself, of several segments, and all its checksums', () => {
    const folder = temporaryFolder();
    const path = join(folder, 'own.region');
    const own = createRegion(file(path, { capacity: '4MiB' }), best);
    own.roots.set('text', own.strdup('own'));
    own.bytes(own.alloc(100_000)).fill(3);
    const store = open(join(folder, 'store'), { mapper });
    expect(codeOf(() => store.adopt(path, 'r'))).toBe('ERR_BUSY');
    own.close();
    store.adopt(path, 'r');
    store.checkpoint();
    const { id } = store.regions()[0] as { id: string };
    store.close();
    const copy = join(store.dir, 'regions', `${id}.region`);
    const bytes = readFileSync(copy);
    bytes[60_000] ^= 1;
    writeFileSync(copy, bytes);
    const damaged = open(store.dir, { mapper });
    expect(damaged.check({ blocks: false })).toMatchObject([{ id: 'S3', region: 'r' }]);
    damaged.abandon();
    const unchanged = openRegion(file(path));
    expect(unchanged.string(unchanged.roots.get('text'))).toBe('own');
    unchanged.close();
  });

  test('rolled back, thrown away by a transaction, or dropped before a checkpoint', () => {
    const folder = temporaryFolder();
    const files = donor(folder);
    const store = open(join(folder, 'store'), { mapper });
    store.checkpoint();
    store.adopt(files.region, 'r');
    store.rollback();
    store.adopt(files.region, 'r');
    store.drop('r');
    expect(() => store.transaction(() => {
      store.adopt(files.region, 'r');
      throw new RangeError('no');
    })).toThrow('no');
    expect([store.regions(), readdirSync(join(store.dir, 'regions'))]).toEqual([[], []]);
    store.transaction(() => store.adopt(files.region, 'r'));
    store.region('r').bytes(store.region('r').alloc(100)).fill(1);
    store.checkpoint();
    // Back to when it was not there, and forth again.
    store.restore(1);
    expect(store.has('r')).toBe(false);
    store.restore(3);
    expect(store.region('r').string(store.region('r').roots.get('text'))).toBe('kept');
    expect(store.check()).toEqual([]);
    reopen(store, { mapper });
  });

  test('a process that dies before the checkpoint leaves nothing', () => {
    const folder = temporaryFolder();
    const files = donor(folder);
    const store = open(join(folder, 'store'), { mapper });
    store.region('mine', SMALL);
    store.checkpoint();
    store.adopt(files.region, 'r');
    cpSync(store.dir, join(folder, 'dead'), { recursive: true });
    const dead = open(join(folder, 'dead'), { mapper });
    expect([dead.regions().map(({ name }) => name), dead.recovery?.discarded])
      .toEqual([['mine'], true]);
    expect(readdirSync(join(dead.dir, 'regions')).filter((name) => name.endsWith('.region')))
      .toHaveLength(1);
    expect(dead.check()).toEqual([]);
  });
});

describe('refused, and nothing is left', () => {
  function refusing(): { store: Store; files: ReturnType<typeof donor> } {
    const folder = temporaryFolder();
    const files = donor(folder);
    return { store: open(join(folder, 'store')), files };
  }

  function expectRefused(store: Store, code: string, path: unknown, name: unknown = 'r'): void {
    expect(codeOf(() => store.adopt(path as string, name as string))).toBe(code);
    expect(readdirSync(join(store.dir, 'regions'))).toEqual([]);
    expect(store.regions()).toEqual([]);
  }

  test('what is no file, no region, no name', () => {
    const { store, files } = refusing();
    for (const wrong of ['', 7, undefined, null]) expectRefused(store, 'ERR_BAD_OPTION', wrong);
    for (const wrong of ['', 'a/b', 7, undefined]) {
      expectRefused(store, 'ERR_BAD_OPTION', files.region, wrong ?? null);
    }
    expectRefused(store, 'ERR_NOT_FOUND', `${files.region}-not`);
    expectRefused(store, 'ERR_CORRUPT', join(store.dir, 'regions'));
    writeFileSync(join(store.dir, '..', 'text.ring'), 'some text');
    expectRefused(store, 'ERR_CORRUPT', join(store.dir, '..', 'text.ring'));
    writeFileSync(join(store.dir, '..', 'text.region'), 'some text');
    expectRefused(store, 'ERR_CORRUPT', join(store.dir, '..', 'text.region'));
  });

  test('a name that is taken, a store that cannot be written', () => {
    const { store, files } = refusing();
    store.adopt(files.region, 'r');
    expect(codeOf(() => store.adopt(files.heap, 'r'))).toBe('ERR_EXISTS');
    store.checkpoint();
    const reader = open(store.dir, { readOnly: true });
    expect(codeOf(() => reader.adopt(files.heap, 'h'))).toBe('ERR_READ_ONLY');
    store.close();
    expect(codeOf(() => store.adopt(files.heap, 'h'))).toBe('ERR_CLOSED');
  });

  test('without its checksums', () => {
    const { store, files } = refusing();
    const sums = files.region.replace(/region$/, 'sums');
    renameSync(sums, `${sums}-away`);
    expectRefused(store, 'ERR_NOT_FOUND', files.region);
    renameSync(`${sums}-away`, sums);
    store.adopt(files.region, 'r');
  });

  test('cut off, or a byte of any page in use changed', () => {
    const { store, files } = refusing();
    const bytes = readFileSync(files.region);
    const table = readFileSync(files.region.replace(/region$/, 'sums'));
    const sums = new Uint32Array(new Uint8Array(table).buffer);
    let pages = 0;
    for (let page = 0; page < bytes.length / PAGE; page++) {
      if (page !== 1 && !sums[page]) continue;
      pages += 1;
      const damaged = Buffer.from(bytes);
      damaged[page * PAGE + 100] ^= 0x10;
      writeFileSync(files.region, damaged);
      expectRefused(store, 'ERR_CORRUPT', files.region);
    }
    expect(pages).toBeGreaterThan(12);
    writeFileSync(files.region, bytes);
    truncateSync(files.region, bytes.length - PAGE);
    expectRefused(store, 'ERR_CORRUPT', files.region);
  });

  test('pages that match their checksums, but no region: by its invariants', () => {
    const { store, files } = refusing();
    const bytes = readFileSync(files.region);
    // The state of the method, with a checksum that is right.
    bytes.fill(0xff, 2 * PAGE, 2 * PAGE + 64);
    writeFileSync(files.region, bytes);
    const path = files.region.replace(/region$/, 'sums');
    const sums = new Uint32Array(new Uint8Array(readFileSync(path)).buffer);
    sums[2] = crc32c(bytes, 2 * PAGE, PAGE, 0);
    writeFileSync(path, sums);
    expectRefused(store, 'ERR_CORRUPT', files.region);
    expect(existsSync(files.region)).toBe(true);
  });
});
