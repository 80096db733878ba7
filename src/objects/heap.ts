/**
 * An object heap: a region whose blocks are objects, texts and collections, all of them found from
 * one map of named values, and described by types that the region holds too.
 *
 * The region is the heap's alone: what is not reachable is garbage. Handles live in JavaScript and
 * are dropped when the region's memory goes back in time.
 */
import { RegionError } from '../errors.ts';
import { HEAD, HEAD_ROOT, HEAP_VERSION, ROLE, ROLE_MASK } from '../layout-objects.ts';
import { flag, readOptions } from '../options.ts';
import { lodge } from '../tenants.ts';
import type { Finding, Region } from '../types.ts';
import { anyCodec } from './any.ts';
import { codecs } from './codecs.ts';
import { type Collected, Collector, type CollectOptions } from './collector/collect.ts';
import { compact, type Compacted, type CompactOptions } from './collector/compact.ts';
import { Core, isHandle } from './core.ts';
import { FAMILIES } from './families.ts';
import { planFor, takeOver, upgradeAll } from './evolve.ts';
import { any, type Kind, map, str } from './kinds.ts';
import { exportLines } from './exchange/export.ts';
import { checkHeap } from './heap-check.ts';
import { type HeapStat, statOfHeap } from './heap-stat.ts';
import { importLines } from './exchange/import.ts';
import { refAt } from './memory.ts';
import { optionalCodec } from './optional.ts';
import type { PersistentMap } from './persistent.ts';
import { newObject, type Plan } from './records.ts';
import { scan } from './scan.ts';
import type { GivenOf, Initial, Persistent, Struct, ValueOf } from './struct.ts';
import { TypeTable } from './type-table.ts';

const ROOT_KIND = map(str, any);
const NO_FIELDS = {};
const COLLECTIONS: ReadonlySet<string> = new Set(['list', 'map', 'set', 'sorted']);
const WORD_BYTES = 4;

/** A heap of objects in a region of its own. */
export interface ObjectHeap {
  readonly name: string;
  readonly closed: boolean;
  /** Named values: what is found from here is kept. */
  readonly root: PersistentMap<string, unknown>;
  /**
   * A new object. Fields that are left out have their defaults. ERR_SCHEMA names the field that
   * does not fit, or that the stored type cannot become; ERR_NO_SPACE.
   *
   * @example const task = heap.create(Task, { id: 1, title: 'write' });
   */
  create<F>(struct: Struct<F>, fields?: Initial<F>): Persistent<Struct<F>>;
  /**
   * A new collection: list, map, set or sorted, with what is given in it.
   *
   * @example heap.root.set('people', heap.create(map(str, ref(Person))));
   */
  create<K extends Kind>(kind: K, values?: GivenOf<K>): ValueOf<K>;
  /**
   * Changes all objects whose struct was declared with other fields since, which would otherwise
   * happen when each is next looked at; returns how many. ERR_NO_SPACE.
   */
  upgrade(): number;
  /**
   * Everything is dropped: objects, names, types. All handles are stale. ERR_BUSY in the middle of
   * another call, from a getter, an iterator or a handler of its own.
   */
  clear(): void;
  /**
   * Every object of a struct, in the order of addresses, garbage that was not collected yet
   * included. What it gives is valid for one step; `keep()` gives the handle. Objects that are
   * created meanwhile may be visited or not.
   */
  scan<F>(struct: Struct<F>): IterableIterator<Persistent<Struct<F>>>;
  /**
   * Frees what cannot be reached any more: neither from `root` nor from what the program holds.
   * ERR_BAD_OPTION; ERR_BUSY inside a getter or an iterator that a call of the heap runs, and in
   * the handler `noMemory`; ERR_CORRUPT where the heap is damaged, and nothing is freed then.
   *
   * @example heap.collect(); while (!heap.collect({ budgetMs: 2 }).done) await setImmediate();
   */
  collect(options?: CollectOptions): Collected;
  /**
   * Collects, then moves blocks to free places before them and makes the region smaller. Handles go
   * on; blocks that a view of bytes looks at stay. Changes are durable with the next checkpoint, as
   * all others are; `moveBytes` limits how many there are until then. Ends scans that are under
   * way: ERR_STALE. ERR_BAD_OPTION; ERR_CORRUPT: nothing moved.
   *
   * @example heap.compact(); store.checkpoint();
   * @example while (!heap.compact({ moveBytes: 2 ** 28 }).done) store.checkpoint();
   */
  compact(options?: CompactOptions): Compacted;
  /**
   * Broken invariants, O1 … of the heap, and those of its collections; [] = sound. Reads all there
   * is; never throws for damage. `region.check()` checks the blocks below.
   */
  check(): Finding[];
  /**
   * What a value of this heap is: the name of its struct, the kind of a collection, or what
   * JavaScript calls it: `Task`, `list(str)`, `string`, `Date`.
   */
  typeOf(value: unknown): string;
  /** What is in it, garbage that was not collected yet included. Reads the tags of all blocks. */
  stat(): HeapStat;
  /**
   * What is found from the root as lines of JSON, exact to the bit, each made when it is asked for.
   * ERR_STALE where the heap is collected, compacted or rolled back before the end; changes that
   * are made meanwhile are in it or not.
   *
   * @example for (const line of heap.exportLines()) file.write(`${line}\n`);
   */
  exportLines(): IterableIterator<string>;
  /**
   * Reads such lines: objects are added, and their names set in the root. Done whole or not at
   * all, but for types, which stay recorded. ERR_SCHEMA and ERR_CORRUPT name the line; ERR_EXISTS
   * where a name is taken, unless `replace`.
   *
   * @example heap.importLines(text.split('\n'), { replace: true });
   */
  importLines(lines: Iterable<string>, options?: ImportOptions): Imported;
}

