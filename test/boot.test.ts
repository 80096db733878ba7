/** Who was not closed says whether its process died or the machine went down. */
import { copyFileSync, cpSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { file } from '../src/disciplines/file.ts';
import { mmap } from '../src/disciplines/mmap.ts';
import { STATE } from '../src/layout.ts';
import { best } from '../src/methods/best.ts';
import { loadShim } from '../src/native/load.ts';
import { decodeState, encodeState } from '../src/region/header.ts';
import { createRegion, openRegion } from '../src/region/region.ts';
import { MAPPERS, open, temporaryFolder } from './support/stores.ts';

const OTHER = 'ab'.repeat(16);

test.each(MAPPERS)('a store, %s', (mapper) => {
  const store = open(temporaryFolder(), { mapper });
  store.buffer('b', { size: 100 }).commit();
  // What a process leaves that dies here.
  const copy = (change: (text: string) => string): string => {
    const dir = join(temporaryFolder(), 'left');
    cpSync(store.dir, dir, { recursive: true });
    const lock = join(dir, 'store.lock');
    writeFileSync(lock, change(readFileSync(lock, 'latin1')), 'latin1');
    return dir;
  };
  const crashOf = (dir: string) => {
    const left = open(dir, { mapper });
    const { recovery } = left;
    left.close();
    return recovery?.crash;
  };
  const dir = copy((text) => text);
  expect(crashOf(dir)).toBe('process');
  expect(crashOf(dir)).toBe(undefined);
  expect(crashOf(copy((text) => text.replace(/"boot":"[0-9a-f]*"/, `"boot":"${OTHER}"`))))
    .toBe('machine');
  expect(crashOf(copy((text) => text.replace(/"boot":"[0-9a-f]*"/, '"boot":""'))))
    .toBe('unknown');
  store.abandon();
  const again = open(store.dir, { mapper });
  expect(again.recovery?.crash ?? null).toBeNull();
});

describe.each([...(loadShim() === null ? [] : ['mmap']), 'file'])('a direct region, %s', (name) => {
  const discipline = name === 'mmap' ? mmap : file;

  test('closed, or left by a process, or by a machine', () => {
    const path = join(temporaryFolder(), 'a.region');
    const region = createRegion(discipline(path, { capacity: '1MiB' }), best);
    region.roots.set('x', region.alloc(1000));
    region.sync();
    const left = (change: (boot: string) => string): string => {
      const copy = join(temporaryFolder(), 'b.region');
      copyFileSync(path, copy);
      const bytes = readFileSync(copy);
      const state = decodeState(bytes.subarray(STATE.at, STATE.at + STATE.bytes));
      if (state === null) throw new Error('no state');
      bytes.set(encodeState({ ...state, bootId: change(state.bootId) }), STATE.at);
      writeFileSync(copy, bytes);
      return copy;
    };
    expect(region.recovery).toBeNull();
    for (const [crash, change] of [['process', (boot: string) => boot], ['machine', () => OTHER],
      ['unknown', () => '']] as const) {
      const copy = left(change);
      const opened = openRegion(discipline(copy));
      const { busyBlocks, busyBytes } = opened.stat();
      expect(opened.recovery).toEqual({ crash, busyBlocks, busyBytes });
      opened.close();
      const again = openRegion(discipline(copy));
      expect(again.recovery).toBeNull();
      again.close();
    }
    region.close();
  });
});
