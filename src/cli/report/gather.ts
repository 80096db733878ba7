/** What a report says of a region: one pass over its blocks, and of heaps one over its objects. */
import { RegionError } from '../../errors.ts';
import type { Dominators } from '../../objects/dominators.ts';
import { blockNamesIn, dominatorsIn } from '../../objects/inside.ts';
import { addressAt } from '../../objects/memory.ts';
import type { CheckpointRow } from '../../store/catalog.ts';
import { eachLife } from '../../store/lives.ts';
import { coreOf } from '../../store/store.ts';
import type { Region } from '../../types.ts';
import { refOf } from '../../objects/handles.ts';
import { isHandle } from '../../objects/core.ts';
import type { Subject, Target } from '../target.ts';
import { tellWork, TOLD_BLOCKS } from '../../work.ts';
import { MOST_TYPES, type Part, piecesFor } from './pieces.ts';

/** Blocks of one size class, age or lifetime. */
export interface Bin {
  readonly label: string;
  readonly count: number;
  readonly bytes: number;
}

/** An object and what it keeps alive. */
export interface Keeper {
  readonly label: string;
  readonly own: number;
  readonly retained: number;
  readonly objects: number;
  readonly below: readonly Keeper[];
}

export interface RegionReport {
  readonly segments: readonly Part[];
  /** See pieces.ts, in Base64. */
  readonly pieces: string;
  readonly cellBytes: number | null;
  readonly types: readonly string[];
  /** Numbers of types, most live bytes first: these are told apart by colour. */
  readonly order: readonly number[];
  /** The checkpoints ages are counted by, oldest first; none for a region by itself. */
  readonly points: readonly string[];
  readonly live: readonly Bin[];
  readonly free: readonly Bin[];
  /** Live blocks by the checkpoint they are there since. */
  readonly ages: readonly Bin[];
  /** Blocks that are gone, by how many checkpoints they were there. */
  readonly lifetimes: readonly Bin[];
  readonly keepers: Keeper | null;
  /** Why there are none. */
  readonly noKeepers: string | null;
}

const TIES = { now: () => performance.now() };
/** Objects of which a tree is made: 60 bytes of memory each. */
const MOST_OBJECTS = 1_000_000;
const MOST_KEEPERS = 24;
const MOST_LEVELS = 8;
/** What keeps less of its parent alive is told as one line. */
const LEAST_SHARE = 0.002;

export function gather(target: Target, subject: Subject): RegionReport {
  const { region, name } = subject;
  const segments: Part[] = [];
  region.walk(({ address, size }) => {
    segments.push({ address, size });
  });
  const { busyBlocks, freeBlocks } = region.stat();
  const pieces = piecesFor(segments, busyBlocks + freeBlocks);
  const types = new Types(subject.kind === 'heap' ? blockNamesIn(region, TIES) : () => 'blocks');
  const [live, free] = [new Sizes(), new Sizes()];
  const [ages, lifetimes] = [new Map<number, Sum>(), new Map<number, Sum>()];
  const points = eachBlock(target, name, region, {
    now({ address, size, busy }, since) {
      (busy ? live : free).add(size);
      if (busy) add(ages, since, size);
      pieces.add(address, size, busy, busy ? types.of(address, size) : 0, since);
    },
    gone({ size, first, last }) {
      add(lifetimes, last - first + 1, size);
    },
  });
  const words = pieces.finish();
  const labels = points.map(({ sequence, label }) => label ?? `checkpoint ${sequence}`);
  return {
    segments, types: types.names, order: types.order(), points: labels, cellBytes: pieces.cellBytes,
    pieces: Buffer.from(words.buffer, words.byteOffset, words.byteLength).toString('base64'),
    live: live.bins(), free: free.bins(),
    ages: binsOf(ages, (since) => labels[since] ?? 'now'),
    lifetimes: binsOf(lifetimes, (n) => n === 1 ? '1 checkpoint' : `${n} checkpoints`),
    ...keepersIn(subject),
  };
}

function eachBlock(
  { store }: Target, name: string, region: Region, visitor: Parameters<typeof eachLife>[2],
): readonly CheckpointRow[] {
  if (store !== null) return eachLife(coreOf(store), name, visitor);
  const { busyBlocks, freeBlocks } = region.stat();
  let done = 0;
  for (const block of region.blocks()) {
    if (done++ % TOLD_BLOCKS === 0) {
      tellWork('looking at blocks', done, busyBlocks + freeBlocks, 'count');
    }
    visitor.now(block, 0);
  }
  return [];
}

interface Sum {
  count: number;
  bytes: number;
}

