/**
 * Checks what `debug` keeps, D1–D3 and D7 (debug-findings.ts), over arbitrary bytes: reads only,
 * bounded by what the inner method shows; and puts it in order after a crash.
 */
import { GRANULE, GRANULE_SHIFT } from '../layout.ts';
import { DEBUG, DEBUG_PENDING } from '../layout-debug.ts';
import type { Finding } from '../types.ts';
import { faultsOfFreed, faultsOfLive } from './debug-findings.ts';
import { guardBefore, isChecked, isRetired, isTagged, readHeader, roomIn, seal, writeRear }
  from './debug-header.ts';
import type { DebugHeap } from './debug-heap.ts';

const { ring: RING, head: HEAD_SLOT, count: COUNT, held: HELD, pending: PENDING } = DEBUG;
const { alloc: ALLOC, free: FREE, resize: RESIZE, shift: SHIFT } = DEBUG_PENDING;
const LIMIT = 100;

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

/** After the inner method's own rebuild. A block nobody was told of goes. */
export function rebuildDebug(heap: DebugHeap, slots: number): void {
  const pending = heap.state[heap.s + PENDING];
  const kind = pending & ((1 << SHIFT) - 1);
  const p = pending >>> SHIFT;
  rebuildRing(heap, slots);
  if (kind === ALLOC) dropUnsealed(heap, p);
  const i = p === 0 ? 0 : heap.innerOf(p);
  if (i !== 0 && kind === RESIZE) reseal(heap, p, i);
  if (i !== 0 && kind === FREE && heap.slotOf(p) < 0) heap.inner.free(i);
  heap.done();
}

/** Keeps what is still a block of the inner method. */
function rebuildRing(heap: DebugHeap, slots: number): void {
  const { state, s } = heap;
  const count = Math.min(Math.max(0, state[s + COUNT]), slots);
  const kept: number[] = [];
  let held = 0;
  for (let k = 0; k < count; k++) {
    const p = heap.slotAt(k);
    const i = heap.innerOf(p);
    if (i === 0 || kept.includes(p)) continue;
    kept.push(p);
    held += heap.inner.sizeOf(i) >>> GRANULE_SHIFT;
  }
  state[s + HEAD_SLOT] = 0;
  state[s + COUNT] = kept.length;
  state[s + HELD] = held;
  kept.forEach((p, k) => {
    state[s + RING + k] = p;
  });
}

/** The one block of an allocation that was cut off: `p` says which, or its header is not sealed. */
function dropUnsealed(heap: DebugHeap, p: number): void {
  const { words, inner } = heap;
  const found: number[] = [];
  inner.walk((i, bytes, busy) => {
    if (!busy) return false;
    const isNamed = p !== 0 && i < p && p < i + (bytes >>> GRANULE_SHIFT);
    const payload = heap.payloadOf(i, bytes);
    const isSealed = payload !== 0 && heap.slotOf(payload) < 0 ? mayBeSealed(words, payload) : true;
    if (isNamed || (p === 0 && !isSealed)) found.push(i);
    return false;
  });
  if (found.length === 1) inner.free(found[0]);
}

/** A program that wrote over a header has left some of it, and of a freed one there is no need. */
function mayBeSealed(words: Int32Array, p: number): boolean {
  if (isRetired(words, p)) return false;
  return guardBefore(words, p) === 'live' || isChecked(words, p) || isTagged(words, p);
}

function reseal(heap: DebugHeap, p: number, i: number): void {
  const { words, inner } = heap;
  const size = Math.max(0, Math.min(readHeader(words, p).size, roomIn(inner.sizeOf(i), p - i)));
  writeRear(words, p, size);
  const { sequence, allocatedAt } = readHeader(words, p);
  seal(words, p, { front: p - i, sequence, size, allocatedAt, freedAt: 0 }, true);
}
