/** Repairing a region file beside which a journal lies: what that holds belongs to the region. */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { writeJournal } from '../src/disciplines/journal.ts';
import { mmap } from '../src/disciplines/mmap.ts';
import { BEST, HEADER, ID_BYTES, METHOD_START, PAGE } from '../src/layout.ts';
import { best } from '../src/methods/best.ts';
import { createRegion, openRegion } from '../src/region/region.ts';
import { cliHere, jsonHere } from './support/cli-here.ts';
import { change } from './support/damaged-store.ts';
import { temporaryDirectory } from './support/temp.ts';

const REPAIR = ['repair', '--unsafe-file-system'];

/** A damaged region with a journal that sets the text of its root. */
function damaged(): { path: string; journal: Buffer } {
  const path = join(temporaryDirectory(), 'notes.region');
  const region = createRegion(mmap(path, { capacity: '1MiB' }), best);
  const address = region.align(PAGE, PAGE);
  region.roots.set('text', address);
  region.bytes(address).fill(1);
  region.close();
  const bytes = readFileSync(path);
  const id = bytes.subarray(HEADER.regionId, HEADER.regionId + ID_BYTES);
  const images = [{ page: address / PAGE, bytes: Buffer.alloc(PAGE, 7) }];
  writeJournal(`${path}.journal`, id, bytes.length, images);
  change(path, METHOD_START + 4 * BEST.caches, (cut) => cut.fill(0xee), 2048);
  return { path, journal: readFileSync(`${path}.journal`) };
}

test('the mended file has it, the journal goes with the other', async () => {
  const { path, journal } = damaged();
  const { backup } = await jsonHere<{ backup: string }>([...REPAIR, path, '--in-place']);
  expect(existsSync(`${path}.journal`)).toBe(false);
  expect(readFileSync(`${backup}.journal`)).toEqual(journal);
  using region = openRegion(mmap(path, { create: false }));
  expect(region.check()).toEqual([]);
  expect([...region.bytes(region.roots.get('text'))]).toEqual(Array(PAGE).fill(7));
});

test('a backup that cannot be made leaves it where it was', async () => {
  const { path, journal } = damaged();
  const before = readFileSync(path);
  const backup = join(path, '..', 'none', 'kept');
  const ran = await cliHere([...REPAIR, path, '--in-place', '--backup', backup]);
  expect([ran.status, ran.stderr]).toEqual([3, expect.stringMatching(/^regionstore: ERR_/)]);
  expect(readFileSync(`${path}.journal`)).toEqual(journal);
  expect(readFileSync(path)).toEqual(before);
});
