/**
 * Writes the golden files of the present format version: a closed store, a store that died with
 * images still to replay, direct regions plain and packed, of which the tests know every byte. Run
 * once for every released version (`node dist/tools/golden.js`), never again for an old one: the
 * script refuses.
 */
import { cpSync, existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { best, compressed, createRegion, file, last, openStore } from '../src/index.ts';
import type { Region, Store } from '../src/index.ts';
import { PAGE, VERSION } from '../src/layout.ts';

const folder = fileURLToPath(new URL(`../../test/fixtures/golden/v${VERSION}`, import.meta.url));

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

function main(): void {
  if (existsSync(folder)) {
    process.stderr.write(`${folder} exists: golden files are never written again\n`);
    process.exit(1);
  }
  mkdirSync(folder, { recursive: true });
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
  const region = createRegion(file(join(folder, 'direct.region'), { capacity: '16MiB' }), best);
  fill(region, 7);
  region.close();
  const packed = compressed(join(folder, 'compressed.region'), { capacity: '16MiB' });
  const small = createRegion(packed, best);
  fill(small, 9);
  small.close();
}

main();
