/** Stores in temporary folders, over both mappers, closed and removed after each test. */
import { existsSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, expect } from 'vitest';
import type { StoreOptions } from '../../src/store/open.ts';
import type { Store } from '../../src/store/api.ts';
import { openStore } from '../../src/store/store.ts';

export const MAPPERS = ['shim', 'file'] as const;

const opened: Store[] = [];
const folders: string[] = [];

afterEach(() => {
  for (const store of opened.splice(0)) {
    try {
      if (!store.closed) store.abandon();
    } catch {
      // A poisoned or damaged store has said so in its test already.
    }
  }
  for (const folder of folders.splice(0)) rmSync(folder, { recursive: true, force: true });
});

export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'regionstore-'));
  folders.push(folder);
  return folder;
}

/** Any file system will do for tests; power cuts are the torture's business. */
export function open(dir: string, options: StoreOptions = {}): Store {
  const store = openStore(dir, { unsafeFileSystem: true, ...options });
  opened.push(store);
  return store;
}

/** Closes, opens again, and expects it to be sound. */
export function reopen(store: Store, options: StoreOptions = {}): Store {
  store.close();
  const again = open(store.dir, options);
  expect(again.check()).toEqual([]);
  return again;
}

export function regionFile(dir: string): string {
  const folder = join(dir, 'regions');
  const name = readdirSync(folder).find((file) => file.endsWith('.region'));
  if (name === undefined || !existsSync(join(folder, name))) throw new Error('no region file');
  return join(folder, name);
}

/** The error code `work` throws, or 'none'. */
export function codeOf(work: () => unknown): string {
  try {
    work();
    return 'none';
  } catch (error) {
    return (error as { code?: string }).code ?? String(error);
  }
}
