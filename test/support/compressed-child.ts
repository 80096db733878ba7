/**
 * The writer that is killed in compressed-crash.test.ts: fills a block with its count, syncs, says
 * so, and goes on.
 *
 *   node compressed-child.js PATH
 */
import { existsSync, writeSync } from 'node:fs';
import { best, compressed, createRegion, openRegion } from 'regionstore';

const path = process.argv[2] as string;
const isNew = !existsSync(path);
const region = isNew ? createRegion(compressed(path), best) : openRegion(compressed(path));
for (let i = (region.roots.get('count') as number) + 1; ; i++) {
  region.free(region.roots.get('block'));
  const block = region.alloc(100_000 + ((i * 7919) % 300_000));
  region.bytes(block).fill(i % 251);
  region.roots.set('block', block);
  region.roots.set('count', i);
  region.sync();
  writeSync(1, `${i}\n`);
}
