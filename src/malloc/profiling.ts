/**
 * Counts what is allocated by the call stacks that asked for it: blocks of the default region, or
 * buffers of a program.
 *
 *   P1  the live bytes of all stacks are those of the blocks that are live
 *   P2  a stack's peak is the most its own blocks took at one time
 */
import type { TraceSink } from '../events.ts';
import type { Profile, SiteProfile } from '../profile.ts';
import { type Below, callStack } from '../sites.ts';

/** Frames of a stack that are told apart. */
const DEPTH = 24;

/** A live block or buffer. */
interface Counting {
  readonly size: number;
  /** Where it counts. */
  note: unknown;
}

type Use = { -readonly [K in keyof Omit<SiteProfile, 'stack'>]: number };
type StackUse = Use & { readonly stack: readonly string[] };

function noUse(): Use {
  return { allocs: 0, frees: 0, bytes: 0, live: 0, liveBlocks: 0, peak: 0 };
}

export class Profiling {
  readonly #stacks = new Map<string, StackUse>();
  readonly #total = noUse();

  /** `below` = the function that the program called. */
  allocated(block: Counting, { below }: { readonly below?: Below }): void {
    const stack = this.#stackOf(callStack(DEPTH, below));
    block.note = stack;
    for (const use of [stack, this.#total]) {
      use.allocs += 1;
      use.liveBlocks += 1;
    }
    this.#grow(stack, block.size);
  }

  resized(block: Counting, old: { size: number }): void {
    this.#grow(block.note as StackUse, block.size - old.size);
  }

  freed(block: Counting): void {
    const stack = block.note as StackUse;
    for (const use of [stack, this.#total]) {
      use.frees += 1;
      use.liveBlocks -= 1;
    }
    this.#grow(stack, -block.size);
  }

  /** Most live bytes first. What is counted here has no extent but its peak. */
  finish(): Profile {
    const sites = [...this.#stacks.values()]
      .sort((a, b) => b.live - a.live || b.bytes - a.bytes);
    return { sites, total: { ...this.#total, peakExtent: this.#total.peak } };
  }

  #stackOf(frames: readonly string[]): StackUse {
    const key = frames.join('\n');
    const known = this.#stacks.get(key);
    if (known !== undefined) return known;
    const stack = { stack: frames, ...noUse() };
    this.#stacks.set(key, stack);
    return stack;
  }

  #grow(stack: StackUse, bytes: number): void {
    for (const use of [stack, this.#total]) {
      use.live += bytes;
      if (bytes > 0) use.bytes += bytes;
      if (use.live > use.peak) use.peak = use.live;
    }
  }
}

/** Tells counts of a region's calls. Blocks from before are left out until they are resized. */
export function counting(counts: Profiling): TraceSink {
  const live = new Map<number, { size: number; note: unknown }>();
  const free = (address: number): void => {
    const block = live.get(address);
    if (block === undefined) return;
    live.delete(address);
    counts.freed(block);
  };
  return {
    record({ old, new: now, size }) {
      if (now === 0) {
        for (const address of old === 0 ? [...live.keys()] : [old]) free(address);
        return;
      }
      const block = live.get(old) ?? { size, note: null };
      const before = { size: block.size };
      block.size = size;
      if (block.note === null) counts.allocated(block, {});
      else counts.resized(block, before);
      live.delete(old);
      live.set(now, block);
    },
  };
}