function add(sums: Map<number, Sum>, key: number, bytes: number): void {
  const sum = sums.get(key) ?? { count: 0, bytes: 0 };
  sums.set(key, sum);
  sum.count += 1;
  sum.bytes += bytes;
}

function binsOf(sums: ReadonlyMap<number, Sum>, labelOf: (key: number) => string): Bin[] {
  return [...sums].sort(([a], [b]) => a - b).map(([key, sum]) => ({ label: labelOf(key), ...sum }));
}

/** By powers of two. */
class Sizes {
  readonly #sums = new Map<number, Sum>();

  add(size: number): void {
    add(this.#sums, Math.ceil(Math.log2(Math.max(1, size))), size);
  }

  bins(): Bin[] {
    return binsOf(this.#sums, (log) => String(2 ** log));
  }
}

/** Numbers of names, in the order in which they are met. */
class Types {
  readonly names: string[] = [];
  readonly #bytes: number[] = [];
  readonly #nameOf: (address: number) => string;
  readonly #numbers = new Map<string, number>();

  constructor(nameOf: (address: number) => string) {
    this.#nameOf = nameOf;
  }

  of(address: number, size: number): number {
    const name = this.#nameOf(address);
    const number = this.#numbers.get(name) ?? this.#add(name);
    this.#bytes[number] = (this.#bytes[number] ?? 0) + size;
    return number;
  }

  order(): number[] {
    const bytesOf = (number: number) => this.#bytes[number] ?? 0;
    return this.names.map((_, number) => number).sort((a, b) => bytesOf(b) - bytesOf(a));
  }

  #add(name: string): number {
    const number = Math.min(this.names.length, MOST_TYPES);
    this.#numbers.set(name, number);
    if (number < MOST_TYPES) this.names.push(name);
    return number;
  }
}

function keepersIn(subject: Subject): Pick<RegionReport, 'keepers' | 'noKeepers'> {
  const heap = subject.heap();
  if (heap === null) return { keepers: null, noKeepers: null };
  try {
    const found = dominatorsIn(subject.region, TIES, MOST_OBJECTS);
    if (found === null) {
      return { keepers: null, noKeepers: `it has more than ${MOST_OBJECTS} objects` };
    }
    const names = new Map<number, string>();
    for (const [name, value] of heap.root) {
      if (isHandle(value)) names.set(refOf(value), `${name}: ${heap.typeOf(value)}`);
    }
    const typeAt = blockNamesIn(subject.region, TIES);
    const labelOf = (ref: number) => names.get(ref) ?? typeAt(addressAt(ref));
    return { keepers: found.count === 0 ? null : treeOf(found, labelOf), noKeepers: null };
  } catch (error) {
    if (!(error instanceof RegionError)) throw error;
    return { keepers: null, noKeepers: error.message };
  }
}

function treeOf(found: Dominators, labelOf: (ref: number) => string): Keeper {
  const { count, parents, retained, refs, own } = found;
  const objects = new Float64Array(count).fill(1);
  for (let n = count - 1; n > 0; n--) objects[parents[n] as number] += objects[n] as number;
  const below: number[][] = [];
  const least = (retained[0] as number) * LEAST_SHARE;
  const rest = new Map<number, number[]>();
  for (let n = 1; n < count; n++) {
    const parent = parents[n] as number;
    const lists = (retained[n] as number) >= least ? below : null;
    if (lists !== null) {
      lists[parent] ??= [];
      lists[parent].push(n);
    } else {
      const sums = rest.get(parent) ?? [0, 0, 0];
      rest.set(parent, [sums[0] as number + 1, sums[1] as number + (retained[n] as number),
        sums[2] as number + (objects[n] as number)]);
    }
  }
  const keeper = (n: number, level: number): Keeper => {
    const all = (below[n] ?? []).sort((a, b) => (retained[b] as number) - (retained[a] as number));
    const shown = level < MOST_LEVELS ? all.slice(0, MOST_KEEPERS) : [];
    const children = shown.map((child) => keeper(child, level + 1));
    const [some = 0, bytes = 0, their = 0] = rest.get(n) ?? [];
    const hidden = all.slice(shown.length);
    const left = hidden.length + some;
    if (left > 0) {
      const sum = hidden.reduce((total, child) => total + (retained[child] as number), bytes);
      const number = hidden.reduce((total, child) => total + (objects[child] as number), their);
      children.push({ label: left === 1 ? 'one more' : `${left} more`, own: 0, retained: sum,
        objects: number, below: [] });
    }
    return { label: n === 0 ? 'all names' : labelOf(refs[n] as number), own: own[n] as number,
      retained: retained[n] as number, objects: objects[n] as number, below: children };
  };
  return keeper(0, 0);
}
