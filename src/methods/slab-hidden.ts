/**
 * Hidden blocks of `slab` that lie in slabs: listed in the state, without gaps. A page that holds
 * one says that it has no slots, so that the short ways fail there and the long ones look twice.
 */
import { SLAB, SLAB_HIDDEN, SLAB_KIND, SLAB_PAGE } from '../layout.ts';
import { openKind } from './slab-pages.ts';

const SLOTS_MASK = 2 ** SLAB_KIND.slotsBits - 1;

export function isHidden(words: Int32Array, s: number, granule: number): boolean {
  for (let i = 0; i < SLAB_HIDDEN; i += 1) {
    if (words[s + SLAB.hidden + i] === granule) return true;
  }
  return false;
}

/** Kind of a page with hidden blocks. */
export function guardedKind(words: Int32Array, d: number): number {
  return openKind(words, d) & ~(SLOTS_MASK << SLAB_KIND.slotsShift);
}

export function guard(words: Int32Array, d: number): void {
  words[d + SLAB_PAGE.kind] = guardedKind(words, d);
}

export function isGuarded(kind: number): boolean {
  return kind !== 0 && ((kind >>> SLAB_KIND.slotsShift) & SLOTS_MASK) === 0;
}
