/** What the profiling method of a region knows, over all its segments. */
import { RegionError } from '../errors.ts';
import type { Profile, SiteProfile } from '../profile.ts';
import type { Region } from '../types.ts';
import { spaceOf } from './calls.ts';

type Counters = { -readonly [K in keyof Omit<SiteProfile, 'stack'>]: number };

/**
 * Counts by call stack since the region was made, most live bytes first. Of a region with several
 * segments the peaks are sums of theirs, so at least what was. ERR_MISMATCH where the region has no
 * method that profiles, ERR_CLOSED.
 *
 * @example profileOf(createRegion(heap(), profile(best))).total.live // 0
 */
export function profileOf(region: Region): Profile {
  // Throws for a region that can no longer be used.
  region.segmentOf(0);
  const parts = (spaceOf(region)?.parts ?? [])
    .flatMap(({ blocks }) => (blocks.profile === undefined ? [] : [blocks.profile()]));
  if (parts.length === 0) {
    throw new RegionError('ERR_MISMATCH',
      `region '${region.name}' is not profiled, its method is '${region.method}'; make one with ` +
        `profile(${region.method})`);
  }
  return parts.length === 1 ? sorted(parts[0]) : sorted(merged(parts));
}

function sorted({ sites, total }: Profile): Profile {
  return { sites: sites.toSorted((a, b) => b.live - a.live || b.bytes - a.bytes), total };
}

function merged(parts: readonly Profile[]): Profile {
  const sites = new Map<string, SiteProfile>();
  for (const site of parts.flatMap((part) => part.sites)) {
    const key = site.stack.join('\n');
    const held = sites.get(key);
    sites.set(key, held === undefined ? site : { stack: site.stack, ...sum([held, site]) });
  }
  const totals = parts.map(({ total }) => total);
  const peakExtent = totals.reduce((all, { peakExtent: own }) => all + own, 0);
  return { sites: [...sites.values()], total: { ...sum(totals), peakExtent } };
}

function sum(all: readonly Counters[]): Counters {
  const into = { allocs: 0, frees: 0, bytes: 0, live: 0, liveBlocks: 0, peak: 0 };
  for (const one of all) {
    for (const key of Object.keys(into) as (keyof Counters)[]) into[key] += one[key];
  }
  return into;
}
