/** A profile in the form that a file's name asks for. */
import type { Profile } from '../profile.ts';
import { flameGraph } from './flame-graph.ts';
import { profileText } from './profile-text.ts';

/**
 * `.json`, `.svg` = a flame graph of what is live, or of everything where nothing is; anything else
 * a table of everything. `title` heads the graph.
 */
export function profileFor(name: string, profile: Profile, title: string): string {
  if (/\.json$/i.test(name)) return `${JSON.stringify(profile, null, 1)}\n`;
  const by = profile.total.live > 0 ? 'live' : 'bytes';
  if (/\.svg$/i.test(name)) return flameGraph(profile, { title, by });
  return profileText(profile, { by: 'bytes' });
}
