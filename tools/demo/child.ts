/**
 * The process that is killed. Opens the store, goes on from where its regions say they are, and
 * checkpoints after every step. On descriptor 3 it tells what it is about to commit and what is
 * committed; a line there counts as a promise to the parent.
 *
 *   node child.js DIR [--quick]
 */
import { writeSync } from 'node:fs';
import { openStore } from 'regionstore';
import { goalOf, makePlan } from './plan.ts';
import { TraceJob } from './trace-job.ts';
import { Expected, stepOf } from './verify.ts';
import { WordIndex } from './word-index.ts';

/** One line of descriptor 3. */
export interface Note {
  readonly kind: 'begin' | 'done';
  readonly step: number;
  /** Of everything the checkpoint holds, from the trace and the text. */
  readonly digest: string;
}

function note(line: Note): void {
  writeSync(3, `${JSON.stringify(line)}\n`);
}

function main(): void {
  const [dir = '', mode] = process.argv.slice(2);
  const plan = makePlan(mode === '--quick');
  using store = openStore(dir);
  const from = stepOf(store);
  const expected = new Expected(plan);
  expected.advance(from);
  const heap = store.region('heap', { capacity: '1GiB' });
  const words = store.region('words', { capacity: '1GiB' });
  const job = new TraceJob(heap, plan.trace);
  const index = new WordIndex(words, plan.documents.length);
  for (let step = from + 1; step <= plan.steps; step += 1) {
    const goal = goalOf(plan, step);
    job.advance(goal.record);
    while (index.documents < goal.document) {
      const path = plan.documents[index.documents] as string;
      index.add(path, expected.text.addNext());
    }
    expected.advance(step);
    heap.roots.set('step', step);
    words.roots.set('step', step);
    const { digest } = expected;
    note({ kind: 'begin', step, digest });
    store.checkpoint(step % (plan.steps / 4) === 0 ? `step ${step}` : undefined);
    note({ kind: 'done', step, digest });
  }
}

main();
