/**
 * One life of a store under test: opens it, changes it, announces every checkpoint with a digest of
 * everything a program can see, so that whoever finds the disk later knows what it should hold.
 */
import { createHash, type Hash } from 'node:crypto';
import { join } from 'node:path';
import type { ObjectHeap } from '../../src/objects/heap.ts';
import { openStore, regionIn } from '../../src/store/store.ts';
import type { Region } from '../../src/types.ts';
import type { Marks } from './marks.ts';
import type { Random } from './random.ts';

export type Store = ReturnType<typeof openStore>;
export type StoreOptions = NonNullable<Parameters<typeof openStore>[1]>;

export const EMPTY_DIGEST = 'empty';

/** Every block, its bytes, and every root. */
function digestRegion(hash: Hash, name: string, region: Region): void {
  hash.update(`region ${name} ${region.method}\n`);
  for (const { address, size, busy } of region.blocks()) {
    hash.update(`${busy ? 'busy' : 'free'} ${address} ${size}\n`);
    if (busy) hash.update(region.bytes(address));
  }
  for (const [root, address] of [...region.roots].sort()) hash.update(`root ${root} ${address}\n`);
}

/** What is found from the root of a heap, which has to be sound. */
function digestHeap(hash: Hash, heap: ObjectHeap): void {
  const findings = heap.check();
  if (findings.length > 0) throw new Error(`torture: heap: ${JSON.stringify(findings[0])}`);
  for (const line of heap.exportLines()) hash.update(`${line}\n`);
}

/** What the store holds, as a program sees it, plus its checkpoint number in clear for messages. */
export function digestOf(store: Store): string {
  const infos = store.regions();
  if (infos.length === 0) return EMPTY_DIGEST;
  const hash = createHash('md5');
  let step = 0;
  for (const { name, kind } of infos) {
    const region = regionIn(store, name);
    digestRegion(hash, name, region);
    if (kind === 'heap') digestHeap(hash, store.heap(name));
    step = Math.max(step, region.roots.get('step'));
  }
  return `${step}:${hash.digest('hex')}`;
}

export interface Session {
  readonly random: Random;
  readonly marks: Marks;
  /** The open store. */
  readonly store: Store;
  region(name: string): Region;
  /** Announced, taken, acknowledged. */
  checkpoint(): void;
  /** Back to the last checkpoint; throws when the memory is not what it was then. */
  rollback(): void;
  close(): void;
  abandon(): void;
  open(options?: StoreOptions): void;
}

export interface SessionOptions {
  readonly dir: string;
  readonly random: Random;
  readonly marks: Marks;
  readonly store: StoreOptions;
  /** Number of the last checkpoint that was begun on this disk. */
  readonly begun: number;
}

const CAPACITY = 4 * 1024 * 1024;

/** Every region carries the number of the checkpoint: no two checkpoints have the same content. */
function stamp(store: Store, k: number): void {
  for (const { name } of store.regions()) regionIn(store, name).roots.set('step', k * 16);
}

export function startSession(options: SessionOptions): Session {
  const { marks, random } = options;
  let k = options.begun;
  let digest = EMPTY_DIGEST;
  let store: Store | null = null;
  const opened = (): Store => {
    if (store === null) throw new Error('torture: the workload uses a closed store');
    return store;
  };
  const announced = (work: (store: Store) => void): void => {
    const target = opened();
    k += 1;
    stamp(target, k);
    const next = digestOf(target);
    marks.begun(k, next);
    work(target);
    marks.acked(k);
    digest = next;
  };
  const expectDigest = (when: string): void => {
    const found = digestOf(opened());
    if (found !== digest) throw new Error(`torture: ${when} found ${found}, not ${digest}`);
  };
  return {
    random,
    marks,
    get store() {
      return opened();
    },
    region: (name) => opened().region(name, opened().has(name) ? {} : { capacity: CAPACITY }),
    checkpoint: () => {
      announced((target) => target.checkpoint());
      expectDigest('the program after its checkpoint');
    },
    rollback: () => {
      opened().rollback();
      expectDigest('rollback');
    },
    close: () => {
      announced((target) => target.close());
      store = null;
    },
    abandon: () => {
      opened().abandon();
      store = null;
    },
    open: (extra = {}) => {
      const first = k === 0;
      if (first) marks.begun(0, EMPTY_DIGEST);
      store = openStore(join(options.dir, 'store'), { unsafeFileSystem: true, ...options.store,
        ...extra });
      if (!first && digest !== EMPTY_DIGEST) expectDigest('opening');
      digest = digestOf(store);
      marks.seen(digest);
    },
  };
}
