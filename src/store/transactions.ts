/**
 * Transactions: a savepoint at entry, to which a throw returns. A savepoint is what the store's
 * memory differs from its last checkpoint at that moment: copies of those pages, and which regions
 * there are under which names. What is committed needs no copy.
 */
import { RegionError } from '../errors.ts';
import { PAGE } from '../layout.ts';
import type { Entry, StoreCore } from './core.ts';
import { discard } from './entries.ts';
import type { RegionFile } from './region-file.ts';

/** Pages that differ from the last checkpoint, and their contents. */
interface Difference {
  readonly pages: Int32Array;
  readonly images: Uint8Array;
}

interface Savepoint {
  /** By name, as the program sees them. */
  readonly current: ReadonlyMap<string, Entry>;
  readonly dropped: ReadonlyMap<string, Entry>;
  /** By region id; regions whose file is not open have no changes. */
  readonly differences: ReadonlyMap<string, Difference>;
}

/**
 * Runs `work`; when it throws, everything is as it was at entry and the error goes on. `commit` is
 * called after the outermost one, and counts as part of it.
 */
export function transact<T>(core: StoreCore, work: () => T, commit: () => void): T {
  core.assertWritable();
  core.awaitFlights();
  const before = savepoint(core);
  core.depth += 1;
  const isOutermost = core.depth === 1;
  try {
    const result = runRefusingPromises(work, () => {
      core.depth -= 1;
    });
    if (isOutermost) commit();
    return result;
  } catch (error) {
    if (core.poison !== null) throw core.poison;
    try {
      returnTo(core, before);
    } catch (failure) {
      throw core.poisonBy(failure);
    }
    throw error;
  } finally {
    if (isOutermost && core.poison === null) discardDropped(core);
  }
}

function runRefusingPromises<T>(work: () => T, ended: () => void): T {
  try {
    const result = work();
    const then = (result as { then?: unknown } | null | undefined)?.then;
    if (typeof then !== 'function') return result;
    throw new RegionError('ERR_BAD_OPTION',
      'transaction: the function returned a promise; a transaction ends when its function ' +
        'returns, so do what is asynchronous before or after it');
  } finally {
    ended();
  }
}

function savepoint(core: StoreCore): Savepoint {
  const differences = new Map<string, Difference>();
  for (const file of core.files()) {
    const found = differenceOf(core, file);
    if (found !== null) differences.set(file.id, found);
  }
  return { current: new Map(core.current), dropped: new Map(core.dropped), differences };
}

function differenceOf(core: StoreCore, file: RegionFile): Difference | null {
  const capture = file.capture();
  if (capture === null) return null;
  const { pages } = capture;
  const images = new Uint8Array(pages.length * PAGE);
  capture.gather(pages, images, 0, new Uint32Array(pages.length), core.mapper.crc);
  return { pages, images };
}

function returnTo(core: StoreCore, before: Savepoint): void {
  const known = new Set([...before.current.values(), ...before.dropped.values()]);
  for (const entry of [...core.current.values(), ...core.dropped.values()]) {
    if (!known.has(entry)) discard(core, entry, 'rolled back');
  }
  core.current.clear();
  core.dropped.clear();
  for (const [name, entry] of before.current) {
    core.current.set(name, entry);
    if (entry.name !== name) entry.handle?.rename(name);
    entry.name = name;
    returnMemory(core, entry, before.differences.get(entry.id) ?? null);
  }
  for (const [id, entry] of before.dropped) core.dropped.set(id, entry);
}

/** Regions that were not touched keep what is derived from their memory, handles of objects too. */
function returnMemory(
  core: StoreCore, { file, handle }: Entry, then: Difference | null,
): void {
  if (file === null) return;
  const now = differenceOf(core, file);
  if (isSame(now, then)) return;
  file.revert();
  if (then !== null) file.lay(then.pages, then.images);
  if (handle !== null && !handle.region.closed) handle.revive();
}

function isSame(a: Difference | null, b: Difference | null): boolean {
  if (a === null || b === null) return a === b;
  return Buffer.compare(bytesOf(a.pages), bytesOf(b.pages)) === 0
    && Buffer.compare(a.images, b.images) === 0;
}

function bytesOf({ buffer, byteOffset, byteLength }: Int32Array): Uint8Array {
  return new Uint8Array(buffer, byteOffset, byteLength);
}

/** Regions that were born and dropped without ever being committed: nothing can bring them back. */
function discardDropped(core: StoreCore): void {
  for (const [id, entry] of core.dropped) {
    if (!entry.born) continue;
    core.dropped.delete(id);
    discard(core, entry, 'dropped');
  }
}
