/**
 * The header page of a region, the headers of its later segments and its durable state, to and from
 * bytes. Everything read here may be hostile: a header that does not hold is reported, never used.
 *
 * Creation writes the identity's checksum last, so a file whose creation was cut short has none.
 */
import { type ErrorCode, RegionError } from '../errors.ts';
import {
  HEADER,
  ID_BYTES,
  MAGIC,
  MAX_SEGMENTS,
  METHOD_START,
  PAGE,
  SEGMENT_HEADER,
  SEGMENT_MAGIC,
  SLOT_BYTES,
  STATE,
  VERSION,
} from '../layout.ts';
import { crc32c } from '../native/crc32c.ts';

/** Who a region is: written once. Ids are 32 hexadecimal digits. */
export interface Identity {
  readonly regionId: string;
  /** '' = belongs to no store. */
  readonly storeId: string;
  readonly method: string;
  /** Milliseconds since 1970. */
  readonly createdAt: number;
}

export interface Header extends Identity {
  /** Bytes it may grow to. */
  readonly capacity: number;
  /** Address of the block that holds the roots; 0 = the header page does. */
  readonly rootsBlock: number;
  /** Pages in use, segment by segment, up to the last one that has any. */
  readonly segmentPages: readonly number[];
}

/** Why a header cannot be used: `id` is the invariant that is broken (see region/check.ts). */
export interface HeaderProblem {
  readonly problem: string;
  readonly code: Extract<ErrorCode, 'ERR_CORRUPT' | 'ERR_VERSION'>;
  readonly id: 'R1' | 'R2' | 'R3' | 'R4';
  /** Offset in the page. */
  readonly at: number;
}

export interface RegionState {
  /** Newest checkpoint applied to this file; 0 without a store. */
  readonly sequence: number;
  /** Everything was written and synced when it was closed. */
  readonly clean: boolean;
  readonly regionId: string;
  /** The boot of the machine that wrote it last, '' where unknown. */
  readonly bootId: string;
  readonly segmentPages: readonly number[];
}

const NO_ID = '0'.repeat(2 * ID_BYTES);

/** Writes identity and capacity into an empty header page; the checksum last. */
export function writeHeader(page: Uint8Array, header: Identity & { capacity: number }): void {
  const view = viewOf(page);
  page.fill(0, 0, HEADER.rootsEnd);
  writeAscii(page, HEADER.magic, MAGIC);
  view.setUint32(HEADER.version, VERSION, true);
  view.setUint32(HEADER.pageBytes, PAGE, true);
  writeId(page, HEADER.regionId, header.regionId);
  writeId(page, HEADER.storeId, header.storeId);
  writeAscii(page, HEADER.method, header.method);
  view.setFloat64(HEADER.createdAt, header.createdAt, true);
  view.setFloat64(HEADER.capacity, header.capacity, true);
  view.setUint32(HEADER.identityCrc, crc32c(page, 0, HEADER.identityBytes, 0), true);
}

/**
 * The header of a page, or what is wrong with it. Whether its extent can be is `extentProblem`'s:
 * in a store the file's own header may be older than the committed one.
 */
export function readHeader(page: Uint8Array): Header | HeaderProblem {
  const found = identityProblem(page);
  if (found !== null) return found;
  const view = viewOf(page);
  return {
    ...readIdentity(page),
    capacity: view.getFloat64(HEADER.capacity, true),
    rootsBlock: view.getFloat64(HEADER.rootsBlock, true),
    segmentPages: readPages(view, HEADER.segmentPages),
  };
}

/**
 * What is impossible about the capacity and extent of a header, or null; `slotBytes` is the address
 * space of a segment.
 */
