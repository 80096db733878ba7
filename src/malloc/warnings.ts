/**
 * Warnings of the default region: what Vmalloc's debugging says on standard error, or in the file
 * of `warn`. With `abort` the process ends after the first one, by SIGABRT, while everything is as
 * it was found.
 */
import { isMainThread } from 'node:worker_threads';
import type { Finding } from '../types.ts';
import type { Output } from './output.ts';

export class Warnings {
  readonly #output: Output;
  readonly #abort: boolean;
  readonly #beforeAbort: () => void;
  /** So far. */
  count = 0;
  /** The program has ended: what is found now is told, and nothing more. */
  isLate = false;

  constructor(output: Output, abort: boolean, beforeAbort: () => void) {
    this.#output = output;
    this.#abort = abort;
    this.#beforeAbort = beforeAbort;
  }

  tell(text: string): void {
    this.count += 1;
    this.#output.add(`regionstore: ${text}\n`);
    this.#output.flush();
    if (!this.#abort || this.isLate) return;
    this.#beforeAbort();
    // In a worker thread abort() is refused.
    if (isMainThread) process.abort();
    process.kill(process.pid, 'SIGABRT');
  }

  find({ id, address, detail, ...sites }: Finding): void {
    const where = [
      ['allocated', sites.allocatedAt], ['freed', sites.freedAt], ['detected', sites.detectedAt],
    ].filter(([, site]) => site !== undefined && site !== '');
    const tail = where.map(([what, site]) => `, ${what} at ${site}`).join('');
    this.tell(`${id} at ${address}: ${detail}${tail}`);
  }
}
