/** The table of threads that have a shared region open, and the locks its tickets hold. */
import { threadId } from 'node:worker_threads';
import { expect, test } from 'vitest';
import { shared } from '../src/disciplines/shared-buffer.ts';
import { divisionIn, ThreadLocks } from '../src/disciplines/thread-locks.ts';
import { ThreadTable } from '../src/disciplines/thread-table.ts';
import { MAX_THREADS, SHARED, THREAD } from '../src/layout.ts';
import { best } from '../src/methods/best.ts';
import { mayRun, thisThread } from '../src/native/threads.ts';
import { createRegion, openRegion } from '../src/region/region.ts';
import { expectCode } from './support/expect-code.ts';

const MIB = 2 ** 20;

test('entries are used again, with another generation', () => {
  const memory = shared({ capacity: MIB });
  using region = createRegion(memory, best);
  const generations = new Int32Array(memory.buffer, SHARED.threads, MAX_THREADS * 4);
  for (let i = 0; i < 500; i++) openRegion(shared(memory.buffer)).close();
  expect(generations[(THREAD.bytes + THREAD.generation) / 4]).toBe(500);
  expect(generations[(2 * THREAD.bytes + THREAD.generation) / 4]).toBe(0);
  expect(region.check()).toEqual([]);
});

test('when it is full opening is refused until somebody closes', () => {
  const memory = shared({ capacity: MIB });
  const all = [createRegion(memory, best)];
  while (all.length < MAX_THREADS) all.push(openRegion(shared(memory.buffer)));
  expectCode('ERR_BUSY', () => openRegion(shared(memory.buffer)));
  all.pop()?.close();
  all.push(openRegion(shared(memory.buffer)));
  for (const region of all) region.close();
});

test('entries of threads that are gone are claimed', () => {
  const memory = shared({ capacity: MIB });
  using region = createRegion(memory, best);
  const identities = new BigInt64Array(memory.buffer, SHARED.threads, MAX_THREADS * 2);
  const gone = (thisThread() & ~0xffffffffn) | 1n;
  expect([mayRun(gone), mayRun(thisThread())]).toEqual([false, true]);
  for (let i = 1; i < MAX_THREADS; i++) identities[i * 2] = gone;
  using other = openRegion(shared(memory.buffer));
  expect(identities[2]).toBe(thisThread());
  other.free(other.alloc(10));
  expect(region.check()).toEqual([]);
});

test('an owner that lives keeps its lock: ERR_BUSY names it', () => {
  const memory = shared({ capacity: MIB });
  using region = createRegion(memory, best);
  const words = new Int32Array(memory.buffer);
  const threads = new ThreadTable(memory.buffer);
  const tickets = [threads.enter(), threads.enter()] as const;
  const division = divisionIn(words);
  const [one, other] = tickets.map((ticket) =>
    new ThreadLocks(words, threads, division, ticket, 5)) as [ThreadLocks, ThreadLocks];
  const lock = one.lockOf(0);
  expect([one.tryTake(lock), other.tryTake(lock)]).toEqual([true, false]);
  const { message } = expectCode('ERR_BUSY', () => other.take(lock));
  expect(message).toContain(`held by thread ${threadId} for 0.02 seconds`);
  one.leave(lock);
  expect(other.take(lock)).toBe(true);
  threads.leave(tickets[1]);
  expect(region.alloc(10)).toBeGreaterThan(0);
  expect(words[SHARED.takeovers / 4]).toBe(1);
});

test('a lock word that is no ticket is taken over', () => {
  const memory = shared({ capacity: MIB });
  using region = createRegion(memory, best);
  const words = new Int32Array(memory.buffer);
  for (const word of [2, 1234, 0x7ffffffe, -100, 1]) {
    words[SHARED.lock / 4] = word;
    words[SHARED.rootsLock / 4] = word;
    region.roots.add('n', 1);
    region.free(region.alloc(10));
    expect(region.check()).toEqual([]);
  }
  expect(region.roots.get('n')).toBe(5);
});
