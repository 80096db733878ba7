/**
 * `regionstore import DIR HEAP FILE`: reads an export into a heap, which is made where there is
 * none; of blocks, into a new region. All of it or nothing: what is large takes checkpoints on the
 * way, in which objects have no names yet, and a region has another name.
 *
 * JSON: { path, heap, file, dryRun, isNew, objects, names, checkpoint: its id | null }; of blocks
 * { path, region, file, dryRun, method, blocks, busyBytes, roots, moved, checkpoint }. `moved` =
 * how many lie elsewhere than they did.
 */
import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Command } from 'commander';
import { heap as inMemory } from '../disciplines/heap.ts';
import { mmap } from '../disciplines/mmap.ts';
import { RegionError } from '../errors.ts';
import { methodNamed } from '../methods/registry.ts';
import { slab } from '../methods/slab.ts';
import { loadShim } from '../native/load.ts';
import { heapIn, type ObjectHeap } from '../objects/heap.ts';
import { createRegion } from '../region/region.ts';
import type { Store } from '../store/api.ts';
import type { Method, Region } from '../types.ts';
import { heapNamed } from './export.ts';
import { readLines } from './heap-file.ts';
import { fillFrom, type RawImported, rawMethodOf } from './raw-blocks.ts';
import { limitOption, Relief } from './relief.ts';
import { counted, humanSize, printable } from './table.ts';
import { type Access, storeOf, type Target } from './target.ts';
import { type Common, type Console, document, onTarget, type Report, unsafeOption, verb }
  from './verb.ts';

interface Options extends Common {
  readonly replace?: true;
  readonly dryRun?: true;
  readonly dirtyLimit?: number;
  readonly unsafeFileSystem?: true;
}

export function importHeap(program: Command, console: Console): void {
  verb(program, 'import', {
    summary: 'read an export into a heap, or a new region',
    details: 'Read what `export` wrote, in either format, into a heap, beside what is there; it ' +
      'is made where there is none. Everything is tested; after an error, which names the line, ' +
      'there is nothing of it. What changes more than half of --dirty-limit is written in ' +
      'several checkpoints, in which nothing can be found yet; the process may be killed at any ' +
      'time: `gc` frees what is left then, and a region `importing NAME …` goes when NAME is ' +
      'imported again. An export of blocks becomes a new region: ' +
      'blocks that come to lie at other addresses are counted, since what is in them may name ' +
      'the old ones; roots that are addresses of blocks follow them.',
    examples: ['import data app app.ndjson', 'import data app app.json --replace --dry-run',
      'export data app | regionstore import copy app -'],
  })
    .argument('<heap>', 'name of the heap, or of the new region')
    .argument('<file>', 'the export; - = standard input')
    .option('--replace', 'names that are there are given the new values')
    .option('--dry-run', 'test everything, change nothing')
    .addOption(limitOption())
    .addOption(unsafeOption())
    .action((dir: string, name: string, file: string, options: Options) => {
      const mode = options.dryRun ? 'read' : 'write';
      const access: Access = { ...options, mode, ofStore: 'heaps' };
      return onTarget(console, dir, options, access, (target) =>
        imported(console, target, name, file, options));
    });
}

function imported(
  console: Console, target: Target, name: string, file: string, options: Options,
): Report {
  const store = storeOf(target);
  const total = sizeOf(file);
  const lines = readLines(file, (bytes) =>
    console.progress.step('importing', bytes, total, humanSize));
  const first = lines.next();
  const head = first.done === true ? '' : first.value;
  const method = rawMethodOf(head);
  if (method !== null) return rawImported(target, name, { ...options, file, method }, lines);
  const { path } = target;
  const isNew = !store.has(name);
  const dryRun = options.dryRun === true;
  const fill = (heap: ObjectHeap, all: Iterable<string>) =>
    heap.importLines(all, { replace: options.replace === true });
  const whole = again(head, lines);
  const { objects, names } = dryRun
    ? aside(slab, name, file, (region) => fill(standIn(store, region), whole))
    : written(store, isNew ? name : null, (relief) => {
      const heap = isNew ? store.heap(name) : heapNamed(store, name);
      return fill(heap, relief.between(whole));
    });
  const checkpoint = dryRun ? null : store.checkpoint().id;
  return {
    json: () => document({ path, heap: name, file, dryRun, isNew, objects, names, checkpoint }),
    *text() {
      const would = dryRun ? 'would import' : 'imported';
      const at = checkpoint === null ? '' : `, checkpoint ${checkpoint}`;
      yield `${would} ${counted(objects, 'object')} and ${counted(names, 'name')} into ` +
        `${isNew ? 'the new heap' : 'heap'} ${printable(name)}${at}`;
    },
  };
}

/** `lines` from the first on, which was looked at. */
function* again(first: string, lines: IterableIterator<string>): IterableIterator<string> {
  if (first === '') return;
  yield first;
  yield* lines;
}

