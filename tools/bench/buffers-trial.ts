/**
 * One trial of the buffer benchmark, a process of its own:
 *
 *   node buffers-trial.js PEER MIB PAGES SAMPLES DIR → { times, waits, totals }
 *
 * A buffer of so many MiB, of which n pages anywhere change before each commit. For the first two
 * peers there is another one, of which a thousand pages change as well.
 * `times` = milliseconds the calling thread is held; `totals` = until it is durable; `waits` = the
 * longest the event loop waited meanwhile.
 */
import { closeSync, fsyncSync, openSync, readFileSync, renameSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { setImmediate } from 'node:timers/promises';
import { openStore } from 'regionstore';
import { syncDirectory } from '../../src/files.ts';
import { type Random, random } from '../torture/random.ts';

const PAGE = 4096;
const BESIDE_PAGES = 1000;
const WARM = 8;

interface Times {
  readonly held: number;
  readonly wait: number;
  readonly total: number;
}

interface Peer {
  readonly bytes: Uint8Array;
  /** What else changes before a commit. */
  disturb(): void;
  /** A promise where it is durable only later. */
  commit(): undefined | Promise<unknown>;
  close(): void;
  /** What is there after everything was closed. */
  read(): Uint8Array;
}

type How = 'commit' | 'checkpoint' | 'async';

function stored(dir: string, size: number, how: How, isAlone: boolean): Peer {
  const store = openStore(dir);
  const frame = store.buffer('frame', { size });
  const beside = isAlone ? null : store.buffer('beside', { size: BESIDE_PAGES * PAGE });
  let turn = 0;
  return {
    bytes: frame.bytes,
    disturb: () => {
      turn += 1;
      for (let page = 0; page < BESIDE_PAGES && beside !== null; page += 1) {
        beside.bytes[page * PAGE] = turn;
      }
    },
    commit: () => {
      if (how === 'async') return store.checkpointAsync();
      if (how === 'commit') frame.commit();
      else store.checkpoint();
      return undefined;
    },
    close: () => store.close(),
    read: () => {
      using again = openStore(dir);
      return again.buffer('frame').bytes.slice();
    },
  };
}

/** The whole of it, under another name first: what a program does that has nothing else. */
function rewritten(dir: string, size: number): Peer {
  const bytes = new Uint8Array(size);
  const path = join(dir, 'frame');
  return {
    bytes,
    disturb: () => {},
    commit: () => {
      const fd = openSync(`${path}.new`, 'w');
      for (let at = 0; at < size; ) at += writeSync(fd, bytes, at, size - at, at);
      fsyncSync(fd);
      closeSync(fd);
      renameSync(`${path}.new`, path);
      syncDirectory(dir);
      return undefined;
    },
    close: () => {},
    read: () => readFileSync(path),
  };
}

const PEERS: Readonly<Record<string, (dir: string, size: number) => Peer>> = {
  'buffer.commit': (dir, size) => stored(dir, size, 'commit', false),
  'store.checkpoint': (dir, size) => stored(dir, size, 'checkpoint', false),
  'store.checkpoint, nothing else': (dir, size) => stored(dir, size, 'checkpoint', true),
  'store.checkpointAsync': (dir, size) => stored(dir, size, 'async', true),
  'write, fsync, rename': rewritten,
};

function touch(bytes: Uint8Array, pages: number, chance: Random, value: number): void {
  const all = bytes.length / PAGE;
  for (let i = 0; i < pages; i += 1) {
    const page = pages === all ? i : chance.int(all);
    bytes.fill(value, page * PAGE, page * PAGE + 64);
  }
}

async function timed(commit: Peer['commit']): Promise<Times> {
  const started = performance.now();
  const done = commit();
  const held = performance.now() - started;
  if (done === undefined) return { held, wait: held, total: held };
  let isDone = false;
  void done.then(() => {
    isDone = true;
  });
  let wait = held;
  for (let last = performance.now(); !isDone; ) {
    await setImmediate();
    const now = performance.now();
    wait = Math.max(wait, now - last);
    last = now;
  }
  return { held, wait, total: performance.now() - started };
}

async function main(): Promise<void> {
  const [name = '', mib = '', pages = '', samples = '', dir = ''] = process.argv.slice(2);
  const make = PEERS[name];
  if (make === undefined) throw new Error(`no peer '${name}'`);
  const peer = make(dir, Number(mib) * 2 ** 20);
  const chance = random(Number(pages));
  const times: Times[] = [];
  for (let i = 0; i < WARM + Number(samples); i += 1) {
    touch(peer.bytes, Number(pages), chance, i + 1);
    peer.disturb();
    times.push(await timed(() => peer.commit()));
  }
  const wanted = Buffer.from(peer.bytes);
  peer.close();
  if (!wanted.equals(peer.read())) throw new Error('something else is there');
  const measured = times.slice(WARM);
  const result = { times: measured.map(({ held }) => held), waits: measured.map((t) => t.wait),
    totals: measured.map(({ total }) => total) };
  process.stdout.write(`${JSON.stringify(result)}\n`);
}

await main();