export function extentProblem(header: Header, slotBytes = SLOT_BYTES): HeaderProblem | null {
  const { capacity, segmentPages: pages } = header;
  if (!Number.isSafeInteger(capacity) || capacity <= 0 || capacity > MAX_SEGMENTS * slotBytes) {
    return problem('R3', HEADER.capacity, `impossible capacity ${capacity}`);
  }
  for (let i = 0; i < Math.max(1, pages.length); i++) {
    const at = HEADER.segmentPages + 4 * i;
    const limit = Math.max(0, Math.min(slotBytes, capacity - i * slotBytes)) / PAGE;
    const count = pages[i] ?? 0;
    if (count < METHOD_START / PAGE || count > limit) {
      return problem('R4', at, `segment ${i} has ${count} pages in use, of ${limit} at most`);
    }
  }
  return null;
}

/** Who the region is, whatever its live fields say. The page has no identityProblem. */
function readIdentity(page: Uint8Array): Identity {
  return {
    regionId: readId(page, HEADER.regionId),
    storeId: readId(page, HEADER.storeId),
    method: readAscii(page, HEADER.method, HEADER.methodBytes),
    createdAt: viewOf(page).getFloat64(HEADER.createdAt, true),
  };
}

/** ERR_CORRUPT or ERR_VERSION, for a region that is called `what`. */
export function headerError(found: HeaderProblem, what: string): RegionError {
  const advice = found.code === 'ERR_VERSION'
    ? 'open it with a newer regionstore; it was not changed'
    : 'restore it from a backup, or mend it with `regionstore repair`; it was not changed';
  return new RegionError(found.code, `${what}: ${found.problem}; ${advice}`);
}

export function writeSegmentHeader(page: Uint8Array, regionId: string, index: number): void {
  const view = viewOf(page);
  page.fill(0, 0, PAGE);
  writeAscii(page, SEGMENT_HEADER.magic, SEGMENT_MAGIC);
  writeId(page, SEGMENT_HEADER.regionId, regionId);
  view.setUint32(SEGMENT_HEADER.index, index, true);
  view.setUint32(SEGMENT_HEADER.crc, crc32c(page, 0, SEGMENT_HEADER.bytes, 0), true);
}

/** What is wrong with the header of a later segment, or null. */
export function segmentProblem(page: Uint8Array, regionId: string, index: number): string | null {
  const view = viewOf(page);
  const crc = crc32c(page, 0, SEGMENT_HEADER.bytes, 0);
  if (readAscii(page, SEGMENT_HEADER.magic, SEGMENT_MAGIC.length) !== SEGMENT_MAGIC) {
    return 'no segment header';
  }
  if (view.getUint32(SEGMENT_HEADER.crc, true) !== crc) return 'its header has a wrong checksum';
  if (readId(page, SEGMENT_HEADER.regionId) !== regionId) return 'it belongs to another region';
  if (view.getUint32(SEGMENT_HEADER.index, true) !== index) return 'it has another index';
  return null;
}

/** Makes the region of a header page another one, or that of another store. */
export function identify(page: Uint8Array, { regionId, storeId }: Pick<Identity, 'regionId' |
    'storeId'>): void {
  writeId(page, HEADER.regionId, regionId);
  writeId(page, HEADER.storeId, storeId);
  viewOf(page).setUint32(HEADER.identityCrc, crc32c(page, 0, HEADER.identityBytes, 0), true);
}

/** The header of a later segment, for a region of another id. */
export function identifySegment(page: Uint8Array, regionId: string): void {
  writeId(page, SEGMENT_HEADER.regionId, regionId);
  viewOf(page).setUint32(SEGMENT_HEADER.crc, crc32c(page, 0, SEGMENT_HEADER.bytes, 0), true);
}

/** The durable state as its 512 bytes, to be written at STATE.at of segment 0. */
export function encodeState(state: RegionState): Uint8Array {
  const out = new Uint8Array(STATE.bytes);
  const view = viewOf(out);
  view.setFloat64(STATE.sequence, state.sequence, true);
  view.setUint32(STATE.clean, state.clean ? 1 : 0, true);
  writeId(out, STATE.regionId, state.regionId);
  writeId(out, STATE.bootId, state.bootId);
  state.segmentPages.forEach((pages, i) => {
    view.setUint32(STATE.segmentPages + 4 * i, pages, true);
  });
  view.setUint32(STATE.crc, crc32c(out, 0, STATE.crc, 0), true);
  return out;
}

