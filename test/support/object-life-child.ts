/** A life that ends in the middle: node object-life-child.js DIR SEED TURNS. */
import { Life } from './object-life.ts';

const [dir = '', seed = '', turns = ''] = process.argv.slice(2);
const life = new Life(dir, Number(seed));
for (let turn = 0; turn < Number(turns); turn++) life.turn();
// What was not kept dies with it.
life.heap.root.set('never', 'kept');
process.kill(process.pid, 'SIGKILL');
