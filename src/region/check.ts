/**
 * What must hold in a region, apart from its blocks. Addresses of findings are bytes of the region.
 *
 *   R1  the header page has magic, version and page size
 *   R2  the checksum covers the identity: who made it, with which method
 *   R3  the capacity is possible
 *   R4  pages in use: at least the two of the region itself, no more than the capacity allows, and
 *       no segment after an empty one
 *   R5  every later segment has a header, of this region and with its index
 *   R6  the roots: every entry inside its table, its name UTF-8 with the right hash, no name twice,
 *       its value a whole number
 *   R7  the block of the roots is inside the region, and so is its spare
 *   R8  the durable state, where it was written, has its checksum and this region's id
 */
import { HEADER, PAGE, ROOT, ROOTS_BLOCK, STATE } from '../layout.ts';
import { callSite } from '../sites.ts';
import type { Finding } from '../types.ts';
import { decodeState, extentProblem, isEmptyState, readHeader, segmentProblem } from './header.ts';
import { hashOf, type RootsHome, readTable, rootsBlockOf, storedHash, type Table, visitEntries }
  from './roots.ts';
import type { Space } from './space.ts';
import { decodeText } from './text.ts';

type Report = (id: string, address: number, detail: string) => void;

/** Everything that is broken, by address; [] = sound. Bounded on any contents, never throws. */
export function checkRegion(space: Space, id: string): Finding[] {
  const found: Finding[] = [];
  const report: Report = (rule, address, detail) => found.push({ id: rule, address, detail });
  checkHeader(space, report);
  checkState(space, id, report);
  checkSegments(space, id, report);
  checkRoots(space, report);
  space.shards?.check(({ id: rule, address, detail }) => report(rule, address, detail));
  for (const part of space.parts) {
    part.blocks.check((finding) => {
      found.push(detected({ ...finding, address: part.base + finding.address }));
    });
  }
  return found.sort((a, b) => a.address - b.address || (a.id < b.id ? -1 : Number(a.id > b.id)));
}

/** What the program did was found by its own call, or by nobody it knows. */
function detected(finding: Finding): Finding {
  const detectedAt = finding.byProgram === true ? callSite() : '';
  return detectedAt === '' ? finding : { ...finding, detectedAt };
}

function checkHeader(space: Space, report: Report): void {
  const header = readHeader(space.discipline.window(0).subarray(0, PAGE));
  const found = 'problem' in header ? header : extentProblem(header, space.slotBytes);
  if (found !== null) report(found.id, found.at, found.problem);
}

function checkState(space: Space, id: string, report: Report): void {
  const bytes = space.discipline.window(0).subarray(STATE.at, STATE.at + STATE.bytes);
  if (isEmptyState(bytes)) return;
  const state = decodeState(bytes);
  if (state === null) report('R8', STATE.at, 'the durable state is damaged');
  else if (state.regionId !== id) {
    report('R8', STATE.at + STATE.regionId, 'the durable state is that of another region');
  }
}

function checkSegments(space: Space, id: string, report: Report): void {
  for (const part of space.parts) {
    if (part.index === 0) continue;
    const problem = segmentProblem(part.window.subarray(0, PAGE), id, part.index);
    if (problem !== null) report('R5', part.base, `segment ${part.index}: ${problem}`);
  }
}

function checkRoots(space: Space, report: Report): void {
  const home = homeOf(space);
  const address = rootsBlockOf(home.header)[0];
  const table = readTable(home, address);
  if (table === null) {
    report('R7', HEADER.rootsBlock, `there is no block for roots at ${address}`);
    return;
  }
  if (address !== 0) checkSpare(home, table, report);
  const base = address === 0 ? HEADER.roots : address + ROOTS_BLOCK.entries;
  const seen = new Set<string>();
  try {
    visitEntries(table, (at, length) => {
      const problem = entryProblem(table, at, length, seen);
      if (problem !== null) report('R6', base + at, problem);
      return false;
    });
  } catch (error) {
    report('R6', base, error instanceof Error ? 'an entry does not fit its table' : String(error));
  }
}

function checkSpare(home: RootsHome, table: Table, report: Report): void {
  const place = home.place(table.address, ROOTS_BLOCK.entries);
  if (place === null) return;
  const spare = new Float64Array(place.buffer, place.at + ROOTS_BLOCK.spare, 1)[0];
  if (spare === 0) return;
  const other = readTable(home, spare);
  if (other !== null && other.bytes === table.bytes && spare !== table.address) return;
  report('R7', table.address + ROOTS_BLOCK.spare, `there is no spare block for roots at ${spare}`);
}

function entryProblem(table: Table, at: number, length: number, seen: Set<string>): string | null {
  const bytes = table.names.subarray(at + ROOT.name, at + ROOT.name + length);
  const name = decodeText(bytes);
  if (name === null || name.includes('\0')) return 'the name of a root is not UTF-8';
  if (storedHash(table, at) !== hashOf(bytes)) return `root '${name}' has a wrong hash`;
  if (seen.has(name)) return `root '${name}' is there twice`;
  seen.add(name);
  return Number.isSafeInteger(table.values[at / 8]) ? null : `root '${name}' has no whole value`;
}

/** The region's memory for reading roots, whatever state the region is in. */
function homeOf(space: Space): RootsHome {
  return {
    header: space.discipline.window(0),
    assertUsable: () => {},
    allocHidden: () => {
      throw new Error('a check allocates nothing');
    },
    place: (address, bytes) => space.place(address, bytes),
  };
}
