/**
 * Counts what is allocated by the calls that asked for it: blocks of the default region, or buffers
 * of a program.
 *
 *   P1  the live bytes of all sites, and of all stacks, are those of the blocks that are live
 *   P2  a site's peak is the most its own blocks took at one time
 */
import { noUse, type Profile, type SiteUse, type StackUse, type Use } from '../profile/profile.ts';
import { type Below, callStack } from '../sites.ts';
import type { TraceSink } from '../events.ts';

/** Frames of a stack that are told apart. */
const DEPTH = 24;

/** A live block or block. */
interface Counting {
  readonly size: number;
  /** Where it counts. */
  note: unknown;
}

/** What a block counts in. */
interface Counted {
  readonly stack: StackUse;
  readonly site: SiteUse;
}

export class Profiling {
  readonly #stacks = new Map<string, Counted>();
  readonly #sites = new Map<string, SiteUse>();
  readonly #all = { ...noUse(), peakBytes: 0 };

  /** `below` = the function that the program called. */
  allocated(block: Counting, { below }: { readonly below?: Below }): void {
    const counted = this.#countedAt(callStack(DEPTH, below));
    block.note = counted;
    for (const use of this.#usesOf(counted)) {
      use.allocations += 1;
      use.live += 1;
    }
    this.#grow(counted, block.size);
  }

  resized(block: Counting, old: { size: number }): void {
    this.#grow(block.note as Counted, block.size - old.size);
  }

  freed(block: Counting): void {
    const counted = block.note as Counted;
    for (const use of this.#usesOf(counted)) {
      use.frees += 1;
      use.live -= 1;
    }
    this.#grow(counted, -block.size);
  }

  finish(name: string): Profile {
    const sites = [...this.#sites.values()].sort((a, b) => b.bytes - a.bytes);
    const stacks = [...this.#stacks.values()].map(({ stack }) => stack);
    return { name, ...this.#all, sites, stacks };
  }

  #countedAt(frames: readonly string[]): Counted {
    const key = frames.join('\n');
    let counted = this.#stacks.get(key);
    if (counted !== undefined) return counted;
    const [name = ''] = frames;
    const site = this.#sites.get(name) ?? { site: name, ...noUse(), peakBytes: 0 };
    this.#sites.set(name, site);
    counted = { site, stack: { stack: frames, ...noUse() } };
    this.#stacks.set(key, counted);
    return counted;
  }

  #usesOf({ stack, site }: Counted): Use[] {
    return [stack, site, this.#all];
  }

  #grow(counted: Counted, bytes: number): void {
    for (const use of this.#usesOf(counted)) {
      use.liveBytes += bytes;
      if (bytes > 0) use.bytes += bytes;
    }
    for (const use of [counted.site, this.#all]) {
      if (use.liveBytes > use.peakBytes) use.peakBytes = use.liveBytes;
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
