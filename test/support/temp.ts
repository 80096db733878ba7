/** Temporary directories that are gone after the test. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';

/** A new empty directory, removed when the test that asked for it is over. */
export function temporaryDirectory(): string {
  const dir = mkdtempSync(join(tmpdir(), 'regionstore-'));
  onTestFinished(() => rmSync(dir, { recursive: true, force: true }));
  return dir;
}
