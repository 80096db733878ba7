/** The command line on a compressed region file, closed, killed and damaged. */
import { cpSync, existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync }
  from 'node:fs';
import { tmpdir } from 'node:os';
import { basename, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { compressed } from '../src/disciplines/compressed.ts';
import { readContents } from '../src/disciplines/compressed-contents.ts';
import { CODEC, COMPRESSED, COMPRESSED_SLOTS, HEADER, ROOT } from '../src/layout.ts';
import { best } from '../src/methods/best.ts';
import { createRegion, openRegion } from '../src/region/region.ts';
import type { Region } from '../src/types.ts';
import { cli } from './support/cli.ts';
import { fillRegion } from './support/cli-content.ts';
import { cliHere, jsonHere } from './support/cli-here.ts';
import { rewriteSlots } from './support/compressed-files.ts';
import { memoryDisk } from './support/memory-disk.ts';
import { randomFrom } from './support/oracle.ts';

const scratch = mkdtempSync(join(tmpdir(), 'cli-compressed-'));
const closed = join(scratch, 'closed.region');
const killed = join(scratch, 'killed.region');

beforeAll(() => {
  const region = createRegion(compressed(closed, { capacity: '1GiB' }), best);
  fillRegion(region, 500);
  const noise = region.bytes(region.alloc(1_000_000));
  const random = randomFrom(5);
  for (let i = 0; i < noise.length; i++) noise[i] = random(256);
  region.free(region.addressOf(noise));
  region.sync();
  cpSync(closed, killed);
  region.close();
});

afterAll(() => rmSync(scratch, { recursive: true, force: true }));

let copies = 0;
function copyOf(path: string): string {
  const copy = join(scratch, `copy-${copies++}.region`);
  cpSync(path, copy);
  return copy;
}

function asked<T>(path: string, ask: (region: Region) => T): T {
  using region = openRegion(compressed(copyOf(path)));
  return ask(region);
}

function contentOf(region: Region): unknown {
  return [...region.blocks()].filter((block) => block.busy)
    .map(({ address }) => [address, Buffer.from(region.bytes(address)).toString('hex')]);
}

describe.each([['closed', closed], ['killed', killed]])('a %s region', (state, path) => {
  test('ls, inspect, blocks and check say what the API says, and change nothing', async () => {
    const before = readFileSync(path);
    const name = `${state}.region`;
    const { id, stat, roots, blocks } = asked(path, (region) => ({
      id: region.id,
      stat: region.stat(),
      roots: [...region.roots].map(([root, address]) => ({ name: root, address })),
      blocks: [...region.blocks()],
    }));
    const { extent, capacity, busyBytes } = stat;
    expect(capacity).toBe(2 ** 30);
    expect(await jsonHere(['ls', path])).toEqual({ type: 'region', path, rings: [], regions: [
      { name, id, kind: 'region', method: 'best', extent, capacity, busyBytes,
        estimated: false, roots: 2 }], damaged: [] });
    expect(await jsonHere(['inspect', path]))
      .toMatchObject({ regions: [{ name, id, discipline: 'compressed', ...stat, roots }] });
    expect(await jsonHere(['blocks', path])).toMatchObject({ region: name, blocks });
    expect(await jsonHere(['check', path]))
      .toEqual({ type: 'region', path, pages: true, blocks: true, findings: [] });
    expect(readFileSync(path).equals(before)).toBe(true);
    expect(existsSync(`${path}.lock`)).toBe(false);
  });

  test('compact, first dry', async () => {
    const copy = copyOf(path);
    const before = readFileSync(copy);
    const content = asked(path, contentOf);
    const dry = await jsonHere<{ givenBack: number }>(['compact', copy, '--dry-run']);
    expect(dry.givenBack).toBeGreaterThan(900_000);
    expect(readFileSync(copy).equals(before)).toBe(true);
    expect(await jsonHere(['compact', copy])).toEqual({ ...dry, dryRun: false, checkpoint: null });
    expect(statSync(copy).size).toBeLessThan(before.length / 3);
    expect(asked(copy, contentOf)).toEqual(content);
  });
});

describe('damage', () => {
  test('of a chunk: exit 3, the file as it was', async () => {
    const path = copyOf(closed);
    const bytes = readFileSync(path);
    const { contents } = readContents(memoryDisk(bytes));
    bytes[(contents.chunks.get(0)?.place ?? 0) + 700] ^= 1;
    writeFileSync(path, bytes);
    for (const verb of ['ls', 'check', 'compact']) {
      const { status, stderr } = await cliHere([verb, path]);
      expect(status).toBe(3);
      expect(stderr).toMatch(/^regionstore: ERR_CORRUPT: .*chunk \d+ (is damaged|does not unpack)/);
    }
    expect(readFileSync(path).equals(bytes)).toBe(true);
  });

  test('of the region inside is a finding of check', async () => {
    const path = join(scratch, 'wrong.region');
    const region = createRegion(compressed(path), best);
    fillRegion(region, 10);
    const first = region.bytes(region.roots.get('first'));
    new Uint8Array(first.buffer)[HEADER.roots + ROOT.hash] ^= 1;
    region.sync();
    cpSync(path, `${path}.left`);
    region.close();
    const left = `${path}.left`;
    expect(await cliHere(['ls', left])).toMatchObject({ status: 3 });
    expect(await jsonHere(['check', left], 1)).toMatchObject({ findings: [
      { id: 'R6', region: basename(left), address: HEADER.roots }] });
  });

  test('of the first slot is read past; an unknown codec is another version', async () => {
    const path = copyOf(closed);
    const bytes = readFileSync(path);
    bytes.fill(0, COMPRESSED_SLOTS[0], COMPRESSED.bytes);
    writeFileSync(path, bytes);
    expect((await jsonHere<{ regions: unknown[] }>(['ls', path])).regions.length).toBe(1);
    expect(cli(['compact', path]).status).toBe(0);
    rewriteSlots(path, (slot) => slot.writeUInt32LE(CODEC.zstd + 1, COMPRESSED.codec));
    const { status, stderr } = await cliHere(['ls', path]);
    expect(status).toBe(3);
    expect(stderr).toContain('ERR_VERSION');
  });
});
