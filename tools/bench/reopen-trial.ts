/**
 * The processes of the reopen benchmark.
 *
 *   node reopen-trial.js make DIR BLOCKS BYTES   a closed store with one region of so many blocks
 *   node reopen-trial.js open DIR                → { cold, warm }: { openMs, regionMs, readMs }
 *   node reopen-trial.js crash DIR PAGES ROUNDS  checkpoints, none of them settled, then SIGKILL
 *   node reopen-trial.js recover DIR             → { bytes, ms }
 *   node reopen-trial.js idle [DIR]              → { bytes }: resident memory, with a store or not
 */
import { randomBytes } from 'node:crypto';
import { readFileSync } from 'node:fs';
import Database from 'better-sqlite3';
import { loadShim } from '../../src/native/load.ts';
import { openStore } from 'regionstore';

const PAGE = 4096;
const NAME = 'data';

/** Blocks of one size give or take; the first eight bytes hold the block's number. */
function make(dir: string, blocks: number, bytes: number): object {
  using store = openStore(dir);
  const region = store.region(NAME);
  const size = Math.floor(bytes / blocks) - 24;
  let first = 0;
  for (let i = 0; i < blocks; i += 1) {
    const address = region.alloc(size + (i % 16));
    region.array(Float64Array, address, 1)[0] = i;
    if (i === 0) first = address;
    if (i % 100_000 === 99_999) store.checkpoint();
  }
  region.roots.set('first', first);
  return { extent: region.stat().extent };
}

interface Opened {
  readonly openMs: number;
  readonly regionMs: number;
  readonly readMs: number;
}

/** The first time in this process, with addons loaded as modules are; then with warm code. */
function open(dir: string): { cold: Opened; warm: Opened } {
  new Database(':memory:').close();
  loadShim();
  const cold = openOnce(dir);
  openOnce(dir);
  return { cold, warm: openOnce(dir) };
}

function openOnce(dir: string): Opened {
  const started = performance.now();
  const store = openStore(dir, { create: false });
  const opened = performance.now();
  const region = store.region(NAME);
  const attached = performance.now();
  const number = region.array(Float64Array, region.roots.get('first'), 1)[0];
  const read = performance.now();
  if (number !== 0 || store.recovery !== null) throw new Error('not what was closed');
  store.close();
  return { openMs: opened - started, regionMs: attached - opened, readMs: read - attached };
}

function crash(dir: string, pages: number, rounds: number): never {
  const store = openStore(dir, { settleBytes: '64GiB' });
  const region = store.region(NAME);
  const memory = region.bytes(region.align(pages * PAGE, PAGE));
  const image = randomBytes(PAGE);
  for (let round = 1; round <= rounds; round += 1) {
    image[0] = round;
    for (let page = 0; page < pages; page += 1) memory.set(image, page * PAGE);
    store.checkpoint();
  }
  process.kill(process.pid, 'SIGKILL');
  throw new Error('alive after SIGKILL');
}

function recover(dir: string): object {
  const started = performance.now();
  using store = openStore(dir, { create: false });
  const ms = performance.now() - started;
  const { recovery } = store;
  if (recovery === null || recovery.replayedBytes === 0) throw new Error('nothing to recover');
  return { bytes: recovery.replayedBytes, ms };
}

async function idle(dir: string | undefined): Promise<object> {
  if (dir === undefined) {
    const db = new Database(':memory:');
    db.prepare('SELECT 1').get();
  } else {
    const region = openStore(dir, { create: false }).region(NAME);
    region.array(Float64Array, region.roots.get('first'), 1);
  }
  await new Promise((resolve) => setTimeout(resolve, 100));
  globalThis.gc?.();
  const match = /^VmRSS:\s+(\d+) kB$/m.exec(readFileSync('/proc/self/status', 'utf8'));
  return { bytes: Number(match?.[1]) * 1024 };
}

async function main(): Promise<void> {
  const [verb, dir = '', first, second] = process.argv.slice(2);
  const verbs: Record<string, () => object | Promise<object>> = {
    make: () => make(dir, Number(first), Number(second)),
    open: () => open(dir),
    crash: () => crash(dir, Number(first), Number(second)),
    recover: () => recover(dir),
    idle: () => idle(dir === '' ? undefined : dir),
  };
  const work = verbs[verb ?? ''];
  if (work === undefined) throw new Error(`no verb '${verb}'`);
  process.stdout.write(`${JSON.stringify(await work())}\n`);
}

await main();
