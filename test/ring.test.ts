/** Rings: what is appended survives, the oldest gives way, nothing is ever returned in part. */
import { closeSync, openSync, readdirSync, readFileSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { openRing, type OpenRing, type Ring } from '../src/buffers/ring.ts';
import { RING, RING_RECORD, RING_START } from '../src/layout-ring.ts';
import { crc32c } from '../src/native/crc32c.ts';
import { loadShim } from '../src/native/load.ts';
import { type Random, split } from '../tools/torture/random.ts';
import { codeOf, MAPPERS, open, temporaryFolder } from './support/stores.ts';

const text = (bytes: Uint8Array) => Buffer.from(bytes).toString();
const texts = (ring: Ring) => [...ring].map(({ bytes }) => text(bytes));
const seqs = (ring: Ring) => [...ring].map(({ seq }) => seq);

function ringFile(dir: string): string {
  const name = readdirSync(join(dir, 'regions')).find((file) => file.endsWith('.ring'));
  return join(dir, 'regions', name as string);
}

/** Opens a file as a store would, by itself. */
function alone(file: string, mapper: 'shim' | 'file', boot = 'ab'.repeat(16), readOnly = false):
    OpenRing {
  const storeId = readFileSync(file).subarray(RING.storeId, RING.storeId + 16).toString('hex');
  return openRing(file, storeId, { name: () => 'ring', readOnly, boot, now: () => 1000,
    shim: mapper === 'shim' ? loadShim() : null });
}

/** A ring of one page with some records, as a process that died left it. */
function left(mapper: 'shim' | 'file', records: readonly string[], size = 4096): string {
  const store = open(temporaryFolder(), { mapper });
  const ring = store.ring('r', { size });
  for (const record of records) ring.append(record);
  const file = ringFile(store.dir);
  const copy = join(temporaryFolder(), 'left.ring');
  writeFileSync(copy, readFileSync(file));
  store.abandon();
  return copy;
}

function flip(file: string, at: number): void {
  const bytes = readFileSync(file);
  bytes[at] = (bytes[at] as number) ^ 0xff;
  writeFileSync(file, bytes);
}

describe.each(MAPPERS)('mapper %s', (mapper) => {
  test('records come back in order, with sequence and time', () => {
    const store = open(temporaryFolder(), { mapper });
    const ring = store.ring('events', { size: '64KiB' });
    const before = Date.now();
    expect([ring.first, ring.last, seqs(ring)]).toEqual([0, 0, []]);
    expect(['one', '', 'größer 🜚', Buffer.from([0, 255])].map((r) => ring.append(r)))
      .toEqual([1, 2, 3, 4]);
    expect(ring.append(new Uint16Array([258]) as never)).toBe(5);
    expect(texts(ring).slice(0, 3)).toEqual(['one', '', 'größer 🜚']);
    expect([...ring].slice(3).map(({ bytes }) => [...bytes])).toEqual([[0, 255], [2, 1]]);
    const [first] = ring;
    expect(first?.at.getTime()).toBeGreaterThanOrEqual(before);
    expect(first?.at.getTime()).toBeLessThanOrEqual(Date.now());
    expect([ring.first, ring.last, ring.damaged, ring.recovery]).toEqual([1, 5, 0, null]);
    expect(ring.tail(2).map(({ seq }) => seq)).toEqual([4, 5]);
    expect(store.check()).toEqual([]);
    store.close();
    const again = open(store.dir, { mapper });
    const found = again.ring('events');
    expect([found.recovery, seqs(found), found.append('six')]).toEqual([null, [1, 2, 3, 4, 5], 6]);
    expect(again.ring('events', { size: '64KiB' })).toBe(found);
    again.close();
  });

  test('the oldest give way, whole records only', () => {
    const random = split(7, `ring ${mapper}`);
    using store = open(temporaryFolder(), { mapper });
    const ring = store.ring('r', { size: 4096 });
    const all: string[] = [];
    for (let i = 1; i <= 400; i++) {
      const record = `${i} ${'x'.repeat(random.int(i % 50 === 0 ? 1900 : 200))}`;
      all.push(record);
      expect(ring.append(record)).toBe(i);
      const found = texts(ring);
      expect(found.length).toBeGreaterThan(0);
      expect(found).toEqual(all.slice(-found.length));
      const count = random.int(20);
      const tail = ring.tail(count).map(({ bytes }) => text(bytes));
      expect(tail).toEqual(count === 0 ? [] : found.slice(-count));
    }
    expect([ring.damaged, ring.check()]).toEqual([0, []]);
  });

  test('the newest ones are found from the end, in a ring of many laps too', () => {
    const random = split(8, `tail ${mapper}`);
    const dir = temporaryFolder();
    const store = open(dir, { mapper });
    const ring = store.ring('r', { size: '64KiB' });
    for (let i = 1; i <= 8000; i++) {
      ring.append(`${i} ${'x'.repeat(random.int(60))}`);
      if (i % 97 !== 0) continue;
      const count = 1 + random.int(i % 2 === 0 ? 20 : 600);
      const found = ring.tail(count).map(({ seq }) => seq);
      expect(found).toEqual(seqs(ring).slice(-count));
    }
    using reader = open(dir, { mapper, readOnly: true });
    expect(reader.ring('r').tail(3).map(({ seq }) => seq)).toEqual([7998, 7999, 8000]);
    const copied = join(temporaryFolder(), 'dead.ring');
    writeFileSync(copied, readFileSync(ringFile(dir)));
    const dead = alone(copied, mapper);
    expect(dead.recovery?.records).toBe(seqs(ring).length);
    expect(dead.tail(2).map(({ seq }) => seq)).toEqual([7999, 8000]);
    for (let i = 1; i <= 300; i++) dead.append('more');
    expect(dead.tail(301).map(({ seq }) => seq)[0]).toBe(8000);
    dead.close();
    store.close();
  });

  test('what looks like a record in a payload is none', () => {
    const file = left(mapper, ['one', 'two'], 8192);
    const ring = alone(file, mapper);
    const head = new DataView(readFileSync(file).buffer.slice(RING.head)).getFloat64(0, true);
    const forged = Buffer.alloc(RING_RECORD.payload + 6);
    forged.writeUInt32LE(6, RING_RECORD.length);
    forged.writeDoubleLE(1e6, RING_RECORD.sequence);
    forged.writeDoubleLE(head + RING_RECORD.payload, RING_RECORD.position);
    forged.write('forged', RING_RECORD.payload);
    forged.writeUInt32LE(crc32c(forged, 4, forged.length - 4, 0), RING_RECORD.crc);
    ring.append(forged);
    ring.append('four');
    ring.retire(new Error('died'));
    const again = alone(file, mapper);
    expect(seqs(again)).toEqual([1, 2, 3, 4]);
    expect([again.last, again.tail(1)[0]?.seq, again.check()]).toEqual([4, 4, []]);
    again.close();
  });

  test('a process that dies loses nothing, and says so', () => {
    const file = left(mapper, ['a', 'b', 'c']);
    const ring = alone(file, mapper, readBoot(file));
    expect(ring.recovery).toEqual({ crash: 'process', records: 3, damaged: 0 });
    expect([texts(ring), ring.append('d')]).toEqual([['a', 'b', 'c'], 4]);
    ring.close();
    const again = alone(file, mapper, 'cd'.repeat(16));
    expect([again.recovery, texts(again)]).toEqual([null, ['a', 'b', 'c', 'd']]);
    again.retire(new Error('died'));
    const third = alone(file, mapper);
    expect(third.recovery).toEqual({ crash: 'machine', records: 4, damaged: 0 });
    third.retire(new Error('died'));
    expect(alone(file, mapper, '').recovery?.crash).toBe('unknown');
  });

  test('damaged records are passed over and counted', () => {
    const records = ['one', 'two two', 'three', 'four', 'five'];
    const file = left(mapper, records);
    flip(file, RING_START + RING_RECORD.payload + 48 + 2);
    const reader = alone(file, mapper, '', true);
    expect([texts(reader), reader.damaged, texts(reader).length, reader.damaged]).toEqual(
      [['one', 'three', 'four', 'five'], 1, 4, 1]);
    expect(reader.check()).toMatchObject([{ id: 'G2' }]);
    reader.retire(new Error());
    for (const at of [RING_RECORD.length, RING_RECORD.sequence, RING_RECORD.position]) {
      const other = left(mapper, records);
      flip(other, RING_START + 4 * 48 + at);
      const ring = alone(other, mapper, '', true);
      expect([at, texts(ring), ring.damaged]).toEqual([at, records.slice(0, 4), 1]);
      ring.retire(new Error());
    }
    const writer = alone(file, mapper);
    expect(writer.recovery).toMatchObject({ records: 4, damaged: 1 });
    expect([writer.append('six'), writer.damaged]).toEqual([6, 1]);
  });

  test('follow: what is appended from now on, until it is aborted', async () => {
    using store = open(temporaryFolder(), { mapper });
    const ring = store.ring('r', { size: '64KiB' });
    ring.append('before');
    const stop = new AbortController();
    const heard: string[] = [];
    const following = (async () => {
      for await (const { bytes } of ring.follow({ signal: stop.signal })) {
        heard.push(text(bytes));
        if (heard.length === 3) stop.abort();
      }
    })();
    const reader = alone(ringFile(store.dir), mapper, '', true);
    const other: number[] = [];
    const reading = (async () => {
      for await (const { seq } of reader.follow({ from: 1 })) if (other.push(seq) === 4) return;
    })();
    for (const record of ['a', 'b', 'c']) {
      await new Promise((resolve) => setTimeout(resolve, 2));
      ring.append(record);
    }
    await Promise.all([following, reading]);
    expect([heard, other, ring.lost]).toEqual([['a', 'b', 'c'], [1, 2, 3, 4], 0]);
    const closing = (async () => {
      for await (const _ of ring.follow());
    })();
    ring.close();
    await closing;
    reader.retire(new Error());
  });

  test('a follower that is overtaken says how many it missed', async () => {
    using store = open(temporaryFolder(), { mapper });
    const ring = store.ring('r', { size: 4096 });
    const following = ring.follow({ from: 1 });
    ring.append('first');
    expect((await following.next()).value?.seq).toBe(1);
    for (let i = 0; i < 300; i++) ring.append('x'.repeat(100));
    const { seq } = (await following.next()).value as { seq: number };
    expect([ring.lost, ring.damaged]).toEqual([seq - 2, 0]);
    await following.return?.();
  });

  test('rings are outside of checkpoints and transactions but for their names', () => {
    const store = open(temporaryFolder(), { mapper });
    const ring = store.ring('r', { size: 4096 });
    expect(store.regions()).toMatchObject([{ name: 'r', kind: 'ring', born: false }]);
    expect(store.checkpoints()).toEqual([]);
    ring.append('a');
    store.region('x', { capacity: '1MiB' });
    store.checkpoint('one');
    expect(() => store.transaction(() => {
      ring.append('b');
      store.rename('r', 's');
      throw new RangeError('undo');
    })).toThrow(RangeError);
    ring.append('c');
    store.rollback();
    store.drop('r');
    expect(codeOf(() => ring.append('d'))).toBe('ERR_STALE');
    store.rollback();
    expect(texts(store.ring('r'))).toEqual(['a', 'b', 'c']);
    store.rename('r', 's');
    store.checkpoint();
    store.restore('one');
    expect([store.regions().map(({ name }) => name), texts(store.ring('s'))])
      .toEqual([['s', 'x'], ['a', 'b', 'c']]);
    store.drop('s');
    store.close();
    const again = open(store.dir, { mapper });
    expect([again.has('s'), readdirSync(join(store.dir, 'regions'))
      .filter((name) => name.endsWith('ring'))]).toEqual([false, []]);
    again.close();
  });

  test('after power loss every record is whole, and all up to the last sync are there', () => {
    for (const seed of [1, 2, 3]) losePages(split(seed, `pages ${mapper}`), mapper, seed);
  });
});

function readBoot(file: string): string {
  return readFileSync(file).subarray(RING.bootId, RING.bootId + 16).toString('hex');
}

/** Pages, or sectors, that were stored since the last sync are kept or lost at random. */
function losePages(random: Random, mapper: 'shim' | 'file', seed: number): void {
  const file = left(mapper, [], 8192);
  const ring = alone(file, mapper);
  const all = new Map<number, string>();
  let durable = readFileSync(file);
  let synced = 0;
  let from = 1;
  for (let step = 0; step < 120; step++) {
    const record = `${step} ${'y'.repeat(random.int(300))}`;
    all.set(ring.append(record), record);
    if (random.chance(0.1)) {
      ring.sync();
      durable = readFileSync(file);
      synced = ring.last;
      from = ring.first;
    }
    if (!random.chance(0.3)) continue;
    // What was overwritten since is no longer owed.
    from = Math.max(from, ring.first);
    const now = readFileSync(file);
    const unit = random.pick([512, 4096]);
    const disk = Buffer.from(durable);
    for (let at = 0; at < now.length; at += unit) {
      if (random.chance(0.5)) now.copy(disk, at, at, at + unit);
    }
    const lost = join(temporaryFolder(), 'lost.ring');
    writeFileSync(lost, disk);
    const again = alone(lost, mapper, 'ef'.repeat(16));
    const found = [...again];
    for (const { seq, bytes } of found) {
      expect([seed, seq, text(bytes)]).toEqual([seed, seq, all.get(seq)]);
    }
    const missing: number[] = [];
    const there = new Set(found.map(({ seq }) => seq));
    for (let seq = from; seq <= synced; seq++) if (!there.has(seq)) missing.push(seq);
    expect([seed, step, missing]).toEqual([seed, step, []]);
    const next = again.append('more');
    expect(again.tail(1)[0]).toMatchObject({ seq: next });
    again.retire(new Error());
  }
  ring.retire(new Error());
}

describe('misuse', () => {
  test('sizes, names, records', () => {
    using store = open(temporaryFolder());
    for (const size of [undefined, -1, 1.5, Number.NaN, 'x', null, '4GiB', 2 ** 60, 0]) {
      expect([size, codeOf(() => store.ring('r', { size: size as never }))])
        .toEqual([size, 'ERR_BAD_OPTION']);
    }
    expect(codeOf(() => store.ring('r', { sise: 1 } as never))).toBe('ERR_BAD_OPTION');
    const ring = store.ring('r', { size: 5000 });
    expect(ring.size).toBe(8192);
    expect(codeOf(() => store.ring('r', { size: 4096 }))).toBe('ERR_MISMATCH');
    for (const other of ['region', 'heap'] as const) {
      expect(codeOf(() => store[other]('r'))).toBe('ERR_MISMATCH');
    }
    store.region('a', { capacity: '1MiB' });
    expect(codeOf(() => store.ring('a', { size: 4096 }))).toBe('ERR_MISMATCH');
    expect(codeOf(() => ring.append('x'.repeat(8192)))).toBe('ERR_BAD_SIZE');
    expect(codeOf(() => ring.append(new Uint8Array(4096)))).toBe('ERR_BAD_SIZE');
    for (const record of [undefined, null, 5, {}, [1]]) {
      expect(codeOf(() => ring.append(record as never))).toBe('ERR_BAD_OPTION');
    }
    for (const count of [-1, 1.5, '1', undefined]) {
      expect(codeOf(() => ring.tail(count as never))).toBe('ERR_BAD_OPTION');
    }
    expect(ring.last).toBe(0);
    store.transaction(() => {
      expect(codeOf(() => store.ring('other', { size: 4096 }))).toBe('ERR_BUSY');
    });
    store.checkpoint();
    store.rename('a', 'b');
    expect(codeOf(() => store.ring('a', { size: 4096 }))).toBe('ERR_BUSY');
    store.checkpoint('named');
    store.ring('a', { size: 4096 });
    expect(codeOf(() => store.restore(1))).toBe('ERR_EXISTS');
    expect(store.regions().map(({ name }) => name)).toEqual(['a', 'b', 'r']);
  });

  test('options of follow', async () => {
    using store = open(temporaryFolder());
    const ring = store.ring('r', { size: 4096 });
    for (const options of [{ from: -1 }, { from: 'x' }, { signal: 5 }, { form: 1 }]) {
      await expect(ring.follow(options as never).next()).rejects
        .toMatchObject({ code: 'ERR_BAD_OPTION' });
    }
    const aborted = ring.follow({ signal: AbortSignal.abort() });
    expect(await aborted.next()).toEqual({ value: undefined, done: true });
  });

  test('closed, read-only', () => {
    const store = open(temporaryFolder());
    const ring = store.ring('r', { size: 4096 });
    ring.append('a');
    ring.close();
    ring.close();
    const calls = (one: Ring) => [() => one.append('x'), () => one.sync(), () => one.last,
      () => [...one], () => one.tail(1), () => one.check()].map(codeOf);
    expect(new Set(calls(ring))).toEqual(new Set(['ERR_CLOSED']));
    const again = store.ring('r');
    store.close();
    expect(new Set(calls(again))).toEqual(new Set(['ERR_CLOSED']));
    using reader = open(store.dir, { readOnly: true });
    const seen = reader.ring('r');
    expect([texts(seen), codeOf(() => seen.append('b')), codeOf(() => seen.sync())])
      .toEqual([['a'], 'ERR_READ_ONLY', 'none']);
    expect(codeOf(() => reader.ring('n', { size: 4096 }))).toBe('ERR_READ_ONLY');
  });

  test('files that are no ring, or another one', () => {
    const file = left('shim', ['a', 'b']);
    const bytes = readFileSync(file);
    const outcome = (change: (copy: Buffer) => Buffer) => {
      writeFileSync(file, change(Buffer.from(bytes)));
      return codeOf(() => alone(file, 'shim').retire(new Error()));
    };
    expect(outcome((copy) => copy.fill(0, 0, 8))).toBe('ERR_CORRUPT');
    expect(outcome((copy) => copy.subarray(0, 5000))).toBe('ERR_CORRUPT');
    expect(outcome((copy) => copy.fill(1, RING.size, RING.size + 8))).toBe('ERR_CORRUPT');
    expect(outcome((copy) => copy.fill(9, RING.version, RING.version + 1))).toBe('ERR_VERSION');
    writeFileSync(file, bytes);
    expect(codeOf(() => openRing(file, '00'.repeat(16), { name: () => 'r', readOnly: true,
      boot: '', now: () => 0, shim: null }))).toBe('ERR_MISMATCH');
  });

  test('G1: positions that cannot be; whatever they say, opening finds the records', () => {
    for (const value of [Number.NaN, -16, 1e300, 7, 16 * 1e6]) {
      const file = left('shim', ['a', 'b']);
      const fd = openSync(file, 'r+');
      writeSync(fd, Buffer.from(new Float64Array([value]).buffer), 0, 8, RING.head);
      closeSync(fd);
      const reader = alone(file, 'shim', '', true);
      expect([value, reader.check().map(({ id }) => id)]).toEqual([value, ['G1']]);
      reader.retire(new Error());
      const ring = alone(file, 'shim');
      expect([texts(ring), ring.append('c')]).toEqual([['a', 'b'], 3]);
      ring.retire(new Error());
    }
  });
});
