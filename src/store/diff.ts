/**
 * What changed between two checkpoints: regions, pages, blocks, and objects of heaps. Pages are
 * found from undo records, so only what changed is compared byte by byte; blocks are walked.
 */
import { PAGE } from '../layout.ts';
import { blockNamesIn } from '../objects/inside.ts';
import type { Entry, StoreCore } from './core.ts';
import { namesAsOf, pointNamed } from './history.ts';
import { isWorkHeard, tellWork, TOLD_BLOCKS } from '../work.ts';
import { type View, viewOf } from './view.ts';

const CLOCK = { now: () => performance.now() };

/** How many blocks or objects came, went and have other contents, and the bytes of each. */
export interface DiffCount {
  readonly added: number;
  readonly removed: number;
  readonly changed: number;
  readonly addedBytes: number;
  readonly removedBytes: number;
  readonly changedBytes: number;
}

export interface RegionDiff {
  /** What it is called at the later checkpoint, or was at the earlier one if it is gone. */
  readonly name: string;
  /** What it was called at the earlier checkpoint; null = it was not there. */
  readonly was: string | null;
  readonly kind: string;
  readonly change: 'created' | 'dropped' | 'renamed' | 'changed';
  /** Pages that differ, 4096 bytes each, those only one of the two has included. */
  readonly pages: number;
  readonly blocks: DiffCount;
  /** Of a heap: objects by struct, collections by kind, what they are made of as the rest. */
  readonly objects: Readonly<Record<string, DiffCount>> | null;
}

export interface StoreDiff {
  readonly from: number;
  readonly to: number;
  /** Regions that differ, by name. */
  readonly regions: readonly RegionDiff[];
}

/** From one checkpoint to another, which may be the earlier one. */
export function diffOf(core: StoreCore, from: unknown, to: unknown): StoreDiff {
  core.assertOpen();
  core.awaitFlights();
  const [a, b] = [pointNamed(core, from), pointNamed(core, to ?? core.sequence)];
  const [before, after] = [namesAsOf(core, a.sequence), namesAsOf(core, b.sequence)];
  const entries = new Map([...core.current.values(), ...core.dropped.values()]
    .map((entry) => [entry.id, entry]));
  const regions: RegionDiff[] = [];
  for (const id of new Set([...before.keys(), ...after.keys()])) {
    const entry = entries.get(id);
    if (entry === undefined) continue;
    const found = regionDiff(core, entry,
      { name: before.get(id) ?? null, sequence: a.sequence },
      { name: after.get(id) ?? null, sequence: b.sequence });
    if (found !== null) regions.push(found);
  }
  regions.sort((x, y) => (x.name < y.name ? -1 : 1));
  return { from: a.sequence, to: b.sequence, regions };
}

/** A region at one of the two checkpoints; name null = it was not there. */
interface Side {
  readonly name: string | null;
  readonly sequence: number;
}

function regionDiff(core: StoreCore, entry: Entry, from: Side, to: Side): RegionDiff | null {
  const views: (View | null)[] = [];
  const look = ({ name, sequence }: Side): View | null => {
    const view = name === null ? null : viewOf(core, entry, name, sequence);
    views.push(view);
    return view;
  };
  try {
    const [a, b] = [look(from), look(to)];
    const pages = a === null || b === null ? null : differingPages(a, b);
    if (pages?.size === 0 && from.name === to.name) return null;
    const counts = new Counts(entry.kind === 'heap', a, b);
    compareBlocks(a, b, pages, counts);
    const change = a === null ? 'created' : b === null ? 'dropped'
      : from.name === to.name ? 'changed' : 'renamed';
    const all = (view: View | null): number =>
      (view?.region.stat().extent ?? 0) / PAGE;
    return { name: (to.name ?? from.name) as string, was: from.name, kind: entry.kind, change,
      pages: pages?.size ?? Math.max(all(a), all(b)), blocks: counts.all, objects: counts.types };
  } finally {
    for (const view of views) view?.close();
  }
}

