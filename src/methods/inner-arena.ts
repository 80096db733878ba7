/**
 * The arena of a method that another one wraps: what is left of the wrapper's own arena behind its
 * state. Positions are the same in both, and so is the end. The wrapper may shut it: then nothing
 * more is to be had until it opens it again.
 */
import type { Arena, Method, Monitor } from '../types.ts';
import { RegionError } from '../errors.ts';

const QUIET: Monitor = { warn: () => {} };

export class InnerArena implements Arena {
  readonly words: Int32Array;
  readonly start: number;
  readonly monitor: Monitor;
  isShut = false;
  readonly #outer: Arena;

  /** `front` = granules the wrapper keeps. */
  constructor(outer: Arena, front: number) {
    this.words = outer.words;
    this.start = outer.start + front;
    this.monitor = outer.monitor ?? QUIET;
    this.#outer = outer;
  }

  end(): number {
    return this.#outer.end();
  }

  extend(granules: number): boolean {
    return !this.isShut && this.#outer.extend(granules);
  }

  retract(end: number): void {
    this.#outer.retract(end);
  }
}

/** Room for the wrapper's state, and the inner method's heap behind it. */
export function formatBehind(arena: Arena, front: number, inner: Method): boolean {
  const short = arena.start + front - arena.end();
  if (short > 0 && !arena.extend(short)) return false;
  return inner.format(new InnerArena(arena, front));
}

/** ERR_BAD_OPTION unless it is a method. */
export function assertInner(inner: Method, where: string): void {
  if (typeof inner?.format === 'function' && typeof inner.attach === 'function') return;
  throw new RegionError('ERR_BAD_OPTION',
    `${where}(${String(inner)}): give the method that it is to wrap, such as best`);
}
