/**
 * The other program of the command line tests: makes a store or a single region, and is killed, or
 * holds it open until it is.
 *
 *   node cli-child.js store|region PATH kill|hold
 */
import { best, createRegion, mmap, openStore } from 'regionstore';
import { fillRegion, fillStore } from './cli-content.ts';

const [what, path, end] = process.argv.slice(2) as [string, string, string];

if (what === 'store') {
  const store = openStore(path);
  fillStore(store);
  // Not checkpointed: must be gone.
  store.region('alpha').roots.set('uncommitted', 1);
} else {
  fillRegion(createRegion(mmap(path), best), 500);
}
if (end === 'kill') process.kill(process.pid, 'SIGKILL');
process.stdout.write('ready\n');
setInterval(() => {}, 1000);
