/**
 * A region whose front is sound, put in order inside: roots, blocks, and what is kept in them.
 * Blocks stay where they are; what is free is worked out again from what is busy.
 */
import { checkBufferIn, hadBuffer, mendBufferIn } from '../buffers/buffer.ts';
import { RegionError } from '../errors.ts';
import { HEADER, NAME_BYTES, PAGE, ROOT, ROOT_LIVE } from '../layout.ts';
import { HEAD_ROOT } from '../layout-objects.ts';
import { checkHeapIn } from '../objects/heap.ts';
import { salvageHeapIn } from '../objects/inside.ts';
import type { Loss } from '../objects/salvage/salvage.ts';
import { spaceOf } from '../region/calls.ts';
import { hashOf, readTable, rootsBlockOf, storedHash, type Table } from '../region/roots.ts';
import type { RegionHandle } from '../region/region.ts';
import type { Space } from '../region/space.ts';
import { decodeText } from '../region/text.ts';
import type { Address, Finding, Region } from '../types.ts';

/** A block on a page that is not what was written: nobody can say what of it is right. */
export interface Suspect {
  readonly address: number;
  /** Bytes. */
  readonly size: number;
}

export interface MendedRegion {
  /** What was wrong and is not any more. */
  readonly findings: readonly Finding[];
  /** What was done. */
  readonly changes: readonly string[];
  /** What is gone; the first of them, where there are many. */
  readonly losses: readonly Loss[];
  readonly lossCount: number;
  readonly suspects: readonly Suspect[];
}

const TIES = { now: () => performance.now() };
const MOST_FINDINGS = 1000;
const MOST_SUSPECTS = 1000;

/**
 * Mends an open region of `kind`. `badPages` do not match their checksums. ERR_CORRUPT where it
 * cannot be mended: its blocks contradict each other.
 */
export function mendRegion(
  handle: RegionHandle, kind: string, badPages: readonly number[],
): MendedRegion {
  const { region } = handle;
  const space = spaceOf(region) as Space;
  const changes: string[] = [];
  const findings = damageOf(region);
  if (findings.length > 0) mendBlocks(handle, space, changes);
  const suspects = suspectsOf(region, badPages);
  // A root that cannot be read is gone; what it named is there and has no name.
  const losses: Loss[] = findings.filter(({ id }) => id === 'R6' || id === 'R7')
    .map(({ address, detail }) => ({ address, detail }));
  let lossCount = losses.length;
  const inside = insideOf(kind, region);
  findings.push(...inside.slice(0, MOST_FINDINGS));
  if (kind === 'heap' && inside.length > 0) {
    const done = salvageHeapIn(region, TIES);
    if (done === null) throw broken(region, 'there is no head of a heap in it', findings);
    changes.push(...done.head);
    if (done.changes > 0) changes.push(`${done.changes} collections or values were made again`);
    if (done.found > 0) changes.push(`${done.found} objects were kept under lost+found`);
    losses.push(...done.losses);
    lossCount += done.lossCount;
  }
  if (kind === 'buffer' && inside.length > 0) changes.push(...mendBuffer(region, findings));
  const left = [...damageOf(region), ...insideOf(kind, region)];
  if (left.length > 0) throw broken(region, 'it does not hold together', left);
  return { findings, changes, losses, lossCount, suspects };
}

/** Marks of those who debug are the program's own doing, and no damage. */
function damageOf(region: Region): Finding[] {
  return region.check().filter(({ byProgram, id }) => byProgram !== true && id !== 'R8');
}

function insideOf(kind: string, region: Region): Finding[] {
  if (kind === 'heap') return checkHeapIn(region, TIES);
  return kind === 'buffer' ? checkBufferIn(region) : [];
}

function mendBuffer(region: Region, findings: readonly Finding[]): string[] {
  const changes = mendBufferIn(region);
  if (changes === null) throw broken(region, 'its buffer is not to be found', findings);
  return changes;
}

