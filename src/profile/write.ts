/** A profile in the form that a file's name asks for. */
import type { Profile as RegionProfile } from '../profile.ts';
import { flameGraph } from './flame-graph.ts';
import type { Profile } from './profile.ts';
import { profileJson, profileText } from './report.ts';

/** `.json`, `.svg` = a flame graph, anything else a table. */
export function profileFor(name: string, profile: Profile): string {
  if (/\.json$/i.test(name)) return profileJson(profile);
  if (!/\.svg$/i.test(name)) return profileText(profile);
  return flameGraph(drawn(profile), { title: `${profile.name}: live bytes by call stack` });
}

/** The same as a region counts it. */
function drawn({ stacks, peakBytes, ...all }: Profile): RegionProfile {
  const counters = ({ allocations, frees, bytes, live, liveBytes }: Omit<typeof all, 'name'
    | 'sites'>, peak: number) =>
    ({ allocs: allocations, frees, bytes, live: liveBytes, liveBlocks: live, peak });
  return {
    sites: stacks.map((use) => ({ stack: use.stack, ...counters(use, use.liveBytes) })),
    total: { ...counters(all, peakBytes), peakExtent: 0 },
  };
}
