/**
 * A process that appends without a pause is killed, again and again; another one follows it
 * meanwhile. Every record it said it had, and that still fits, is there; none is returned in part.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, test } from 'vitest';
import { openRing, type Ring } from '../src/buffers/ring.ts';
import { readRingHeader } from '../src/buffers/ring-file.ts';
import { loadShim } from '../src/native/load.ts';
import { MAPPERS, open, temporaryFolder } from './support/stores.ts';

const CHILD = fileURLToPath(new URL('../dist/test/support/ring-child.js', import.meta.url));

function expectWhole(seq: number, bytes: Uint8Array): void {
  const text = Buffer.from(bytes).toString();
  if (text !== `${seq} ${'x'.repeat((seq * 37) % 700)}`) expect.fail(`record ${seq}: ${text}`);
}

/** Looks on from outside until it is aborted; returns how many records it saw. */
async function look(ring: Ring, signal: AbortSignal): Promise<number> {
  let before = 0;
  let count = 0;
  for await (const { seq, bytes } of ring.follow({ signal, from: 1 })) {
    expect(seq).toBeGreaterThan(before);
    expectWhole(seq, bytes);
    before = seq;
    count += 1;
  }
  return count;
}

function openedFrom(dir: string, mapper: 'shim' | 'file'): Ring {
  const folder = join(dir, 'regions');
  const path = join(folder, readdirSync(folder).find((name) => name.endsWith('.ring')) as string);
  return openRing(path, readRingHeader(path).storeId, { name: () => 'r', readOnly: true, boot: '',
    now: () => 0, shim: mapper === 'shim' ? loadShim() : null });
}

test.each(MAPPERS)('mapper %s', { timeout: 30_000 }, async (mapper) => {
  expect(existsSync(CHILD), 'run npm run build').toBe(true);
  const dir = temporaryFolder();
  for (const rounds of [3, 40]) {
    const child = spawn(process.execPath, [CHILD, dir, mapper], { stdio: ['ignore', 'pipe', 2] });
    let said = 0;
    let heard = 0;
    const stop = new AbortController();
    let looking: Promise<number> | null = null;
    if (child.stdout === null) throw new Error('no pipe');
    for await (const text of child.stdout) {
      said = Number(String(text).trim().split('\n').at(-1));
      looking ??= look(openedFrom(dir, mapper), stop.signal);
      if (++heard >= rounds) child.kill('SIGKILL');
    }
    if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
    expect(child.signalCode).toBe('SIGKILL');
    stop.abort();
    expect(await looking).toBeGreaterThan(0);
    const store = open(dir, { mapper });
    const ring = store.ring('r');
    expect(ring.recovery).toMatchObject({ crash: 'process', damaged: 0 });
    const found = [...ring];
    for (const { seq, bytes } of found) expectWhole(seq, bytes);
    expect(ring.last).toBeGreaterThanOrEqual(said);
    expect(found.map(({ seq }) => seq)).toEqual(
      Array.from({ length: found.length }, (_, i) => ring.last - found.length + 1 + i));
    // Half of the circle at least is always there to be read.
    expect(found.reduce((n, { bytes }) => n + bytes.length + 47, 0)).toBeGreaterThan(32 * 1024);
    expect(store.check()).toEqual([]);
    store.close();
  }
});
