/**
 * Disciplines for a single region file, one to change it and one to look at it. Looking changes
 * nothing: memory shows the file, writes stay private to this process. So a region that was not
 * closed can be put in order and read, or compacted on trial, while the file stays what it is for
 * whoever owns it.
 */
import { closeSync, fstatSync } from 'node:fs';
import { MAX_SEGMENTS, PAGE, SLOT_BYTES } from '../layout.ts';
import { file } from '../disciplines/file.ts';
import { mmap } from '../disciplines/mmap.ts';
import { loadShim } from '../native/load.ts';
import { readHeader } from '../region/header.ts';
import { bufferedMapper } from '../store/buffered-pages.ts';
import { openRegular, readWhole } from '../store/files.ts';
import type { Pages } from '../store/mapper.ts';
import { privateMapper } from '../store/private-pages.ts';
import type { Discipline } from '../types.ts';

/** The region's own discipline, with the capacity it has. */
export function writableFile(path: string): Discipline {
  const fd = openRegular(path, 0, true);
  const capacity = storedCapacity(fd);
  closeSync(fd);
  const options = capacity === 0 ? {} : { capacity };
  return loadShim() === null ? file(path, options) : mmap(path, options);
}

/** `path` is a regular file. Capacity is what the region's header says. */
export function privateFile(path: string): Discipline {
  const fd = openRegular(path, 0, true);
  try {
    const bytes = fstatSync(fd).size;
    const capacity = Math.max(storedCapacity(fd), bytes);
    const sizes = slots(Math.ceil(capacity / PAGE) * PAGE);
    const shim = loadShim();
    const mapper = shim === null ? bufferedMapper : privateMapper(shim, false);
    return disciplineOf({ fd, bytes, capacity, pages: mapper.open(fd, sizes) });
  } catch (error) {
    closeSync(fd);
    throw error;
  }
}

interface Look {
  readonly fd: number;
  /** Of the file. */
  readonly bytes: number;
  readonly capacity: number;
  readonly pages: Pages;
}

function disciplineOf({ fd, bytes, capacity, pages }: Look): Discipline {
  const held = slots(Math.floor(bytes / PAGE) * PAGE);
  return {
    name: 'look',
    round: PAGE,
    capacity,
    durable: true,
    open() {
      held.forEach((size, segment) => {
        pages.expose(segment, 0, size);
      });
      return held;
    },
    window: (segment) => pages.window(segment),
    // Less is granted, as nothing happens to the file; there is no more.
    resize: (segment, size) => size <= (held[segment] ?? 0),
    sync() {},
    close() {
      pages.close();
      closeSync(fd);
    },
  };
}

/** 0 where there is no header to ask. What it says is believed within the format's limits only. */
function storedCapacity(fd: number): number {
  const page = new Uint8Array(PAGE);
  readWhole(fd, page, 0);
  const header = readHeader(page);
  if ('problem' in header) return 0;
  const isPossible = Number.isSafeInteger(header.capacity) && header.capacity > 0;
  return isPossible ? Math.min(header.capacity, MAX_SEGMENTS * SLOT_BYTES) : 0;
}

/** Bytes of each segment when `bytes` follow each other in segments of 4 GiB. */
function slots(bytes: number): number[] {
  const sizes: number[] = [];
  for (let at = 0; at < bytes && sizes.length < MAX_SEGMENTS; at += SLOT_BYTES) {
    sizes.push(Math.min(SLOT_BYTES, bytes - at));
  }
  return sizes;
}
