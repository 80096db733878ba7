/**
 * Adopting: a region file from anywhere, of another store, one whose catalog is lost, or a region
 * by itself, becomes a region of this store. It is copied, never changed; the copy is given an
 * identity of its own, and is refused unless every page matches its checksum and every invariant
 * holds. It counts as made just now: the next checkpoint keeps it, a rollback removes it. A ring is
 * there at once, as every new one: with the records that are whole.
 */
import { randomBytes } from 'node:crypto';
import { closeSync, constants, existsSync, fstatSync, ftruncateSync, renameSync, unlinkSync }
  from 'node:fs';
import { dirname, resolve } from 'node:path';
import { isBuffer } from '../buffers/buffer.ts';
import { RegionError } from '../errors.ts';
import { openRegular, readWhole, syncDirectory, syncFile, systemError } from '../files.ts';
import { ID_BYTES, METHOD_START, PAGE, SLOT_PAGES, STATE } from '../layout.ts';
import { isHeap } from '../objects/heap.ts';
import { decodeState, extentProblem, headerError, type Header, readHeader }
  from '../region/header.ts';
import type { Region } from '../types.ts';
import { checkKind } from './check.ts';
import type { Entry, StoreCore } from './core.ts';
import { assertFree, assertName, discard, discardFiles, handleOf } from './entries.ts';
import { copySegments, endOf, identifyFile } from './region-copy.ts';
import { adoptRing } from './rings.ts';
import { Sums } from './sums.ts';

/** What the file says it is. */
interface Found {
  readonly header: Header;
  readonly segmentPages: readonly number[];
}

/** Makes the region in `file` the region `name`. */
export function adoptRegion(core: StoreCore, file: unknown, name: string): void {
  core.assertWritable();
  assertName(name);
  if (typeof file !== 'string' || file === '') {
    throw new RegionError('ERR_BAD_OPTION', 'adopt: give the path of a region file, and a name');
  }
  assertFree(core, name);
  const from = resolve(file);
  if (from.endsWith('.ring')) {
    adoptRing(core, from, name);
    return;
  }
  const id = randomBytes(ID_BYTES).toString('hex');
  const path = core.regionPath(id);
  try {
    const { header, segmentPages } = copyVerified(core, from, id);
    syncDirectory(dirname(path));
    const opened = core.openFile(id, header.capacity, segmentPages);
    const entry: Entry = { id, name, kind: 'region', method: header.method,
      capacity: header.capacity, born: true, file: opened, handle: null, ring: null };
    take(core, entry, from);
  } catch (error) {
    discardFiles(path);
    throw systemError(`adopting ${from}`, error);
  }
}

/** Checked as what it turns out to be. */
function take(core: StoreCore, entry: Entry, from: string): void {
  try {
    const { region } = handleOf(core, entry);
    const kind = kindOf(region);
    const findings = [...region.check(), ...checkKind(kind, region)];
    const [first] = findings;
    if (first !== undefined) {
      throw new RegionError('ERR_CORRUPT', `${from} is not adopted: ${first.id} at ` +
        `${first.address}: ${first.detail}${more(findings.length)}; repair it first`);
    }
    core.current.set(entry.name, { ...entry, kind });
  } catch (error) {
    discard(core, entry, 'not adopted');
    throw error;
  }
}

function more(findings: number): string {
  return findings > 1 ? `, and ${findings - 1} more` : '';
}

/** What is kept in a region is seen from its roots. */
function kindOf(region: Region): string {
  if (isHeap(region)) return 'heap';
  return isBuffer(region) ? 'buffer' : 'region';
}

/** Copies the file and its checksums; what was copied is compared with them. */
function copyVerified(core: StoreCore, from: string, regionId: string): Found {
  if (!existsSync(from)) throw new RegionError('ERR_NOT_FOUND', `there is no file ${from}`);
  const source = openRegular(from, 0, true);
  const path = core.regionPath(regionId);
  const temporary = path.replace(/\.region$/, '.tmp');
  try {
    const to = openRegular(temporary, constants.O_CREAT | constants.O_EXCL);
    try {
      const found = readFound(source, from);
      copySegments(source, to, found.segmentPages, () => {});
      ftruncateSync(to, endOf(found.segmentPages));
      const sums = new Sums(path, core.mapper.crc);
      if (found.header.storeId === '') sums.rebuild(to, found.segmentPages);
      else compareSums(core, from, { sums, to, found });
      // Of no checkpoint yet: should the process die before the next one, it is removed.
      identifyFile(to, sums, { regionId, storeId: core.id, sequence: 0,
        segmentPages: found.segmentPages });
      syncFile(to);
      renameSync(temporary, path);
      return found;
    } finally {
      closeSync(to);
    }
  } finally {
    closeSync(source);
    if (existsSync(temporary)) unlinkSync(temporary);
  }
}

/** A region of a store says in its state how long it is, one by itself in its header. */
function readFound(fd: number, from: string): Found {
  const bytes = new Uint8Array(METHOD_START);
  readWhole(fd, bytes, 0);
  const header = readHeader(bytes);
  if ('code' in header) throw headerError(header, from);
  const state = decodeState(bytes.subarray(STATE.at, STATE.at + STATE.bytes));
  if (state === null || state.regionId !== header.regionId) {
    throw new RegionError('ERR_CORRUPT', `${from}: its state is damaged; restore it from a backup`);
  }
  const isOfStore = header.storeId !== '';
  if (!isOfStore && !state.clean) {
    throw new RegionError('ERR_BUSY', `${from} is in use, or was not closed; close it, or open ` +
      'it once with openRegion, which recovers it');
  }
  const segmentPages = isOfStore ? state.segmentPages : header.segmentPages;
  const problem = extentProblem({ ...header, segmentPages });
  if (problem !== null) throw headerError(problem, from);
  if (header.capacity % PAGE !== 0 || fstatSync(fd).size < endOf(segmentPages)) {
    throw new RegionError('ERR_CORRUPT', `${from} is truncated; restore it from a backup`);
  }
  return { header, segmentPages };
}

function compareSums(
  core: StoreCore, from: string, { sums, to, found }: { sums: Sums; to: number; found: Found },
): void {
  const beside = from.replace(/\.region$/, '.sums');
  if (beside === from || !existsSync(beside)) {
    throw new RegionError('ERR_NOT_FOUND', `${from} is of a store, and its page checksums are ` +
      'not beside it: bring the file of the same name that ends with .sums as well');
  }
  new Sums(from, core.mapper.crc).copyTo(sums.path, []);
  const inUse = (page: number) =>
    page % SLOT_PAGES < (found.segmentPages[Math.floor(page / SLOT_PAGES)] ?? 0);
  for (const page of sums.mismatches(to, inUse)) {
    throw new RegionError('ERR_CORRUPT', `${from} is not adopted: page ${page} does not match ` +
      'its checksum; if its store is still there, open that: it writes what waits for the file');
  }
}
