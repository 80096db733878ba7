/** An arena without a region, and one whose stores can be cut off, to try methods alone. */
import { GRANULE } from '../../src/layout.ts';
import type { Arena, Blocks } from '../../src/types.ts';

/** The process died in the middle of a call. */
export class Killed extends Error {}

export interface TestArena extends Arena {
  /** Pages in use, as a region's header would hold them. */
  held: number;
  readonly limit: number;
}

const STEP = 4096;

/** `words` may be a recording one. Grows by 64 KiB. */
export function arenaOver(
  words: Int32Array, start: number, held: number, limit: number,
): TestArena {
  return {
    words, start, held, limit,
    end() {
      return this.held;
    },
    extend(granules) {
      const next = Math.ceil((this.held + granules) / STEP) * STEP;
      if (next > this.limit) return false;
      this.held = next;
      return true;
    },
    retract(end) {
      this.held = Math.min(this.held, Math.max(start, Math.ceil(end / STEP) * STEP));
    },
  };
}

export function newArena(bytes: number, start = 512): TestArena {
  return arenaOver(new Int32Array(bytes / 4), start, start, bytes / GRANULE);
}

/** Words that count their stores and throw Killed instead of the one after `limit`. */
export function countingWords(words: Int32Array, limit: number) {
  let stores = 0;
  const store = (at: number, value: number): void => {
    if (stores === limit) throw new Killed();
    stores += 1;
    words[at] = value;
  };
  /** The words from `base` on: what wraps a method gives it a part of its own. */
  const from = (base: number): Int32Array => {
    const part = words.subarray(base);
    const fill = (value: number, start: number, end: number): void => {
      for (let i = start; i < end; i++) store(base + i, value);
    };
    return new Proxy(part, {
      get: (target, key) => {
        if (key === 'fill') return fill;
        return key === 'subarray' ? (more: number) => from(base + more) : Reflect.get(target, key);
      },
      set: (_target, key, value) => {
        store(base + Number(key), value);
        return true;
      },
    });
  };
  return { words: from(0), count: () => stores };
}

/** Visible blocks as [granule, usable bytes]. */
export function busyBlocks(blocks: Blocks): [number, number][] {
  const found: [number, number][] = [];
  blocks.walk((granule, bytes, busy) => {
    if (busy) found.push([granule, bytes]);
    return false;
  });
  return found;
}
