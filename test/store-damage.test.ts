/**
 * Files that were damaged, mixed up, truncated, replaced or prepared: a documented error, or a
 * store that passes check; never a crash, never old data over new.
 */
import { copyFileSync, cpSync, mkdirSync, readFileSync, readdirSync, renameSync, rmSync, statSync,
  symlinkSync, truncateSync, unlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { HEADER, RECORD, RECORD_IMAGE, RECORD_REGION, STATE } from '../src/layout.ts';
import { crc32c } from '../src/native/crc32c.ts';
import type { Store } from '../src/store/api.ts';
import { openSqlite, prepared } from '../src/store/sqlite.ts';
import { often } from './support/oracle.ts';
import { codeOf, MAPPERS, open, regionFile, temporaryFolder } from './support/stores.ts';

const DOCUMENTED = ['ERR_CORRUPT', 'ERR_MISMATCH', 'ERR_VERSION', 'ERR_IO', 'none'];

/** A closed store with one region of a few pages and three checkpoints. */
function built(mapper: 'shim' | 'file' = 'shim'): string {
  const store = open(temporaryFolder(), { mapper });
  const region = store.region('app', { capacity: '16MiB' });
  for (let i = 0; i < 3; i++) {
    region.roots.set(`r${i}`, region.strdup(`value ${i} of many `.repeat(1000 + i)));
    store.checkpoint();
  }
  store.close();
  return store.dir;
}

/** Copies of a store as it was after its checkpoints 1 and 2, both closed. */
function twoAges(): { older: string; newer: string } {
  const dir = built();
  const older = join(temporaryFolder(), 'older');
  cpSync(dir, older, { recursive: true });
  const store = open(dir);
  store.region('app').roots.set('new', store.region('app').strdup('newer'));
  store.close();
  return { older, newer: dir };
}

function flip(file: string, at: number, bits = 0xff): void {
  const bytes = readFileSync(file);
  bytes[at] = (bytes[at] as number) ^ bits;
  writeFileSync(file, bytes);
}

/**
 * Opens, reads and checks everything; a documented error or a sound store. A region that is refused
 * is a finding of the check too.
 */
function outcome(dir: string): string {
  let store: Store | null = null;
  try {
    store = open(dir);
    try {
      store.region('app');
    } catch (error) {
      expect(store.check().filter(({ region }) => region === 'app').map(({ id }) => id))
        .toEqual(['S2']);
      throw error;
    }
    const findings = store.check();
    if (findings.length > 0) return `findings ${findings.map((f) => f.id).join()}`;
    for (const [, address] of store.region('app').roots) store.region('app').string(address);
    return 'none';
  } catch (error) {
    return (error as { code?: string }).code ?? `undocumented: ${(error as Error).stack}`;
  } finally {
    store?.abandon();
  }
}

describe('region files', () => {
  test.each(MAPPERS)('every byte of header and state flipped, %s', (mapper) => {
    const dir = built(mapper);
    const file = regionFile(dir);
    const good = readFileSync(file);
    const places = [...Array(HEADER.identityCrc + 4).keys(),
      ...Array.from({ length: STATE.bytes / 4 }, (_, i) => STATE.at + 4 * i)];
    // The other mapper reads the same bytes.
    const stride = often(mapper === 'shim' ? 2 : 8, 1);
    for (const at of places.filter((_, i) => i % stride === 0)) {
      flip(file, at);
      const found = outcome(dir);
      expect(found, `byte ${at}`).toMatch(/^(ERR_CORRUPT|ERR_VERSION|ERR_MISMATCH)$/);
      writeFileSync(file, good);
    }
    expect(outcome(dir)).toBe('none');
  });

  test('every page that was ever imaged: a flipped bit is an error, or named by check', () => {
    const dir = built();
    const file = regionFile(dir);
    const good = readFileSync(file);
    const sums = readFileSync(file.replace(/region$/, 'sums'));
    const imaged = Array.from({ length: good.length / 4096 }, (_, page) => page)
      .filter((page) => page * 4 < sums.length && sums.readUInt32LE(page * 4) !== 0);
    expect(imaged.length).toBeGreaterThan(10);
    for (const page of imaged) {
      const at = page * 4096 + (page * 997) % 4096;
      flip(file, at, 1 << page % 8);
      expect(outcome(dir), `byte ${at}`).toMatch(/^(ERR_|findings .*S3)/);
      writeFileSync(file, good);
    }
    expect(outcome(dir)).toBe('none');
  });

  test('truncated, missing, replaced by a directory, a link', () => {
    for (const size of [0, 100, 4096, 8192]) {
      const dir = built();
      truncateSync(regionFile(dir), size);
      expect(outcome(dir)).toBe('ERR_CORRUPT');
    }
    const missing = built();
    unlinkSync(regionFile(missing));
    expect(outcome(missing)).toBe('ERR_CORRUPT');
    const linked = built();
    const file = regionFile(linked);
    renameSync(file, `${file}.aside`);
    symlinkSync(`${file}.aside`, file);
    expect(DOCUMENTED.slice(0, 4)).toContain(outcome(linked));
    const folder = built();
    const path = regionFile(folder);
    unlinkSync(path);
    mkdirSync(path);
    expect(DOCUMENTED.slice(0, 4)).toContain(outcome(folder));
  });

  test('an older region file under a newer catalog, and the other way round', () => {
    const first = twoAges();
    copyFileSync(regionFile(first.older), regionFile(first.newer));
    expect(outcome(first.newer)).toBe('ERR_MISMATCH');
    const second = twoAges();
    copyFileSync(regionFile(second.newer), regionFile(second.older));
    expect(outcome(second.older)).toBe('ERR_MISMATCH');
  });

  test('a region of another store', () => {
    const dir = built();
    const other = built();
    copyFileSync(regionFile(other), regionFile(dir));
    expect(outcome(dir)).toBe('ERR_MISMATCH');
    const third = built();
    copyFileSync(regionFile(other), join(third, 'regions', `${'ab'.repeat(16)}.region`));
    expect(outcome(third)).toBe('ERR_MISMATCH');
  });

  test('two pages swapped are named', () => {
    const dir = built();
    const file = regionFile(dir);
    const bytes = readFileSync(file);
    const page = (n: number) => bytes.subarray(n * 4096, (n + 1) * 4096);
    const [a, b] = [Buffer.from(page(5)), Buffer.from(page(8))];
    expect(a.equals(b)).toBe(false);
    page(5).set(b);
    page(8).set(a);
    writeFileSync(file, bytes);
    expect(outcome(dir)).toContain('S3');
  });
});

describe('the catalog', () => {
  test('lost: regions are not orphaned by an empty one', () => {
    const dir = built();
    rmSync(join(dir, 'catalog.db'));
    expect(outcome(dir)).toBe('ERR_CORRUPT');
    expect(readdirSync(dir)).not.toContain('catalog.db');
    writeFileSync(join(dir, 'catalog.db'), '');
    expect(outcome(dir)).toBe('ERR_CORRUPT');
  });

  test('bytes flipped and truncated', () => {
    const dir = built();
    const file = join(dir, 'catalog.db');
    const good = readFileSync(file);
    const count = often(30, 200);
    for (let i = 0; i < count; i++) {
      flip(file, Math.floor((i / count) * good.length) + (i % 16));
      const found = outcome(dir);
      expect(found.startsWith('undocumented'), found).toBe(false);
      writeFileSync(file, good);
      rmSync(`${file}-wal`, { force: true });
      rmSync(`${file}-shm`, { force: true });
    }
    truncateSync(file, 4096);
    expect(outcome(dir)).toBe('ERR_CORRUPT');
  });

  test.each([
    ['a trigger', 'CREATE TRIGGER t AFTER INSERT ON checkpoints BEGIN DELETE FROM regions; END'],
    ['a view', 'CREATE VIEW v AS SELECT * FROM regions'],
    ['a table', 'CREATE TABLE extra (x)'],
    ['an index', 'CREATE INDEX i ON regions (name)'],
    ['a changed row', "UPDATE regions SET name = 'other'"],
    ['a changed capacity', 'UPDATE regions SET capacity = 8192'],
    ['a checkpoint that is gone', 'DELETE FROM checkpoints'],
    ['a store row that is gone', 'DELETE FROM store'],
    ['a foreign application', 'PRAGMA application_id = 7'],
  ])('%s', (_, sql) => {
    const dir = built();
    const db = openSqlite(join(dir, 'catalog.db'), {});
    db.exec(sql);
    db.close();
    expect(outcome(dir)).toMatch(/^(ERR_CORRUPT|ERR_MISMATCH)$/);
  });

  test.each([
    ['a path for an id', { id: '../../../../tmp/evil' }, 'ERR_CORRUPT'],
    ['a name with a slash', { name: 'a/b' }, 'ERR_CORRUPT'],
    ['an endless capacity', { capacity: 2 ** 52 }, 'ERR_CORRUPT'],
    ['a negative capacity', { capacity: -4096 }, 'ERR_CORRUPT'],
    ['a kind of the future', { kind: 'hologram' }, 'ERR_VERSION'],
    ['another method', { method: 'last' }, 'ERR_MISMATCH'],
  ])('a row prepared with the right checksum: %s', (_, change, code) => {
    const dir = built();
    const db = openSqlite(join(dir, 'catalog.db'), {});
    const columns = 'id, name, kind, method, capacity, sequence, dropped';
    const row = { ...(prepared(db, `SELECT ${columns} FROM regions`).get() as object), ...change };
    const text = Buffer.from(JSON.stringify(Object.values(row)));
    prepared(db, 'DELETE FROM regions').run();
    prepared(db, 'INSERT INTO regions VALUES (?, ?, ?, ?, ?, ?, ?, ?)')
      .run(...Object.values(row), crc32c(text, 0, text.length, 0));
    db.close();
    expect(outcome(dir)).toBe(code);
  });

  test('of a newer version', () => {
    const dir = built();
    const db = openSqlite(join(dir, 'catalog.db'), {});
    db.exec('PRAGMA user_version = 99');
    db.close();
    expect(outcome(dir)).toBe('ERR_VERSION');
  });
});

describe('images', () => {
  /** A store that died with a large checkpoint applied in the page cache only. */
  function unsettled(inlinePages: number): { dir: string; copy: string } {
    const store = open(temporaryFolder(), { inlinePages });
    const region = store.region('app');
    region.roots.set('r', region.strdup('x'.repeat(100_000)));
    store.checkpoint();
    const copy = join(temporaryFolder(), 'copy');
    cpSync(store.dir, copy, { recursive: true });
    store.close();
    return { dir: store.dir, copy };
  }

  test('are replayed after a crash, which is reported once', () => {
    for (const inlinePages of [0, 1000]) {
      const { copy } = unsettled(inlinePages);
      const store = open(copy);
      expect(store.recovery).toMatchObject({ replayedCheckpoints: 1, discarded: true });
      expect(store.recovery?.replayedBytes).toBeGreaterThan(100_000);
      expect(store.check()).toEqual([]);
      store.close();
      expect(open(copy).recovery).toBeNull();
    }
  });

  test('damaged or lost: refused, nothing replayed', () => {
    for (const damage of ['flip', 'truncate', 'remove'] as const) {
      const { copy } = unsettled(0);
      const file = join(copy, 'images', '1.img');
      if (damage === 'flip') flip(file, statSync(file).size - 5000);
      if (damage === 'truncate') truncateSync(file, 4096);
      if (damage === 'remove') unlinkSync(file);
      expect(outcome(copy)).toBe('ERR_CORRUPT');
    }
  });

  test('an inline record that is damaged is refused', () => {
    const { copy } = unsettled(1000);
    const db = openSqlite(join(copy, 'catalog.db'), {});
    const image = prepared(db, 'SELECT image FROM checkpoints').pluck().get() as Buffer;
    for (const at of [0, 9, 17, 21, 25, 33, 50, 90, image.length - 1]) {
      const bad = Buffer.from(image);
      bad[at] = (bad[at] as number) ^ 0x55;
      prepared(db, 'UPDATE checkpoints SET image = ?').run(bad);
      expect(outcome(copy), `byte ${at}`).toBe('ERR_CORRUPT');
    }
    db.close();
  });

  test('a record prepared with the right checksums cannot write outside its region', () => {
    const { copy } = unsettled(1000);
    const db = openSqlite(join(copy, 'catalog.db'), {});
    const image = prepared(db, 'SELECT image FROM checkpoints').pluck().get() as Buffer;
    const table = RECORD.bytes + RECORD_REGION.bytes + 4;
    for (const page of [2 ** 25, 2 ** 32 - 1, STATE.at / 4096]) {
      const bad = Buffer.from(image);
      bad.writeUInt32LE(page, table + RECORD_IMAGE.page);
      bad.writeUInt32LE(0, RECORD.crc);
      bad.writeUInt32LE(crc32c(bad, 0, bad.readUInt32LE(RECORD.imagesAt), 0), RECORD.crc);
      prepared(db, 'UPDATE checkpoints SET image = ?').run(bad);
      const size = statSync(regionFile(copy)).size;
      expect(outcome(copy), `page ${page}`).toBe('ERR_CORRUPT');
      expect(statSync(regionFile(copy)).size).toBe(size);
    }
    db.close();
  });

  test('on a store opened for reading only they are laid over memory, the files stay', () => {
    const { copy } = unsettled(0);
    const before = readFileSync(regionFile(copy));
    const reader = open(copy, { readOnly: true });
    const region = reader.region('app');
    expect(region.string(region.roots.get('r'))).toBe('x'.repeat(100_000));
    reader.close();
    expect(readFileSync(regionFile(copy)).equals(before)).toBe(true);
    expect(readdirSync(join(copy, 'images'))).toEqual(['1.img']);
  });
});

describe('check names what is broken', () => {
  test('S1: a catalog row that does not match its checksum', () => {
    const store = open(built());
    const db = openSqlite(join(store.dir, 'catalog.db'), {});
    db.exec("UPDATE checkpoints SET pages = pages + 1 WHERE sequence = 2");
    db.close();
    expect(store.check()).toEqual([
      { id: 'S1', address: 0, detail: expect.stringContaining('checkpoints: 2') },
    ]);
  });

  test('S2: a region file that is not the one that was opened', () => {
    const store = open(built());
    store.region('app');
    const file = regionFile(store.dir);
    renameSync(file, `${file}.moved`);
    const findings = store.check({ pages: false }).map(({ id }) => id);
    expect(findings).toEqual(['S4', 'S2']);
    renameSync(`${file}.moved`, file);
    expect(store.check()).toEqual([]);
  });

  test('S3: a page that does not match its checksum, by address', () => {
    const dir = built();
    const store = open(dir);
    const page = Math.floor((store.region('app').roots.get('r1') + 8000) / 4096);
    store.close();
    flip(regionFile(dir), page * 4096 + 99);
    expect(open(dir).check()).toEqual([
      { id: 'S3', address: page * 4096, detail: expect.stringContaining(`page ${page} of`),
        region: 'app' },
    ]);
  });

  test('S4: files that are not part of the store', () => {
    const store = open(built());
    writeFileSync(join(store.dir, 'regions', 'notes.txt'), 'hello');
    expect(store.check()).toEqual([
      { id: 'S4', address: 0, detail: 'regions/notes.txt is not part of the store' },
    ]);
  });
});

describe.each(MAPPERS)('disturbed while open, %s', (mapper) => {
  test.each(['truncated', 'renamed', 'removed', 'replaced'])('%s', (how) => {
    const store = open(temporaryFolder(), { mapper });
    const region = store.region('app');
    const address = region.alloc(40_000);
    const bytes = region.bytes(address);
    bytes.fill(1);
    store.checkpoint();
    const file = regionFile(store.dir);
    const good = readFileSync(file);
    if (how === 'truncated') truncateSync(file, 8192);
    if (how === 'renamed') renameSync(file, `${file}.moved`);
    if (how === 'removed') unlinkSync(file);
    if (how === 'replaced') {
      renameSync(file, `${file}.moved`);
      writeFileSync(file, good);
    }
    bytes[0] = 2;
    expect(codeOf(() => store.checkpoint())).toBe('ERR_IO');
    expect(store.stat().poisoned).toContain('stopped writing');
    expect(codeOf(() => store.rollback())).toBe('ERR_IO');
    expect(codeOf(() => store.checkpoint())).toBe('ERR_IO');
    expect(codeOf(() => store.close())).toBe('ERR_IO');
    expect(store.closed).toBe(true);
    if (how === 'renamed') renameSync(`${file}.moved`, file);
    else rmSync(file, { force: true });
    if (how === 'replaced') renameSync(`${file}.moved`, file);
    if (how === 'truncated' || how === 'removed') writeFileSync(file, good);
    const again = open(store.dir, { mapper });
    expect(again.check()).toEqual([]);
    expect(again.recovery?.discarded).toBe(true);
  });
});
