/**
 * `regionstore repair DIR`: what is damaged is put in order in a copy; see src/repair/.
 *
 * JSON: { type, path, dryRun, sound, to, backup, damage: [string], regions: [{ name, kind, state,
 *   findings: [{ id, address, detail }], changes: [string], losses: [{ address, detail }],
 *   lossCount, suspects: [{ address, size }] }], lost: [{ name, why, file }] }; `regions` is empty
 *   where nothing is damaged; `file` is relative to the repaired store, null = there is none.
 */
import type { Command } from 'commander';
import { resolve } from 'node:path';
import { RegionError } from '../errors.ts';
import { repairFile } from '../repair/alone.ts';
import type { RepairedRegion } from '../repair/copy.ts';
import { repairStore, type Repaired, type RepairOptions } from '../repair/repair.ts';
import { placeOf } from './open.ts';
import { type Column, counted, printable, table } from './table.ts';
import { type Common, type Console, document, EXIT, type Exit, type Report, tell, unsafeOption,
  verb } from './verb.ts';

interface Options extends Common {
  readonly dryRun?: true;
  readonly to?: string;
  readonly inPlace?: true;
  readonly backup?: string;
  readonly unsafeFileSystem?: true;
}

const COLUMNS: readonly Column<RepairedRegion>[] = [
  { title: 'REGION', text: (row) => printable(row.name) },
  { title: 'KIND', text: (row) => row.kind },
  { title: 'STATE', text: (row) => row.state },
  { title: 'FINDINGS', text: (row) => String(row.findings.length), right: true },
  { title: 'LOST', text: (row) => String(row.lossCount), right: true },
  { title: 'IN DOUBT', text: (row) => String(row.suspects.length), right: true },
];
/** Lines about one region; --json has all. */
const MOST_LINES = 20;

export function repair(program: Command, console: Console): void {
  verb(program, 'repair', {
    summary: 'mend a damaged store, in a copy of it',
    details: 'Put a damaged store in order: headers and rows from what is known elsewhere, free ' +
      'memory from what is busy, roots whose hash is right, objects that can still be read. The ' +
      'store itself is never changed: a new one is made and verified. Without --to and ' +
      '--in-place that is thrown away, and only what would be done is said. Where a way to ' +
      'objects was lost, they are kept in the root lost+found of their heap. Blocks on pages ' +
      'that do not match their checksums are told as in doubt. What cannot be mended goes, as ' +
      'it is, into the directory quarantine of the new store. Earlier checkpoints are not taken ' +
      'along. Exit code 1 where something was lost or is in doubt, or with a dry run is damaged.',
    examples: ['repair data', 'repair data --to mended', 'repair data --in-place',
      'repair data --in-place --backup data.before'],
  })
    .option('--dry-run', 'say what would be done, keep nothing; so it is without the other two')
    .option('--to <place>', 'directory of the repaired store, or file of the region')
    .option('--in-place', 'the repaired store takes the place of the damaged one')
    .option('--backup <place>', 'with --in-place: what the damaged one is called afterwards, ' +
      'default DIR.damaged-TIME')
    .addOption(unsafeOption())
    .action((dir: string, options: Options) => repaired(console, dir, options));
}

async function repaired(console: Console, dir: string, options: Options): Promise<void> {
  assertWish(options);
  const { type, path } = placeOf(dir);
  const { progress } = console;
  const wish: RepairOptions = {
    ...wishOf(path, options),
    onStep: (done, total) => progress.step('repairing region', done, total),
  };
  try {
    const done = type === 'store' ? repairStore(path, wish) : repairFile(path, wish);
    progress.clear();
    await tell(console, options, reportOf(console, type, path, done));
  } finally {
    progress.clear();
  }
}

function assertWish({ dryRun, to, inPlace, backup }: Options): void {
  const refuse = (what: string) => {
    throw new RegionError('ERR_BAD_OPTION', what);
  };
  if (to !== undefined && inPlace === true) refuse('give --to or --in-place, not both');
  if (backup !== undefined && inPlace !== true) refuse('--backup goes with --in-place');
  if (dryRun === true && (to !== undefined || inPlace === true)) {
    refuse('--dry-run keeps nothing: leave --to and --in-place out');
  }
}

function wishOf(path: string, { to, inPlace, backup, unsafeFileSystem }: Options): RepairOptions {
  const unsafe = { unsafeFileSystem: unsafeFileSystem === true };
  if (to !== undefined) return { ...unsafe, to };
  if (inPlace !== true) return unsafe;
  const time = new Date().toISOString().replace(/[-:]/g, '').slice(0, 15);
  return { ...unsafe, backup: resolve(backup ?? `${path}.damaged-${time}`) };
}

function reportOf(console: Console, type: string, path: string, done: Repaired): Report {
  const { isSound, to, backup, damage, lost } = done;
  const dryRun = to === null;
  const regions = done.regions.map(({ name, kind, state, findings, changes, losses, lossCount,
    suspects }) => ({ name, kind, state, findings: findings.map(({ id, address, detail }) =>
    ({ id, address, detail })), changes, losses, lossCount, suspects }));
  return {
    exit: exitOf(done),
    json: () => document({ type, path, dryRun, sound: isSound, to, backup, damage, regions, lost }),
    *text() {
      if (isSound) {
        yield `${path}: sound, nothing to repair`;
        return;
      }
      yield* damage.map((line) => printable(line));
      yield* table(COLUMNS, done.regions, console.output.head);
      for (const region of done.regions) yield* linesOf(region);
      for (const { name, why, file } of lost) {
        const kept = file === null ? '' : dryRun ? '; its file would be kept' : `; kept as ${file}`;
        yield console.output.alarm(`lost: ${printable(name)}: ${printable(why)}${kept}`);
      }
      yield* endOf(console, path, done);
    },
  };
}

function exitOf({ isSound, to, regions, lost }: Repaired): Exit {
  if (isSound) return EXIT.fine;
  const isWhole = lost.length === 0 && regions.every(({ state }) => state !== 'partly');
  return to !== null && isWhole ? EXIT.fine : EXIT.findings;
}

function* linesOf({ name, changes, losses, lossCount, suspects }: RepairedRegion) {
  const at = printable(name);
  for (const change of changes.slice(0, MOST_LINES)) yield `${at}: ${printable(change)}`;
  for (const { address, detail } of losses.slice(0, MOST_LINES)) {
    yield `${at}: lost at ${address}: ${printable(detail)}`;
  }
  if (lossCount > MOST_LINES) yield `${at}: and ${lossCount - MOST_LINES} more losses`;
  const some = suspects.slice(0, MOST_LINES).map(({ address }) => address).join(', ');
  const more = suspects.length > MOST_LINES ? ', …' : '';
  if (some !== '') yield `${at}: in doubt are the blocks at ${some}${more}`;
}

function* endOf({ output }: Console, path: string, { to, backup, regions, lost }: Repaired) {
  const count = counted(regions.length, 'region');
  if (to === null) {
    yield `would repair ${path}: ${count}, ${lost.length} lost; ` +
      'nothing was changed; repair it with --to PLACE or --in-place';
    return;
  }
  const kept = backup === null ? '' : `; the damaged one is in ${backup}`;
  const text = `repaired ${path} to ${to}: ${count}${kept}`;
  yield lost.length === 0 ? text : output.alarm(text);
}
