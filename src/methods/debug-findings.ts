/**
 * What `debug` finds, in words: which block, which bytes of it, where it was allocated and freed.
 *
 *   D1  overrun: the guard behind a block was written over
 *   D2  underrun: the header in front of a block was written over
 *   D3  use after free: a freed block no longer holds the pattern it was filled with
 *   D4  a freed block was freed, resized or looked at again
 *   D5  an address that is no block was freed, resized or looked at
 *   D6  a block was still live when its volatile region was closed
 *   D7  the structures of debug itself are damaged
 *
 * D1 to D6 are what the program did, to its own blocks; the region is sound.
 */
import { GRANULE } from '../layout.ts';
import { DEBUG } from '../layout-debug.ts';
import type { Finding } from '../types.ts';
import { disturbedBehind, disturbedIn, guardBefore, isChecked, isRearWhole, isRetired, isTagged,
  isWholeBefore, readHeader } from './debug-header.ts';
import type { DebugHeap } from './debug-heap.ts';

/** Leaks that are told one by one. */
const MOST_LEAKS = 100;

type Report = (finding: Finding) => void;

/** `the block of 100 bytes (number 7)`. */
function named(heap: DebugHeap, p: number, size: number): string {
  const number = isTagged(heap.words, p) ? ` (number ${readHeader(heap.words, p).sequence})` : '';
  return `block of ${size} bytes${number}`;
}

function finding(
  heap: DebugHeap, id: string, p: number, detail: string, address = heap.addressOf(p),
) {
  const { allocatedAt, freedAt } = readHeader(heap.words, p);
  const allocated = heap.sites.textOf(allocatedAt);
  const freed = heap.sites.textOf(freedAt);
  return {
    id, address, detail, byProgram: true,
    ...(allocated === '' ? {} : { allocatedAt: allocated }),
    ...(freed === '' ? {} : { freedAt: freed }),
  } as const;
}

/** Is a live block as it was left: header and guard behind it? */
export function isWhole(heap: DebugHeap, p: number, size: number): boolean {
  return isWholeBefore(heap.words, p) && isRearWhole(heap.words, p, size);
}

/** D1, D2 of a live block. */
export function faultsOfLive(heap: DebugHeap, p: number, size: number, report: Report): void {
  const { words } = heap;
  if (!isWholeBefore(words, p)) report(underrun(heap, p, size));
  // A size that is not known to be true says nothing about where the guard is.
  if (!isChecked(words, p) || isRearWhole(words, p, size)) return;
  const { from, count } = disturbedBehind(words, p, size);
  report(finding(heap, 'D1', p,
    `${bytes(count)} from offset ${size + from} written behind the ${named(heap, p, size)}`));
}

function underrun(heap: DebugHeap, p: number, size: number): Finding {
  const isNear = guardBefore(heap.words, p) === 'damaged';
  const place = isNear ? 'just before' : 'some way before';
  return finding(heap, 'D2', p, `bytes ${place} the ${named(heap, p, size)} were written over`);
}

/** D2, D3 of a block that was freed and is held back. */
export function faultsOfFreed(heap: DebugHeap, p: number, size: number, report: Report): void {
  const { words } = heap;
  if (!isRetired(words, p) || !isTagged(words, p)) report(underrun(heap, p, size));
  if (!isChecked(words, p)) return;
  const pattern = heap.state[heap.s + DEBUG.freed];
  const inside = disturbedIn(words, p, size, pattern);
  const isRear = isRearWhole(words, p, size);
  if (inside === null && isRear) return;
  const behind = isRear ? null : disturbedBehind(words, p, size);
  const from = inside?.from ?? size + (behind?.from ?? 0);
  const count = inside?.count ?? behind?.count ?? 0;
  report(finding(heap, 'D3', p,
    `${bytes(count)} from offset ${from} written to the freed ${named(heap, p, size)}`));
}

/** D6 for every live block; after MOST_LEAKS one for all that remain. */
export function leaksIn(heap: DebugHeap, live: (visit: LiveVisit) => void, report: Report): void {
  let blocks = 0;
  let rest = 0;
  live((p, size) => {
    blocks += 1;
    if (blocks > MOST_LEAKS) rest += size;
    else report(finding(heap, 'D6', p, `the ${named(heap, p, size)} was never freed`));
  });
  if (blocks <= MOST_LEAKS) return;
  const detail = `${blocks - MOST_LEAKS} more blocks of ${rest} bytes in all were never freed`;
  report({ id: 'D6', address: 0, detail, byProgram: true });
}

export type LiveVisit = (p: number, size: number) => void;

/** D4 or D5: what is at an address, bytes, that is not the start of a live block; else null. */
export function accusation(heap: DebugHeap, address: number): Finding | null {
  const granule = Math.floor(address / GRANULE) - heap.gate.shift;
  if (granule < heap.gate.start || granule >= heap.gate.end()) return null;
  const p = address % GRANULE === 0 ? granule : 0;
  const i = p === 0 ? 0 : heap.innerOf(p);
  if (i !== 0) return heap.isFreed(p) ? again(heap, p, i) : null;
  const around = heap.inner.startOf(granule);
  if (around !== 0) return inside(heap, around, address);
  if (p !== 0 && isRetired(heap.words, p)) return again(heap, p, 0);
  const detail = 'no block was ever there, as far as is known';
  return { id: 'D5', address, detail, byProgram: true };
}

function again(heap: DebugHeap, p: number, i: number): Finding {
  const size = i === 0 ? readHeader(heap.words, p).size
    : heap.sizeAt(p, i, heap.inner.sizeOf(i));
  return finding(heap, 'D4', p, `the ${named(heap, p, size)} was freed before`);
}

function inside(heap: DebugHeap, i: number, address: number): Finding {
  const held = heap.inner.sizeOf(i);
  const p = heap.payloadOf(i, held);
  if (p === 0) return { id: 'D7', address, detail: 'the block around it has no header' };
  const offset = address - heap.addressOf(p);
  const size = heap.sizeAt(p, i, held);
  const state = heap.isFreed(p) ? 'freed ' : '';
  const place = offset < 0 ? `${-offset} bytes before` : `offset ${offset} into`;
  return finding(heap, 'D5', p,
    `it is ${place} the ${state}${named(heap, p, size)} at ${heap.addressOf(p)}`, address);
}

function bytes(count: number): string {
  return count === 1 ? '1 byte' : `${count} bytes`;
}
