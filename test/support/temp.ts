/** Temporary directories that are gone after the test. */
import { accessSync, constants, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';

/** A new empty directory, removed when the test that asked for it is over. */
export function temporaryDirectory(): string {
  return directoryIn(tmpdir());
}

/** The same in memory, where there is such a place: for tests that sync often and lose no power. */
export function memoryDirectory(): string {
  return directoryIn(MEMORY);
}

const MEMORY = isWritable('/dev/shm') ? '/dev/shm' : tmpdir();

function directoryIn(parent: string): string {
  const dir = mkdtempSync(join(parent, 'regionstore-'));
  onTestFinished(() => rmSync(dir, { recursive: true, force: true }));
  return dir;
}

function isWritable(folder: string): boolean {
  try {
    accessSync(folder, constants.W_OK);
    return true;
  } catch {
    return false;
  }
}
