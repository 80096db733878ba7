/**
 * Which thread this is, and whether another one of this process still runs, by what the system
 * says: its id and when it started, so that an id that was given out again is not mistaken. Linux
 * tells in /proc; elsewhere a thread is known by its number in Node, and nobody can tell that it
 * died.
 */
import { readFileSync, readlinkSync } from 'node:fs';
import { threadId } from 'node:worker_threads';
import { THREAD_ID_SHIFT, THREAD_UNKNOWN } from '../layout.ts';

/** Fields of stat behind the name, which may hold blanks: the 22nd of all is the start time. */
const START_FIELD = 19;
const START_BITS = 32;

let known: bigint | null = null;

/** The identity of this thread: never 0, and no other one's of this process. */
export function thisThread(): bigint {
  known ??= systemThread() ?? (THREAD_UNKNOWN | BigInt(threadId));
  return known;
}

/** May it still run? */
export function mayRun(identity: bigint): boolean {
  if (identity === thisThread() || (identity & THREAD_UNKNOWN) !== 0n) return true;
  const id = Number(identity >> THREAD_ID_SHIFT);
  return identityOf(id) === identity;
}

function systemThread(): bigint | null {
  try {
    const id = Number(readlinkSync('/proc/thread-self').split('/')[2]);
    return Number.isSafeInteger(id) && id > 0 ? identityOf(id) : null;
  } catch {
    return null;
  }
}

/** null = there is no such thread. */
function identityOf(id: number): bigint | null {
  try {
    const stat = readFileSync(`/proc/self/task/${id}/stat`, 'latin1');
    const start = stat.slice(stat.lastIndexOf(')') + 2).split(' ')[START_FIELD];
    return (BigInt(id) << THREAD_ID_SHIFT) | BigInt.asUintN(START_BITS, BigInt(start ?? 0));
  } catch {
    return null;
  }
}
