/**
 * A profile: what was allocated, by the places in the program that asked for it. The sites are the
 * innermost frames of the stacks; each stack belongs to one site.
 */

/** Sizes are bytes. */
export interface Use {
  allocations: number;
  frees: number;
  /** Of all allocations, and what they grew by. */
  bytes: number;
  /** Blocks, and bytes in them, that are not freed. */
  live: number;
  liveBytes: number;
}

export interface StackUse extends Use {
  /** `file:line:function`, innermost first; [] = no frame of the program. */
  readonly stack: readonly string[];
}

export interface SiteUse extends Use {
  /** `file:line:function`, '' = no frame of the program. */
  readonly site: string;
  /** The most that the blocks of this site took at one time. */
  peakBytes: number;
}

export interface Profile extends Use {
  /** What was profiled. */
  readonly name: string;
  /** The most that all blocks took at one time. */
  readonly peakBytes: number;
  /** Most bytes first. */
  readonly sites: readonly SiteUse[];
  readonly stacks: readonly StackUse[];
}

/** What stands for no frame of the program. */
export const UNKNOWN = '(outside the program)';

export function noUse(): Use {
  return { allocations: 0, frees: 0, bytes: 0, live: 0, liveBytes: 0 };
}

/** `file:line:function` in its parts; what has none is all function. */
export function partsOfSite(site: string): { file: string; line: string; called: string } {
  const [, file = '', line = '', called = site] = /^(.*?):(\d+):(.*)$/s.exec(site) ?? [];
  return { file, line, called };
}
