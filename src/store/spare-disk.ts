/**
 * Disk of a region's file that nobody needs: behind the extents of its segments, and under pages of
 * free blocks that hold zeros (`Region.purge`). It is given back when everything committed is in
 * the file durably. A hole reads as the zeros that were there: what is committed does not change.
 */
import { PAGE, SLOT_BYTES, SLOT_PAGES } from '../layout.ts';
import type { Mapper } from './mapper.ts';
import type { RegionFile } from './region-file.ts';

/** Pages that are looked at together; shorter runs of zeros get no hole. */
const PAGES = 16;

/** Runs of pages (first page, page count, …) in free blocks, by segment. */
export class SparePages {
  readonly #runs: Int32Array[] = [];
  #sequence = 0;

  /** They take the place of those of this segment; `sequence` = the newest checkpoint of it. */
  note(segment: number, runs: Int32Array, sequence: number): void {
    this.#runs[segment] = runs;
    this.#sequence = sequence;
  }

  get isEmpty(): boolean {
    return this.#runs.every((runs) => runs.length === 0);
  }

  /** What is not clear in the file may not be committed yet: it waits for another checkpoint. */
  looked(isAllClear: boolean, sequence: number): void {
    if (isAllClear || sequence > this.#sequence) this.#runs.length = 0;
  }

  /** In pieces of at most PAGES pages, counted from the start of the region. */
  *pieces(segmentPages: readonly number[]): Generator<Int32Array> {
    for (const [segment, runs] of this.#runs.entries()) {
      const used = segmentPages[segment] ?? 0;
      for (let i = 0; i < runs.length; i += 2) {
        const first = runs[i];
        const end = Math.min(first + runs[i + 1], used);
        for (let page = first; page < end; page += PAGES) {
          const length = Math.min(PAGES, end - page);
          yield Int32Array.from({ length }, (_, n) => segment * SLOT_PAGES + page + n);
        }
      }
    }
  }
}

/** Beyond the committed and the live extent. */
export function trimFile(file: RegionFile, mapper: Mapper): void {
  const { memory, length, sums, fd } = file;
  const live = file.livePages();
  const kept = file.committedPages.map((pages, segment) => Math.max(pages, live[segment] ?? 0));
  for (let s = live.length; s-- > kept.length; ) kept[s] = live[s];
  const last = kept.findLastIndex((pages) => pages > 0);
  if (last < 0) return;
  kept.forEach((pages, segment) => {
    memory.conceal(segment, pages * PAGE);
    sums.forget(segment * SLOT_PAGES + pages, (segment + 1) * SLOT_PAGES);
    const at = segment * SLOT_BYTES + pages * PAGE;
    const end = Math.min(length.bytes, (segment + 1) * SLOT_BYTES);
    if (segment < last && at < end) mapper.punchHole(fd, at, end - at);
  });
  length.cut(last * SLOT_BYTES + kept[last] * PAGE);
}

/** Under pages that are zeros in the file. */
export function punchFile(file: RegionFile, mapper: Mapper): void {
  const room = new Uint8Array(PAGES * PAGE);
  const crcs = new Uint32Array(PAGES);
  const zero = mapper.crc(new Uint8Array(PAGE), 0, PAGE, 0);
  let [from, end, isAllClear] = [0, 0, true];
  const punch = () => end > from && mapper.punchHole(file.fd, from * PAGE, (end - from) * PAGE);
  for (const pages of file.spare.pieces(file.committedPages)) {
    file.memory.pages.read(pages, room, 0, crcs);
    if (!crcs.subarray(0, pages.length).every((crc) => crc === zero)) {
      isAllClear = false;
      continue;
    }
    if (pages[0] !== end) {
      punch();
      from = pages[0];
    }
    end = (pages.at(-1) as number) + 1;
  }
  punch();
  file.spare.looked(isAllClear, file.sequence);
}
