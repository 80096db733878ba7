/**
 * Copies a store again and again until it is killed; says so before each copy and after it.
 *
 *   node backup-child.js STORE PLACE
 */
import { renameSync, rmSync, writeSync } from 'node:fs';
import { openStore } from 'regionstore';

const [dir = '', place = ''] = process.argv.slice(2);
const store = openStore(dir, { readOnly: true, unsafeFileSystem: true });
for (let round = 0; ; round++) {
  writeSync(1, `begin ${round}\n`);
  store.backup(place);
  writeSync(1, `made ${round}\n`);
  const old = `${place}-${process.pid}-${round}`;
  renameSync(place, old);
  rmSync(old, { recursive: true });
}
