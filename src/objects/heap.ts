/**
 * An object heap: a region whose blocks are objects, texts and collections, all of them found from
 * one map of named values, and described by types that the region holds too.
 *
 * The region is the heap's alone: what is not reachable is garbage. Handles live in JavaScript and
 * are dropped when the region's memory goes back in time.
 */
import { RegionError } from '../errors.ts';
import { HEAD, HEAD_ROOT, HEAP_VERSION, ROLE, ROLE_MASK, ROLE_SHIFT } from '../layout-objects.ts';
import { lodge } from '../tenants.ts';
import type { Region } from '../types.ts';
import { anyCodec } from './any.ts';
import { codecs } from './codecs.ts';
import { Core, type Family } from './core.ts';
import { STALE } from './handles.ts';
import { any, map, str } from './kinds.ts';
import { refAt } from './memory.ts';
import { optionalCodec } from './optional.ts';
import type { PersistentMap } from './persistent.ts';
import { layOut } from './record-layout.ts';
import { newObject, type Plan, planOf, records } from './records.ts';
import { sortedMaps } from './sorted.ts';
import { type Initial, kindsOf, type Persistent, type Struct } from './struct.ts';
import { TypeTable } from './type-table.ts';

const FAMILIES: readonly Family[] = [records, sortedMaps];
const ROOT_KIND = map(str, any);
const WORD_BYTES = 4;

/** A heap of objects in a region of its own. */
export interface ObjectHeap {
  readonly name: string;
  readonly closed: boolean;
  /** Named values: what is found from here is kept. */
  readonly root: PersistentMap<string, unknown>;
  /**
   * A new object. Fields that are left out have their defaults. ERR_SCHEMA names the field that does
   * not fit, or that the stored type cannot become; ERR_NO_SPACE.
   *
   * @example const task = heap.create(Task, { id: 1, title: 'write' });
   */
  create<F>(struct: Struct<F>, fields?: Initial<F>): Persistent<Struct<F>>;
  /**
   * Every object of a struct, in the order of addresses, garbage that was not collected yet
   * included. What it gives is valid for one step; `keep()` gives the handle. Objects that are
   * created meanwhile may be visited or not.
   */
  scan<F>(struct: Struct<F>): IterableIterator<Persistent<Struct<F>>>;
}

/** The heap in a region; laid out where the region is new. ERR_MISMATCH, ERR_CORRUPT, ERR_VERSION. */
export function heapIn(region: Region): ObjectHeap {
  return new Heap(region, headOf(region) ?? layHead(region));
}

/** Reference of the head, or null where the region holds no heap. */
function headOf(region: Region): number | null {
  const address = region.roots.get(HEAD_ROOT);
  if (address === 0) return null;
  const head = region.array(Int32Array, address);
  if (head.length < HEAD.words || (head[HEAD.tag] & ROLE_MASK) !== ROLE.head) {
    throw new RegionError('ERR_CORRUPT', `region '${region.name}' has no head of a heap; run check`);
  }
  if (head[HEAD.version] === HEAP_VERSION) return refAt(address);
  throw new RegionError('ERR_VERSION',
    `heap '${region.name}' has version ${head[HEAD.version]}, this program knows ${HEAP_VERSION}; ` +
      'use a newer regionstore');
}

function layHead(region: Region): number {
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

class Heap implements ObjectHeap {
  readonly #core: Core;
  readonly #table: TypeTable;
  readonly #head: number;
  /** How objects are made, per declaration that was used. */
  #plans = new WeakMap<object, Plan>();

  constructor(region: Region, head: number) {
    this.#head = head;
    this.#core = new Core(region, FAMILIES, (core) => codecs(core, anyCodec, optionalCodec));
    this.#table = new TypeTable(this.#core, head);
    this.#core.types = this.#table;
    lodge(region, {
      reverted: () => this.#reverted(),
      evicted: (error) => this.#core.expire(error as RegionError),
    });
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

  create<F>(struct: Struct<F>, fields: Initial<F> = {}): Persistent<Struct<F>> {
    const core = this.#core;
    core.assertUsable();
    const plan = this.#plans.get(struct as object) ?? this.#planFor(struct as Struct<object>);
    const ref = newObject(core, plan, fields as Record<string, unknown>);
    return core.handles.obtain(ref, core.classOf(plan.type, ref)) as unknown as
      Persistent<Struct<F>>;
  }

  *scan<F>(struct: Struct<F>): IterableIterator<Persistent<Struct<F>>> {
    const core = this.#core;
    core.assertUsable();
    const { type } = this.#plans.get(struct as object) ?? this.#planFor(struct as Struct<object>);
    const tag = ROLE.object | (type.id << ROLE_SHIFT);
    for (const { address, busy } of core.memory.region.blocks()) {
      const ref = refAt(address);
      if (!busy || core.memory.tag(ref) !== tag) continue;
      const cursor = new (core.classOf(type, ref))(core.memory.word(ref), null);
      yield cursor as unknown as Persistent<Struct<F>>;
      cursor.$at = STALE;
    }
  }

  /** The type of a declaration, recorded where the heap has none of that name. */
  #planFor(struct: Struct<object>): Plan {
    const kinds = kindsOf(struct);
    const layout = layOut(struct.name, kinds, (kind) => this.#core.codecOf(kind).width);
    const type = this.#table.ofStruct(struct.name) ?? this.#table.addStruct(layout);
    const plan = planOf(this.#core, type, struct.defaults);
    this.#plans.set(struct, plan);
    return plan;
  }

  #reverted(): void {
    this.#core.expire(null);
    this.#plans = new WeakMap();
    this.#table.reload();
    this.#core.forgetClasses();
  }
}
