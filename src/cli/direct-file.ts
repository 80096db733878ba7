/**
 * Disciplines for a single region file, one to change it and one to look at it. Looking changes
 * nothing: memory shows the file, writes stay private to this process. So a region that was not
 * closed can be put in order and read, or compacted on trial, while the file stays what it is for
 * whoever owns it.
 */
import { closeSync, constants, copyFileSync, existsSync, fstatSync, mkdtempSync, rmSync }
  from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { windowBytes } from '../disciplines/capacity.ts';
import { compressed, unpacked } from '../disciplines/compressed.ts';
import { codecOf } from '../disciplines/compressed-codec.ts';
import { isCompressed, readContents, readOnlyDisk } from '../disciplines/compressed-contents.ts';
import { file } from '../disciplines/file.ts';
import { storedCapacity } from '../disciplines/stored-capacity.ts';
import { readBootId } from '../files.ts';
import { replayJournal } from '../disciplines/journal.ts';
import { lockFile } from '../disciplines/lock.ts';
import { mmap } from '../disciplines/mmap.ts';
import { RegionError } from '../errors.ts';
import { MAX_SEGMENTS, PAGE, SLOT_BYTES } from '../layout.ts';
import { loadShim } from '../native/load.ts';
import { headerError, readHeader } from '../region/header.ts';
import { bufferedMapper } from '../store/buffered-pages.ts';
import { openRegular, readWhole, systemError } from '../files.ts';
import { privateMapper } from '../store/private-pages.ts';
import type { Discipline } from '../types.ts';

/** The discipline of a region file that is to be changed. It keeps its capacity. */
export function writableFile(path: string): Discipline {
  const fd = openRegionFile(path);
  const isPacked = isCompressed(readOnlyDisk(fd, path));
  closeSync(fd);
  if (isPacked) return compressed(path);
  return loadShim() === null ? file(path) : mmap(path, { create: false });
}

/** The discipline of a region file that is to be looked at; locked, so that nobody changes it. */
export function privateFile(path: string): Discipline {
  const fd = openRegionFile(path);
  let unlock = () => {};
  try {
    const shim = loadShim();
    unlock = lockFile(fd, path, shim, readBootId());
    if (isCompressed(readOnlyDisk(fd, path))) return unpackedFile(fd, path, unlock);
    const shown = existsSync(journalOf(path)) ? finishedCopy(path) : fd;
    const bytes = fstatSync(shown).size;
    const wanted = Math.max(storedCapacity(shown), bytes);
    const capacity = Math.min(Math.ceil(wanted / ROUND) * ROUND, MAX_SEGMENTS * SLOT_BYTES);
    const mapper = shim === null ? bufferedMapper : privateMapper(shim, false);
    const pages = mapper.open(shown, (segment) => windowBytes(capacity, segment));
    return looking('file', slots(Math.floor(bytes / PAGE) * PAGE), capacity, {
      expose: (segment, size) => pages.expose(segment, 0, size),
      window: (segment) => new Uint8Array(pages.window(segment)),
      expect: (segment, runs) => pages.expect(segment, runs),
      close: () => {
        pages.close();
        unlock();
        closeSync(fd);
        if (shown !== fd) closeSync(shown);
      },
    });
  } catch (error) {
    unlock();
    closeSync(fd);
    throw error;
  }
}

/** A packed file, copied to memory. */
function unpackedFile(fd: number, path: string, unlock: () => void): Discipline {
  const disk = readOnlyDisk(fd, path);
  const { contents } = readContents(disk);
  const { capacity } = contents;
  const memory = unpacked(disk, contents, codecOf(contents.codec, path), capacity);
  const held = contents.segmentPages.map((pages) => pages * PAGE);
  return looking('compressed', held, capacity, {
    expose: () => {},
    window: (segment) => memory.window(segment),
    expect: () => {},
    close: () => {
      memory.close();
      unlock();
      closeSync(fd);
    },
  });
}

function journalOf(path: string): string {
  return `${path}.journal`;
}

/**
 * The file as it will be when its next owner has finished the journal beside it: a copy without a
 * name, gone when it is closed.
 */
function finishedCopy(path: string): number {
  const folder = mkdtempSync(join(tmpdir(), 'regionstore-'));
  const copy = join(folder, 'region');
  try {
    copyFileSync(path, copy, constants.COPYFILE_FICLONE);
    const fd = openRegular(copy);
    replayJournal(journalOf(path), fd);
    return fd;
  } catch (error) {
    throw systemError(`copying ${path} to look at it with its journal`, error);
  } finally {
    rmSync(folder, { recursive: true });
  }
}

/** A descriptor for reading. ERR_CORRUPT where the file is none of ours. */
function openRegionFile(path: string): number {
  const fd = openRegular(path, 0, true);
  const page = new Uint8Array(PAGE);
  const header = readHeader(page.subarray(0, readWhole(fd, page, 0)));
  if (!('problem' in header) || isCompressed(readOnlyDisk(fd, path))) return fd;
  closeSync(fd);
  if (header.code === 'ERR_VERSION') throw headerError(header, path);
  throw new RegionError('ERR_CORRUPT', `${path}: ${header.problem}; give the directory of a ` +
    'store or a region file, or restore this one from a backup; it was not changed');
}

/** What `mmap` and `file` use: so a trial compaction gives back what the real one does. */
const ROUND = 64 * 1024;

/** Memory that shows a file. */
interface Sight {
  /** The first bytes of a segment are to be seen. */
  expose(segment: number, bytes: number): void;
  window(segment: number): Uint8Array;
  expect(segment: number, runs: Int32Array): void;
  close(): void;
}

function looking(
  name: string, held: readonly number[], capacity: number, sight: Sight,
): Discipline {
  return {
    name,
    round: ROUND,
    capacity,
    durable: true,
    open() {
      held.forEach((size, segment) => {
        sight.expose(segment, size);
      });
      return held;
    },
    window: (segment) => sight.window(segment),
    expect: (segment, runs) => sight.expect(segment, runs),
    // Less is granted, as nothing happens to the file; there is no more.
    resize: (segment, size) => size <= (held[segment] ?? 0),
    sync() {},
    close: () => sight.close(),
  };
}

/** Bytes of each segment when `bytes` follow each other in segments of 4 GiB. */
function slots(bytes: number): number[] {
  const sizes: number[] = [];
  for (let at = 0; at < bytes && sizes.length < MAX_SEGMENTS; at += SLOT_BYTES) {
    sizes.push(Math.min(SLOT_BYTES, bytes - at));
  }
  return sizes;
}