export interface ImportOptions {
  /** Are names that are there given the new values? Default false: ERR_EXISTS. */
  replace?: boolean;
}

/** What an import brought. */
export interface Imported {
  readonly objects: number;
  readonly names: number;
}

/** The heap in a region, laid out where that is empty. ERR_MISMATCH, ERR_CORRUPT, ERR_VERSION. */
export function heapIn(region: Region, ties: HeapTies): ObjectHeap {
  const open = heaps.get(region);
  if (open !== undefined && !open.closed) return open;
  const heap = new Heap(region, headOf(region) ?? layHead(region), ties);
  heaps.set(region, heap);
  return heap;
}

/** What a heap needs of whoever opens it. */
export interface HeapTies {
  /** Milliseconds from anywhere on. */
  readonly now: () => number;
}

const heaps = new WeakMap<Region, ObjectHeap>();

/** Is there a heap in the region? */
export function isHeap(region: Region): boolean {
  return region.roots.get(HEAD_ROOT) !== 0;
}

/** Broken invariants of the heap in a region, even where it cannot be opened. */
export function checkHeapIn(region: Region, ties: HeapTies): Finding[] {
  if (!isHeap(region)) return [{ id: 'O1', address: 0, detail: 'the heap has no head' }];
  try {
    return heapIn(region, ties).check();
  } catch (error) {
    if (!(error instanceof RegionError)) throw error;
    return [{ id: 'O1', address: region.roots.get(HEAD_ROOT), detail: error.message }];
  }
}

/** What a heap is made of, for those who work on it as a whole. */
export interface Inside {
  readonly core: Core;
  readonly table: TypeTable;
  /** Reference of its head. */
  readonly head: number;
}

export function insideOf(region: Region, ties: HeapTies): Inside {
  return (heapIn(region, ties) as Heap).inside();
}

/** Reference of the head, or null where the region holds no heap. */
function headOf(region: Region): number | null {
  const address = region.roots.get(HEAD_ROOT);
  if (address === 0) return null;
  const head = region.array(Int32Array, address);
  if (head.length < HEAD.words || (head[HEAD.tag] & ROLE_MASK) !== ROLE.head) {
    throw new RegionError('ERR_CORRUPT',
      `region '${region.name}' has no head of a heap; run check`);
  }
  if (head[HEAD.version] === HEAP_VERSION) return refAt(address);
  throw new RegionError('ERR_VERSION',
    `heap '${region.name}' has version ${head[HEAD.version]}, this program knows ` +
      `${HEAP_VERSION}; use a newer regionstore`);
}

/** Methods that cannot serve objects: they do not free, or have not, every block. */
const UNFIT: ReadonlySet<string> = new Set(['last', 'pool']);

function layHead(region: Region): number {
  const inner = /(\w+)\)*$/.exec(region.method)?.[1] ?? '';
  if (UNFIT.has(inner)) {
    throw new RegionError('ERR_MISMATCH',
      `a heap of objects cannot lie in a region of method '${region.method}'; take slab or best`);
  }
  if (region.stat().busyBlocks > 0) {
    throw new RegionError('ERR_MISMATCH',
      `region '${region.name}' has blocks and is no heap; give the heap a name of its own`);
  }
  const address = region.alloc(HEAD.words * WORD_BYTES);
  const head = region.array(Int32Array, address, HEAD.words).fill(0);
  head[HEAD.tag] = ROLE.head;
  head[HEAD.version] = HEAP_VERSION;
  region.roots.set(HEAD_ROOT, address);
  return refAt(address);
}

/** What its parts share, before anything in it is read. */
export function newCore(region: Region, ties: HeapTies): Core {
  return new Core(region, ties.now, FAMILIES, (core) => codecs(core, anyCodec, optionalCodec));
}

class Heap implements ObjectHeap {
  readonly #core: Core;
  readonly #collector: Collector;
  #table: TypeTable;
  #head: number;
  /** How objects are made, per declaration that was used. */
  #plans = new WeakMap<object, Plan>();
  /** Ends what the region tells. */
  #leave: () => void;

  constructor(region: Region, head: number, ties: HeapTies) {
    this.#head = head;
    this.#core = newCore(region, ties);
    this.#table = new TypeTable(this.#core, head);
    this.#core.types = this.#table;
    this.#collector = new Collector(this.#core);
    this.#leave = this.#lodge();
  }

