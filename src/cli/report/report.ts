/** `inspect --html`: gathers what a report says, and writes it, region by region. */
import type { RegionStat } from '../../types.ts';
import { writeLines } from '../heap-file.ts';
import { ringsOf } from '../ring-view.ts';
import { counted, humanSize, printable } from '../table.ts';
import { damageIn, damageText, type Subject, type Target } from '../target.ts';
import { document, EXIT, type Report } from '../verb.ts';
import { gather } from './gather.ts';
import { htmlOf, type ReportedRegion } from './html.ts';

/** What `inspect` says. */
export interface Said {
  readonly facts: () => readonly (readonly [string, string])[];
  readonly rowOf: (subject: Subject) => ReportedRegion & RegionStat;
}

export function writeReport(
  target: Target, names: readonly string[], file: string, said: Said,
): Report {
  const { type, path, store } = target;
  const rings = ringsOf(store, names);
  const others = names.filter((name) => !rings.some((ring) => ring.name === name));
  const { found: damaged, note } = damageIn(others);
  const subjects = names.length > 0 && others.length === 0 ? []
    : [...target.subjects(others, note)];
  const alarms = damaged.map(({ name, message }) => ['damaged', `${name}: ${message}`] as const);
  const about = { type, path, at: new Date(), facts: [...said.facts(), ...alarms], rings,
    checkpoints: store?.checkpoints() ?? [] };
  const bytes = writeLines(file, htmlOf(about, subjects.map(({ name }) => name),
    regionsOf(target, subjects, said)));
  return {
    exit: damaged.length > 0 ? EXIT.findings : EXIT.fine,
    json: () => document({ type, path, html: file, bytes, regions: subjects.length, damaged }),
    *text() {
      yield `wrote ${printable(file)}, ${humanSize(bytes)}: ` +
        `${counted(subjects.length, 'region')} of ${path}`;
      yield* damageText(damaged, (text) => text);
    },
  };
}

function* regionsOf(target: Target, subjects: readonly Subject[], { rowOf }: Said) {
  for (const subject of subjects) yield { region: rowOf(subject), more: gather(target, subject) };
}
