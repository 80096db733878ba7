/** Regions nested in a region of a store, which goes back in time, and in one that is killed. */
import { spawn } from 'node:child_process';
import { copyFileSync, cpSync, existsSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { describe, expect, test } from 'vitest';
import { mmap } from '../src/disciplines/mmap.ts';
import { nested } from '../src/disciplines/nested.ts';
import { best } from '../src/methods/best.ts';
import { shimProblem } from '../src/native/load.ts';
import { createRegion, openRegion } from '../src/region/region.ts';
import { regionOf } from '../src/region/windows.ts';
import { expectCode } from './support/expect-code.ts';
import { isClean } from './support/nested-state.ts';
import { Oracle, often } from './support/oracle.ts';
import { MAPPERS, open, temporaryFolder } from './support/stores.ts';
import { temporaryDirectory } from './support/temp.ts';

describe.each(MAPPERS)('in a region of a store, %s', (mapper) => {
  test('a rollback revives it, or makes it stale where it was not there', () => {
    const store = open(temporaryFolder(), { mapper });
    const outer = store.region('app', { capacity: '16MiB' });
    outer.bytes(outer.alloc(1000)).fill(1);
    store.checkpoint();
    const early = createRegion(nested(outer), best);
    const view = early.bytes(early.alloc(500));
    store.rollback();
    expectCode('ERR_STALE', () => early.alloc(1));
    expectCode('ERR_STALE', () => early.roots.get('a'));
    early.close();
    expect(regionOf(view) === early).toBe(false);
    expectCode('ERR_NOT_FOUND', () => openRegion(nested(outer)));
    expect(outer.check()).toEqual([]);

    const oracle = new Oracle(createRegion(nested(outer), best), 'any');
    for (let i = 0; i < 50; i++) oracle.alloc(i * 50);
    const kept = oracle.region.alloc(100);
    oracle.region.bytes(kept).fill(7);
    oracle.region.roots.set('kept', kept);
    store.checkpoint();
    oracle.region.bytes(kept).fill(8);
    oracle.region.alloc(2_000_000);
    oracle.region.roots.delete('kept');
    store.rollback();
    const { region } = oracle;
    expect(region.roots.get('kept')).toBe(kept);
    expect(new Set(region.bytes(kept))).toEqual(new Set([7]));
    region.free(kept);
    region.roots.delete('kept');
    oracle.verify();
    expect(region.alloc(1_000_000)).toBeGreaterThan(0);
    expect([...region.check(), ...outer.check()]).toEqual([]);
    store.close();
    expectCode('ERR_CLOSED', () => region.alloc(1));
  });

  test('another region under the same root is not taken for it', () => {
    const store = open(temporaryFolder(), { mapper });
    const outer = store.region('app', { capacity: '16MiB' });
    const first = createRegion(nested(outer), best);
    first.roots.set('n', 1);
    first.close();
    store.checkpoint();
    outer.free(outer.roots.get('nested'));
    outer.roots.delete('nested');
    const second = createRegion(nested(outer), best);
    second.roots.set('n', 2);
    store.rollback();
    expectCode('ERR_STALE', () => second.roots.get('n'));
    second.close();
    const again = openRegion(nested(outer));
    expect(again.roots.get('n')).toBe(1);
    expect(again.check()).toEqual([]);
    store.close();
  });

  test('the root that named it is the one it was opened by, then as now', () => {
    const store = open(temporaryFolder(), { mapper });
    const outer = store.region('app', { capacity: '16MiB' });
    createRegion(nested(outer, { root: 'old' }), best).close();
    store.checkpoint();
    outer.roots.set('new', outer.roots.get('old'));
    outer.roots.delete('old');
    const inner = openRegion(nested(outer, { root: 'new' }));
    store.rollback();
    expectCode('ERR_STALE', () => inner.alloc(1));
    openRegion(nested(outer, { root: 'old' })).close();
    store.close();
  });

  test('two levels go back together, and the deeper one is stale when it was younger', () => {
    const store = open(temporaryFolder(), { mapper });
    const outer = store.region('app', { capacity: '16MiB' });
    const middle = createRegion(nested(outer, { size: '1MiB' }), best);
    const inner = createRegion(nested(middle), best);
    inner.roots.set('n', 1);
    store.checkpoint();
    inner.roots.set('n', 2);
    const younger = createRegion(nested(middle, { root: 'younger' }), best);
    store.rollback();
    expect(inner.roots.get('n')).toBe(1);
    expectCode('ERR_STALE', () => younger.roots.get('n'));
    expect([...inner.check(), ...middle.check(), ...outer.check()]).toEqual([]);
    store.drop('app');
    expectCode('ERR_STALE', () => inner.roots.get('n'));
    store.close();
  });

  test('closing the store closes it in order; sync is a checkpoint', () => {
    const dir = temporaryFolder();
    const store = open(dir, { mapper });
    const inner = createRegion(nested(store.region('app', { capacity: '16MiB' })), best);
    inner.roots.set('n', 1);
    inner.sync();
    expect(store.checkpoints().length).toBe(1);
    inner.roots.set('n', 2);
    store.close();
    const again = open(dir, { mapper });
    expect(isClean(again.region('app'))).toBe(true);
    using back = openRegion(nested(again.region('app')));
    expect(back.roots.get('n')).toBe(2);
    const reader = open(copyOf(dir), { mapper, readOnly: true });
    using shown = openRegion(nested(reader.region('app')));
    expect(shown.roots.get('n')).toBe(2);
    back.close();
    again.close();
  });
});

function copyOf(dir: string): string {
  const copy = join(temporaryFolder(), 'copy');
  cpSync(dir, copy, { recursive: true });
  return copy;
}

const child = fileURLToPath(new URL('../dist/test/support/nested-child.js', import.meta.url));

describe.runIf(shimProblem() === null)('a process that is killed', () => {
  test('leaves both regions sound, with all it had reported', async () => {
    const path = join(temporaryDirectory(), 'a.region');
    for (let round = 0; round < often(3, 12); round++) {
      const reported = await killAfterReports(path, 3 + round);
      const copy = `${path}.copy`;
      copyFileSync(path, copy);
      using outer = openRegion(mmap(copy));
      using inner = openRegion(nested(outer));
      expect([...inner.check(), ...outer.check()]).toEqual([]);
      const count = inner.roots.get('count') as number;
      expect(count).toBeGreaterThanOrEqual(reported);
      for (const [name, address] of inner.roots) {
        if (!name.startsWith('block ')) continue;
        const [i, mark] = inner.array(Uint32Array, address, 2);
        expect(mark).toBe(i ^ 0x5a5a);
      }
    }
    expect(existsSync(path)).toBe(true);
  });
});

/** Kills the writer after some reports; the last count it reported. */
function killAfterReports(path: string, reports: number): Promise<number> {
  return new Promise((resolve, reject) => {
    const writer = spawn(process.execPath, [child, path], { stdio: ['ignore', 'pipe', 'inherit'] });
    let text = '';
    writer.stdout.on('data', (data: Buffer) => {
      text += data.toString();
      if (text.split('\n').length > reports) writer.kill('SIGKILL');
    });
    writer.on('error', reject);
    writer.on('close', (code, signal) => {
      if (signal !== 'SIGKILL') reject(new Error(`the writer ended with ${code}`));
      else resolve(Number(text.split('\n').at(-2)));
    });
  });
}
