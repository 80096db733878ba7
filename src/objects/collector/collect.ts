/**
 * Collecting: what is reached neither from the head of a heap nor from what a program holds is
 * freed. A collection marks (mark.ts), surveys, which is to note the blocks without a mark, and
 * frees those. It may be done in steps between which the program goes on; as long as one is under
 * way it listens to the memory (Watcher), and whatever was reachable when it began, or was made
 * since, stays.
 *
 * Marking ends at one instant, at which handles are looked at once more: a program may have got one
 * of an object that nothing else refers to, by `scan`. From then on nobody can get at what has no
 * mark. Before someone looks at all blocks, what was noted is freed (`settle`).
 *
 * Blocks are noted in address order and freed in the opposite one, as methods give first what was
 * freed last, and low addresses are those that do not keep a region large.
 */
import { RegionError } from '../../errors.ts';
import { GRANULE } from '../../layout.ts';
import { GRANULE_MASK, SEGMENT_SHIFT } from '../../layout-objects.ts';
import { flag, type Reader, readOptions } from '../../options.ts';
import { spaceOf } from '../../region/calls.ts';
import type { Part } from '../../region/space.ts';
import type { Core } from '../core.ts';
import { type Handle, refOf, STALE } from '../handles.ts';
import { Marker } from './mark.ts';
import { Marks } from './marks.ts';
import { addressAt, type Watcher } from '../memory.ts';
import { isWorkHeard, tellWork } from '../../work.ts';
import { rehash } from '../hash/rehash.ts';

export interface CollectOptions {
  /**
   * Does what handles stand for stay? Default true. With false only what is found from the root
   * stays, and the other handles are stale; but what a view of bytes looks at stays in any case.
   */
  handles?: boolean;
  /**
   * Milliseconds, above 0: one step of about that time. The next call with the same `handles` goes
   * on. Without it, a collection that is under way is given up, and all is done at once.
   */
  budgetMs?: number;
}

export interface Collected {
  /** Blocks that were freed by this call: objects, collections and their parts, texts, bytes. */
  readonly objects: number;
  /** Usable bytes of those blocks. */
  readonly bytes: number;
  /** Milliseconds this call took. */
  readonly ms: number;
  /** false = there is more to do. */
  readonly done: boolean;
}

/** Blocks between two looks at the clock. */
const BETWEEN_LOOKS = 512;
const NEVER = () => false;

const milliseconds: Reader<number> = (value, name) => {
  if (typeof value === 'number' && value > 0) return value;
  throw new RegionError('ERR_BAD_OPTION',
    `${name} is ${String(value)}; give milliseconds, above 0`);
};

/** The collector of a heap. */
export class Collector {
  readonly #core: Core;
  #cycle: Cycle | null = null;

  constructor(core: Core) {
    this.#core = core;
  }

  /** `head` = reference of the heap's head. ERR_BAD_OPTION; ERR_CORRUPT: nothing was freed. */
  collect(head: number, options: CollectOptions | undefined): Collected {
    const given = readOptions<CollectOptions>(options, { handles: flag, budgetMs: milliseconds },
      'collect');
    const { handles = true, budgetMs } = given;
    const { now } = this.#core;
    this.#core.assertIdle('collect');
    const start = now();
    this.#core.epoch += 1;
    if (budgetMs === undefined || this.#cycle?.withHandles !== handles) this.abort();
    const cycle = this.#cycle ?? this.#begin(head, handles, budgetMs === undefined);
    let done = false;
    try {
      done = cycle.step(budgetMs === undefined ? NEVER : () => now() - start >= budgetMs);
    } catch (error) {
      this.abort();
      throw error;
    }
    if (done) this.abort();
    return { ...cycle.report(), ms: now() - start, done };
  }

  /** A collection under way is given up. */
  abort(): void {
    this.#cycle = null;
    this.#core.memory.watcher = null;
  }

  #begin(head: number, withHandles: boolean, isWhole: boolean): Cycle {
    const cycle = new Cycle(this.#core, head, withHandles, isWhole);
    this.#cycle = cycle;
    this.#core.memory.watcher = cycle;
    return cycle;
  }
}

/** A whole collection for those who move blocks: what is live, and how many blocks were not. */
export function collectAll(core: Core, head: number): { marks: Marks; objects: number } {
  const cycle = new Cycle(core, head, true, true);
  cycle.step(NEVER);
  return { marks: cycle.marks, objects: cycle.report().objects };
}

function tellGarbage(parts: readonly Part[], segment: number, granule: number): void {
  const endOf = (some: readonly Part[]) => some.reduce((sum, { arena }) => sum + arena.end(), 0);
  const done = endOf(parts.slice(0, segment)) + granule;
  tellWork('finding garbage', done * GRANULE, endOf(parts) * GRANULE);
}

/** One collection. */
class Cycle implements Watcher {
  readonly withHandles: boolean;
  /** Freed, and not reported yet. */
  #objects = 0;
  #bytes = 0;
  readonly #core: Core;
  readonly #marker: Marker;
  /** Did the program go on while it was marked? */
  #isInterrupted = false;
  /** Blocks to be freed; null while marking. */
  #condemned: Marks | null = null;
  /** How many those were at first. */
  #garbage = 0;
  #freed = 0;
  /** Where the survey goes on; null = it is done. */
  #place: { segment: number; granule: number } | null = { segment: 0, granule: 0 };

