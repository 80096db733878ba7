/**
 * Checking a store as a whole. Invariants:
 *
 *   S1  the catalog is sound: SQLite's own check and every row's checksum
 *   S2  every region's file is the one that was opened, and long enough
 *   S3  every page that was ever imaged matches its checksum
 *   S4  every file in the store belongs to it
 *   and those of each region (R…), its method, and the heap (O…) or buffer (B…) in it;
 *   and those of each ring (G…).
 */
import { join } from 'node:path';
import { isDamage } from '../errors.ts';
import { PAGE } from '../layout.ts';
import { checkBufferIn } from '../buffers/buffer.ts';
import { checkHeapIn } from '../objects/heap.ts';
import type { Finding, Region } from '../types.ts';
import type { Entry, StoreCore } from './core.ts';
import { namesIn } from '../files.ts';
import { openRegionFile } from './recover.ts';
import { ringOf } from './rings.ts';

const REGION_FILE = /^([0-9a-f]{32})\.(region|sums|ring)$/;

/** A finding of a store also says which region it is in. */
export interface StoreFinding extends Finding {
  readonly region?: string;
}

/** What is looked at; all of it by default. */
export interface CheckOptions {
  /** The checksum of every page, for which the region files are read whole. */
  pages?: boolean;
  /** The blocks of every region, and the objects of heaps. */
  blocks?: boolean;
}

export function checkStore(
  core: StoreCore, { pages, blocks }: Required<CheckOptions>,
  regionOf: (entry: Entry) => Region,
): StoreFinding[] {
  const findings: StoreFinding[] = [];
  for (const detail of core.catalog.check()) findings.push({ id: 'S1', address: 0, detail });
  // Beside a writer there are files of regions that this checkpoint does not know.
  const isAlone = core.pin === null;
  const strangers = namesIn(join(core.dir, 'regions')).filter((name) =>
    !isKnown(core, name) && (isAlone || !REGION_FILE.test(name)));
  for (const name of strangers) {
    findings.push({ id: 'S4', address: 0, detail: `regions/${name} is not part of the store` });
  }
  for (const entry of core.current.values()) {
    const found = entry.kind === 'ring' ? opened(() => ringOf(core, entry).check())
      : opened(() => findingsOf(core, entry, { pages, blocks }, regionOf));
    for (const finding of found) findings.push({ ...finding, region: entry.name });
  }
  return findings;
}

/** Of a region, all but a ring. */
function findingsOf(
  core: StoreCore, entry: Entry, { pages, blocks }: Required<CheckOptions>,
  regionOf: (entry: Entry) => Region,
): Finding[] {
  const file = entry.file ?? openRegionFile(core, entry);
  const findings = blocks ? [...opened(() => findingsIn(regionOf(entry), entry.kind))] : [];
  const report = (id: string, address: number, detail: string) =>
    findings.push({ id, address, detail });
  try {
    file.verify(core.pin === null);
  } catch (error) {
    report('S2', 0, (error as Error).message);
  }
  if (!pages) return findings;
  for (const page of file.mismatches()) {
    report('S3', page * PAGE, `page ${page} of ${file.path} does not match its checksum`);
  }
  return findings;
}

/** What cannot even be opened is a finding, and no reason to look at nothing else. */
function opened(check: () => readonly Finding[]): readonly Finding[] {
  try {
    return check();
  } catch (error) {
    if (!isDamage(error)) throw error;
    return [{ id: 'S2', address: 0, detail: error.message }];
  }
}

/** Heaps and buffers are built on blocks: where those are damaged, what they say is theirs. */
function findingsIn(region: Region, kind: string): readonly Finding[] {
  const found = region.check();
  return found.length > 0 ? found : checkKind(kind, region);
}

/** Of what is kept in a region. */
export function checkKind(kind: string | undefined, region: Region): Finding[] {
  if (kind === 'heap') return checkHeapIn(region, { now: () => performance.now() });
  return kind === 'buffer' ? checkBufferIn(region) : [];
}

function isKnown(core: StoreCore, name: string): boolean {
  const id = REGION_FILE.exec(name)?.[1];
  if (id === undefined) return false;
  return core.committed.has(id) || [...core.current.values(), ...core.dropped.values()]
    .some((entry) => entry.id === id);
}
