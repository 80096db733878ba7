/**
 * Records on their way to disk: a small one is kept in memory for the catalog, a large one goes to
 * the image files in parts. Nothing is synced or committed here.
 */
import type { PartRow } from './catalog.ts';
import type { Undo } from './catalog-history.ts';
import type { StoreCore } from './core.ts';
import { systemError } from '../files.ts';
import { encodeRecord, type Record, type RegionCapture, recordBytes } from './record.ts';

const PAGE_ALIGN = 4096;
/** Images of one part: 16 MiB, so that memory stays bounded whatever the checkpoint. */
const PART_PAGES = 4096;

/** A record that was written, or is about to be committed with the catalog. */
export interface Written {
  /** Its parts, where all of them are in memory. */
  readonly records: readonly Record[];
  /** Its bytes, where they go into the catalog. */
  readonly image: Uint8Array | null;
  readonly parts: readonly PartRow[];
  readonly bytes: number;
}

/** What is written of a checkpoint that changed no page. */
export const NOTHING: Written = { records: [], image: null, parts: [], bytes: 0 };

export function pagesOf(captures: readonly RegionCapture[]): number {
  return captures.reduce((n, capture) => n + capture.pages.length, 0);
}

/** What leads from `sequence` back to `base`, as rows. */
export function undoRows(written: Written, base: number, sequence: number): Undo {
  const { image, parts, bytes } = written;
  if (image === null) return { rows: parts.map((part) => ({ ...part, base })), image };
  return { rows: [{ sequence, part: 0, base, file: null, at: 0, bytes }], image };
}

/**
 * Builds records. Where they are not `kept`, in one piece of memory: a record is good until the
 * next one is written, and of one in many parts none is.
 */
export class RecordWriter {
  readonly #isKept: boolean;
  #room = new Uint8Array(0);

  constructor(isKept: boolean) {
    this.#isKept = isKept;
  }

  /** Memory of at least so many bytes, which the next record uses too. */
  room(bytes: number): Uint8Array {
    if (this.#isKept) return new Uint8Array(bytes);
    if (this.#room.length < bytes) this.#room = new Uint8Array(Math.ceil(bytes / 65536) * 65536);
    return this.#room;
  }

  write(core: StoreCore, sequence: number, captures: readonly RegionCapture[]): Written {
    const { crc } = core.mapper;
    if (pagesOf(captures) <= core.options.inlinePages) {
      const out = this.room(recordBytes(captures, 1));
      const record = encodeRecord({ sequence, part: 0 }, captures, 1, out, crc);
      return { records: [record], image: record.bytes, parts: [], bytes: record.bytes.length };
    }
    const pieces = split(captures);
    const parts: PartRow[] = [];
    const records: Record[] = [];
    try {
      for (const [part, piece] of pieces.entries()) {
        const out = this.room(recordBytes(piece, PAGE_ALIGN));
        const record = encodeRecord({ sequence, part }, piece, PAGE_ALIGN, out, crc);
        if (this.#isKept || pieces.length === 1) records.push(record);
        parts.push({ sequence, part, ...core.images.append(record.bytes) });
      }
    } catch (error) {
      core.images.retreat(parts);
      throw systemError(`writing the images of a checkpoint of ${core.dir}`, error);
    }
    const bytes = parts.reduce((n, part) => n + part.bytes, 0);
    return { records, image: null, parts, bytes };
  }
}

/** Captures in pieces of at most PART_PAGES pages. */
function split(captures: readonly RegionCapture[]): RegionCapture[][] {
  const pieces: RegionCapture[][] = [[]];
  let used = 0;
  for (const capture of captures) {
    if (capture.pages.length === 0) (pieces.at(-1) as RegionCapture[]).push(capture);
    for (let from = 0; from < capture.pages.length; ) {
      if (used === PART_PAGES) {
        pieces.push([]);
        used = 0;
      }
      const count = Math.min(PART_PAGES - used, capture.pages.length - from);
      const pages = capture.pages.subarray(from, from + count);
      (pieces.at(-1) as RegionCapture[]).push({ ...capture, pages });
      from += count;
      used += count;
    }
  }
  return pieces;
}
