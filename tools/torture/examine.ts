/**
 * Opens the store of a disk that a crash left, twice: it must be sound, and the second opening must
 * have nothing to do and find the same. Returns the digest of what it holds.
 */
import { join } from 'node:path';
import { openStore } from '../../src/store/store.ts';
import { refuseBadRing } from './rings.ts';
import { copiesIn, COPIES, digestOf, HOLDS, type Store, type StoreOptions } from './session.ts';

function refuseFindings(store: Store, when: string): void {
  // What a power cut tore from a ring is counted, not lost.
  const findings = store.check().filter(({ id }) => id !== 'G2');
  if (findings.length > 0) {
    throw new Error(`check() at ${when}: ${JSON.stringify(findings.slice(0, 5))}`);
  }
}

/** Every checkpoint that says what it held is gone back to, and holds it; then all is as before. */
function refuseLostHistory(store: Store, digest: string): void {
  const points = store.checkpoints();
  const newest = points.at(-1)?.id;
  const held = points.filter(({ id, label }) => id !== newest && label?.startsWith(HOLDS) === true);
  if (held.length === 0) return;
  // Going back makes checkpoints, for which one without a label would be forgotten.
  const last = store.checkpoint(`examined ${newest}`).id;
  for (const { id, label } of held) {
    store.restore(id);
    refuseFindings(store, `checkpoint ${id}`);
    const found = digestOf(store);
    if (`${HOLDS}${found}` === label) continue;
    throw new Error(`checkpoint ${id} restores to ${found}, not ${label}`);
  }
  store.restore(last);
  if (digestOf(store) !== digest) throw new Error(`checkpoint ${last} is not restored`);
}

/** Every backup beside it is whole and holds what it is called after; none that it counts lacks. */
function refuseBadCopies(store: Store, disk: string): void {
  const copies = copiesIn(disk);
  const counted = store.has('plain') ? store.region('plain').roots.get(COPIES) / 16 : 0;
  if (copies.length < counted) {
    throw new Error(`${counted} backups were made, ${copies.length} are there`);
  }
  for (const { path, digest } of copies) {
    const copy = openStore(path, { unsafeFileSystem: true, create: false });
    try {
      refuseFindings(copy, `the backup ${path}`);
      const found = digestOf(copy);
      if (found !== digest) throw new Error(`the backup ${path} holds ${found}`);
    } finally {
      copy.abandon();
    }
  }
}

type End = 'close' | 'abandon';

function lookAt(store: Store, when: string, end: End, checks: boolean, disk?: string): string {
  let digest = '';
  try {
    digest = digestOf(store);
    if (checks) refuseFindings(store, when);
    if (disk !== undefined) refuseBadCopies(store, disk);
    if (disk !== undefined) refuseBadRing(store);
    if (checks) refuseLostHistory(store, digest);
  } catch (error) {
    store.abandon();
    throw error;
  }
  if (end === 'close') store.close();
  else store.abandon();
  return digest;
}

/** `end` = how the first one lets go; the second is checked too where the first closed. */
export function examineStore(disk: string, mapper: 'shim' | 'file', end: End): string {
  const dir = join(disk, 'store');
  const options: StoreOptions = { unsafeFileSystem: true, mapper };
  const digest = lookAt(openStore(dir, options), 'the first opening', end, true, disk);
  const again = openStore(dir, options);
  const { recovery } = again;
  const found = lookAt(again, 'the second opening', 'abandon', end === 'close');
  if (found !== digest) throw new Error(`the second opening found ${found}, not ${digest}`);
  if (recovery !== null && recovery.replayedCheckpoints > 0) {
    throw new Error(`the second opening replayed again: ${JSON.stringify(recovery)}`);
  }
  return digest;
}
