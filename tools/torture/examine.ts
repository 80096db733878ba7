/**
 * Opens the store of a disk that a crash left, twice: it must be sound, and the second opening must
 * have nothing to do and find the same. Returns the digest of what it holds.
 */
import { join } from 'node:path';
import { openStore } from '../../src/store/store.ts';
import { digestOf, type Store, type StoreOptions } from './session.ts';

function refuseFindings(store: Store, when: string): void {
  const findings = store.check();
  if (findings.length > 0) {
    throw new Error(`check() at ${when}: ${JSON.stringify(findings.slice(0, 5))}`);
  }
}

type End = 'close' | 'abandon';

function lookAt(store: Store, when: string, end: End, checks: boolean): string {
  let digest = '';
  try {
    digest = digestOf(store);
    if (checks) refuseFindings(store, when);
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
  const digest = lookAt(openStore(dir, options), 'the first opening', end, true);
  const again = openStore(dir, options);
  const { recovery } = again;
  const found = lookAt(again, 'the second opening', 'abandon', end === 'close');
  if (found !== digest) throw new Error(`the second opening found ${found}, not ${digest}`);
  if (recovery !== null && recovery.replayedCheckpoints > 0) {
    throw new Error(`the second opening replayed again: ${JSON.stringify(recovery)}`);
  }
  return digest;
}
