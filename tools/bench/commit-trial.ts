/**
 * One trial of the commit benchmark, a process of its own: makes n pages of 4 KiB durable again and
 * again, through one peer, and prints JSON: milliseconds of each commit and the bytes the process
 * caused to be written per byte that changed.
 *
 *   node commit-trial.js PEER PAGES run|scattered SAMPLES DIR → { times, perByte }
 *
 * Every peer holds the same data and gets the same changes: `run` = n neighbouring pages or keys,
 * `scattered` = n distinct ones anywhere. The time is that of the commit, from the moment the new
 * bytes stand where the program put them: in the region for regionstore; the others are handed
 * them inside the timed part, since that is how they are told.
 */
import { randomBytes } from 'node:crypto';
import { closeSync, constants, copyFileSync, fdatasyncSync, openSync, readFileSync, renameSync,
  writeSync } from 'node:fs';
import { join } from 'node:path';
import Database from 'better-sqlite3';
import { open } from 'lmdb';
import { syncDirectory } from '../../src/files.ts';
import { openStore } from 'regionstore';
import { type Random, random } from '../torture/random.ts';

const PAGE = 4096;
/** 256 MiB of data, less what the region itself needs. */
const DATA_PAGES = 65_536 - 256;
/** Pages or keys that are there to be changed: 64 MiB. */
const KEYS = 16_384;
/** Pages committed before the measured part, so that code is compiled and files have their size. */
const WARM_PAGES = 4096;
const MOST_WARM = 400;

/** A place where page images can be made durable. */
export interface Peer {
  /** The changed pages: timed where the peer is told of changes by a call. */
  put(page: number, image: Uint8Array): void;
  /** Durable on return, or when the promise resolves. */
  commit(): void | Promise<void>;
  close(): void | Promise<void>;
  /** put() is a store to memory that the program would do anyway. */
  readonly isMemory: boolean;
}

/** Opens with so many pages or keys written before, so that every later write overwrites. */
type Open = (dir: string, keys: number) => Peer | Promise<Peer>;

/** `isRead` = every page of the region is resident, so that the dirty scan looks at all of them. */
function regionstore(history: number | undefined, isRead = false): Open {
  return (dir, keys) => {
    const store = openStore(dir, history === undefined ? {} : { history });
    const region = store.region('data', { capacity: '256MiB' });
    const memory = region.bytes(region.align(DATA_PAGES * PAGE, PAGE));
    for (let key = 0; key < keys; key += 1) memory.fill(key + 1, key * PAGE, (key + 1) * PAGE);
    store.checkpoint();
    let sum = 0;
    for (let at = 0; isRead && at < memory.length; at += PAGE) sum += memory[at] as number;
    if (isRead && sum === 0) throw new Error('nothing was read');
    return {
      isMemory: true,
      put: (page, image) => memory.set(image, page * PAGE),
      commit: () => {
        store.checkpoint();
      },
      close: () => store.close(),
    };
  };
}

async function lmdb(dir: string, keys: number): Promise<Peer> {
  const db = open<Buffer, number>({ path: join(dir, 'lmdb'), encoding: 'binary',
    keyEncoding: 'uint32' });
  const changes: [number, Buffer][] = [];
  db.transactionSync(() => {
    for (let key = 0; key < keys; key += 1) db.putSync(key, Buffer.alloc(PAGE, key));
  });
  await db.flushed;
  return {
    isMemory: false,
    put: (page, image) => changes.push([page % keys, image as Buffer]),
    commit: async () => {
      db.transactionSync(() => {
        for (const [key, value] of changes) db.putSync(key, value);
      });
      changes.length = 0;
      await db.flushed;
    },
    close: () => db.close(),
  };
}

function sqlite(dir: string, keys: number): Peer {
  const db = new Database(join(dir, 'data.db'));
  db.pragma('journal_mode = WAL');
  db.pragma('synchronous = FULL');
  db.exec('CREATE TABLE pages (id INTEGER PRIMARY KEY, image BLOB)');
  const insert = db.prepare('INSERT OR REPLACE INTO pages VALUES (?, ?)');
  const write = db.transaction((list: [number, Uint8Array][]) => {
    for (const [key, value] of list) insert.run(key, value);
  });
  write(Array.from({ length: keys }, (_, key) => [key, Buffer.alloc(PAGE, key)]));
  const changes: [number, Uint8Array][] = [];
  return {
    isMemory: false,
    put: (page, image) => changes.push([page % keys, image]),
    commit: () => {
      write(changes);
      changes.length = 0;
    },
    close: () => {
      db.close();
    },
  };
}

