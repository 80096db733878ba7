/**
 * Compressed region files when something stops them: a crash behind every single write of a commit
 * with unsynced sectors lost, a disk that fills up, a sync that fails, SIGKILL.
 */
import { spawn, spawnSync } from 'node:child_process';
import { copyFileSync, existsSync, mkdirSync, mkdtempSync, rmSync, statfsSync, statSync,
  writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, describe, expect, test } from 'vitest';
import { compressed } from '../src/disciplines/compressed.ts';
import { codecNamed } from '../src/disciplines/compressed-codec.ts';
import { readContents } from '../src/disciplines/compressed-contents.ts';
import { CompressedFile, digestOf, NOTHING, readChunk }
  from '../src/disciplines/compressed-file.ts';
import { CHUNK, ID_BYTES } from '../src/layout.ts';
import { best } from '../src/methods/best.ts';
import { createRegion, openRegion } from '../src/region/region.ts';
import { expectCode } from './support/expect-code.ts';
import { crashed, type MemoryDisk, memoryDisk } from './support/memory-disk.ts';
import { newSeed, often, randomFrom, type Random } from './support/oracle.ts';
import { codeOf } from './support/stores.ts';
import { temporaryDirectory } from './support/temp.ts';

const codec = codecNamed('deflate', 'test');
const SUMMARY = { codec: codec.id, capacity: 2 ** 30, regionId: Buffer.alloc(ID_BYTES, 1),
  segmentPages: [16 * 40] };

/** What a file holds: chunk number → the byte the chunk is filled with, and how well it packs. */
type Model = Map<number, Buffer>;

function randomChunk(random: Random): Buffer {
  const chunk = Buffer.alloc(CHUNK);
  const values = 1 + random(256);
  for (let i = 0; i < CHUNK; i += 1 + random(9)) chunk[i] = random(values);
  chunk[0] = 1;
  return chunk;
}

/** Changes some chunks, as a sync does. */
function change(file: CompressedFile, model: Model, random: Random): Model {
  const next = new Map(model);
  const draft = file.draft();
  if (random(4) === 0) {
    for (const number of [...next.keys()].filter(() => random(5) > 0)) {
      draft.drop(number);
      next.delete(number);
    }
  }
  for (let i = 1 + random(9); i > 0; i--) {
    const number = random(40);
    if (random(4) === 0) {
      draft.drop(number);
      next.delete(number);
    } else {
      const chunk = randomChunk(random);
      draft.put(number, codec.pack(chunk, 1), digestOf(chunk));
      next.set(number, chunk);
    }
  }
  file.commit(draft, SUMMARY);
  return next;
}

function modelOf(disk: MemoryDisk): Model {
  const { contents } = readContents(disk);
  return new Map([...contents.chunks].sort(([a], [b]) => a - b).map(([number, chunk]) =>
    [number, Buffer.from(readChunk(disk, number, chunk, codec))]));
}

function isSame(a: Model, b: Model): boolean {
  return a.size === b.size && [...a].every(([number, chunk]) => b.get(number)?.equals(chunk));
}

/** A file with some history behind it. */
function begun(random: Random, rounds: number) {
  const disk = memoryDisk();
  const file = new CompressedFile(disk, NOTHING, true);
  let model: Model = new Map();
  for (let i = 0; i < rounds; i++) model = change(file, model, random);
  return { disk, file, model };
}

describe('a crash', () => {
  test('behind every step of a commit leaves the state before or after, whole', () => {
    const seed = newSeed();
    const random = randomFrom(seed);
    let gathered = 0;
    for (let round = 0; round < often(4, 12); round++) {
      const { disk, file, model } = begun(random, 1 + random(8));
      const initial = disk.image();
      disk.log.length = 0;
      let states = [model];
      for (let i = 0; i < 3; i++) {
        const from = disk.log.length;
        const next = change(file, states[states.length - 1], random);
        gathered += Number(disk.log.slice(from).filter(({ what }) => what === 'sync').length > 2);
        states = [...states, next];
        for (let count = from; count <= disk.log.length; count++) {
          for (let tries = 0; tries < 2; tries++) {
            const left = memoryDisk(crashed(initial, disk.log, count, random));
            const found = modelOf(left);
            const where = `seed ${seed}, round ${round}, commit ${i}, step ${count}`;
            const isEither = isSame(found, states[i]) || isSame(found, states[i + 1]);
            expect(isEither, where).toBe(true);
            if (count === disk.log.length) expect(isSame(found, states[i + 1]), where).toBe(true);
          }
        }
      }
    }
    expect(gathered).toBeGreaterThan(0);
  });

  test('and another one in what goes on from there', () => {
    const seed = newSeed() + 1;
    const random = randomFrom(seed);
    const { disk, model } = begun(random, 3);
    let image = disk.image();
    let before = model;
    for (let round = 0; round < 60; round++) {
      const again = memoryDisk(image);
      const { contents, isMirrored } = readContents(again);
      const after = change(new CompressedFile(again, contents, isMirrored), before, random);
      const left = memoryDisk(crashed(image, again.log, random(again.log.length + 1), random));
      const found = modelOf(left);
      const isEither = isSame(found, before) || isSame(found, after);
      expect(isEither, `seed ${seed}, round ${round}`).toBe(true);
      before = found;
      image = left.image();
    }
  });

  test('the second slot is put right before anything else is overwritten', () => {
    const random = randomFrom(3);
    const { disk, model } = begun(random, 2);
    const image = disk.image();
    image.fill(0, 4096, 4608);
    const damaged = memoryDisk(image);
    const { contents, isMirrored } = readContents(damaged);
    expect(isMirrored).toBe(false);
    change(new CompressedFile(damaged, contents, isMirrored), model, random);
    const first = damaged.log.findIndex(({ what }) => what === 'sync');
    const mirror = damaged.log.findIndex((step) => step.what === 'write' && step.at === 4096);
    expect(mirror).toBeGreaterThanOrEqual(0);
    expect(mirror).toBeLessThan(first);
  });
});

