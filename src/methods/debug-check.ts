/**
 * Checks what `debug` keeps, D1–D3 and D7 (debug-findings.ts), over arbitrary bytes: reads only,
 * bounded by what the inner method shows; and puts it in order after a crash.
 */
import { GRANULE, GRANULE_SHIFT } from '../layout.ts';
import { DEBUG, DEBUG_PENDING } from '../layout-debug.ts';
import type { Finding } from '../types.ts';
import { faultsOfFreed, faultsOfLive } from './debug-findings.ts';
import { isRetired, readHeader, seal, writeRear } from './debug-header.ts';
import type { DebugHeap } from './debug-heap.ts';

const { ring: RING, head: HEAD_SLOT, count: COUNT, held: HELD, pending: PENDING } = DEBUG;
const { alloc: ALLOC, free: FREE, resize: RESIZE, shift: SHIFT } = DEBUG_PENDING;
const LIMIT = 100;
const UNKNOWN = 'a block is there that is not known, or a known one is not';

type Report = (finding: Finding) => void;

export function checkDebug(heap: DebugHeap, slots: number, report: Report): void {
  let found = 0;
  const few: Report = (finding) => {
    found += 1;
    if (found <= LIMIT) report(finding);
  };
  const shift = heap.gate.shift * GRANULE;
  heap.inner.check((finding) => report({ ...finding, address: finding.address + shift }));
  const damaged = (p: number, detail: string) =>
    few({ id: 'D7', address: heap.addressOf(p), detail });
  const state = heap.arena.start - heap.gate.shift;
  if (!heap.isSound) {
    damaged(state, 'the state of debug is damaged');
    return;
  }
  const problem = heap.sites.problem();
  if (problem !== '') damaged(state, problem);
  const freed = checkBlocks(heap, few, damaged);
  if (heap.unknown !== 0) damaged(state, UNKNOWN);
  checkRing(heap, slots, freed, damaged);
}

type Damaged = (p: number, detail: string) => void;

/** Payloads of the blocks that are held back, and the granules they take. */
function checkBlocks(heap: DebugHeap, report: Report, damaged: Damaged): Map<number, number> {
  const freed = new Map<number, number>();
  heap.inner.walk((i, bytes, busy) => {
    if (!busy) return false;
    const p = heap.payloadOf(i, bytes);
    if (p === 0) {
      damaged(i, `a block of ${bytes} bytes has no room for its header`);
      return false;
    }
    const size = heap.sizeAt(p, i, bytes);
    if (heap.isFreed(p)) {
      freed.set(p, bytes >>> GRANULE_SHIFT);
      faultsOfFreed(heap, p, size, report);
    } else faultsOfLive(heap, p, size, report);
    return false;
  });
  return freed;
}

function checkRing(
  heap: DebugHeap, slots: number, freed: Map<number, number>, damaged: Damaged,
): void {
  const { state, s } = heap;
  const start = heap.arena.start - heap.gate.shift;
  const count = state[s + COUNT];
  const head = state[s + HEAD_SLOT];
  if (count < 0 || count > slots || head < 0 || (head >= slots && head > 0)) {
    damaged(start, `the quarantine says it holds ${count} blocks from ${head}`);
    return;
  }
  let held = 0;
  for (let k = 0; k < count; k++) {
    const p = heap.slotAt(k);
    const granules = freed.get(p);
    if (granules === undefined) damaged(p, 'the quarantine names what is no freed block');
    else held += granules;
    freed.delete(p);
  }
  for (const p of freed.keys()) damaged(p, 'a freed block is not in the quarantine');
  if (held !== state[s + HELD]) {
    damaged(start, `${state[s + HELD]} granules are held back, not ${held}`);
  }
}

/**
 * After the inner method's own rebuild. Every step may be cut off and done again; `pending` stays
 * until what it names is finished.
 */
export function rebuildDebug(heap: DebugHeap, slots: number): void {
  const pending = heap.state[heap.s + PENDING];
  const kind = pending & ((1 << SHIFT) - 1);
  const p = pending >>> SHIFT;
  if (kind === ALLOC) {
    dropUnknown(heap);
    heap.recount();
    heap.done();
  }
  const kept = rebuildRing(heap, slots);
  const i = p === 0 ? 0 : heap.innerOf(p);
  if (i !== 0 && kind === RESIZE) reseal(heap, p, i, true);
  if (i !== 0 && kind === FREE && !kept.has(p)) finishFree(heap, p, i);
  freeForgotten(heap, kept);
  heap.recount();
  heap.done();
}

/** The one block of an allocation that was cut off. */
function dropUnknown(heap: DebugHeap): void {
  const { unknown, inner } = heap;
  let isThere = false;
  inner.walk((i, _bytes, busy) => {
    isThere ||= busy && i === unknown;
    return isThere;
  });
  if (isThere) inner.free(unknown);
}

/**
 * Keeps what is still a block of the inner method, and freed. Blocks only move towards the head, so
 * that none is lost wherever this is cut off; slots behind the last are cleared.
 */
function rebuildRing(heap: DebugHeap, slots: number): Set<number> {
  const { state, s } = heap;
  const count = Math.min(Math.max(0, state[s + COUNT]), slots);
  const head = slots === 0 ? 0 : (state[s + HEAD_SLOT] >>> 0) % slots;
  const kept = new Set<number>();
  let held = 0;
  for (let k = 0; k < count; k++) {
    const p = heap.slotAt(k);
    const i = heap.innerOf(p);
    if (i === 0 || kept.has(p) || !heap.isFreed(p)) continue;
    state[s + RING + (head + kept.size) % slots] = p;
    kept.add(p);
    held += heap.inner.sizeOf(i) >>> GRANULE_SHIFT;
  }
  for (let k = kept.size; k < slots; k++) {
    const at = s + RING + (head + k) % slots;
    if (state[at] !== 0) state[at] = 0;
  }
  state[s + HEAD_SLOT] = head;
  state[s + COUNT] = kept.size;
  state[s + HELD] = held;
  return kept;
}

/** A method that frees its newest block only may refuse: then the block stays as it is. */
function finishFree(heap: DebugHeap, p: number, i: number): void {
  if (heap.inner.discard === undefined) reseal(heap, p, i, false);
  heap.inner.free(i);
}

/** Freed blocks the ring does not name. */
function freeForgotten(heap: DebugHeap, kept: ReadonlySet<number>): void {
  const forgotten: number[] = [];
  heap.inner.walk((i, bytes, busy) => {
    const p = busy ? heap.payloadOf(i, bytes) : 0;
    if (p !== 0 && isRetired(heap.words, p) && !kept.has(p)) forgotten.push(i);
    return false;
  });
  for (const i of forgotten) heap.inner.free(i);
}

function reseal(heap: DebugHeap, p: number, i: number, isLive: boolean): void {
  const { words, inner } = heap;
  const size = heap.sizeAt(p, i, inner.sizeOf(i));
  writeRear(words, p, size);
  const { sequence, allocatedAt, freedAt } = readHeader(words, p);
  const header = { front: p - i, sequence, size, allocatedAt, freedAt: isLive ? 0 : freedAt };
  seal(words, p, header, isLive);
}
