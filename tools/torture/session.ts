/**
 * One life of a store under test: opens it, changes it, announces every checkpoint with a digest of
 * everything a program can see, so that whoever finds the disk later knows what it should hold.
 */
import { createHash, type Hash } from 'node:crypto';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import type { ObjectHeap } from '../../src/objects/heap.ts';
import { openStore, regionIn } from '../../src/store/store.ts';
import type { Region } from '../../src/types.ts';
import type { Marks } from './marks.ts';
import type { Random } from './random.ts';
import { RING_BYTES, RING_NAME, ringBytes, ringText, SYNCED, UNSYNCED_BYTES } from './rings.ts';

export type Store = ReturnType<typeof openStore>;
export type StoreOptions = NonNullable<Parameters<typeof openStore>[1]>;

export const EMPTY_DIGEST = 'empty';
/** What begins the label of a checkpoint that says its digest. */
export const HOLDS = 'holds ';

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

/** What the store holds, as a program sees it, region by region: a step and a digest each. */
function digestsOf(store: Store): Map<string, string> {
  const found = new Map<string, string>();
  for (const { name, kind } of store.regions()) {
    if (kind === 'ring') continue;
    const hash = createHash('md5');
    const region = regionIn(store, name);
    digestRegion(hash, name, region);
    if (kind === 'heap') digestHeap(hash, store.heap(name));
    found.set(name, `${region.roots.get('step')}:${hash.digest('hex')}`);
  }
  return found;
}

/** One digest for all, with the newest checkpoint number in clear for messages. */
function combined(digests: ReadonlyMap<string, string>): string {
  if (digests.size === 0) return EMPTY_DIGEST;
  const names = [...digests.keys()].sort();
  const steps = [...digests.values()].map((digest) => Number(digest.split(':')[0]));
  const hash = createHash('md5').update(names.map((name) => digests.get(name)).join('\n'));
  return `${Math.max(...steps)}:${hash.digest('hex')}`;
}

export function digestOf(store: Store): string {
  return combined(digestsOf(store));
}

/** Root that counts backups, in the region `plain`. */
export const COPIES = 'copies';
const COPY = 'copy-';
/** Beside a store that lives long. */
const MOST_COPIES = 4;

/** A backup is called after what it holds. */
function copyName(digest: string): string {
  return `${COPY}${digest.replace(':', '-')}`;
}

/** Backups beside the store, each with the digest of what it has to hold. */
export function copiesIn(dir: string): { path: string; digest: string }[] {
  return readdirSync(dir).filter((name) => name.startsWith(COPY)).map((name) =>
    ({ path: join(dir, name), digest: name.slice(COPY.length).replace('-', ':') }));
}

export interface Session {
  readonly random: Random;
  readonly marks: Marks;
  /** The open store. */
  readonly store: Store;
  region(name: string): Region;
  /** Announced, taken, acknowledged. `labelled` = with a label that says what it holds. */
  checkpoint(labelled?: boolean): void;
  /** Begun; `rollback` waits for it and says what became of it. */
  launch(): void;
  /** A reader in this process, which from now on must see what is committed now. */
  look(): void;
  /** One reader moves on, or leaves; nothing where there is none. */
  moveOn(): void;
  leave(): void;
  /** Every reader leaves, whatever the disk says. */
  leaveAll(): void;
  /** A backup beside the store, called after what it has to hold; the store counts them. */
  copy(): void;
  /** A region of the newest backup becomes the region `name`; false = there is none. */
  adopt(name: string): boolean;
  /** So many records into the ring, which is synced in time. */
  record(count: number): void;
  /** The store says from its next checkpoint on what the ring has to hold. */
  syncRing(): void;
  /** Back to some checkpoint that this life took and that is still listed; false = none. */
  restore(): boolean;
  /** The same for one buffer; every other region is on disk as it was. */
  commit(buffer: string): void;
  /** Runs `work` in a transaction: kept and checkpointed, or thrown away whole. */
  transact(work: () => void, isKept: boolean): void;
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
function stamp(store: Store, k: number, only: string | null): void {
  for (const { name, kind } of store.regions()) {
    if (kind === 'ring') continue;
    if (only === null || only === name) regionIn(store, name).roots.set('step', k * 16);
  }
}

class Unwanted extends Error {}

export function startSession(options: SessionOptions): Session {
  return new OneLife(options);
}

class OneLife implements Session {
  readonly random: Random;
  readonly marks: Marks;
  readonly #options: SessionOptions;
  #k: number;
  /** Of every region as it was last committed. */
  #committed: ReadonlyMap<string, string> = new Map();
  /** The same of earlier checkpoints, by number. */
  readonly #held = new Map<number, ReadonlyMap<string, string>>();
  /** Checkpoints that were begun and not waited for. */
  readonly #flying: { k: number; next: ReadonlyMap<string, string> }[] = [];
  readonly #readers: { reader: Store; digest: string }[] = [];
  /** Bytes in the ring since it was synced, as far as this life knows. */
  #unsynced = Number.POSITIVE_INFINITY;
  /** Backups of this life. */
  #copies: readonly string[] = [];
  #store: Store | null = null;

