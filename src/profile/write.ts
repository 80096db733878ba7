/** A profile in the form that a file's name asks for. */
import { flameGraph } from './flame-graph.ts';
import type { Profile } from './profile.ts';
import { profileJson, profileText } from './report.ts';

/** `.json`, `.svg` = a flame graph, anything else a table. */
export function profileFor(name: string, profile: Profile): string {
  if (/\.json$/i.test(name)) return profileJson(profile);
  if (/\.svg$/i.test(name)) return flameGraph(profile);
  return profileText(profile);
}
