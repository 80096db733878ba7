/**
 * Records a trace and ends in some way:
 *   node trace-child.js PATH OPERATIONS close|exit|kill|full
 */
import { best, createRegion, heap, traceFile } from 'regionstore';

const [path, operations, how] = process.argv.slice(2) as [string, string, string];
const trace = traceFile(path);
const region = createRegion(heap({ capacity: '64MiB' }), best, { name: 'child', trace });
for (let i = 0; i < Number(operations); i += 1) region.alloc(i % 100);
if (how === 'close') trace.close();
if (how === 'kill') process.kill(process.pid, 'SIGKILL');
if (how === 'full') {
  const { failed } = trace;
  let thrown: unknown = null;
  try {
    trace.close();
  } catch (error) {
    thrown = error;
  }
  const { busyBlocks } = region.stat();
  process.stdout.write(JSON.stringify({ code: failed?.code, busyBlocks, same: thrown === failed }));
}