describe('a disk', () => {
  test('that fills up at any byte leaves the old state, and the next commit works', () => {
    const seed = newSeed() + 2;
    const random = randomFrom(seed);
    for (let round = 0; round < 40; round++) {
      const { disk, file, model } = begun(random, 2);
      disk.room = random(120_000);
      let now = model;
      const code = codeOf(() => {
        now = change(file, model, random);
      });
      expect(code).toMatch(/^(none|ENOSPC)$/);
      expect(isSame(modelOf(memoryDisk(disk.image())), now), `seed ${seed} ${round}`).toBe(true);
      disk.room = Number.POSITIVE_INFINITY;
      const next = change(file, now, random);
      expect(isSame(modelOf(memoryDisk(disk.image())), next)).toBe(true);
    }
  });

  test('whose sync fails stops the file until it is opened again', () => {
    for (const failing of [1, 2]) {
      const random = randomFrom(failing);
      const { disk, file, model } = begun(random, 2);
      const { sync } = disk;
      let count = 0;
      disk.sync = () => {
        count += 1;
        if (count === failing) throw new Error('EIO');
        sync();
      };
      expectCode('ERR_IO', () => change(file, model, random));
      const image = disk.image();
      expectCode('ERR_IO', () => change(file, model, random));
      file.trim();
      expect(disk.image().equals(image)).toBe(true);
      const found = modelOf(memoryDisk(image));
      expect(isSame(found, model)).toBe(failing === 1);
    }
  });
});

const mounted = join(mkdtempSync(join(tmpdir(), 'regionstore-packed-')), 'disk');
mkdirSync(mounted);
const mount = spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=4m', 'regionstore', mounted]);
const isMounted = mount.status === 0;
if (!isMounted) {
  const reason = mount.error?.message ?? mount.stderr.toString().trim();
  process.stderr.write(`full-disk test left out: cannot mount a small file system (${reason})\n`);
}
afterAll(() => {
  if (isMounted) spawnSync('umount', ['--lazy', mounted]);
  rmSync(join(mounted, '..'), { recursive: true, force: true });
});

describe.runIf(isMounted)('a disk that is really full', () => {
  const filler = join(mounted, 'filler');
  const fill = (left: number) => {
    const { bavail, bsize } = statfsSync(mounted);
    writeFileSync(filler, new Uint8Array(Math.max(0, bavail * bsize - left)));
  };

  test('refuses syncs and creation cleanly, loses nothing, and works again later', () => {
    const path = join(mounted, 'a.region');
    const region = createRegion(compressed(path), best);
    const bytes = region.bytes(region.alloc(1_500_000));
    region.roots.set('state', 1);
    region.sync();
    const { size } = statSync(path);
    fill(100_000);
    noise(bytes);
    region.roots.set('state', 2);
    const error = expectCode('ERR_NO_SPACE', () => region.sync());
    expect(error.message).toContain('nothing is lost');
    expect(statSync(path).size).toBe(size);
    expectCode('ERR_NO_SPACE', () => {
      const other = createRegion(compressed(join(mounted, 'b.region')), best);
      noise(other.bytes(other.alloc(500_000)));
      try {
        other.sync();
      } finally {
        codeOf(() => other.close());
      }
    });
    rmSync(filler);
    using old = openRegion(compressed(copyElsewhere(path)));
    expect(old.roots.get('state')).toBe(1);
    region.sync();
    region.close();
    using again = openRegion(compressed(path));
    expect(again.roots.get('state')).toBe(2);
    expect(again.check()).toEqual([]);
  });
});

function noise(bytes: Uint8Array): void {
  const random = randomFrom(1);
  for (let i = 0; i < bytes.length; i++) bytes[i] = random(256);
}

function copyElsewhere(path: string): string {
  const copy = join(temporaryDirectory(), 'copy.region');
  copyFileSync(path, copy);
  return copy;
}

const child = fileURLToPath(new URL('../dist/test/support/compressed-child.js', import.meta.url));

test('a process that is killed again and again leaves what it had synced', async () => {
  const path = join(temporaryDirectory(), 'a.region');
  for (let round = 0; round < often(5, 16); round++) {
    const reported = await killAfter(path, 2 + (round % 4), round * 3);
    const region = openRegion(compressed(path));
    expect(region.check()).toEqual([]);
    const count = region.roots.get('count') as number;
    expect(count === reported || count === reported + 1).toBe(true);
    const block = region.bytes(region.roots.get('block'));
    expect(new Set(block)).toEqual(new Set([count % 251]));
    region.close();
    expect(existsSync(`${path}.lock`)).toBe(false);
  }
});

/** Kills the writer some milliseconds after some reports; the last count it reported. */
function killAfter(path: string, reports: number, ms: number): Promise<number> {
  return new Promise((resolve, reject) => {
    const writer = spawn(process.execPath, [child, path], { stdio: ['ignore', 'pipe', 'inherit'] });
    let text = '';
    let isDoomed = false;
    writer.stdout.on('data', (data: Buffer) => {
      text += data.toString();
      if (isDoomed || text.split('\n').length <= reports) return;
      isDoomed = true;
      setTimeout(() => writer.kill('SIGKILL'), ms);
    });
    writer.on('error', reject);
    writer.on('close', (code, signal) => {
      if (signal !== 'SIGKILL') reject(new Error(`the writer ended with ${code}`));
      else resolve(Number(text.split('\n').at(-2)));
    });
  });
}
