/**
 * The end of the process: where files are completed. It is seen when the program ends by itself, by
 * process.exit() or by an error, and with the option `signals` also when a signal ends it that the
 * program does not handle. That is an option because a signal that has a handler waits for the
 * event loop: a program that never comes back to it could no longer be interrupted.
 */
import { isMainThread } from 'node:worker_threads';

const SIGNALS = ['SIGHUP', 'SIGINT', 'SIGTERM'] as const;

/** What is to be done; empty when it was done. */
let works: (() => void)[] = [];
let hasSignals = false;

/** Does `work` once, when the process ends. */
export function atEnd(work: () => void, signals: boolean): void {
  works.push(work);
  process.on('exit', end);
  if (!signals || hasSignals || !isMainThread) return;
  hasSignals = true;
  for (const signal of SIGNALS) process.on(signal, endBy);
}

function end(): void {
  const all = works;
  works = [];
  for (const work of all) work();
}

/** Ends the process by the signal, unless the program has a handler, which decides then. */
function endBy(signal: NodeJS.Signals): void {
  if (process.listenerCount(signal) > 1) return;
  end();
  process.off(signal, endBy);
  process.kill(process.pid, signal);
}
