/**
 * The arena of a method that another one wraps: what is left of the wrapper's own arena behind its
 * state. The inner method sees a window that begins later, so that its heap starts where it always
 * does; a granule of it is `shift` less than the same one of the arena around it. The wrapper may
 * shut it: then nothing more is to be had until it opens it again.
 */
import { RegionError } from '../errors.ts';
import { GRANULE } from '../layout.ts';
import type { Arena, Blocks, Method, Monitor } from '../types.ts';

const WORDS_PER_GRANULE = GRANULE / 4;
const QUIET: Monitor = { warn: () => {} };

export class InnerArena implements Arena {
  readonly words: Int32Array;
  readonly start: number;
  readonly monitor: Monitor;
  /** Granules the wrapper keeps. */
  readonly shift: number;
  isShut = false;
  readonly #outer: Arena;

  constructor(outer: Arena, shift: number) {
    const { monitor = QUIET } = outer;
    this.words = outer.words.subarray(shift * WORDS_PER_GRANULE);
    this.start = outer.start;
    this.shift = shift;
    this.#outer = outer;
    this.monitor = { warn: (finding) =>
      monitor.warn({ ...finding, address: finding.address + shift * GRANULE }) };
  }

  end(): number {
    return this.#outer.end() - this.shift;
  }

  extend(granules: number): boolean {
    return !this.isShut && this.#outer.extend(granules);
  }

  retract(end: number): void {
    this.#outer.retract(end + this.shift);
  }
}

/**
 * Where a walk of the inner blocks must begin to meet every payload at or behind a place: each lies
 * `head` granules into its block, or further in.
 */
export function walkStart(inner: Blocks, place: number, head: number): number {
  const least = Math.max(0, place - head);
  return Math.min(least, inner.startOf(Math.max(0, place - 1)) || least);
}

/** Room for the wrapper's state, and the inner method's heap behind it. */
export function formatBehind(
  arena: Arena, front: number, inner: Method, formatState: () => void,
): boolean {
  const short = arena.start + front - arena.end();
  if (short > 0 && !arena.extend(short)) return false;
  formatState();
  return inner.format(new InnerArena(arena, front));
}

/** ERR_BAD_OPTION unless it is a method. */
export function assertInner(inner: Method, where: string): void {
  if (typeof inner?.format === 'function' && typeof inner.attach === 'function') return;
  throw new RegionError('ERR_BAD_OPTION',
    `${where}(${String(inner)}): give the method that it is to wrap, such as best`);
}
