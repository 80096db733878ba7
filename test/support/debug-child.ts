/**
 * The other program of the tests of debug: makes faults in a region and is killed, or works until
 * it is.
 *
 *   node debug-child.js faults|work PATH
 */
import { writeSync } from 'node:fs';
import { best, createRegion, debug, mmap, type Region } from 'regionstore';
import { randomFrom } from './oracle.ts';

const [what, path] = process.argv.slice(2) as [string, string];
const region = createRegion(mmap(path, { capacity: '64MiB' }),
  debug(best, { quarantineBlocks: 64, quarantine: '64KiB' }));
if (what === 'faults') makeFaults(region);
else work(region);

function makeFaults(over: Region): never {
  const overrun = over.alloc(100);
  const view = over.bytes(overrun);
  new Uint8Array(view.buffer, view.byteOffset, 101)[100] = 0;
  const freed = over.alloc(60);
  const stale = over.bytes(freed);
  over.free(freed);
  stale[3] = 0;
  over.roots.set('overrun', overrun);
  over.roots.set('freed', freed);
  process.kill(process.pid, 'SIGKILL');
  throw new Error('it goes on although it was killed');
}

function work(over: Region): never {
  const random = randomFrom(process.pid);
  const all: number[] = [];
  for (let i = 0; ; i++) {
    const size = random(400);
    if (all.length < 200 || random(2) === 0) all.push(over.alloc(size));
    else if (random(3) === 0) {
      const at = random(all.length);
      all[at] = over.resize(all[at], size);
    } else over.free(all.splice(random(all.length), 1)[0]);
    if (all.length > 400) over.free(all.pop() as number);
    if (i % 1000 === 0) writeSync(1, `${i}\n`);
  }
}
