/** Raw blocks as text: export and import of a region that is no heap. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, describe, expect, test } from 'vitest';
import { methodNamed } from '../src/methods/registry.ts';
import { openStore } from '../src/store/store.ts';
import type { Region } from '../src/types.ts';
import { cliHere, jsonHere } from './support/cli-here.ts';
import { newSeed, Oracle, randomFrom, randomStep } from './support/oracle.ts';
import { temporaryDirectory } from './support/temp.ts';

interface Imported {
  readonly method: string;
  readonly blocks: number;
  readonly busyBytes: number;
  readonly roots: number;
  readonly moved: number;
  readonly checkpoint: number | null;
}

let dir = '';
let file = '';

beforeEach(() => {
  const folder = temporaryDirectory();
  dir = join(folder, 'store');
  file = join(folder, 'region.ndjson');
});

/** Every live block in address order: its bytes, its roots. */
function contentOf(region: Region) {
  const names = new Map([...region.roots].map(([name, address]) => [address, name]));
  return [...region.blocks()].filter(({ busy }) => busy).map(({ address, size }) =>
    ({ size, root: names.get(address), text: Buffer.from(region.bytes(address)).toString('hex') }));
}

/** Whatever the order of addresses. */
function sorted(blocks: ReturnType<typeof contentOf>): string[] {
  return blocks.map((block) => JSON.stringify(block)).sort();
}

function stored<T>(work: (region: Region) => T, name: string, method = 'best'): T {
  const store = openStore(dir);
  try {
    return work(store.region(name, { method: methodNamed(method) }));
  } finally {
    store.close();
  }
}

describe.each(['best', 'slab', 'pool', 'last', 'debug(best)'])('method %s', (method) => {
  test('a region that was exported and imported holds the same', async () => {
    const seed = newSeed();
    const random = randomFrom(seed);
    const before = stored((region) => {
      for (let i = 0; i < 40; i++) {
        const address = region.alloc(method === 'pool' ? 64 : random(900));
        const bytes = region.bytes(address);
        for (let k = 0; k < bytes.length; k++) bytes[k] = random(256);
        if (i % 5 === 0) region.roots.set(`root ${i}`, address);
      }
      region.roots.add('count', 3);
      return contentOf(region);
    }, 'a', method);
    const told = await jsonHere<{ blocks: number; busyBytes: number; lines: number }>(
      ['export', dir, 'a', '-o', file]);
    expect(told).toMatchObject({ blocks: 40, lines: 42 });
    const dry = await jsonHere<Imported>(['import', dir, 'b', file, '--dry-run']);
    expect(dry).toMatchObject({ method, blocks: 40, roots: 9, checkpoint: null });
    expect(openStoreHas('b')).toBe(false);
    const { checkpoint, ...found } = await jsonHere<Imported>(['import', dir, 'b', file]);
    expect(found).toMatchObject({ method, blocks: 40, busyBytes: told.busyBytes, roots: 9,
      moved: 0 });
    expect(checkpoint).toBeGreaterThan(0);
    stored((region) => {
      expect(contentOf(region), `seed ${seed}`).toEqual(before);
      expect(region.roots.get('count')).toBe(3);
      expect(region.check()).toEqual([]);
    }, 'b', method);
  });
});

function openStoreHas(name: string): boolean {
  const store = openStore(dir, { readOnly: true });
  const has = store.has(name);
  store.close();
  return has;
}

test('blocks that come to lie elsewhere keep contents and roots, and are counted', async () => {
  const seed = newSeed();
  const before = stored((region) => {
    const oracle = new Oracle(region, 'any');
    const random = randomFrom(seed);
    for (let i = 0; i < 3000; i++) randomStep(oracle, random, 3000);
    return contentOf(region);
  }, 'a');
  await jsonHere(['export', dir, 'a', '-o', file]);
  const { moved, blocks } = await jsonHere<Imported>(['import', dir, 'b', file]);
  expect(blocks).toBe(before.length);
  expect(moved).toBeGreaterThan(0);
  expect(sorted(stored(contentOf, 'b')), `seed ${seed}`).toEqual(sorted(before));
  const { stdout } = await cliHere(['import', dir, 'c', file]);
  expect(stdout).toMatch(/^imported \d+ blocks .*checkpoint \d+\n\d+ blocks came to lie elsewhere/);
});

