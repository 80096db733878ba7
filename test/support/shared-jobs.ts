/** Jobs for threads over one shared region: what they are, and how a test starts them. */
import { Worker } from 'node:worker_threads';

export interface Job {
  /** What is done: see shared-worker.ts. */
  readonly what: 'hammer' | 'count' | 'park' | 'meet';
  readonly buffer: SharedArrayBuffer;
  /** Words for all threads, see CONTROL. */
  readonly control: SharedArrayBuffer;
  readonly index: number;
  readonly seed: number;
  readonly steps: number;
  readonly method: string;
}

/** Words: not 0 = stop; progress of each thread; granules of blocks on their way. */
export const CONTROL = { stop: 0, progress: 1, mail: 64, words: 128 } as const;

export function newControl(): SharedArrayBuffer {
  return new SharedArrayBuffer(CONTROL.words * 4);
}

export interface Running<T> {
  readonly worker: Worker;
  /** What it answered; null when it ended without. */
  readonly done: Promise<T | null>;
}

/** Compiled: Node before 24 runs no TypeScript. */
const SCRIPT = new URL('../../dist/test/support/shared-worker.js', import.meta.url);

export function startJob<T>(job: Job): Running<T> {
  const worker = new Worker(SCRIPT, { workerData: job });
  const done = new Promise<T | null>((resolve, reject) => {
    worker.once('message', resolve);
    worker.once('error', reject);
    worker.once('exit', () => resolve(null));
  });
  return { worker, done };
}
