/**
 * A compressed region file is mended unpacked: chunks that are what their digests say are taken
 * out, what is lost is zeros, and what was put in order is packed again as the file was.
 */
import { closeSync, ftruncateSync, openSync, rmSync } from 'node:fs';
import { compressed } from '../disciplines/compressed.ts';
import { type CodecName, codecOf } from '../disciplines/compressed-codec.ts';
import { type Contents, type Disk, isCompressed, readOnlyDisk, salvageContents }
  from '../disciplines/compressed-contents.ts';
import { isZero, readChunk } from '../disciplines/compressed-file.ts';
import { storedCapacity } from '../disciplines/stored-capacity.ts';
import { RegionError } from '../errors.ts';
import { writeWhole } from '../files.ts';
import { CHUNK, PAGE, SLOT_BYTES } from '../layout.ts';
import type { Discipline } from '../types.ts';
import { tellWork } from '../work.ts';
import { mendCopy, plainFile, type RepairedRegion } from './copy.ts';

const PAGES_PER_CHUNK = CHUNK / PAGE;
/** Chunks that are named one by one. */
const MOST_NAMED = 20;

export function isPacked(fd: number, path: string): boolean {
  return isCompressed(readOnlyDisk(fd, path));
}

/** Mends what is in `fd` into the new file `made`. ERR_CORRUPT, ERR_VERSION, ERR_NO_SPACE. */
export function mendPacked(fd: number, path: string, made: string, name: string): RepairedRegion {
  const disk = readOnlyDisk(fd, path);
  const { contents, lost: missing, inDoubt } = salvageContents(disk);
  const plain = `${made}.plain`;
  const lost = new Set<number>();
  try {
    rmSync(plain, { force: true });
    const region = mendCopy(plain, { name, kind: null, known: null, copyTo: (to) => {
      unpack(disk, contents, to, lost);
      return [...lost, ...inDoubt].flatMap(pagesOf);
    } });
    const losses = [...missing, ...lossesIn(lost)];
    const state = losses.length > 0 ? 'partly' : region.state;
    if (state !== 'sound') pack(plain, made, codecOf(contents.codec, path).name);
    return { ...region, changes: [...losses, ...region.changes], state };
  } finally {
    rmSync(plain, { force: true });
  }
}

/** Writes the region as a plain file; `lost` = the numbers of the chunks that are zeros there. */
function unpack(disk: Disk, contents: Contents, to: string, lost: Set<number>): void {
  const { segmentPages, chunks } = contents;
  const codec = codecOf(contents.codec, disk.path);
  const fd = openSync(to, 'wx');
  try {
    const last = segmentPages.length - 1;
    ftruncateSync(fd, last * SLOT_BYTES + (segmentPages[last] as number) * PAGE);
    lost.clear();
    let done = 0;
    for (const [number, chunk] of chunks) {
      tellWork('unpacking', done++, chunks.size, 'count');
      try {
        writeWhole(fd, readChunk(disk, number, chunk, codec), number * CHUNK);
      } catch (error) {
        if (!(error instanceof RegionError) || error.code !== 'ERR_CORRUPT') throw error;
        lost.add(number);
      }
    }
  } finally {
    closeSync(fd);
  }
}

function pack(plain: string, made: string, codec: CodecName): void {
  const capacity = capacityOf(plain);
  const from = plainFile(plain, capacity);
  try {
    const to = compressed(made, { capacity, codec });
    to.open();
    try {
      from.open().forEach((bytes, segment) => {
        copySegment(from, to, segment, bytes);
      });
      to.sync?.();
    } finally {
      to.close();
    }
  } finally {
    from.close();
  }
}

function capacityOf(path: string): number {
  const fd = openSync(path, 'r');
  try {
    return storedCapacity(fd);
  } finally {
    closeSync(fd);
  }
}

function copySegment(from: Discipline, to: Discipline, segment: number, bytes: number): void {
  if (bytes === 0) return;
  if (!to.resize(segment, bytes)) {
    throw new RegionError('ERR_NO_SPACE', `there is no memory for ${bytes} bytes`);
  }
  const source = from.window(segment);
  const target = to.window(segment);
  for (let at = 0; at < bytes; at += CHUNK) {
    const chunk = Buffer.from(source.buffer, source.byteOffset + at, Math.min(CHUNK, bytes - at));
    if (!isZero(chunk)) target.set(chunk, at);
  }
}

function pagesOf(chunk: number): number[] {
  return Array.from({ length: PAGES_PER_CHUNK }, (_, i) => chunk * PAGES_PER_CHUNK + i);
}

function lossesIn(lost: ReadonlySet<number>): string[] {
  const named = [...lost].slice(0, MOST_NAMED)
    .map((number) => `its chunk ${number} was damaged: ${CHUNK} bytes are zeros`);
  return lost.size <= MOST_NAMED ? named
    : [...named, `and so were ${lost.size - MOST_NAMED} others`];
}