/** `work` with relief; should it fail, what checkpoints have of it goes, a new region too. */
function written<T>(store: Store, isNew: string | null, work: (relief: Relief) => T): T {
  const relief = new Relief(store, true);
  try {
    return work(relief);
  } catch (error) {
    if (relief.isTaken) takeBack(store, isNew);
    throw error;
  }
}

function takeBack(store: Store, isNew: string | null): void {
  try {
    if (isNew !== null && store.has(isNew)) store.drop(isNew);
    store.checkpoint();
  } catch {
    // A full disk, a store that stopped: it is as after SIGKILL, and what went wrong first is told.
  }
}

/** An export of blocks, of which the first line is read. */
function rawImported(
  target: Target, name: string,
  { file, method, dryRun = false, replace = false }:
    { file: string; method: string; dryRun?: boolean; replace?: boolean },
  lines: Iterable<string>,
): Report {
  const store = storeOf(target);
  if (replace) {
    throw new RegionError('ERR_BAD_OPTION',
      `${file} is an export of blocks, which becomes a new region; leave out --replace`);
  }
  if (store.has(name)) {
    throw new RegionError('ERR_EXISTS', `there is '${name}' in ${store.dir} already; give the ` +
      'name of a region that is to be made');
  }
  const how = methodNamed(method);
  const { blocks, bytes: busyBytes, roots, moved } = dryRun
    ? aside(how, name, file, (region) => fillFrom(region, lines))
    : underWay(store, name, how, lines);
  const checkpoint = dryRun ? null : store.checkpoint().id;
  const { path } = target;
  return {
    json: () => document({ path, region: name, file, dryRun, method, blocks, busyBytes, roots,
      moved, checkpoint }),
    *text() {
      yield `${dryRun ? 'would import' : 'imported'} ${counted(blocks, 'block')} ` +
        `(${humanSize(busyBytes)}) and ${counted(roots, 'root')} into the new region ` +
        `${printable(name)}${checkpoint === null ? '' : `, checkpoint ${checkpoint}`}`;
      if (moved > 0) yield `${counted(moved, 'block')} came to lie elsewhere than they did`;
    },
  };
}

/** A new region, which has another name until it is whole. */
function underWay(
  store: Store, name: string, method: Method, lines: Iterable<string>,
): RawImported {
  // Nobody else calls a region so: it may be dropped.
  const mark = createHash('sha256').update(`${store.stat().id}/${name}`).digest('hex').slice(0, 12);
  const meanwhile = `importing ${[...name].slice(0, 40).join('')} ${mark}`;
  // Of an import that was killed.
  if (store.has(meanwhile)) store.drop(meanwhile);
  const done = written(store, meanwhile, (relief) =>
    fillFrom(store.region(meanwhile, { method }), relief.between(lines)));
  store.rename(meanwhile, name);
  return done;
}

const MOST_BYTES = 64 * 2 ** 30;
const LEAST_BYTES = 64 * 2 ** 20;
/** Of memory, for each byte of text; and what is reserved where that is not known. */
const PER_BYTE = 8;
const UNKNOWN_BYTES = 2 ** 30;

/** `work` with a region that is in a file of its own as long as it takes, or else in memory. */
function aside<T>(
  method: Method, name: string, textFile: string, work: (region: Region) => T,
): T {
  if (loadShim() === null) {
    const size = sizeOf(textFile) * PER_BYTE || UNKNOWN_BYTES;
    const capacity = Math.min(MOST_BYTES, Math.max(LEAST_BYTES, size));
    return work(createRegion(inMemory({ capacity }), method, { name }));
  }
  const folder = mkdtempSync(join(tmpdir(), 'regionstore-'));
  const memory = mmap(join(folder, 'region'), { capacity: MOST_BYTES });
  try {
    const region = createRegion(memory, method, { name });
    // Without a name it is gone whenever the process ends.
    rmSync(folder, { recursive: true });
    return work(region);
  } finally {
    // Without the region, which would make all of it durable first.
    memory.close();
    rmSync(folder, { recursive: true, force: true });
  }
}

/**
 * A heap with the types and names of the one in the store: what would be refused there is refused
 * here.
 */
function standIn(store: Store, region: Region): ObjectHeap {
  const heap = heapIn(region, { now: () => performance.now() });
  const { name } = region;
  if (store.has(name)) heap.importLines(typesAndNames(heapNamed(store, name)));
  return heap;
}

function* typesAndNames(heap: ObjectHeap): IterableIterator<string> {
  for (const line of heap.exportLines()) {
    if (!/^\{"\$(format|type)"/.test(line)) break;
    yield line;
  }
  let names = 0;
  for (const name of heap.root.keys()) {
    yield JSON.stringify({ $root: [[name, null]] });
    names += 1;
  }
  yield JSON.stringify({ $root: [], objects: 0, names });
}

/** 0 = not known. */
function sizeOf(file: string): number {
  return file === '-' ? 0 : statSync(file, { throwIfNoEntry: false })?.size ?? 0;
}