test('a large block in pieces; as an array; an empty region', async () => {
  const before = stored((region) => {
    const address = region.alloc(2_500_000);
    const bytes = region.bytes(address);
    for (let i = 0; i < bytes.length; i++) bytes[i] = i * 31 + (i >> 8);
    region.alloc(0);
    return contentOf(region);
  }, 'a');
  const { stdout } = await cliHere(['export', dir, 'a', '--json']);
  expect((JSON.parse(stdout) as object[]).map((line) => Object.keys(line)[0]))
    .toEqual(['$format', 'at', 'at', 'more', 'more', 'more', '$roots']);
  writeFileSync(file, stdout);
  expect(await jsonHere(['import', dir, 'b', file])).toMatchObject({ blocks: 2 });
  expect(sorted(stored(contentOf, 'b'))).toEqual(sorted(before));
  stored(() => {}, 'empty');
  writeFileSync(file, (await cliHere(['export', dir, 'empty'])).stdout);
  expect(await jsonHere(['import', dir, 'again', file])).toMatchObject({ blocks: 0, roots: 0 });
});

describe('what is no export of blocks', () => {
  const HEAD = '{"$format":"regionstore blocks","version":1,"method":"best"}';
  const BLOCK = '{"at":16,"size":3,"bytes":"AAEC"}';
  const END = '{"$roots":[],"blocks":1}';

  test.each<[string, string[], string]>([
    ['cut off', [HEAD, BLOCK], 'line 2 of the export: it was cut off'],
    ['cut off in a block', [HEAD, '{"at":16,"size":9,"bytes":"AAEC"}', END],
      'line 3 of the export: the block at 16 has 3 of 9 bytes'],
    ['too many bytes', [HEAD, '{"at":16,"size":2,"bytes":"AAEC"}', END],
      'line 2 of the export: more'],
    ['no Base64', [HEAD, '{"at":16,"size":3,"bytes":"A*EC"}', END], 'no Base64'],
    ['a size that cannot be', [HEAD, '{"at":16,"size":-1,"bytes":""}', END], 'no size'],
    ['an address twice', [HEAD, BLOCK, BLOCK, END], 'line 3 of the export: no address'],
    ['more of another', [HEAD, BLOCK, '{"more":32,"bytes":""}', END], 'more of a block'],
    ['no such count', [HEAD, BLOCK, '{"$roots":[],"blocks":2}'], 'it has not the 2 blocks'],
    ['a root without a value', [HEAD, BLOCK, '{"$roots":[["a"]],"blocks":1}'], 'no name and value'],
    ['lines behind the end', [HEAD, BLOCK, END, BLOCK], 'line 4 of the export: something follows'],
    ['no JSON', [HEAD, BLOCK, 'nonsense', END], 'line 3 of the export is no JSON'],
    ['no object', [HEAD, '[1]', END], 'it is no object'],
    ['a later version', [HEAD.replace('1,', '2,'), BLOCK, END], 'ERR_VERSION: the export has'],
    ['an unknown method', [HEAD.replace('best', 'bets'), BLOCK, END], "no method 'bets'"],
    ['no method', ['{"$format":"regionstore blocks","version":1}', END], 'it names no method'],
    ['a block larger than any', [HEAD, '{"at":16,"size":99999999999,"bytes":""}', END],
      'ERR_BAD_SIZE'],
  ])('%s: an error that says where, and nothing is changed', async (_, lines, message) => {
    openStore(dir).close();
    writeFileSync(file, `${lines.join('\n')}\n`);
    for (const more of [['--dry-run'], []]) {
      const { status, stdout, stderr } = await cliHere(['import', dir, 'b', file, ...more]);
      expect([status, stdout, stderr]).toEqual([3, '', expect.stringContaining(message)]);
    }
    const store = openStore(dir);
    expect([store.regions(), store.check()]).toEqual([[], []]);
    store.close();
  });

  test('a name that is there', async () => {
    stored((region) => region.alloc(10), 'a');
    await cliHere(['export', dir, 'a', '-o', file]);
    expect(await cliHere(['import', dir, 'a', file])).toMatchObject({ status: 3,
      stderr: expect.stringContaining("ERR_EXISTS: there is 'a' in") });
    expect(readFileSync(file, 'utf8')).toContain('"at":');
    expect(await cliHere(['import', dir, 'b', file, '--replace'])).toMatchObject({ status: 2,
      stderr: expect.stringContaining('leave out --replace') });
  });
});
