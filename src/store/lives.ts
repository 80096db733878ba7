/**
 * How long blocks live, as far as checkpoints tell: a region as of each checkpoint that is kept,
 * walked side by side in the order of addresses. A block is the same one where place and size are.
 * Memory: the pages that changed since the oldest of these checkpoints.
 */
import { RegionError } from '../errors.ts';
import type { Region } from '../types.ts';
import type { CheckpointRow } from './catalog.ts';
import type { Entry, StoreCore } from './core.ts';
import { entryNamed, handleOf } from './entries.ts';
import { namesAsOf, restorable } from './history.ts';
import { isWorkHeard, tellWork, TOLD_BLOCKS } from '../work.ts';
import { type View, viewOf } from './view.ts';

/** A block, live or free, as of one checkpoint. */
export interface Block {
  readonly address: number;
  /** Bytes. */
  readonly size: number;
  readonly busy: boolean;
}

/** A block from when it was first seen to when it was last. */
export interface Life {
  readonly address: number;
  /** Bytes. */
  readonly size: number;
  /** Places in the list of checkpoints, the oldest is 0: it may be older than that. */
  readonly first: number;
  readonly last: number;
}

/** Those who want to know of lives. */
export interface LifeVisitor {
  /** Live and free blocks as of the newest checkpoint, by address; `since` = place of the first. */
  now(block: Block, since: number): void;
  /** A block that is not there any more. */
  gone(life: Life): void;
}

/** More checkpoints are not walked: of those between, some are left out. */
const MOST_POINTS = 12;

/** Walks the region `name`; returns the checkpoints that were looked at, oldest first. */
export function eachLife(core: StoreCore, name: string, visitor: LifeVisitor): CheckpointRow[] {
  core.assertOpen();
  const entry = entryNamed(core, name);
  const { region } = handleOf(core, entry);
  const all = someOf(restorable(core));
  const seen: Seen[] = [];
  try {
    for (const point of all.slice(0, -1)) {
      const view = viewAt(core, entry, point);
      if (view !== 'hidden') seen.push({ point, view });
    }
    walk([...seen.map(({ view }) => view?.region ?? null), region], visitor);
    return [...seen.map(({ point }) => point), ...all.slice(-1)];
  } finally {
    for (const { view } of seen) view?.close();
  }
}

/** The region as of a checkpoint; null = it was not there. */
interface Seen {
  readonly point: CheckpointRow;
  readonly view: View | null;
}

/** Beside a writer, or where history is damaged, a checkpoint may be hidden: it is left out. */
function viewAt(
  core: StoreCore, entry: Entry, { sequence }: CheckpointRow,
): View | null | 'hidden' {
  const name = namesAsOf(core, sequence).get(entry.id);
  if (name === undefined) return null;
  try {
    return viewOf(core, entry, name, sequence);
  } catch (error) {
    if (error instanceof RegionError) return 'hidden';
    throw error;
  }
}

/** The newest, the oldest, and as many between them as there may be. */
function someOf(points: readonly CheckpointRow[]): CheckpointRow[] {
  if (points.length <= MOST_POINTS) return [...points];
  const step = (points.length - 1) / (MOST_POINTS - 1);
  return Array.from({ length: MOST_POINTS }, (_, i) =>
    points[Math.round(i * step)] as CheckpointRow);
}

function walk(regions: readonly (Region | null)[], visitor: LifeVisitor): void {
  const walks = regions.map((region) => region?.blocks()[Symbol.iterator]() ?? null);
  const next = (k: number) => nextOf(walks[k], k === regions.length - 1);
  const heads = regions.map((_, k) => next(k));
  const all = isWorkHeard() ? regions.at(-1)?.stat() : undefined;
  const count = (all?.busyBlocks ?? 0) + (all?.freeBlocks ?? 0);
  for (let done = 0; ; done++) {
    if (done % TOLD_BLOCKS === 0) tellWork('looking at blocks', done, count, 'count');
    let address = Infinity;
    for (const head of heads) if (head !== null && head.address < address) address = head.address;
    if (address === Infinity) return;
    const here = heads.map((head) => head?.address === address ? head : null);
    tell(here, visitor);
    here.forEach((block, k) => {
      if (block !== null) heads[k] = next(k);
    });
  }
}

/** The next block; live ones only where `isAll` is false. */
function nextOf(walk: Iterator<Block> | null, isAll: boolean): Block | null {
  if (walk === null) return null;
  for (let step = walk.next(); step.done !== true; step = walk.next()) {
    if (isAll || step.value.busy) return step.value;
  }
  return null;
}

/** What is at one address at each of the checkpoints: a life for each stretch of one size. */
function tell(here: readonly (Block | null)[], visitor: LifeVisitor): void {
  const newest = here.length - 1;
  for (let first = 0; first <= newest;) {
    const block = here[first];
    let last = first;
    while (last < newest && isSame(here[last + 1], block)) last += 1;
    if (block !== null && last === newest) visitor.now(block, first);
    else if (block?.busy === true) {
      visitor.gone({ address: block.address, size: block.size, first, last });
    }
    first = last + 1;
  }
}

function isSame(a: Block | null, b: Block | null): boolean {
  return a !== null && b !== null && a.size === b.size && a.busy === b.busy;
}