function broken(region: Region, what: string, findings: readonly Finding[]): RegionError {
  const [first] = findings;
  const where = first === undefined ? '' : ` (${first.id} at ${first.address}: ${first.detail})`;
  return new RegionError('ERR_CORRUPT', `'${region.name}' cannot be mended: ${what}${where}`);
}

function mendBlocks(handle: RegionHandle, space: Space, changes: string[]): void {
  const { region } = handle;
  // The block of the roots is a block: what is free is to be right before one is looked for.
  for (const part of space.parts) {
    if (part.blocks.rebuild()) continue;
    throw broken(region, 'its blocks contradict each other', damageOf(region));
  }
  handle.revive();
  changes.push('what is free was worked out again');
  const isWrong = damageOf(region).some(({ id }) => id === 'R6' || id === 'R7');
  if (isWrong) changes.push(mendRoots(handle, space));
}

/** The roots that can still be read, in a table of their own. */
function mendRoots(handle: RegionHandle, space: Space): string {
  const window = space.discipline.window(0);
  const home = {
    header: window,
    assertUsable: () => {},
    allocHidden: (): Address => {
      throw new RegionError('ERR_CORRUPT', 'roots are only read here');
    },
    place: (address: number, bytes: number) => space.place(address, bytes),
  };
  const kept = new Map<string, number>();
  const [block] = rootsBlockOf(window);
  for (const address of [block, 0]) {
    const table = Number.isSafeInteger(address) && address >= 0 ? readTable(home, address) : null;
    for (const [name, value] of table === null ? [] : entriesIn(table)) {
      if (!kept.has(name)) kept.set(name, value);
    }
    if (kept.size > 0) break;
  }
  // Both at once: no table outside, and none of the entries inside.
  rootsBlockOf(window)[0] = 0;
  window.fill(0, HEADER.roots, PAGE);
  handle.revive();
  for (const [name, value] of kept) handle.region.roots.set(name, value as Address);
  return kept.size === 1 ? '1 root was kept' : `${kept.size} roots were kept`;
}

/** Entries whose name has the hash that was kept with it; what is between them is passed over. */
function* entriesIn(table: Table): Generator<[string, number]> {
  const { words, names, values, bytes } = table;
  for (let at = 0; at + ROOT.name <= bytes;) {
    const word = words[(at + ROOT.nameBytes) / 4];
    const length = word & (ROOT_LIVE - 1);
    const end = at + ROOT.name + length;
    const isEntry = length > 0 && length <= NAME_BYTES && end <= bytes && word >>> 17 === 0;
    const name = isEntry ? names.subarray(at + ROOT.name, end) : names.subarray(0, 0);
    if (!isEntry || hashOf(name) !== storedHash(table, at)) {
      at += ROOT.align;
      continue;
    }
    const text = decodeText(name);
    const value = values[at / 8];
    const isLive = (word & ROOT_LIVE) !== 0 && Number.isSafeInteger(value) && value >= 0;
    if (isLive && text !== null && !text.includes('\0')) yield [text, value];
    at = Math.ceil(end / ROOT.align) * ROOT.align;
  }
}

/** Live blocks on pages that do not match their checksum. */
function suspectsOf(region: Region, badPages: readonly number[]): Suspect[] {
  const suspects: Suspect[] = [];
  if (badPages.length === 0) return suspects;
  const bad = new Set(badPages);
  // The header page holds roots.
  if (bad.has(0)) suspects.push({ address: 0, size: PAGE });
  for (const { address, size, busy } of region.blocks()) {
    if (!busy) continue;
    const last = Math.floor((address + size - 1) / PAGE);
    for (let page = Math.floor(address / PAGE); page <= last; page++) {
      if (!bad.has(page)) continue;
      suspects.push({ address, size });
      break;
    }
    if (suspects.length === MOST_SUSPECTS) break;
  }
  return suspects;
}

/** What a region holds, where no catalog says so. */
export function kindIn(region: Region): string {
  if (region.roots.get(HEAD_ROOT) !== 0) return 'heap';
  return hadBuffer(region) ? 'buffer' : 'region';
}
