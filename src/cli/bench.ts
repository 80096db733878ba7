/**
 * `regionstore bench [DIR]`: what this machine and the disk of DIR do, in a few seconds. A store is
 * made in a directory of its own inside DIR, and removed afterwards.
 *
 * JSON: { path, node, mapper, sync: { samples, p50, p99 }, alloc: [{ method, nanoseconds }],
 *   commit: [{ pages, samples, p50, p99, bytesPerSecond }], reopen: { samples, p50, p99 },
 *   append: { bytes, nanoseconds } }; times in milliseconds, where they are not in nanoseconds.
 */
import type { Command } from 'commander';
import { closeSync, fdatasyncSync, mkdtempSync, openSync, realpathSync, rmSync, writeSync }
  from 'node:fs';
import { join } from 'node:path';
import { heap } from '../disciplines/heap.ts';
import { assert, RegionError } from '../errors.ts';
import { systemError } from '../files.ts';
import { PAGE } from '../layout.ts';
import { methodNamed } from '../methods/registry.ts';
import { createRegion } from '../region/region.ts';
import { openStore } from '../store/store.ts';
import type { Store } from '../store/api.ts';
import type { Address } from '../types.ts';
import { type Column, facts, figure, humanSize, table } from './table.ts';
import { type Common, type Console, described, document, type Report, tell, unsafeOption }
  from './verb.ts';

interface Options extends Common {
  readonly unsafeFileSystem?: true;
}

interface Spread {
  readonly samples: number;
  readonly p50: number;
  readonly p99: number;
}

interface Allocs {
  readonly method: string;
  readonly nanoseconds: number;
}

interface Commits extends Spread {
  readonly pages: number;
  readonly bytesPerSecond: number;
}

interface Measured {
  readonly sync: Spread;
  readonly alloc: readonly Allocs[];
  readonly commit: readonly Commits[];
  readonly reopen: Spread;
  readonly append: { readonly bytes: number; readonly nanoseconds: number };
}

const METHODS = ['best', 'slab', 'pool', 'last'] as const;
/** Pages that change → checkpoints that are timed. */
const COMMITS = [[1, 200], [64, 60], [4096, 8]] as const;
const LIVE_BLOCKS = 1000;
const PAIRS = 400_000;
const RECORDS = 200_000;
const RECORD_BYTES = 64;

const ALLOC_COLUMNS: readonly Column<Allocs>[] = [
  { title: 'METHOD', text: ({ method }) => method },
  { title: 'NS PER ALLOC + FREE', text: ({ nanoseconds }) => figure(nanoseconds), right: true },
];
const COMMIT_COLUMNS: readonly Column<Commits>[] = [
  { title: 'PAGES CHANGED', text: ({ pages }) => String(pages), right: true },
  { title: 'CHECKPOINTS', text: ({ samples }) => String(samples), right: true },
  { title: 'P50 MS', text: ({ p50 }) => figure(p50), right: true },
  { title: 'P99 MS', text: ({ p99 }) => figure(p99), right: true },
  { title: 'PER SECOND', text: (row) => humanSize(Math.round(row.bytesPerSecond)), right: true },
];

export function bench(program: Command, console: Console): void {
  described(program, 'bench', {
    summary: 'measure what this machine and its disk do',
    details: 'Measure, in a few seconds, how long allocation, checkpoints, reopening and ' +
      'appending to a ring take here, and beside them the disk alone: one page written and ' +
      'synced. The figures are those of a machine as busy as it is now. A store is made in a ' +
      'directory of its own inside DIR and removed afterwards. The comparison with other stores ' +
      'is `npm run bench` of the project.',
    examples: ['bench data', "bench /mnt/disk --json | jq '.commit[0].p50'"],
  })
    .argument('[dir]', 'a directory on the disk that is to be measured', '.')
    .addOption(unsafeOption())
    .action(async (dir: string, options: Options) => {
      let made: string | null = null;
      const drop = () => {
        if (made !== null) rmSync(made, { recursive: true, force: true });
      };
      const interrupt = (signal: NodeJS.Signals) => {
        drop();
        process.kill(process.pid, signal);
      };
      process.once('exit', drop).once('SIGINT', interrupt).once('SIGTERM', interrupt);
      try {
        made = placeIn(dir);
        await tell(console, options, await measured(console, made, options));
      } finally {
        console.progress.clear();
        process.off('exit', drop).off('SIGINT', interrupt).off('SIGTERM', interrupt);
        drop();
      }
    });
}

function placeIn(dir: string): string {
  try {
    return mkdtempSync(join(realpathSync(dir), '.regionstore-bench-'));
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code !== 'ENOENT' && code !== 'ENOTDIR') throw systemError(`measuring in ${dir}`, error);
    throw new RegionError('ERR_NOT_FOUND',
      `there is no directory ${dir}; give one on the disk that is to be measured`);
  }
}

