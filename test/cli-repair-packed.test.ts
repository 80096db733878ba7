/** Repairing a compressed region: what can be unpacked is there again, the rest is said. */
import { existsSync, readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { compressed } from '../src/disciplines/compressed.ts';
import { readContents } from '../src/disciplines/compressed-contents.ts';
import { BEST, CHUNK, COMPRESSED, COMPRESSED_CHUNK, COMPRESSED_SLOTS, METHOD_START }
  from '../src/layout.ts';
import { best } from '../src/methods/best.ts';
import { createRegion, openRegion } from '../src/region/region.ts';
import { cliHere } from './support/cli-here.ts';
import { memoryDisk } from './support/memory-disk.ts';
import { newSeed, often, type Random, randomFrom } from './support/oracle.ts';
import { temporaryDirectory } from './support/temp.ts';

interface Done {
  readonly sound: boolean;
  readonly to: string | null;
  readonly backup: string | null;
  readonly regions: readonly { state: string; changes: string[];
    losses: { address: number }[]; suspects: { address: number }[] }[];
}

const BLOCKS = 40;
const BLOCK = 30_000;

function contentOf(i: number): Buffer {
  const random: Random = randomFrom(i + 1);
  return Buffer.from(Uint8Array.from({ length: BLOCK }, () => random(256)));
}

const CONTENTS = Array.from({ length: BLOCKS }, (_, i) => contentOf(i));

/** Blocks that do not pack well, over some 18 chunks. */
function packedRegion(): string {
  const path = join(temporaryDirectory(), 'notes.region');
  using region = createRegion(compressed(path, { capacity: '4MiB' }), best);
  CONTENTS.forEach((content, i) => {
    const address = region.alloc(BLOCK);
    region.bytes(address).set(content);
    region.roots.set(`r${i}`, address);
  });
  return path;
}

function flip(path: string, ...places: number[]): void {
  const bytes = readFileSync(path);
  for (const at of places) bytes[at] ^= 0x55;
  writeFileSync(path, bytes);
}

function chunksOf(path: string) {
  return [...readContents(memoryDisk(readFileSync(path))).contents.chunks];
}

async function repaired(path: string, ...args: string[]): Promise<Done & { status: number }> {
  const { status, stdout } = await cliHere(['repair', path, ...args, '--json']);
  return { ...JSON.parse(stdout) as Done, status: status as number };
}

/**
 * Blocks whose content is what it was. The region is sound, and every other block that is there was
 * named by the repair.
 */
function wholeBlocks(path: string, { regions }: Done): number[] {
  using region = openRegion(compressed(path));
  expect(region.check()).toEqual([]);
  const named = new Set(regions.flatMap(({ suspects, losses }) => [...suspects, ...losses])
    .map(({ address }) => address));
  return CONTENTS.flatMap((content, i) => {
    const address = region.roots.get(`r${i}`);
    if (address === undefined) return [];
    if (content.equals(region.bytes(address).subarray(0, BLOCK))) return [i];
    expect(named, `block ${i}`).toContain(address);
    return [];
  });
}

describe('a compressed region', () => {
  test('is sound', async () => {
    const path = packedRegion();
    expect(await repaired(path, '--in-place'))
      .toMatchObject({ status: 0, sound: true, to: null, regions: [] });
    expect(readdirSync(join(path, '..'))).toEqual(['notes.region']);
  });

  test('whose program damaged it is mended, and packed as it was', async () => {
    const path = packedRegion();
    const memory = compressed(path);
    memory.open();
    memory.window(0).fill(0xee, METHOD_START + 4 * BEST.caches, METHOD_START + 4 * BEST.caches
      + 2048);
    memory.sync?.();
    memory.close();
    const damaged = readFileSync(path);
    const done = await repaired(path, '--in-place');
    expect(done).toMatchObject({ status: 0, to: path, regions: [{ state: 'mended' }] });
    expect(readFileSync(done.backup as string).equals(damaged)).toBe(true);
    expect(wholeBlocks(path, done)).toHaveLength(BLOCKS);
    expect(statSync(path).size).toBeLessThan(damaged.length * 1.1);
    expect(readdirSync(join(path, '..'))).toHaveLength(2);
  });

  test('with a damaged chunk: its blocks are in doubt, the others are there', async () => {
    const path = packedRegion();
    const [number, chunk] = chunksOf(path)[9];
    flip(path, chunk.place + 100);
    const print = readFileSync(path);
    const trial = await repaired(path);
    expect(trial).toMatchObject({ status: 1, sound: false, to: null });
    expect(readdirSync(join(path, '..'))).toEqual(['notes.region']);
    const to = `${path}.mended`;
    const done = await repaired(path, '--to', to);
    expect(done).toMatchObject({ status: 1, to, regions: trial.regions });
    const { state, changes, suspects, losses } = done.regions[0];
    expect(state).toBe('partly');
    expect(changes).toContain(`its chunk ${number} was damaged: ${CHUNK} bytes are zeros`);
    expect(suspects.length + losses.length).toBeGreaterThan(0);
    const whole = wholeBlocks(to, done);
    // A chunk holds parts of at most four of them.
    expect(whole.length).toBeGreaterThanOrEqual(BLOCKS - 4);
    expect(whole.length).toBeLessThan(BLOCKS);
    expect(readFileSync(path).equals(print)).toBe(true);
  });

  test('with a damaged table: what it still says, with digests to vouch for it', async () => {
    const path = packedRegion();
    const tableAt = readFileSync(path).readDoubleLE(COMPRESSED_SLOTS[0] + COMPRESSED.tableAt);
    // A digest, and a number that no chunk can have.
    flip(path, tableAt + 12 * COMPRESSED_CHUNK.bytes + COMPRESSED_CHUNK.digest,
      tableAt + 15 * COMPRESSED_CHUNK.bytes + COMPRESSED_CHUNK.chunk + 3);
    const to = `${path}.mended`;
    const done = await repaired(path, '--to', to);
    expect(done).toMatchObject({ status: 1, regions: [{ state: 'partly' }] });
    expect(done.regions[0].changes.join()).toMatch(/its table was damaged: 1 of \d+ chunks cannot/);
    expect(done.regions[0].changes.join()).toMatch(/its chunk \d+ was damaged/);
    const whole = wholeBlocks(to, done);
    expect(whole.length).toBeGreaterThanOrEqual(BLOCKS - 8);
    expect(whole.length).toBeLessThan(BLOCKS);
  });

  test.each([
    ['both slots', (path: string) => flip(path, ...COMPRESSED_SLOTS)],
    ['the chunk of its header', (path: string) => flip(path, chunksOf(path)[0][1].place + 9)],
  ])('is given up without %s', async (_what, damage) => {
    const path = packedRegion();
    damage(path);
    const print = readFileSync(path);
    const ran = await cliHere(['repair', path, '--in-place']);
    expect(ran).toMatchObject({ status: 3, stderr: expect.stringContaining('ERR_CORRUPT') });
    expect(readFileSync(path).equals(print)).toBe(true);
    expect(readdirSync(join(path, '..'))).toEqual(['notes.region']);
  });

  test('changed anywhere', { timeout: 600_000 }, async () => {
    const seed = newSeed();
    const random = randomFrom(seed);
    const path = packedRegion();
    const good = readFileSync(path);
    for (let round = 0; round < often(8, 500); round++) {
      const bad = Buffer.from(good);
      const places = Array.from({ length: 1 + random(5) }, () => random(bad.length));
      for (const at of places) bad[at] = random(256);
      const kept = random(4) === 0 ? random(bad.length) : bad.length;
      const damaged = join(temporaryDirectory(), 'a.region');
      writeFileSync(damaged, bad.subarray(0, kept));
      const ran = await cliHere(['repair', damaged, '--to', `${damaged}.mended`, '--json']);
      const where = `seed ${seed}, round ${round}: ${places} of ${kept}: ${ran.stderr}`;
      expect([0, 1, 3], where).toContain(ran.status);
      const isMade = existsSync(`${damaged}.mended`);
      if (ran.status === 1) expect(isMade, where).toBe(true);
      const whole = isMade ? wholeBlocks(`${damaged}.mended`, JSON.parse(ran.stdout)) : [];
      const chunkLosses = ran.stdout.match(/its chunk \d+ was damaged/g)?.length ?? 0;
      if (isMade && kept === bad.length && !ran.stdout.includes('its table')) {
        expect(whole.length, where).toBeGreaterThanOrEqual(BLOCKS - 4 * chunkLosses);
      }
    }
  });
});
