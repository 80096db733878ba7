/**
 * `regionstore profile DIR [REGION]`: what was allocated where, in a region that is profiled.
 *
 * JSON: { type, path, region, by, sites: [{ stack, allocs, frees, bytes, live, liveBlocks, peak }],
 *   total: { the same without stack, peakExtent } }
 */
import { writeFileSync } from 'node:fs';
import { type Command, Option } from 'commander';
import { RegionError } from '../errors.ts';
import { systemError } from '../files.ts';
import { flameGraph } from '../profile/flame-graph.ts';
import { type By, MEASURES } from '../profile/measures.ts';
import { profileText } from '../profile/profile-text.ts';
import { profileOf } from '../region/profile-of.ts';
import type { Subject, Target } from './target.ts';
import { someOf } from './table.ts';
import { type Common, type Console, document, onTarget, verb } from './verb.ts';

interface Options extends Common {
  readonly svg?: string;
  readonly by: By;
}

export function profile(program: Command, console: Console): void {
  verb(program, 'profile', {
    summary: 'show what was allocated where',
    details: 'Show the call stacks of a region whose method is profile(…), with the most live ' +
      'bytes first, or write a flame graph of them. Nothing of the store is changed.',
    examples: ['profile data words', 'profile data words --by bytes --svg words.svg',
      "profile data words --json | jq '.sites[0]'"],
  })
    .argument('[region]', 'the region; needed where there is more than one that is profiled')
    .option('--svg <file>', 'write a flame graph there too')
    .addOption(new Option('--by <what>', 'live bytes, all bytes ever asked for, or allocations')
      .choices(MEASURES).default('live'))
    .action((dir: string, name: string | undefined, options: Options) =>
      onTarget(console, dir, options, { mode: 'read' }, (target) => {
        const { name: region, region: opened } = subjectOf(target, name);
        const { by, svg } = options;
        const found = profileOf(opened);
        if (svg !== undefined) writeSvg(svg, flameGraph(found, { by, title: region }));
        return {
          json: () => document({ type: target.type, path: target.path, region, by, ...found }),
          text: () => profileText(found, { by }).trimEnd().split('\n'),
        };
      }));
}

/** The region that is named, or the only one that is profiled. */
function subjectOf(target: Target, name: string | undefined): Subject {
  const all = [...target.subjects(name === undefined ? [] : [name])];
  if (name !== undefined || all.length === 1) return all[0];
  const profiled = all.filter(({ region }) => region.method.includes('profile('));
  if (profiled.length === 1) return profiled[0];
  const which = profiled.length === 0 ? 'no region is profiled; make one with profile(best)'
    : `several regions are profiled: ${someOf(profiled.map((one) => one.name))}; name one`;
  throw new RegionError(profiled.length === 0 ? 'ERR_MISMATCH' : 'ERR_BAD_OPTION',
    `${target.path}: ${which}`);
}

function writeSvg(path: string, text: string): void {
  try {
    writeFileSync(path, text);
  } catch (error) {
    throw systemError(`writing ${path}`, error);
  }
}