  constructor(options: SessionOptions) {
    this.#options = options;
    this.random = options.random;
    this.marks = options.marks;
    this.#k = options.begun;
  }

  get store(): Store {
    if (this.#store === null) throw new Error('torture: the workload uses a closed store');
    return this.#store;
  }

  region(name: string): Region {
    return this.store.region(name, this.store.has(name) ? {} : { capacity: CAPACITY });
  }

  checkpoint(labelled = false): void {
    const next = this.#begin(null);
    this.store.checkpoint(labelled ? `${HOLDS}${combined(next)}` : undefined);
    this.#acknowledge(next);
    this.#expect('the program after its checkpoint');
  }

  launch(): void {
    const next = this.#begin(null);
    this.#flying.push({ k: this.#k, next });
    // Whether it failed is seen in what is committed afterwards.
    this.store.checkpointAsync().catch(() => {});
  }

  look(): void {
    const { dir, store } = this.#options;
    const reader = openStore(join(dir, 'store'), { unsafeFileSystem: true, ...store,
      readOnly: true });
    this.#readers.push({ reader, digest: combined(this.#committed) });
    this.#expectReaders();
  }

  moveOn(): void {
    const [one] = this.#readers;
    if (one === undefined) return;
    try {
      one.reader.refresh();
    } catch (error) {
      this.#readers.shift();
      one.reader.abandon();
      throw error;
    }
    one.digest = combined(this.#committed);
    this.#expectReaders();
  }

  leave(): void {
    this.#readers.shift()?.reader.close();
  }

  leaveAll(): void {
    for (const { reader } of this.#readers.splice(0)) if (!reader.closed) reader.abandon();
  }

  copy(): void {
    const { dir } = this.#options;
    const place = join(dir, copyName(combined(this.#committed)));
    if (existsSync(place) || copiesIn(dir).length === MOST_COPIES) return;
    this.store.backup(place);
    this.#copies = [...this.#copies, place];
    // What a checkpoint from here on says is there has to be there.
    this.region('plain').roots.set(COPIES, copiesIn(dir).length * 16);
  }

  adopt(name: string): boolean {
    const regions = this.#copies.flatMap((place) => readdirSync(join(place, 'regions'))
      .filter((file) => file.endsWith('.region')).map((file) => join(place, 'regions', file)));
    if (regions.length === 0) return false;
    this.store.adopt(this.random.pick(regions), name);
    return true;
  }

  record(count: number): void {
    const ring = this.store.ring(RING_NAME, { size: RING_BYTES });
    for (let i = 0; i < count; i++) {
      const next = ring.last + 1;
      if (this.#unsynced + ringBytes(next) > UNSYNCED_BYTES) this.syncRing();
      ring.append(ringText(next));
      this.#unsynced += ringBytes(next);
    }
  }

  syncRing(): void {
    const ring = this.store.ring(RING_NAME, { size: RING_BYTES });
    ring.sync();
    this.#unsynced = 0;
    // No recorder sees what is mapped shared.
    if (this.store.stat().mapper === 'shim') return;
    this.region('plain').roots.set(SYNCED, ring.last * 16);
  }

  #expectReaders(): void {
    for (const { reader, digest } of this.#readers) {
      const found = digestOf(reader);
      if (found !== digest) throw new Error(`torture: a reader saw ${found}, not ${digest}`);
    }
  }

  restore(): boolean {
    const ids = this.store.checkpoints().map(({ id }) => id).filter((id) => this.#held.has(id));
    if (ids.length === 0) return false;
    const id = this.random.pick(ids);
    const next = this.#held.get(id) as ReadonlyMap<string, string>;
    this.#k += 1;
    this.marks.begun(this.#k, combined(next));
    this.store.restore(id);
    this.#acknowledge(next);
    this.#expect(`the program after it went back to ${id}`);
    return true;
  }

  commit(buffer: string): void {
    this.#announced(buffer, () => this.store.buffer(buffer).commit());
  }

  transact(work: () => void, isKept: boolean): void {
    const before = digestOf(this.store);
    let next = this.#committed;
    try {
      this.store.transaction(() => {
        work();
        if (!isKept) throw new Unwanted('torture: this transaction is not wanted');
        next = this.#begin(null);
      });
      this.#acknowledge(next);
    } catch (error) {
      if (!(error instanceof Unwanted)) throw error;
      this.#expect('the program after its transaction', before);
    }
  }

  rollback(): void {
    this.store.rollback();
    this.#hearFlights();
    this.#expect('rollback');
  }

  /** Of what was in flight all is committed up to one of them, whose contents are here now. */
  #hearFlights(): void {
    const found = digestOf(this.store);
    const landed = this.#flying.splice(0).findLast(({ next }) => combined(next) === found);
    if (landed === undefined) return;
    this.marks.acked(landed.k);
    this.#committed = landed.next;
  }

  close(): void {
    this.#announced(null, () => this.store.close());
    this.#store = null;
  }

  abandon(): void {
    this.store.abandon();
    this.#store = null;
  }

  open(extra: StoreOptions = {}): void {
    const isFirst = this.#k === 0;
    if (isFirst) this.marks.begun(0, EMPTY_DIGEST);
    const { dir, store } = this.#options;
    this.#store = openStore(join(dir, 'store'), { unsafeFileSystem: true, ...store, ...extra });
    if (!isFirst && this.#committed.size > 0) this.#expect('opening');
    this.#committed = digestsOf(this.store);
    this.marks.seen(combined(this.#committed));
  }

  /** Announces what a checkpoint of all, or of `only` one, will make of what is committed. */
  #begin(only: string | null): ReadonlyMap<string, string> {
    this.#k += 1;
    stamp(this.store, this.#k, only);
    const now = digestsOf(this.store);
    const next = only === null ? now
      : new Map(this.#committed).set(only, now.get(only) as string);
    this.marks.begun(this.#k, combined(next));
    return next;
  }

  #acknowledge(next: ReadonlyMap<string, string>): void {
    this.marks.acked(this.#k);
    this.#committed = next;
    this.#expectReaders();
    this.#flying.length = 0;
    const id = this.#store?.closed === false ? this.#store.checkpoints().at(-1)?.id : undefined;
    if (id !== undefined) this.#held.set(id, next);
  }

  #announced(only: string | null, work: () => void): void {
    const next = this.#begin(only);
    work();
    this.#acknowledge(next);
  }

  #expect(when: string, wanted = combined(this.#committed)): void {
    const found = digestOf(this.store);
    if (found !== wanted) throw new Error(`torture: ${when} found ${found}, not ${wanted}`);
  }
}
