/**
 * The front of a region's file: who it is, how far it reaches, how its last owner left it. Written
 * anew in a copy where it is damaged, from what is known of the region elsewhere. Afterwards the
 * copy is a region by itself that was closed in order.
 */
import { fstatSync, ftruncateSync } from 'node:fs';
import { RegionError } from '../errors.ts';
import { readWhole, writeWhole } from '../files.ts';
import { HEADER, MAX_SEGMENTS, METHOD_START, PAGE, SLOT_BYTES, STATE }
  from '../layout.ts';
import { decodeState, encodeState, extentProblem, type Header, identify, isIdentityWhole,
  readHeader, segmentProblem, writeHeader, writeSegmentHeader } from '../region/header.ts';
import { endOf } from '../store/region-copy.ts';
import { ROUND } from '../store/region-file.ts';

/** What a catalog says of a region. */
export interface Known {
  readonly id: string;
  readonly method: string;
  /** Bytes. */
  readonly capacity: number;
}

/** The last moment that a date can be. */
const MOST_MS = 8.64e15;

/**
 * Makes the file a region by itself whose front is sound; `owner` = the store it is of from now on,
 * '' = none. Says what was damaged. ERR_VERSION; ERR_CORRUPT where nobody knows what it is,
 * ERR_MISMATCH where it is another region than the one that is known.
 */
export function mendFront(
  fd: number, known: Known | null, owner: { storeId: string; sequence: number },
): string[] {
  const damage: string[] = [];
  const front = new Uint8Array(METHOD_START);
  readWhole(fd, front, 0);
  const page = front.subarray(0, PAGE);
  const regionId = mendIdentity(page, known, damage);
  const found = decodeState(front.subarray(STATE.at, STATE.at + STATE.bytes));
  const state = found?.regionId === regionId ? found : null;
  if (state === null) damage.push('its durable state was damaged');
  const pages = extentOf(fd, page, state?.segmentPages ?? null, damage);
  identify(page, { regionId, storeId: owner.storeId });
  setPages(page, pages);
  writeWhole(fd, page, 0);
  mendSegments(fd, regionId, pages, damage);
  const { sequence } = owner;
  const isOwn = owner.storeId === '';
  writeWhole(fd, encodeState({ sequence, clean: isOwn, regionId, bootId: '',
    segmentPages: pages }), STATE.at);
  return damage;
}

/** The id of the region, with a header that says so. */
function mendIdentity(page: Uint8Array, known: Known | null, damage: string[]): string {
  const header = readHeader(page);
  if (!('problem' in header)) {
    if (known === null || header.regionId === known.id) {
      mendCapacity(page, header, known, damage);
      return header.regionId;
    }
    throw new RegionError('ERR_MISMATCH',
      `it is region ${header.regionId}, not ${known.id}: another file lies in its place`);
  }
  // A version that nothing vouches for is a wrong byte.
  if (header.code === 'ERR_VERSION' && (known === null || isIdentityWhole(page))) {
    throw new RegionError('ERR_VERSION', `${header.problem}; use a newer regionstore`);
  }
  if (known === null) {
    throw new RegionError('ERR_CORRUPT',
      `${header.problem}, and there is no catalog that says what it is`);
  }
  damage.push(`its header was damaged: ${header.problem}`);
  // Roots and extent stay as they are, and the date where it can be one.
  const made = viewOf(page).getFloat64(HEADER.createdAt, true);
  const fresh = new Uint8Array(PAGE);
  writeHeader(fresh, { regionId: known.id, storeId: '', method: known.method,
    createdAt: made > 0 && made < MOST_MS ? made : 0, capacity: known.capacity });
  page.set(fresh.subarray(0, HEADER.capacity + Float64Array.BYTES_PER_ELEMENT));
  return known.id;
}

function mendCapacity(
  page: Uint8Array, header: Header, known: Known | null, damage: string[],
): void {
  const isFine = Number.isSafeInteger(header.capacity) && header.capacity % PAGE === 0
    && extentProblem({ ...header, segmentPages: [METHOD_START / PAGE] }) === null;
  if (isFine && (known === null || known.capacity === header.capacity)) return;
  damage.push(`its capacity was damaged: ${header.capacity}`);
  viewOf(page).setFloat64(HEADER.capacity, known?.capacity ?? MAX_SEGMENTS * SLOT_BYTES, true);
}

/** Pages in use of each segment, of which the file has all afterwards. */
function extentOf(
  fd: number, page: Uint8Array, stated: readonly number[] | null, damage: string[],
): readonly number[] {
  const header = readHeader(page) as Header;
  const isPossible = (segmentPages: readonly number[]) =>
    extentProblem({ ...header, segmentPages }) === null;
  const { size } = fstatSync(fd);
  const wanted = stated !== null && isPossible(stated) ? stated : header.segmentPages;
  if (isPossible(wanted)) {
    const end = endOf(wanted);
    if (end > size) {
      damage.push(`its file was cut short: ${end - size} of ${end} bytes are zeros now`);
      ftruncateSync(fd, end);
    }
    if (header.segmentPages.join() !== wanted.join()) {
      damage.push(`its header gave another extent: ${header.segmentPages.join(', ')} pages`);
    }
    return wanted;
  }
  damage.push(`its extent was damaged: ${header.segmentPages.join(', ')} pages`);
  const pages = pagesIn(size, header.capacity);
  ftruncateSync(fd, Math.max(size, endOf(pages)));
  return pages;
}

/** What a file of this length can hold, in whole rounds. */
function pagesIn(size: number, capacity: number): number[] {
  const pages: number[] = [];
  for (let at = 0; at < size && at < capacity; at += SLOT_BYTES) {
    const bytes = Math.min(SLOT_BYTES, size - at, capacity - at);
    pages.push(Math.max(METHOD_START, Math.ceil(bytes / ROUND) * ROUND) / PAGE);
  }
  return pages.length === 0 ? [ROUND / PAGE] : pages;
}

function setPages(page: Uint8Array, pages: readonly number[]): void {
  const view = viewOf(page);
  for (let i = 0; i < MAX_SEGMENTS; i++) {
    view.setUint32(HEADER.segmentPages + 4 * i, pages[i] ?? 0, true);
  }
}

function mendSegments(
  fd: number, regionId: string, pages: readonly number[], damage: string[],
): void {
  const page = new Uint8Array(PAGE);
  for (let i = 1; i < pages.length; i++) {
    readWhole(fd, page, i * SLOT_BYTES);
    const problem = segmentProblem(page, regionId, i);
    if (problem === null) continue;
    damage.push(`segment ${i}: ${problem}`);
    writeSegmentHeader(page, regionId, i);
    writeWhole(fd, page, i * SLOT_BYTES);
  }
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