/** Between its parts an interrupt is heard. */
async function measured(console: Console, made: string, options: Options): Promise<Report> {
  const unsafeFileSystem = options.unsafeFileSystem === true;
  const dir = join(made, 'store');
  let done = 0;
  const step = async <T>(what: string, work: () => T): Promise<T> => {
    console.progress.step(`measuring ${what}`, done++, METHODS.length + COMMITS.length + 3);
    await new Promise(setImmediate);
    return work();
  };
  const store = openStore(dir, { unsafeFileSystem });
  try {
    const sync = await step('the disk', () => syncs(join(made, 'page')));
    const alloc: Allocs[] = [];
    for (const method of METHODS) alloc.push(await step(method, () => allocs(method)));
    const commit: Commits[] = [];
    for (const [pages, samples] of COMMITS) {
      commit.push(await step('checkpoints', () => commits(store, pages, samples)));
    }
    const append = await step('the ring', () => appends(store));
    const { mapper } = store.stat();
    store.close();
    const reopen = await step('reopening', () => reopenings(dir, unsafeFileSystem));
    const found = { sync, alloc, commit, reopen, append };
    const about = { path: join(made, '..'), node: process.versions.node, mapper };
    return { json: () => document({ ...about, ...found }),
      text: () => textOf(about, found, console) };
  } finally {
    store.abandon();
  }
}

function* textOf(
  { path, node, mapper }: { path: string; node: string; mapper: string }, found: Measured,
  { output: { head } }: Console,
): Generator<string> {
  const { sync, reopen, append } = found;
  yield head(`measured in ${path}`);
  yield* facts([
    ['Node', `${node}, mapper ${mapper}`],
    ['disk', `${figure(sync.p50)} ms for a page written and synced, p99 ${figure(sync.p99)}`],
    ['reopen', `${figure(reopen.p50)} ms until the first read, p99 ${figure(reopen.p99)}`],
    ['ring', `${figure(append.nanoseconds)} ns for ${append.bytes} bytes appended`],
  ]);
  yield '';
  yield* table(ALLOC_COLUMNS, found.alloc, head);
  yield '';
  yield* table(COMMIT_COLUMNS, found.commit, head);
}

/** Milliseconds of each call of `work`; `before` and `after` are not counted. */
function timed(
  samples: number, work: (i: number) => void,
  { before, after }: { before?: (i: number) => void; after?: () => void },
): Spread {
  const times: number[] = [];
  for (let i = 0; i < samples; i += 1) {
    before?.(i);
    const start = performance.now();
    work(i);
    times.push(performance.now() - start);
    after?.();
  }
  times.sort((a, b) => a - b);
  const at = (share: number) => times[Math.floor((times.length - 1) * share)] ?? 0;
  return { samples, p50: at(0.5), p99: at(0.99) };
}

function syncs(path: string): Spread {
  const fd = openSync(path, 'w');
  try {
    const page = new Uint8Array(PAGE).fill(1);
    return timed(100, (i) => {
      writeSync(fd, page, 0, PAGE, i * PAGE);
      fdatasyncSync(fd);
    }, {});
  } finally {
    closeSync(fd);
  }
}

/** A random live block is freed and another one allocated, but in `last`: the newest. */
function allocs(method: (typeof METHODS)[number]): Allocs {
  using region = createRegion(heap(), methodNamed(method));
  let state = 1;
  const random = () => {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
    return state >>> 8;
  };
  const sizeOf = () => (method === 'pool' ? 64 : 16 + random() % 496);
  const live: Address[] = [];
  for (let i = 0; i < LIVE_BLOCKS; i += 1) live.push(region.alloc(sizeOf()));
  const run = (pairs: number) => {
    for (let i = 0; i < pairs; i += 1) {
      const which = method === 'last' ? LIVE_BLOCKS - 1 : random() % LIVE_BLOCKS;
      region.free(live[which] as Address);
      live[which] = region.alloc(sizeOf());
    }
  };
  run(PAIRS / 4);
  const start = performance.now();
  run(PAIRS);
  return { method, nanoseconds: (performance.now() - start) * 1e6 / PAIRS };
}

function commits(store: Store, pages: number, samples: number): Commits {
  const buffer = store.buffer(`pages-${pages}`, { size: pages * PAGE });
  buffer.bytes.fill(1);
  store.checkpoint();
  const change = (i: number) => {
    for (let at = 0; at < pages * PAGE; at += PAGE) buffer.bytes[at] = i + 2;
  };
  const spread = timed(samples, () => store.checkpoint(), { before: change });
  return { pages, ...spread, bytesPerSecond: pages * PAGE * 1000 / spread.p50 };
}

function appends(store: Store): Measured['append'] {
  const ring = store.ring('ring', { size: '1MiB' });
  const record = new Uint8Array(RECORD_BYTES).fill(7);
  for (let i = 0; i < RECORDS / 4; i += 1) ring.append(record);
  const start = performance.now();
  for (let i = 0; i < RECORDS; i += 1) ring.append(record);
  const nanoseconds = (performance.now() - start) * 1e6 / RECORDS;
  return { bytes: RECORD_BYTES, nanoseconds };
}

function reopenings(dir: string, unsafeFileSystem: boolean): Spread {
  let store: Store | null = null;
  return timed(10, () => {
    store = openStore(dir, { create: false, unsafeFileSystem });
    assert(store.buffer('pages-1').bytes[0] !== 0, 'what was checkpointed is there');
  }, { after: () => store?.close() });
}