/** Only pages that changed since one of the two can differ. */
function differingPages(a: View, b: View): Set<number> {
  const pages = new Set<number>();
  for (const page of new Set([...a.changed, ...b.changed])) {
    if (Buffer.compare(a.page(page), b.page(page)) !== 0) pages.add(page);
  }
  return pages;
}

interface Block {
  readonly address: number;
  readonly size: number;
}

/** Both walks go up; a block is the same one where place and size are. */
function compareBlocks(
  a: View | null, b: View | null, pages: ReadonlySet<number> | null, counts: Counts,
): void {
  const [before, after] = [busyBlocks(a), busyBlocks(b)];
  let [x, y] = [before.next().value, after.next().value];
  while (x !== undefined || y !== undefined) {
    if (y === undefined || (x !== undefined && x.address < y.address)) {
      counts.count('removed', x as Block);
      x = before.next().value;
    } else if (x === undefined || y.address < x.address) {
      counts.count('added', y);
      y = after.next().value;
    } else {
      if (x.size !== y.size || hasChanged(a as View, b as View, x, pages)) {
        counts.count('changed', y);
      }
      [x, y] = [before.next().value, after.next().value];
    }
  }
}

function* busyBlocks(view: View | null): Generator<Block, undefined> {
  const all = isWorkHeard() ? view?.region.stat().extent ?? 0 : 0;
  let count = 0;
  for (const { address, size, busy } of view?.region.blocks() ?? []) {
    if (count++ % TOLD_BLOCKS === 0) tellWork('comparing blocks', address, all);
    if (busy) yield { address, size };
  }
  return undefined;
}

function hasChanged(
  a: View, b: View, { address, size }: Block, pages: ReadonlySet<number> | null,
): boolean {
  const last = Math.floor((address + Math.max(0, size - 1)) / PAGE);
  for (let page = Math.floor(address / PAGE); page <= last; page++) {
    if (pages?.has(page) !== true) continue;
    return Buffer.compare(a.region.bytes(address), b.region.bytes(address)) !== 0;
  }
  return false;
}

type Change = 'added' | 'removed' | 'changed';
type Sum = { -readonly [K in keyof DiffCount]: DiffCount[K] };

const none = (): Sum => ({
  added: 0, removed: 0, changed: 0, addedBytes: 0, removedBytes: 0, changedBytes: 0,
});

/** Blocks counted, of a heap by what they are too. */
class Counts {
  readonly all = none();
  readonly types: Record<string, Sum> | null;
  readonly #typeBefore: (address: number) => string;
  readonly #typeAfter: (address: number) => string;

  constructor(isHeap: boolean, a: View | null, b: View | null) {
    this.types = isHeap ? {} : null;
    this.#typeBefore = isHeap && a !== null ? blockNamesIn(a.region, CLOCK) : () => '';
    this.#typeAfter = isHeap && b !== null ? blockNamesIn(b.region, CLOCK) : () => '';
  }

  count(change: Change, { address, size }: Block): void {
    add(this.all, change, size);
    if (this.types === null) return;
    const before = change === 'added' ? null : this.#typeBefore(address);
    const after = change === 'removed' ? null : this.#typeAfter(address);
    if (before === after) {
      this.#count(after as string, 'changed', size);
      return;
    }
    // The block of something else was used again, or one that was kept in stock.
    if (before !== null) this.#count(before, 'removed', size);
    if (after !== null) this.#count(after, 'added', size);
  }

  #count(type: string, change: Change, size: number): void {
    const sum = this.types?.[type] ?? none();
    (this.types as Record<string, Sum>)[type] = sum;
    add(sum, change, size);
  }
}

function add(sum: Sum, change: Change, size: number): void {
  sum[change] += 1;
  sum[`${change}Bytes`] += size;
}