  constructor(core: Core, head: number, withHandles: boolean, isWhole: boolean) {
    this.#core = core;
    this.withHandles = withHandles;
    this.#marker = new Marker(core, isWhole);
    this.#marker.reach(head);
    core.handles.relax();
    this.#reachHeld();
  }

  get marks(): Marks {
    return this.#marker.marks;
  }

  /** true = the collection is done. */
  step(isOver: () => boolean): boolean {
    if (this.#condemned === null) {
      if (!this.#marker.drain(isOver)) {
        this.#isInterrupted = true;
        return false;
      }
      this.#endMarking();
      if (isOver()) return false;
    }
    return this.#survey(isOver) && this.#free(isOver);
  }

  /** What was freed since the last report. */
  report(): { objects: number; bytes: number } {
    const report = { objects: this.#objects, bytes: this.#bytes };
    this.#objects = 0;
    this.#bytes = 0;
    return report;
  }

  born(ref: number): void {
    if (this.#condemned === null) this.#marker.born(ref);
    else this.marks.set(ref);
  }

  dropped(ref: number): void {
    if (this.#condemned === null) this.#marker.reach(ref);
  }

  kept(ref: number): void {
    if (this.#condemned === null) this.#marker.reach(ref);
  }

  settle(): void {
    if (this.#condemned === null) return;
    this.step(NEVER);
    this.#core.memory.watcher = null;
  }

  /** What a program holds. */
  #reachHeld(): void {
    const { pins } = this.#core;
    if (this.withHandles) this.#eachHeld((handle) => this.#marker.reach(refOf(handle)));
    for (const ref of pins) this.#marker.reach(ref);
  }

  #eachHeld(visit: (handle: Handle) => void): void {
    const { handles, cursors } = this.#core;
    handles.each(visit);
    for (const cursor of cursors) if (cursor.$at !== STALE) visit(cursor);
  }

  #endMarking(): void {
    const { handles, memory } = this.#core;
    if (this.#isInterrupted) {
      this.#reachHeld();
      this.#marker.drain(NEVER);
    }
    const { marks } = this;
    if (!this.withHandles) {
      this.#eachHeld((handle) => {
        const ref = refOf(handle);
        if (marks.has(ref)) return;
        handles.expire(ref);
        handle.$at = STALE;
      });
    }
    if (this.#marker.movedKeys) rehash(this.#core, marks);
    this.#condemned = new Marks(memory.region);
  }

  /** Notes what has no mark. Nothing is freed meanwhile: a walk goes from block to block. */
  #survey(isOver: () => boolean): boolean {
    const parts = spaceOf(this.#core.memory.region)?.parts ?? [];
    const condemned = this.#condemned as Marks;
    const { marks } = this;
    while (this.#place !== null) {
      const { segment, granule } = this.#place;
      if (isWorkHeard()) tellGarbage(parts, segment, granule);
      let count = 0;
      let next = 0;
      parts[segment]?.blocks.walk((at, _bytes, busy) => {
        const ref = (segment << SEGMENT_SHIFT) | at;
        // What was not allocated by the heap, and since it was surveyed, is left to the next one.
        if (busy && !marks.has(ref) && condemned.covers(ref)) {
          condemned.set(ref);
          this.#garbage += 1;
        }
        next = at + 1;
        count += 1;
        return count === BETWEEN_LOOKS;
      }, granule);
      if (count === BETWEEN_LOOKS) this.#place = { segment, granule: next };
      else this.#place = segment + 1 < parts.length ? { segment: segment + 1, granule: 0 } : null;
      if (isOver()) return false;
    }
    return true;
  }

  #isOver(isOver: () => boolean): boolean {
    tellWork('freeing garbage', this.#freed, this.#garbage, 'count');
    return isOver();
  }

  #free(isOver: () => boolean): boolean {
    const { memory } = this.#core;
    const condemned = this.#condemned as Marks;
    let count = 0;
    let isStopped = false;
    condemned.eachDown((ref) => {
      condemned.bits[ref >>> SEGMENT_SHIFT][(ref & GRANULE_MASK) >>> 5] &= ~(1 << ref);
      this.#bytes += memory.held(ref);
      this.#objects += 1;
      this.#freed += 1;
      memory.region.free(addressAt(ref));
      count += 1;
      isStopped = count % BETWEEN_LOOKS === 0 && this.#isOver(isOver);
      return isStopped;
    });
    return !isStopped;
  }
}