  get name(): string {
    return this.#core.memory.region.name;
  }

  get closed(): boolean {
    return this.#core.memory.region.closed;
  }

  get root(): PersistentMap<string, unknown> {
    const core = this.#core;
    core.assertUsable();
    const views = core.memory.views(this.#head);
    const codec = core.codecOf(ROOT_KIND);
    return codec.load(views, core.memory.word(this.#head) + HEAD.root, 0) as PersistentMap<string,
      unknown>;
  }

  create<F>(struct: Struct<F>, fields?: Initial<F>): Persistent<Struct<F>>;
  create<K extends Kind>(kind: K, values?: GivenOf<K>): ValueOf<K>;
  create(what: object, given?: unknown): unknown {
    const core = this.#core;
    core.assertUsable();
    const plan = this.#plans.get(what) ?? this.#planOf(what as Struct<object> | Kind);
    if (plan === null) return core.handleOf(core.create(what as Kind, given));
    const ref = newObject(core, plan, (given ?? NO_FIELDS) as Record<string, unknown>);
    return core.handles.add(ref, core.classOf(plan.type, ref));
  }

  /** null for a kind of collection. */
  #planOf(what: Struct<object> | Kind): Plan | null {
    if (typeof what === 'object' && what !== null && 'fields' in what) return this.#planFor(what);
    if (COLLECTIONS.has((what as Kind | null)?.name ?? '')) return null;
    throw new RegionError('ERR_BAD_OPTION',
      `${String(what)} is neither a struct nor a kind of collection, such as list(str)`);
  }

  scan<F>(struct: Struct<F>): IterableIterator<Persistent<Struct<F>>> {
    const core = this.#core;
    core.assertUsable();
    const plan = this.#plans.get(struct as object) ?? this.#planOf(struct as Struct<object>);
    if (plan === null) throw new RegionError('ERR_BAD_OPTION', 'scan: give a struct');
    const { type } = plan;
    upgradeAll(core, this.#table, type);
    return scan(core, type) as IterableIterator<unknown> as
      IterableIterator<Persistent<Struct<F>>>;
  }

  collect(options?: CollectOptions): Collected {
    return this.#collector.collect(this.#head, options);
  }

  compact(options?: CompactOptions): Compacted {
    this.#core.assertIdle('compact');
    this.#collector.abort();
    return compact(this.#core, this.#head, options);
  }

  check(): Finding[] {
    this.#core.assertUsable();
    return checkHeap(this.#core, this.#head);
  }

  stat(): HeapStat {
    this.#core.assertUsable();
    return statOfHeap(this.#core, this.#table);
  }

  inside(): Inside {
    this.#core.assertUsable();
    return { core: this.#core, table: this.#table, head: this.#head };
  }

  exportLines(): IterableIterator<string> {
    const core = this.#core;
    core.assertUsable();
    const root = core.memory.views(this.#head).i32[core.memory.word(this.#head) + HEAD.root];
    return exportLines(core, this.#table, root);
  }

  importLines(lines: Iterable<string>, options?: ImportOptions): Imported {
    this.#core.assertUsable();
    const { replace = false } = readOptions(options, { replace: flag }, 'importLines');
    const done = importLines(this.#core, this.#table, this.root, lines, replace);
    // The types of what was imported may be former ones of structs that were declared.
    takeOver(this.#core, this.#table);
    return done;
  }

  upgrade(): number {
    this.#core.assertUsable();
    return upgradeAll(this.#core, this.#table, null);
  }

  typeOf(value: unknown): string {
    if (isHandle(value)) return value.$bound.type.text;
    if (typeof value !== 'object' || value === null) return value === null ? 'null' : typeof value;
    return value.constructor?.name ?? 'object';
  }

  clear(): void {
    const core = this.#core;
    core.assertIdle('clear');
    const { region } = core.memory;
    this.#leave();
    this.#forget();
    region.clear();
    this.#leave = this.#lodge();
    this.#head = layHead(region);
    this.#table = new TypeTable(core, this.#head);
    core.types = this.#table;
  }

  #lodge(): () => void {
    return lodge(this.#core.memory.region, {
      reverted: () => this.#reverted(),
      evicted: (error) => {
        this.#collector.abort();
        this.#core.expire(error as RegionError);
      },
    });
  }

  /** The type of a declaration, recorded where the heap has none of that name. */
  #planFor(struct: Struct<object>): Plan {
    const plan = planFor(this.#core, this.#table, struct);
    this.#plans.set(struct, plan);
    takeOver(this.#core, this.#table);
    return plan;
  }

  /** The head may lie elsewhere now: the heap may have been cleared since. */
  #reverted(): void {
    this.#forget();
    const { region } = this.#core.memory;
    this.#head = headOf(region) ?? layHead(region);
    this.#table = new TypeTable(this.#core, this.#head);
    this.#core.types = this.#table;
  }

  #forget(): void {
    this.#collector.abort();
    this.#core.expire(null);
    this.#core.forgetClasses();
    this.#plans = new WeakMap();
  }
}