/** One sequential write of the same bytes over blocks that exist already, then fdatasync. */
function raw(dir: string): Peer {
  const fd = openSync(join(dir, 'raw'), 'w+');
  const limit = 64 * 2 ** 20;
  writeSync(fd, Buffer.alloc(limit, 1), 0, limit, 0);
  fdatasyncSync(fd);
  const images: Uint8Array[] = [];
  let whole = Buffer.alloc(0);
  let at = 0;
  return {
    isMemory: false,
    put: (_page, image) => images.push(image),
    commit: () => {
      const bytes = images.length * PAGE;
      if (whole.length !== bytes) whole = Buffer.alloc(bytes);
      images.forEach((image, i) => whole.set(image, i * PAGE));
      images.length = 0;
      if (at + bytes > limit) at = 0;
      writeSync(fd, whole, 0, bytes, at);
      fdatasyncSync(fd);
      at += bytes;
    },
    close: () => closeSync(fd),
  };
}

/** All of it under another name, synced, renamed: a snapshot, as Metall takes it. */
function copied(dir: string): Peer {
  const [own, snapshot] = [join(dir, 'data'), join(dir, 'snapshot')];
  const fd = openSync(own, 'w+');
  const piece = Buffer.alloc(2 ** 20, 1);
  for (let at = 0; at < DATA_PAGES * PAGE; at += piece.length) writeSync(fd, piece, 0,
    piece.length, at);
  fdatasyncSync(fd);
  return {
    isMemory: true,
    put: (page, image) => void writeSync(fd, image, 0, PAGE, page * PAGE),
    commit: () => {
      // Shared blocks where the file system has them, as `cp --reflink=auto` makes them.
      copyFileSync(own, `${snapshot}.new`, constants.COPYFILE_FICLONE);
      const made = openSync(`${snapshot}.new`, 'r');
      fdatasyncSync(made);
      closeSync(made);
      renameSync(`${snapshot}.new`, snapshot);
      syncDirectory(dir);
    },
    close: () => closeSync(fd),
  };
}

export const PEERS: Readonly<Record<string, Open>> = {
  'regionstore': regionstore(undefined),
  'regionstore, history 0': regionstore(0),
  'regionstore, all read': regionstore(undefined, true),
  lmdb,
  'better-sqlite3': sqlite,
  'write + fdatasync': raw,
  'full copy': copied,
};

/** Pages of one sample: neighbours, or distinct ones anywhere. */
function* choose(random: Random, count: number, within: number, isRun: boolean): Generator<number> {
  const start = random.int(within - count + 1);
  const seen = new Set<number>();
  for (let i = 0; i < count; i += 1) {
    let page = isRun ? start + i : random.int(within);
    while (seen.has(page)) page = random.int(within);
    seen.add(page);
    yield page;
  }
}

/** Bytes this process has handed to the system to be written so far. */
function bytesWritten(): number {
  const match = /^wchar: (\d+)$/m.exec(readFileSync('/proc/self/io', 'utf8'));
  return Number(match?.[1] ?? Number.NaN);
}

async function sample(
  peer: Peer, pages: readonly number[], images: readonly Buffer[], stamp: number,
): Promise<number> {
  for (const image of images) {
    for (let word = 0; word < PAGE; word += 64) image.writeUInt32LE(stamp, word);
  }
  let started = performance.now();
  pages.forEach((page, i) => peer.put(page, images[i % images.length] as Buffer));
  if (peer.isMemory) started = performance.now();
  const done = peer.commit();
  if (done !== undefined) await done;
  return performance.now() - started;
}

async function main(): Promise<void> {
  const [name = '', count = '', pattern = '', samples = '', dir = ''] = process.argv.slice(2);
  const pageCount = Number(count);
  const opener = PEERS[name];
  if (opener === undefined) throw new Error(`no peer '${name}'`);
  const keys = Math.min(DATA_PAGES, Math.max(KEYS, pageCount));
  const peer = await opener(dir, keys);
  const chance = random(pageCount);
  const images = Array.from({ length: Math.min(pageCount, 1024) }, () => randomBytes(PAGE));
  const times: number[] = [];
  const next = (i: number) =>
    sample(peer, [...choose(chance, pageCount, keys, pattern === 'run')], images, i + 1);
  const warm = Math.max(2, Math.min(MOST_WARM, Math.floor(WARM_PAGES / pageCount)));
  for (let i = 0; i < warm; i += 1) await next(i);
  const before = bytesWritten();
  for (let i = 0; i < Number(samples); i += 1) times.push(await next(warm + i));
  await peer.close();
  const written = bytesWritten() - before;
  const perByte = written / (Number(samples) * pageCount * PAGE);
  process.stdout.write(`${JSON.stringify({ times, perByte })}\n`);
}

await main();