/** The durable state from its 512 bytes; null = never written, or damaged. */
export function decodeState(bytes: Uint8Array): RegionState | null {
  if (bytes.length < STATE.bytes) return null;
  const view = viewOf(bytes);
  if (view.getUint32(STATE.crc, true) !== crc32c(bytes, 0, STATE.crc, 0)) return null;
  const sequence = view.getFloat64(STATE.sequence, true);
  const clean = view.getUint32(STATE.clean, true);
  if (!Number.isSafeInteger(sequence) || sequence < 0 || clean > 1) return null;
  return {
    sequence,
    clean: clean === 1,
    regionId: readId(bytes, STATE.regionId),
    bootId: readId(bytes, STATE.bootId),
    segmentPages: readPages(view, STATE.segmentPages),
  };
}

export function isEmptyState(bytes: Uint8Array): boolean {
  return bytes.subarray(0, STATE.bytes).every((byte) => byte === 0);
}

function identityProblem(page: Uint8Array): HeaderProblem | null {
  if (page.length < PAGE) return problem('R1', HEADER.magic, 'shorter than one page');
  const view = viewOf(page);
  if (readAscii(page, HEADER.magic, MAGIC.length) !== MAGIC) {
    return problem('R1', HEADER.magic, 'not a region: the magic number is missing');
  }
  const version = view.getUint32(HEADER.version, true);
  if (version > VERSION) {
    const text = `format version ${version}, this program knows ${VERSION}`;
    return { problem: text, code: 'ERR_VERSION', id: 'R1', at: HEADER.version };
  }
  if (!isIdentityWhole(page)) {
    return problem('R2', HEADER.identityCrc,
      'the checksum of the header is wrong: it is damaged, or creating it was never finished');
  }
  if (version !== VERSION || view.getUint32(HEADER.pageBytes, true) !== PAGE) {
    return problem('R1', HEADER.version, 'impossible version or page size');
  }
  return null;
}

/** Does the identity match its checksum? A region of a later version may have it elsewhere. */
export function isIdentityWhole(page: Uint8Array): boolean {
  const sum = viewOf(page).getUint32(HEADER.identityCrc, true);
  return sum === crc32c(page, 0, HEADER.identityBytes, 0);
}

function problem(id: HeaderProblem['id'], at: number, text: string): HeaderProblem {
  return { problem: text, code: 'ERR_CORRUPT', id, at };
}

function readPages(view: DataView, at: number): number[] {
  const pages: number[] = [];
  for (let i = 0; i < MAX_SEGMENTS; i++) {
    const count = view.getUint32(at + 4 * i, true);
    if (count !== 0) pages[i] = count;
  }
  return Array.from(pages, (count) => count ?? 0);
}

function viewOf(bytes: Uint8Array): DataView {
  return new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}

function writeAscii(bytes: Uint8Array, at: number, text: string): void {
  for (let i = 0; i < text.length; i++) bytes[at + i] = text.charCodeAt(i);
}

function readAscii(bytes: Uint8Array, at: number, limit: number): string {
  let out = '';
  for (let i = at; i < at + limit && bytes[i] !== 0; i++) out += String.fromCharCode(bytes[i]);
  return out;
}

function writeId(bytes: Uint8Array, at: number, id: string): void {
  const digits = id === '' ? NO_ID : id;
  for (let i = 0; i < ID_BYTES; i++) {
    bytes[at + i] = Number.parseInt(digits.slice(2 * i, 2 * i + 2), 16);
  }
}

function readId(bytes: Uint8Array, at: number): string {
  let out = '';
  for (let i = 0; i < ID_BYTES; i++) out += bytes[at + i].toString(16).padStart(2, '0');
  return out === NO_ID ? '' : out;
}
