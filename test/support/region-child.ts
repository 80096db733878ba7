/**
 * The writer that is killed in region.test.ts: goes on where the region says it was, replaces one
 * of 50 blocks at a time and reports every 100th step.
 *
 *   node region-child.js PATH
 */
import { existsSync, writeSync } from 'node:fs';
import { best, createRegion, mmap, openRegion } from 'regionstore';

const path = process.argv[2] as string;
const region = existsSync(path) ? openRegion(mmap(path)) : createRegion(mmap(path), best);
for (let i = region.roots.get('count') as number; ; i++) {
  const address = region.alloc(8 + ((i * 37) % 3000));
  const numbers = region.array(Uint32Array, address, 2);
  numbers[0] = i;
  numbers[1] = i ^ 0x5a5a;
  const name = `block ${i % 50}`;
  const old = region.roots.get(name);
  region.roots.set(name, address);
  region.free(old);
  region.roots.set('count', i + 1);
  if (i % 100 === 0) writeSync(1, `${i + 1}\n`);
}
