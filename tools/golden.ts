/**
 * Writes the golden files of the present format version: a closed store, a store that died with
 * images still to replay, direct regions plain and packed, one for each method, of which the tests
 * know every byte. Run for every released version (`node dist/tools/golden.js`); what is there is
 * never written again.
 */
import { cpSync, existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { best, compressed, createRegion, debug, file, last, openStore, pool, profile, slab }
  from '../src/index.ts';
import type { Discipline, Method, Region, Store } from '../src/index.ts';
import { CATALOG_VERSION, PAGE, VERSION } from '../src/layout.ts';
import { heapIn } from '../src/objects/heap.ts';
import { fillHeap } from './golden-heap.ts';

const goldens = fileURLToPath(new URL('../../test/fixtures/golden', import.meta.url));
const folder = join(goldens, `v${VERSION}`);

/** The contents test/golden.test.ts expects of a region. */
function fill(region: Region, seed: number): void {
  for (let i = 0; i < 40; i++) {
    const address = region.alloc(17 * i + seed);
    region.bytes(address).fill((seed + i) & 0xff);
    region.roots.set(`block ${i}`, address);
  }
  region.roots.set('text', region.strdup(`Golden ${seed}: Größe, 世界, 🜚`));
  region.roots.add('count', seed);
}

function build(store: Store): void {
  fill(store.region('heap', { method: best, capacity: '16MiB' }), 3);
  fill(store.region('stack', { method: last, capacity: '16MiB' }), 5);
  store.checkpoint('golden');
}

/** Blocks of one size, and no text. */
function fillPool(region: Region): void {
  for (let i = 0; i < 40; i++) {
    const address = region.alloc(100);
    region.bytes(address, 100).fill(i);
    region.roots.set(`block ${i}`, address);
  }
}

/** Three checkpoints to go back to, and a ring. */
function buildHistory(store: Store): void {
  const frame = store.buffer('frame', { size: 20_000 });
  const ring = store.ring('events', { size: 4096 });
  fill(store.region('heap', { capacity: '16MiB' }), 3);
  for (let value = 1; value <= 3; value++) {
    frame.bytes.fill(value);
    if (value === 2) store.rename('heap', 'renamed');
    if (value === 3) store.drop('renamed');
    for (let i = 0; i < 50; i++) ring.append(`event ${value} ${i}`);
    store.checkpoint(`golden ${value}`);
  }
}

/** A store that is closed, and the same as its process died before. */
function writeStores(folder: string, build: (store: Store) => void): void {
  const work = join(folder, 'work');
  const store = openStore(work, { unsafeFileSystem: true, inlinePages: 1 });
  build(store);
  cpSync(work, join(folder, 'died'), { recursive: true });
  rmSync(join(folder, 'died', 'catalog.db-shm'));
  const lock = Buffer.alloc(PAGE);
  lock.write('{"pid":1,"host":"golden","boot":"","since":"2026-11-22T00:00:00.000Z"}');
  writeFileSync(join(folder, 'died', 'store.lock'), lock);
  store.close();
  cpSync(work, join(folder, 'closed'), { recursive: true });
  rmSync(work, { recursive: true });
}

type Golden = readonly [name: string, discipline: (path: string) => Discipline, method: Method,
  fill: (region: Region) => void];

/** Region files; packed ones where the region would be large. */
const REGIONS: readonly Golden[] = [
  ['direct.region', (path) => file(path, { capacity: '16MiB' }), best, (r) => fill(r, 7)],
  ['compressed.region', packed, best, (r) => fill(r, 9)],
  ['slab.region', packed, slab, (r) => fill(r, 11)],
  ['pool.region', packed, pool, fillPool],
  ['debug.region', packed, debug(best), (r) => fill(r, 13)],
  ['profile.region', packed, profile(slab), (r) => fill(r, 15)],
  ['heap.region', packed, slab, (r) => fillHeap(heapIn(r, { now: () => 0 }))],
];

function packed(path: string): Discipline {
  return compressed(path, { capacity: '16MiB' });
}

function main(): void {
  mkdirSync(folder, { recursive: true });
  if (!existsSync(join(folder, 'closed'))) writeStores(folder, build);
  const catalogs = join(goldens, `catalog-v${CATALOG_VERSION}`);
  if (!existsSync(catalogs)) writeStores(catalogs, buildHistory);
  for (const [name, discipline, method, contents] of REGIONS) {
    const path = join(folder, name);
    if (existsSync(path)) continue;
    const region = createRegion(discipline(path), method);
    contents(region);
    region.close();
    process.stdout.write(`wrote ${path}\n`);
  }
}

main();
