/**
 * Appends to a ring as fast as it can until it is killed, and says now and then how many there are.
 *
 *   node ring-child.js DIR MAPPER
 */
import { writeSync } from 'node:fs';
import { openStore } from '../../src/store/store.ts';
import { RING_NAME, ringText } from './rings.ts';

const [dir = '', mapper] = process.argv.slice(2);
const store = openStore(dir, { unsafeFileSystem: true, mapper: mapper as 'shim' | 'file' });
const ring = store.ring(RING_NAME, { size: '64KiB' });
for (let seq = ring.last + 1; ; seq++) {
  ring.append(ringText(seq));
  if (seq % 50 === 0) writeSync(1, `${seq}\n`);
}
