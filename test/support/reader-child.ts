/**
 * The processes that are killed in readers.test.ts.
 *
 *   node reader-child.js write DIR MAPPER    fills a buffer with the same byte, again and again
 *   node reader-child.js read DIR MAPPER     expects that it is one byte, and refreshes
 */
import { writeSync } from 'node:fs';
import { openStore } from 'regionstore';

const [what, dir = '', mapper] = process.argv.slice(2);
const options = { unsafeFileSystem: true, mapper: mapper as 'shim' | 'file', settleBytes: 400_000 };

function write(): void {
  const store = openStore(dir, options);
  const { bytes } = store.buffer('b', { size: 100_000 });
  for (let i = 1; ; i++) {
    bytes.fill(i & 0xff);
    store.checkpoint();
    if (i % 10 === 0) writeSync(1, `${i}\n`);
  }
}

function read(): void {
  const store = openStore(dir, { ...options, readOnly: true });
  for (let i = 1; ; i++) {
    const { bytes } = store.buffer('b');
    const [first] = bytes;
    for (let look = 0; look < 20; look++) {
      if (bytes.some((byte) => byte !== first)) throw new Error('two checkpoints at once');
    }
    store.refresh();
    writeSync(1, `${i}\n`);
  }
}

if (what === 'write') write();
else read();
