/**
 * A process that appends to a ring without a pause is killed, again and again, while another one
 * follows it. Every record it said it had, and that still fits, is there; none is seen in part.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { openRing, type Ring } from '../../src/buffers/ring.ts';
import { readRingHeader } from '../../src/buffers/ring-file.ts';
import { loadShim } from '../../src/native/load.ts';
import { openStore } from '../../src/store/store.ts';
import { split } from './random.ts';
import { RING_NAME, ringBytes, ringText } from './rings.ts';

export interface RingKillOptions {
  readonly seed: number;
  readonly mapper: 'shim' | 'file';
  /** Folder of the store. */
  readonly folder: string;
  readonly kills: number;
  readonly until: number;
}

export interface RingKillResult {
  cases: number;
  losses: string[];
  /** Records that were appended. */
  records: number;
}

const CHILD = join(import.meta.dirname, 'ring-child.js');
/** What is always there to be read: half of the circle. */
const LEAST_BYTES = 32 * 1024;

function refuseTorn(seq: number, bytes: Uint8Array): void {
  const text = Buffer.from(bytes).toString();
  if (text !== ringText(seq)) throw new Error(`record ${seq} is '${text.slice(0, 40)}'`);
}

function ringBeside(dir: string, mapper: 'shim' | 'file'): Ring {
  const folder = join(dir, 'regions');
  const path = join(folder, readdirSync(folder).find((name) => name.endsWith('.ring')) as string);
  return openRing(path, readRingHeader(path).storeId, { name: () => RING_NAME, readOnly: true,
    boot: '', now: () => 0, shim: mapper === 'shim' ? loadShim() : null });
}

/** Looks on from outside until it is aborted. */
async function look(ring: Ring, signal: AbortSignal): Promise<void> {
  let before = 0;
  for await (const { seq, bytes } of ring.follow({ signal, from: 1 })) {
    if (seq <= before) throw new Error(`${seq} is seen after ${before}`);
    refuseTorn(seq, bytes);
    before = seq;
  }
}

/** One life of the child; returns the last record it said. */
async function killOnce({ folder, mapper }: RingKillOptions, lines: number): Promise<number> {
  const child = spawn(process.execPath, [CHILD, folder, mapper],
    { stdio: ['ignore', 'pipe', 'inherit'] });
  const ended = once(child, 'exit');
  const stop = new AbortController();
  let [said, heard] = [0, 0];
  let looking: Promise<void> = Promise.resolve();
  for await (const text of child.stdout) {
    said = Number(String(text).trim().split('\n').at(-1));
    if (heard === 0) looking = look(ringBeside(folder, mapper), stop.signal);
    heard += 1;
    if (heard >= lines) child.kill('SIGKILL');
  }
  const [code, signal] = await ended;
  stop.abort();
  await looking;
  if (signal !== 'SIGKILL') throw new Error(`the child ended by itself: ${code ?? signal}`);
  return said;
}

/** Opens what the dead left, and throws where it is not what it should be. */
function examine({ folder, mapper }: RingKillOptions, said: number): number {
  const store = openStore(folder, { unsafeFileSystem: true, mapper });
  try {
    const ring = store.ring(RING_NAME);
    const { recovery } = ring;
    if (recovery?.crash !== 'process' || recovery.damaged !== 0) {
      throw new Error(`recovery: ${JSON.stringify(recovery)}`);
    }
    if (ring.last < said) throw new Error(`${said} were appended, ${ring.last} are there`);
    let [before, bytes] = [0, 0];
    for (const record of ring) {
      refuseTorn(record.seq, record.bytes);
      if (before !== 0 && record.seq !== before + 1) throw new Error(`none after ${before}`);
      before = record.seq;
      bytes += ringBytes(record.seq);
    }
    if (before !== ring.last) throw new Error(`${before} is the newest, not ${ring.last}`);
    if (said > 500 && bytes < LEAST_BYTES) throw new Error(`${bytes} bytes are there`);
    const [finding] = store.check();
    if (finding !== undefined) throw new Error(`check(): ${JSON.stringify(finding)}`);
    return ring.last;
  } finally {
    store.close();
  }
}

export async function ringKillLoop(options: RingKillOptions): Promise<RingKillResult> {
  const random = split(options.seed, 'ring kills');
  const result: RingKillResult = { cases: 0, losses: [], records: 0 };
  rmSync(options.folder, { recursive: true, force: true });
  mkdirSync(options.folder, { recursive: true });
  if (!existsSync(CHILD)) throw new Error('torture: run npm run build');
  while (result.cases < options.kills && Date.now() < options.until) {
    try {
      const said = await killOnce(options, 1 + random.int(40));
      result.records = examine(options, said);
    } catch (error) {
      const detail = error instanceof Error ? (error.stack ?? error.message) : String(error);
      result.losses.push(`ring, after kill ${result.cases + 1} (seed ${options.seed}): ${detail}`);
      break;
    }
    result.cases += 1;
  }
  return result;
}
