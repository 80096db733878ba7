/**
 * Sorted maps as a program sees them: handles with the habits of Map, in the order of the keys, and
 * with ranges. How they work is in tree.ts.
 */
import { RegionError } from '../../errors.ts';
import { ROLE, TREE } from '../../layout-objects.ts';
import { count, flag, type Reader, readOptions } from '../../options.ts';
import { type Bound, type Core, type Family, misfit, tagOf, type Type } from '../core.ts';
import { type Group, type HandleClass, STALE } from '../handles.ts';
import type { Kind } from '../kinds.ts';
import type { PersistentSorted, Range } from '../persistent.ts';
import { toPlain } from '../plain.ts';
import { isPlainObject } from '../realms.ts';
import { Tree } from './tree.ts';
import type { Probe } from './tree-keys.ts';
import { nodesOf } from './tree-nodes.ts';
import { ALL, type Give, type Span, Walk } from './tree-walk.ts';

const INSPECT = Symbol.for('nodejs.util.inspect.custom');
const WORD_BYTES = 4;
/** Entries that are shown where a map is printed. */
const SHOWN = 100;

const trees = new WeakMap<Type, Tree>();

function treeOf(core: Core, type: Type): Tree {
  const known = trees.get(type);
  if (known !== undefined) return known;
  const tree = new Tree(core, type);
  trees.set(type, tree);
  return tree;
}

class SortedHandle implements PersistentSorted<unknown, unknown> {
  declare $at: number;
  declare readonly $group: Group | null;
  declare readonly $bound: Bound;
  declare readonly $tree: Tree;

  constructor(at: number, group: Group | null) {
    this.$at = at;
    this.$group = group;
  }

  get size(): number {
    const { $at, $bound } = this;
    if ($at < 0) throw $bound.core.stale();
    return $bound.views.u32[$at + TREE.count];
  }

  get(key: unknown): unknown {
    const { $at, $bound, $tree } = this;
    if ($at < 0) throw $bound.core.stale();
    return $tree.get($bound.views, $at, $tree.nodes.keys.probe(key));
  }

  has(key: unknown): boolean {
    const { $at, $bound, $tree } = this;
    if ($at < 0) throw $bound.core.stale();
    return $tree.has($bound.views, $at, $tree.nodes.keys.probe(key));
  }

  set(key: unknown, value: unknown): this {
    const { $at, $bound, $tree } = this;
    if ($at < 0) throw $bound.core.stale();
    $tree.set($bound.views, $at, $tree.nodes.keys.probe(key), value);
    return this;
  }

  delete(key: unknown): boolean {
    const { $at, $bound, $tree } = this;
    if ($at < 0) throw $bound.core.stale();
    return $tree.delete($bound.views, $at, $tree.nodes.keys.probe(key));
  }

  clear(): void {
    const { $at, $bound, $tree } = this;
    if ($at < 0) throw $bound.core.stale();
    $tree.clear($bound.views, $at);
  }

  first(): [unknown, unknown] | undefined {
    return walk(this, ALL, 'entry').next().value as [unknown, unknown] | undefined;
  }

  last(): [unknown, unknown] | undefined {
    return walk(this, BACKWARD, 'entry').next().value as [unknown, unknown] | undefined;
  }

  forEach(visit: (value: unknown, key: unknown, map: this) => void): void {
    for (const [key, value] of this) visit(value, key, this);
  }

  keys(range?: Range<unknown>): IterableIterator<unknown> {
    return ranged(this, range, 'key', 'keys');
  }

  values(range?: Range<unknown>): IterableIterator<unknown> {
    return ranged(this, range, 'value', 'values');
  }

  entries(range?: Range<unknown>): IterableIterator<[unknown, unknown]> {
    return ranged(this, range, 'entry', 'entries') as unknown as
      IterableIterator<[unknown, unknown]>;
  }

  [Symbol.iterator](): IterableIterator<[unknown, unknown]> {
    return this.entries();
  }

  toJS(): unknown {
    if (this.$at < 0) throw this.$bound.core.stale();
    return toPlain(this);
  }

  toJSON(): unknown {
    return this.toJS();
  }

  [INSPECT](_depth: number, options: object, inspect: (value: unknown, options: object) => string) {
    const { type } = this.$bound;
    if (this.$at === STALE) return `${type.text} (stale)`;
    const shown = new Map(this.entries({ limit: SHOWN }));
    const more = this.size - shown.size;
    return `${type.text} ${inspect(shown, options)}${more > 0 ? ` and ${more} more` : ''}`;
  }
}

