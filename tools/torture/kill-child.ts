/**
 * The child of the kill loop: works on the store until it is killed, announcing on stdout. A write
 * to a pipe is complete before the next line of the program runs, so nothing acknowledged is lost
 * with the process.
 */
import { writeSync } from 'node:fs';
import type { Mark, Marks } from './marks.ts';
import { split } from './random.ts';
import { startSession } from './session.ts';
import { roam } from './workloads.ts';

export interface ChildJob {
  readonly dir: string;
  readonly mapper: 'shim' | 'file';
  readonly seed: number;
  readonly begun: number;
}

function say(mark: Mark): void {
  writeSync(1, `${JSON.stringify(mark)}\n`);
}

const pipeMarks: Marks = {
  begun: (k, digest) => say({ begun: k, digest }),
  acked: (k) => say({ acked: k }),
  seen: (digest) => say({ seen: digest }),
  fault: () => {},
  refuse: () => {},
  unsync: () => {},
  clear: () => {},
  count: () => ({ operations: 0, fired: 0, what: '' }),
};

const job = JSON.parse(process.argv[2] ?? '') as ChildJob;
writeSync(1, '\n');
roam(startSession({ dir: job.dir, marks: pipeMarks, random: split(job.seed, 'kills'),
  store: { mapper: job.mapper, settleBytes: 200_000, inlinePages: 4 }, begun: job.begun }),
Number.POSITIVE_INFINITY);
