/**
 * `regionstore check DIR [REGION…]`: every broken invariant. Exit 1 when there is one.
 *
 * JSON: { type, path, pages, blocks, findings: [{ id, region, address, detail }] }; `region` is
 * null for what is no region's, `pages` and `blocks` say whether those were looked at.
 */
import type { Command } from 'commander';
import { RegionError } from '../errors.ts';
import type { StoreFinding } from '../store/check.ts';
import type { Store } from '../store/api.ts';
import type { Finding } from '../types.ts';
import { openAsFound, openTarget } from './open.ts';
import { ringsOf } from './ring-view.ts';
import { type Column, counted, printable, table } from './table.ts';
import type { Target } from './target.ts';
import { type Common, type Console, document, EXIT, report, type Report, verb } from './verb.ts';

interface Options extends Common {
  readonly pages: boolean;
  readonly quick?: true;
}

/** What is looked at beside catalog, files and headers. */
interface Looks {
  readonly pages: boolean;
  readonly blocks: boolean;
}

interface Row {
  readonly id: string;
  readonly region: string | null;
  readonly address: number;
  readonly detail: string;
  /** Where the block was allocated and freed, as far as a method that debugs knows. */
  readonly allocatedAt?: string;
  readonly freedAt?: string;
}

const LOOK = { mode: 'read', isOnce: true } as const;

const COLUMNS: readonly Column<Row>[] = [
  { title: 'FINDING', text: (row) => row.id },
  { title: 'REGION', text: ({ region }) => (region === null ? '-' : printable(region)) },
  { title: 'ADDRESS', text: (row) => String(row.address), right: true },
  { title: 'DETAIL', text: (row) => printable(withSites(row)) },
];

export function check(program: Command, console: Console): void {
  verb(program, 'check', {
    summary: 'look for damage',
    details: 'Check every invariant of a store: its catalog, its files, the checksum of every ' +
      'page, the blocks and roots of every region, the objects of every heap, and the records of ' +
      'every ring. Nothing is changed. Exit code 1 when there are findings.',
    examples: ['check data', 'check data --quick', 'check data words --no-pages',
      "check data --json | jq '.findings'"],
  })
    .argument('[region...]', 'show only findings of these regions')
    .option('--no-pages', 'leave out the page checksums, for which region files are read whole')
    .option('--quick', 'leave out blocks and objects as well: catalog, files and headers only')
    .action(async (dir: string, names: string[], options: Options) => {
      const isWhole = options.quick !== true;
      const looks = { pages: options.pages && isWhole, blocks: isWhole };
      const target = await (isWhole ? openForCheck(dir) : openTarget(dir, LOOK));
      await report(console, target, options, () =>
        reportOf(console, target, findingsOf(target, names, looks), looks));
    });
}

/** A region by itself that cannot be opened because it is damaged is checked as it stands. */
async function openForCheck(dir: string): Promise<Target> {
  try {
    return await openTarget(dir, LOOK);
  } catch (error) {
    if (!(error instanceof RegionError) || error.code !== 'ERR_CORRUPT') throw error;
    return asFound(dir, error);
  }
}

/** `refusal` again where there is nothing that could be checked. */
async function asFound(dir: string, refusal: RegionError): Promise<Target> {
  try {
    return await openAsFound(dir);
  } catch (error) {
    if (error instanceof RegionError) throw refusal;
    throw error;
  }
}

function findingsOf(target: Target, names: readonly string[], looks: Looks): Row[] {
  const rings = ringsOf(target.store, names).map(({ name }) => name);
  const others = names.filter((name) => !rings.includes(name));
  // Those of a store that cannot be opened are findings of its check.
  const onDamage = target.store === null ? undefined : () => {};
  const subjects = names.length > 0 && others.length === 0 ? []
    : [...target.subjects(others, onDamage)];
  if (target.store !== null) {
    const isWanted = ({ region }: Row) => names.length === 0 || names.includes(region ?? '');
    return storeFindings(target.store, looks).filter(isWanted);
  }
  // Whoever opened it has looked at its header.
  return !looks.blocks ? [] : subjects.flatMap((subject) =>
    subject.check().map((finding) => rowOf(finding, subject.name)));
}

function rowOf(finding: Finding, region: string | null): Row {
  const { id, address, detail, allocatedAt, freedAt } = finding;
  return {
    id, region, address, detail,
    ...(allocatedAt === undefined ? {} : { allocatedAt }),
    ...(freedAt === undefined ? {} : { freedAt }),
  };
}

function withSites({ detail, allocatedAt, freedAt }: Row): string {
  const allocated = allocatedAt === undefined ? '' : `; allocated at ${allocatedAt}`;
  return `${detail}${allocated}${freedAt === undefined ? '' : `; freed at ${freedAt}`}`;
}

function storeFindings(store: Store, looks: Looks): Row[] {
  const found: readonly StoreFinding[] = store.check(looks);
  return found.map(({ region = null, ...finding }) => rowOf(finding, region));
}

function reportOf(
  { output }: Console, { type, path }: Target, findings: readonly Row[], looks: Looks,
): Report {
  return {
    exit: findings.length === 0 ? EXIT.fine : EXIT.findings,
    json: () => document({ type, path, ...looks, findings }),
    *text() {
      if (findings.length === 0) {
        yield `${path}: sound${looks.blocks ? '' : ', as far as catalog, files and headers say'}`;
        return;
      }
      yield* table(COLUMNS, findings, output.head);
      yield output.alarm(`${path}: ${counted(findings.length, 'finding')}`);
    },
  };
}
