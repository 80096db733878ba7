/**
 * The writer that is killed in ring-kill.test.ts: appends numbered records of every size as fast as
 * it can, and says now and then how many there are.
 *
 *   node ring-child.js DIR MAPPER
 */
import { writeSync } from 'node:fs';
import { openStore } from '../../src/store/store.ts';

const [dir = '', mapper] = process.argv.slice(2);
const store = openStore(dir, { unsafeFileSystem: true, mapper: mapper as 'shim' | 'file' });
const ring = store.ring('r', { size: '64KiB' });
for (let i = ring.last + 1; ; i++) {
  ring.append(`${i} ${'x'.repeat((i * 37) % 700)}`);
  if (i % 50 === 0) writeSync(1, `${i}\n`);
}
