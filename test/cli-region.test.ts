/** The command line on a single region file, closed or not. */
import {
  cpSync, existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { file } from '../src/disciplines/file.ts';
import { writeJournal } from '../src/disciplines/journal.ts';
import { mmap } from '../src/disciplines/mmap.ts';
import { HEADER, ID_BYTES, PAGE, ROOT } from '../src/layout.ts';
import { best } from '../src/methods/best.ts';
import { createRegion, openRegion } from '../src/region/region.ts';
import type { Region } from '../src/types.ts';
import { cli, endHolder, holder, makeKilled } from './support/cli.ts';
import { fillRegion } from './support/cli-content.ts';
import { cliHere, jsonHere } from './support/cli-here.ts';

const scratch = mkdtempSync(join(tmpdir(), 'cli-region-'));
const closed = join(scratch, 'closed.region');
const killed = join(scratch, 'killed.region');

beforeAll(() => {
  const region = createRegion(mmap(closed, { capacity: '1GiB' }), best);
  fillRegion(region, 500);
  region.free(region.alloc(1_000_000));
  region.close();
  makeKilled('region', killed);
});

afterAll(() => rmSync(scratch, { recursive: true, force: true }));

let copies = 0;
function copyOf(path: string): string {
  const copy = join(scratch, `copy-${copies++}.region`);
  cpSync(path, copy);
  return copy;
}

function asked<T>(path: string, ask: (region: Region) => T): T {
  const region = openRegion(mmap(copyOf(path)));
  try {
    return ask(region);
  } finally {
    region.close();
  }
}

function contentOf(region: Region): unknown {
  return [...region.blocks()].filter((block) => block.busy)
    .map(({ address }) => [address, Buffer.from(region.bytes(address)).toString('hex')]);
}

describe.each([['closed', closed], ['killed', killed]])('a %s region', (state, path) => {
  test('ls, inspect and blocks say what the API says, and change nothing', async () => {
    const before = readFileSync(path);
    const name = `${state}.region`;
    const { id, stat, roots, blocks } = asked(path, (region) => ({
      id: region.id,
      stat: region.stat(),
      roots: [...region.roots].map(([root, address]) => ({ name: root, address })),
      blocks: [...region.blocks()],
    }));
    expect(stat.capacity).toBe(state === 'closed' ? 2 ** 30 : 2 ** 32);
    const { extent, capacity, busyBytes } = stat;
    expect(await jsonHere(['ls', path])).toEqual({ type: 'region', path, rings: [], regions: [
      { name, id, kind: 'region', method: 'best', extent, capacity, busyBytes,
        estimated: false, roots: 2 }], damaged: [] });
    expect(await jsonHere(['inspect', path])).toMatchObject({ type: 'region', path, store: null,
      recovery: null, last: null, regions: [{ name, id, ...stat, roots }] });
    expect(await jsonHere(['blocks', path]))
      .toEqual({ type: 'region', path, region: name, blocks, next: null });
    expect(await jsonHere(['check', path]))
      .toEqual({ type: 'region', path, pages: true, blocks: true, findings: [] });
    expect(cli(['inspect', path]).stdout).toContain(`region ${path}\n`);
    expect(readFileSync(path).equals(before)).toBe(true);
    expect(existsSync(`${path}.lock`)).toBe(false);
  });

  test('compact, first dry', async () => {
    const copy = copyOf(path);
    const before = readFileSync(copy);
    const content = asked(path, contentOf);
    const dry = await jsonHere<{ givenBack: number; regions: { after: { extent: number } }[] }>(
      ['compact', copy, '--dry-run']);
    expect(readFileSync(copy).equals(before)).toBe(true);
    const done = await jsonHere(['compact', copy]);
    expect(done).toEqual({ ...dry, dryRun: false, checkpoint: null });
    expect(statSync(copy).size).toBe(dry.regions[0].after.extent);
    if (state === 'closed') expect(dry.givenBack).toBeGreaterThan(900_000);
    expect(asked(copy, contentOf)).toEqual(content);
  });

  test('it has no checkpoints', async () => {
    const before = readFileSync(path);
    for (const name of ['checkpoint', 'checkpoints']) {
      const { status, stderr } = await cliHere([name, path]);
      expect(status).toBe(2);
      expect(stderr).toMatch(/^regionstore: ERR_BAD_OPTION: .*not a store.*no checkpoints/);
    }
    expect(readFileSync(path).equals(before)).toBe(true);
  });
});

test('open elsewhere: exit 4, and who has it', async () => {
  const path = join(scratch, 'held.region');
  const child = await holder('region', path);
  try {
    for (const name of ['ls', 'inspect', 'blocks', 'check', 'compact']) {
      const { status, stderr } = await cliHere([name, path]);
      expect(status).toBe(4);
      expect(stderr).toContain(`process ${child.pid}`);
    }
  } finally {
    await endHolder(child);
  }
  expect(cli(['check', path])).toMatchObject({ status: 0, stdout: `${path}: sound\n` });
});

test('one whose last write stands in its journal is shown with it', async () => {
  const path = join(scratch, 'journal.region');
  const region = createRegion(file(path, { capacity: '16MiB' }), best);
  fillRegion(region, 100);
  region.sync();
  const old = readFileSync(path);
  region.roots.set('late', 4096);
  region.close();
  const now = readFileSync(path);
  expect(now.length).toBe(old.length);
  const images = Array.from({ length: now.length / PAGE }, (_, page) => page)
    .map((page) => ({ page, bytes: now.subarray(page * PAGE, (page + 1) * PAGE) }))
    .filter(({ page, bytes }) => !bytes.equals(old.subarray(page * PAGE, (page + 1) * PAGE)));
  expect(images.length).toBeGreaterThan(0);
  // What a crash leaves when the journal is complete and nothing is written in place yet.
  writeFileSync(path, old);
  const id = old.subarray(HEADER.regionId, HEADER.regionId + ID_BYTES);
  writeJournal(`${path}.journal`, id, now.length, images);
  const journal = readFileSync(`${path}.journal`);
  const { regions } =
    await jsonHere<{ regions: { roots: { name: string }[] }[] }>(['inspect', path]);
  expect(regions[0].roots.map(({ name }) => name)).toContain('late');
  expect(readFileSync(path).equals(old)).toBe(true);
  expect(readFileSync(`${path}.journal`).equals(journal)).toBe(true);
  expect(await jsonHere(['compact', path])).toMatchObject({ dryRun: false });
  expect(existsSync(`${path}.journal`)).toBe(false);
});

describe('damage', () => {
  test('what makes a region impossible to open is a finding', async () => {
    const path = copyOf(killed);
    const bytes = readFileSync(path);
    bytes[HEADER.roots + ROOT.hash] ^= 1;
    writeFileSync(path, bytes);
    const { status, stderr } = cli(['ls', path]);
    expect(status).toBe(3);
    expect(stderr).toMatch(/^regionstore: ERR_CORRUPT: .*was not closed.*R6 at 384/);
    expect(await jsonHere(['check', path], 1)).toEqual({ type: 'region', path, pages: true,
      blocks: true, findings: [
      { id: 'R6', region: basename(path), address: HEADER.roots,
        detail: "root 'first' has a wrong hash" },
    ] });
    expect(readFileSync(path).equals(bytes)).toBe(true);
  });

  test('a header that does not hold is refused', async () => {
    const path = copyOf(closed);
    const bytes = readFileSync(path);
    bytes[HEADER.regionId] ^= 1;
    writeFileSync(path, bytes);
    for (const name of ['ls', 'check', 'compact']) {
      const { status, stderr } = await cliHere([name, path]);
      expect(status).toBe(3);
      expect(stderr).toMatch(/^regionstore: ERR_CORRUPT: .*checksum of the header.*not changed/);
    }
    expect(readFileSync(path).equals(bytes)).toBe(true);
  });
});