/** ERR_STALE. */
function walk(handle: SortedHandle, span: Span, give: Give): Walk {
  if (handle.$at < 0) throw handle.$bound.core.stale();
  return new Walk(handle, handle.$tree, span, give);
}

function ranged(
  handle: SortedHandle, range: Range<unknown> | undefined, give: Give, where: string,
): Walk {
  const { $bound, $tree } = handle;
  return walk(handle, range === undefined ? ALL : spanOf($bound, $tree, range, where), give);
}

const BACKWARD: Span = { ...ALL, isReverse: true };

interface Bounds {
  gt: Probe;
  gte: Probe;
  lt: Probe;
  lte: Probe;
  reverse: boolean;
  limit: number;
}

/** ERR_BAD_OPTION names what is wrong with a range. */
function spanOf({ type }: Bound, tree: Tree, range: Range<unknown>, where: string): Span {
  const { key } = type.kind as { key: Kind };
  const bound: Reader<Probe> = (value, name) => {
    const probe = tree.nodes.keys.bound(value);
    if (probe !== null) return probe;
    const { message } = misfit(key, value);
    throw new RegionError('ERR_BAD_OPTION', `${name}: ${message}`);
  };
  const read = readOptions<Bounds>(range, { gt: bound, gte: bound, lt: bound, lte: bound,
    reverse: flag, limit: count(0) }, `${type.text}.${where}`);
  const { gt, gte, lt, lte, reverse: isReverse = false, limit = ALL.limit } = read;
  for (const [one, other] of [['gt', 'gte'], ['lt', 'lte']] as const) {
    if (read[one] === undefined || read[other] === undefined) continue;
    throw new RegionError('ERR_BAD_OPTION',
      `${type.text}.${where}: both ${one} and ${other} are given; give one of them`);
  }
  const low = { at: gt ?? gte ?? null, isIn: gt === undefined };
  const high = { at: lt ?? lte ?? null, isIn: lt === undefined };
  const [from, to] = isReverse ? [high, low] : [low, high];
  return { from: from.at, isFromIn: from.isIn, to: to.at, isToIn: to.isIn, isReverse, limit };
}

function bind(bound: Bound): HandleClass {
  const made = class extends SortedHandle {};
  Object.defineProperty(made.prototype, '$bound', { value: bound });
  Object.defineProperty(made.prototype, '$tree', { value: treeOf(bound.core, bound.type) });
  return made;
}

/** A new map with the entries of a Map, an iterable of pairs, a plain object or another map. */
function create(core: Core, type: Type, value: unknown): number {
  const { memory } = core;
  const pairs = value === undefined ? [] : pairsOf(type, value);
  const ref = memory.alloc(TREE.words * WORD_BYTES);
  const views = memory.views(ref);
  const head = memory.word(ref);
  views.i32.fill(0, head, head + TREE.words);
  views.i32[head] = tagOf(ROLE.tree, type.id);
  const tree = treeOf(core, type);
  try {
    fill(tree, type, ref, pairs);
    return ref;
  } catch (error) {
    tree.clear(views, head);
    memory.free(ref);
    throw error;
  }
}

/** Keys that ascend are added at the end, without a search. */
function fill(tree: Tree, type: Type, ref: number, pairs: Iterable<unknown>): void {
  const { keys, memory } = tree.nodes;
  const views = memory.views(ref);
  const head = memory.word(ref);
  let last: Probe | null = null;
  for (const pair of pairs) {
    if (typeof pair !== 'object' || pair === null) throw misfit(type.kind as Kind, pair);
    const { 0: key, 1: value } = pair as [unknown, unknown];
    const probe = keys.probe(key);
    if (last !== null && !keys.isBefore(last, probe)) tree.set(views, head, probe, value);
    else {
      tree.append(views, head, probe, value);
      last = probe;
    }
  }
}

/** What there is to put in. ERR_SCHEMA. */
function pairsOf(type: Type, value: unknown): Iterable<unknown> {
  const kind = type.kind as { key: Kind } & Kind;
  if (typeof value === 'object' && value !== null) {
    if (Symbol.iterator in value) return value as Iterable<unknown>;
    if (isPlainObject(value) && kind.key.name === 'str') return Object.entries(value);
  }
  throw misfit(kind, value);
}

export const sortedMaps: Family = {
  roles: [ROLE.tree, ROLE.leaf, ROLE.branch],
  bind,
  create,
  slots(core, type, views, word, _from, visit) {
    const nodes = nodesOf(core, type);
    const { i32 } = views;
    const tag = i32[word];
    if (tag === nodes.leafTag || tag === nodes.branchTag) nodes.visit(views, word, visit);
    else visit(views, word + TREE.root, false);
    return 0;
  },
};
